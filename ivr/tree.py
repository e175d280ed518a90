"""What a menu is made of: verbs and what they may carry, nodes, trees. Frozen values and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from config.faults import Fault

KEYS = frozenset("0123456789*#")
WAIT, BETWEEN, TRIES = 7.0, 4.0, 3  # seconds of quiet after a prompt, between digits; mistakes till `else`

LATER = frozenset({"report", "survey", "consultation", "secret", "clause"})  # planned: refused by name
ACTS = frozenset({"new", "object", "add", "accept", "withdraw"})


@dataclass(frozen=True, slots=True)
class Verb:
    """What a `do` may and must carry beside the common keys."""

    own: frozenset[str] = frozenset()  #: keys with values of its own
    exits: tuple[str, ...] = ()  #: keys naming where to go, each needed (or `else`)
    spare: tuple[str, ...] = ()  #: exits that may be left out; what stands in is said in the walk
    keyed: bool = False  #: has key.0 … key.#
    asks: bool = False  #: waits for the caller: needs `else` for the one who says nothing
    either: bool = False  #: `else` stands in for every exit


def _own(*names: str) -> frozenset[str]:
    return frozenset(names)


VERBS: Mapping[str, Verb] = MappingProxyType(
    {
        "choose": Verb(keyed=True, asks=True),
        "say": Verb(_own("kind", "unit"), ("go",)),
        "language": Verb(_own("lang"), ("go",)),
        "hangup": Verb(),
        "digits": Verb(_own("min", "max", "end", "check", "secret"), ("ok",), keyed=True, asks=True),
        "record": Verb(_own("kind", "unit", "act", "max", "silence"), ("ok",), ("short", "full"), asks=True),
        "prompt": Verb(_own("text", "lang", "max", "silence"), ("ok",), ("short", "full"), asks=True),
        "look": Verb(_own("what"), ("found", "none", "locked", "busy"), ("waiting", "unproven"), either=True),
        "take": Verb(_own("kind", "unit", "act"), ("ok", "failed")),
        "text": Verb(_own("what"), ("ok", "failed"), either=True),
        "when": Verb(_own("is"), ("yes", "no")),
        "queue": Verb(_own("name"), ("served", "over", "closed"), either=True),
        "connect": Verb(_own("to"), ("done", "busy", "away"), either=True),
    }
)
COMMON = _own("do", "say", "wait", "between", "tries", "barge", "wrong", "silence", "else")
WORDS: Mapping[tuple[str, str], frozenset[str]] = MappingProxyType(
    {
        ("digits", "check"): _own("code", "pin", "unit", "mine", "back", "permit", "hour"),
        ("look", "what"): _own("answer", "unit", "card", "mine", "incident", "permit"),
        ("text", "what"): _own("answer", "unit"),
        ("when", "is"): _own("open", "holiday", "mobile", "asserted", "full"),
        ("record", "act"): ACTS,
        ("take", "act"): ACTS | {"follow"},
    }
)
Number = type[int] | tuple[type[int], type[float]]
RANGES: Mapping[str, tuple[Number, float, float]] = MappingProxyType(
    {
        "wait": ((int, float), 1, 60),
        "between": ((int, float), 1, 60),
        "tries": (int, 1, 9),
        "min": (int, 1, 20),
        "max": (int, 1, 300),
    }
)
SHAPES: Mapping[str, type] = MappingProxyType(
    {
        "barge": bool, "secret": bool, "end": str, "lang": str, "kind": str, "check": str, "what": str, "is": str,
        "name": str, "to": str, "text": str,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Node:
    """One `[menu.NAME]`."""

    name: str
    do: str
    say: str = ""  #: text key, '' = nothing
    wait: float = WAIT
    between: float = BETWEEN
    tries: int = TRIES
    barge: bool = True
    wrong: str = "ivr.wrong"  #: said after a key that means nothing here
    silence: str = "ivr.silence"  #: said when nothing came
    keys: Mapping[str, str] = field(default_factory=dict)
    exits: Mapping[str, str] = field(default_factory=dict)  #: `else` among them
    own: Mapping[str, Any] = field(default_factory=dict)

    def to(self, *names: str) -> str:
        """The first of these exits that is there, `else` last. A checked tree always has one."""
        return next(self.exits[name] for name in (*names, "else") if name in self.exits)


@dataclass(frozen=True, slots=True)
class Tree:
    """One file: where a call begins and all its nodes."""

    name: str
    start: str
    nodes: Mapping[str, Node]


@dataclass(frozen=True, slots=True)
class Menus:
    """Every tree by the name of its file."""

    trees: Mapping[str, Tree]
    warnings: tuple[Fault, ...] = ()  #: sentences that only the speech voice can say


Texts = Mapping[str, Mapping[str, str]]  # language → key → sentence
