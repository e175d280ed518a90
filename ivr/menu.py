"""The menu tree as data, checked when it is read. Pure: no sockets, no clock, no database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

from config import positions
from config.faults import Fault, Faults
from core.model import Kind

KEYS = frozenset("0123456789*#")
CHOICES = 6  # more are not remembered by a listener; repeat and language keys do not count
WAIT, BETWEEN, TRIES = 7.0, 4.0, 3  # seconds of quiet after a prompt, between digits; mistakes till `else`

LATER = frozenset(  # verbs and questions that are planned, refused by name until they exist
    {"queue", "connect", "report", "prompt", "mine", "consultation", "survey", "incident", "full"}
)
ACTS = frozenset({"new", "object", "add", "accept", "withdraw"})


@dataclass(frozen=True, slots=True)
class Verb:
    """What a `do` may and must carry beside the common keys."""

    own: frozenset[str] = frozenset()  #: keys with values of its own
    exits: tuple[str, ...] = ()  #: keys naming where to go, each needed (or `else`)
    spare: tuple[str, ...] = ()  #: exits that may be left out; what stands in is said in the walk
    keyed: bool = False  #: has key.0 … key.#
    asks: bool = False  #: waits for the caller: needs `else` for the one who says nothing


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
        "look": Verb(_own("what"), ("found", "none", "locked", "busy"), ("waiting", "unproven")),
        "take": Verb(_own("kind", "unit", "act"), ("ok", "failed")),
        "when": Verb(_own("is"), ("yes", "no")),
    }
)
COMMON = _own("do", "say", "wait", "between", "tries", "barge", "wrong", "silence", "else")
WORDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "check": _own("code", "pin", "unit"),
        "what": _own("answer", "unit"),
        "is": _own("open", "holiday", "mobile", "asserted"),
        "act": ACTS,
    }
)
RANGES: Mapping[str, tuple[type[int] | tuple[type[int], type[float]], float, float]] = MappingProxyType(
    {
        "wait": ((int, float), 1, 60),
        "between": ((int, float), 1, 60),
        "tries": (int, 1, 9),
        "min": (int, 1, 20),
        "max": (int, 1, 300),
    }
)
SHAPES: Mapping[str, type] = MappingProxyType(
    {"barge": bool, "secret": bool, "end": str, "lang": str, "kind": str, "check": str, "what": str, "is": str}
)


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


def read(
    files: Mapping[str, str], texts: Mapping[str, Mapping[str, str]], units: frozenset[str] | None = None
) -> Menus | list[Fault]:
    """Read menu files (path → content) against the texts (language → key → sentence).

    Returns every fault found, not the first. `units` are the slugs a menu may name (None: not checked).
    """
    faults: list[Fault] = []
    trees: dict[str, Tree] = {}
    for path, content in sorted(files.items()):
        page = _Page(path, content, texts, units, faults)
        tree = page.tree()
        if tree is not None:
            trees[tree.name] = tree
    return faults or Menus(trees)


class _Page:
    """One file while it is read; collects faults with their lines."""

    def __init__(
        self,
        path: str,
        content: str,
        texts: Mapping[str, Mapping[str, str]],
        units: frozenset[str] | None,
        faults: list[Fault],
    ) -> None:
        self.path, self.content, self.texts, self.units, self.faults = path, content, texts, units, faults
        self.document = positions.Document(path, {})

    def tree(self) -> Tree | None:
        before = len(self.faults)
        try:
            self.document = positions.parse(self.content, self.path)
        except Faults as error:
            self.faults += error.faults
            return None
        data = dict(self.document.data)
        start, tables = data.pop("start", None), data.pop("menu", None)
        for key in data:
            self._fault("unknown-key", f"{key!r} is not known here; there are start and [menu.NAME]", self._at("", key))
        if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()) or not tables:
            self._fault("bad-value", "a menu file needs tables [menu.NAME]", 1)
            return None
        if start not in tables:
            self._fault("unknown-target", f"start = {start!r} names no [menu.…] of this file", self._at("", "start"))
            return None
        nodes = {name: node for name, table in tables.items() if (node := self._node(name, table, tables)) is not None}
        if len(self.faults) == before:
            self._shape(start, nodes)
        return Tree(PurePath(self.path).stem, start, nodes) if len(self.faults) == before else None

    # ------------------------------------------------ one node

    def _node(self, name: str, table: dict[str, Any], tables: Mapping[str, Any]) -> Node | None:
        do = table.get("do")
        if do in LATER:
            self._bad(name, "do", "later", f"do = {do!r} comes with a later version; leave it out for now")
            return None
        verb = VERBS.get(do) if isinstance(do, str) else None
        if verb is None or not isinstance(do, str):
            self._bad(name, "do", "unknown-do", f"do = {do!r}; there are {', '.join(VERBS)}")
            return None
        ways = ("else", *verb.exits, *verb.spare)
        self._names(name, table, verb, ways)
        self._values(name, table, do)
        exits = {way: table[way] for way in ways if way in table}
        keys = self._keys(name, table.get("key", {})) if verb.keyed else {}
        self._targets(name, {**exits, **{f"key.{key}": to for key, to in keys.items()}}, tables)
        self._needed(name, do, verb, exits, keys)
        self._choices(name, keys, tables)
        fields = {key: table[key] for key in COMMON & table.keys() if key not in ("do", "else")}
        if do == "record":  # here `silence` is the quiet that ends a recording, in seconds
            fields.pop("silence", None)
        if not all(isinstance(fields.get(key, ""), str) for key in ("say", "wrong", "silence")):
            return None
        return Node(
            name, do, keys=keys, exits=exits, own={key: table[key] for key in verb.own & table.keys()}, **fields
        )

    def _names(self, name: str, table: Mapping[str, Any], verb: Verb, ways: tuple[str, ...]) -> None:
        known = COMMON | verb.own | set(ways) | ({"key"} if verb.keyed else set())
        for key in table:
            if key not in known:
                self._bad(name, key, "unknown-key", f"{key!r} means nothing for do = {table['do']!r}")

    def _values(self, name: str, table: Mapping[str, Any], do: str) -> None:
        for key, value in table.items():
            for word, remedy in self._value(key, value, do):
                self._bad(name, key, word, remedy)

    def _value(self, key: str, value: Any, do: str) -> Iterator[tuple[str, str]]:
        """What is wrong with one value, if anything."""
        if key in ("say", "wrong", "silence") and not (do == "record" and key == "silence"):
            yield from self._text(key, value)
        elif do == "record" and key in ("max", "silence"):
            yield from _within(key, value, (int, float), 1, 300)
        elif key in RANGES:
            yield from _within(key, value, *RANGES[key])
        elif key in ("what", "is") and value in LATER:
            yield "later", f"{key} = {value!r} comes with a later version; leave it out for now"
        elif key in WORDS and value not in WORDS[key]:
            yield "bad-value", f"{key} = {value!r}; there are {', '.join(sorted(WORDS[key]))}"
        elif key in SHAPES and not isinstance(value, SHAPES[key]):
            yield "bad-value", f"{key} = {value!r} must be a {SHAPES[key].__name__}"
        elif key == "kind" and value not in set(Kind):
            yield "unknown-kind", f"kind = {value!r}; there are {', '.join(Kind)}"
        elif key == "unit" and (not isinstance(value, str) or (self.units is not None and value not in self.units)):
            yield "unknown-unit", f"unit = {value!r} is not among the units; see units.toml"
        elif key == "lang" and value not in self.texts:
            yield "bad-value", f"lang = {value!r}; there are texts in {', '.join(self.texts)}"
        elif key == "end" and value not in KEYS | {""}:
            yield "bad-value", f"end = {value!r} must be one key"

    def _text(self, key: str, value: Any) -> Iterator[tuple[str, str]]:
        if not isinstance(value, str):
            yield "bad-value", f"{key} = {value!r} must be a text key"
            return
        for lang, sentences in self.texts.items():
            if value not in sentences:
                yield "missing-text", f"{key} = {value!r} has no sentence in {lang}; add it to texts/{lang}/ivr.toml"

    def _keys(self, name: str, keys: Any) -> dict[str, str]:
        if not isinstance(keys, dict):
            self._bad(name, "key", "bad-value", 'write key.1 = "target"')
            return {}
        for key in keys.keys() - KEYS:
            self._bad(name, f"key.{key}", "unknown-key", f"key.{key}: a telephone has 0-9 * #")
        return {key: to for key, to in keys.items() if key in KEYS}

    def _targets(self, name: str, ways: Mapping[str, Any], tables: Mapping[str, Any]) -> None:
        for way, to in ways.items():
            if to not in tables:
                self._bad(name, way, "unknown-target", f"{way} = {to!r} names no [menu.…] of this file")

    def _needed(self, name: str, do: str, verb: Verb, exits: Mapping[str, str], keys: Mapping[str, str]) -> None:
        if do == "choose" and not keys:
            self._bad(name, "do", "dead-end", 'a choice without keys leads nowhere; add key.1 = "target"')
        if verb.asks and "else" not in exits:
            self._bad(name, "do", "no-else", 'who presses nothing must get somewhere: add else = "target"')
        missing = [way for way in verb.exits if way not in exits and (do != "look" or "else" not in exits)]
        if missing:
            self._bad(name, "do", "dead-end", f'do = {do!r} leads nowhere: add {", ".join(missing)} = "target"')

    def _choices(self, name: str, keys: Mapping[str, str], tables: Mapping[str, Any]) -> None:
        real = [to for to in keys.values() if to != name and tables.get(to, {}).get("do") != "language"]
        if len(real) > CHOICES:
            self._bad(name, "do", "too-many-choices", f"{len(real)} choices; nobody remembers more than {CHOICES}")

    # ------------------------------------------------ the whole

    def _shape(self, start: str, nodes: Mapping[str, Node]) -> None:
        for name in nodes.keys() - _reached(start, nodes):
            self._bad(name, "do", "unreachable", f"nothing leads to [menu.{name}]; remove it or name it somewhere")
        for name in _circles(nodes):
            self._bad(
                name, "do", "loop-without-caller", "a caller who presses nothing would never get out of this circle"
            )

    def _bad(self, name: str, key: str, word: str, remedy: str) -> None:
        self._fault(word, f"[menu.{name}] {remedy}", self._at(name, key))

    def _fault(self, word: str, remedy: str, line: int) -> None:
        self.faults.append(Fault(self.path, line, word, remedy))

    def _at(self, name: str, key: str) -> int:
        """Line of `key` (`key.1` is a table's) in `[menu.name]`, else of the table's head, else 1."""
        table = ("menu", name) if name else ()
        return self.document.line(*table, *key.split(".", 1))


def _within(
    key: str, value: Any, shape: type[int] | tuple[type[int], type[float]], least: float, most: float
) -> Iterator[tuple[str, str]]:
    number = value if isinstance(value, shape) and not isinstance(value, bool) else None
    if number is None or not least <= float(number) <= most:
        yield "bad-value", f"{key} = {value!r} must be a number from {least:g} to {most:g}"


def _reached(start: str, nodes: Mapping[str, Node]) -> set[str]:
    seen, todo = set(), [start]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += [*nodes[name].exits.values(), *nodes[name].keys.values()]
    return seen


def _circles(nodes: Mapping[str, Node]) -> list[str]:
    """Nodes on a circle that needs no key: then a silent caller, or no caller at all, would walk for ever."""
    quiet = {
        name: {to for way, to in node.exits.items() if (node.do, way) != ("digits", "ok")}
        for name, node in nodes.items()
    }
    while ends := [name for name, to in quiet.items() if not to & quiet.keys()]:
        for name in ends:
            del quiet[name]
    return [name for name in quiet if _returns(name, quiet)]


def _returns(name: str, graph: Mapping[str, set[str]]) -> bool:
    seen: set[str] = set()
    todo = list(graph[name] & graph.keys())
    while todo:
        here = todo.pop()
        if here == name:
            return True
        if here not in seen:
            seen.add(here)
            todo += graph[here] & graph.keys()
    return False
