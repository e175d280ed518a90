"""Where a caller stands in the menus, and the small steps that need no look at the tree. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from ivr import steps
from ivr.menu import Menus, Node
from ivr.steps import Deed, Item

AHEAD = 20  # keys kept that were pressed before anybody asked
LEAST = 2.0  # seconds; a shorter recording is a slip, not a message
MISSES = 3  # wrong codes or PINs a call
BEEP = Item(voice="tone:beep")
MOST, SILENCE = 180.0, 5.0  # seconds of a recording; of quiet that ends it
WALKS_ON = 50  # nodes in a row without an event; a checked tree never comes near


class Phase(StrEnum):
    """What the caller is doing."""

    SAID = "said"  #: hears something, then goes on to `after`
    ASKED = "asked"  #: is to press something
    BEEP = "beep"  #: hears what to say, then the tone
    RECORDING = "recording"
    REVIEW = "review"  #: hear, again or send
    LOOKING = "looking"
    TAKING = "taking"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Walk:
    """One call's place in its tree. Frozen; `step` returns the next one."""

    tree: str
    node: str = ""
    phase: Phase = Phase.SAID
    lang: str = "fa"
    open: bool = True  #: working hours now
    holiday: bool = False
    asserted: bool = False  #: the peer vouches for the caller's number
    mobile: bool = False
    after: str = ""  #: node that follows what is being said; '' = hang up
    barge: bool = True
    keys: str = ""  #: pressed ahead
    typed: str = ""  #: digits of the answer being keyed
    spare: str = ""  #: end key that is not needed any more (all digits came) and is swallowed if it follows
    tries: int = 0  #: mistakes at this node
    misses: int = 0  #: wrong codes and PINs in this call
    step: int = 0  #: of Take: counts recordings and acts, part of Inbound.ref
    values: Mapping[str, str] = field(default_factory=dict)  #: kind, act, unit, code, pin
    spool: str | None = None  #: recording of ≥ LEAST seconds not yet handed over
    seconds: float = 0.0
    gone: bool = False  #: the caller hung up; what was said is still handed over
    path: tuple[str, ...] = ()  #: names of the nodes visited

    @property
    def done(self) -> bool:
        """Nothing more will be done, whatever happens."""
        return self.phase is Phase.OVER


Moved = tuple[Walk, list[Deed]]


def ask(walk: Walk, node: Node, *before: Item) -> Moved:
    """Say `before` and the node's own sentence, then wait for a key."""
    items = [item for item in (*before, Item(node.say)) if item.key]
    asked = replace(walk, phase=Phase.ASKED, typed="", barge=node.barge)
    return asked, [say(walk, *items, barge=node.barge), steps.Wait(node.wait)]


def ask_review(walk: Walk, *before: Item) -> Moved:
    """Say `before`, then offer to hear, repeat or send what was recorded."""
    items = (*before, Item("ivr.review", {"seconds": round(walk.seconds)}))
    return replace(walk, phase=Phase.REVIEW), [say(walk, *items), steps.Wait(7.0)]


def tell(walk: Walk, after: str, *items: Item, barge: bool = True) -> Moved:
    """Say `items`, then go on to the node `after` ('' = hang up)."""
    return replace(walk, phase=Phase.SAID, after=after, barge=barge), [say(walk, *items, barge=barge)]


def say(walk: Walk, *items: Item, barge: bool = True) -> steps.Say:
    """The deed, in the caller's language."""
    return steps.Say(items, barge, walk.lang)


def over(walk: Walk) -> Moved:
    """Hang up; a recording that found no `take` on its way is handed over all the same."""
    if walk.spool is not None:
        taking, deeds = hand_over(walk)
        return taking, [*deeds, steps.Hangup()]
    return replace(walk, phase=Phase.OVER), [steps.Hangup()]


def take(walk: Walk) -> steps.Take:
    """The deed with all that was chosen: a new message has kind and unit, an act has code and PIN."""
    values, act = walk.values, walk.values.get("act", "new")
    known = {"code": values.get("code"), "pin": values.get("pin") or None} if act != "new" else {}
    return steps.Take(
        act=act,
        kind=values.get("kind") if act == "new" else None,
        path=walk.spool,
        seconds=walk.seconds,
        unit=values.get("unit") or None if act == "new" else None,
        lang=walk.lang,
        step=walk.step,
        **known,
    )


def knowing(walk: Walk, **values: str) -> Walk:
    """The walk with these values chosen."""
    return replace(walk, values=MappingProxyType({**walk.values, **values})) if values else walk


def missed(walk: Walk, node: Node, way: str) -> bool:
    """Was a code or PIN guessed wrong? Asking for the bare state without a PIN is no guess."""
    guessed = way == "none" or (way == "unproven" and bool(walk.values.get("pin")))
    return guessed and about_answer(node)


def about_answer(node: Node) -> bool:
    """Does this `look` ask for a ticket?"""
    return str(node.own.get("what", "answer")) == "answer"


def excuse(node: Node, way: str) -> Iterator[Item]:
    """What is said when a look-up found nothing to say."""
    if way == "none":
        yield Item("ivr.no_answer" if about_answer(node) else "ivr.no_unit")
    elif way in ("locked", "busy"):
        yield Item(f"ivr.{way}")


def node_of(menus: Menus, walk: Walk) -> Node:
    """The node where the caller stands."""
    return menus.trees[walk.tree].nodes[walk.node]


def hand_over(walk: Walk) -> Moved:
    """The caller is gone; what was recorded goes to the door."""
    return replace(walk, phase=Phase.TAKING, gone=True), [take(walk)]
