"""Where a caller stands in the menus, and the small steps that need no look at the tree. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from ivr import steps
from ivr.steps import Deed, Item
from ivr.tree import Menus, Node

AHEAD = 20  # keys kept that were pressed before anybody asked
LEAST = 2.0  # seconds; a shorter recording is a slip, not a message
MISSES = 3  # wrong codes or PINs a call
BEEP = Item(voice="tone:beep")
MOST, SILENCE = 180.0, 5.0  # seconds of a recording; of quiet that ends it
PAUSE = 60.0  # seconds a reading may rest
WALKS_ON = 50  # nodes in a row without an event; a checked tree never comes near


_SENTENCE = re.compile(r"(?<=[.!?؟])\s+|\n+")
_NONE = {
    "answer": "ivr.no_answer",
    "unit": "ivr.no_unit",
    "card": "ivr.no_unit",
    "mine": "ivr.no_mine",
    "permit": "ivr.no_permit",
}


class Phase(StrEnum):
    """What the caller is doing."""

    SAID = "said"  #: hears something, then goes on to `after`
    ASKED = "asked"  #: is to press something
    BEEP = "beep"  #: hears what to say, then the tone
    RECORDING = "recording"
    REVIEW = "review"  #: hear, again or send
    LOOKING = "looking"
    READING = "reading"  #: hears an answer sentence by sentence: 7 back, 9 on, 8 pause
    TAKING = "taking"
    DOING = "doing"  #: a text is sent, a prompt published
    QUEUED = "queued"  #: waits for an operator, or for a bell to be answered
    TALKING = "talking"  #: is bridged
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
    full: bool = False  #: no room for a recording now
    notice: Mapping[str, str] = field(default_factory=dict)  #: a known incident's sentence, by language
    after: str = ""  #: node that follows what is being said; '' = hang up
    barge: bool = True
    keys: str = ""  #: pressed ahead
    typed: str = ""  #: digits of the answer being keyed
    spare: str = ""  #: end key that is not needed any more (all digits came) and is swallowed if it follows
    tries: int = 0  #: mistakes at this node
    misses: int = 0  #: wrong codes and PINs in this call
    step: int = 0  #: of Take: counts recordings and acts, part of Inbound.ref
    values: Mapping[str, str] = field(default_factory=dict)  #: kind, act, unit, code, pin, permit, text
    told: str = ""  #: tracking code of the message just taken, to be keyed back
    choices: tuple[str, ...] = ()  #: codes of the caller's own tickets, by the key that chooses them
    reading: tuple[Item, ...] = ()  #: what is being read out, a sentence an item
    at: int = 0  #: which of them
    paused: bool = False
    spool: str | None = None  #: recording of ≥ LEAST seconds not yet handed over
    seconds: float = 0.0
    gone: bool = False  #: the caller hung up; what was said is still handed over
    path: tuple[str, ...] = ()  #: names of the nodes where something was said, asked or done

    @property
    def done(self) -> bool:
        """Nothing more will be done, whatever happens."""
        return self.phase is Phase.OVER


Moved = tuple[Walk, list[Deed]]


def ask(walk: Walk, node: Node, *before: Item) -> Moved:
    """Say `before` and the node's own sentence, then wait for a key."""
    items = [item for item in (*before, sentence(walk, node)) if item.key]
    asked = replace(walk, phase=Phase.ASKED, typed="", barge=node.barge)
    return asked, [say(walk, *items, barge=node.barge), steps.Wait(node.wait)]


def ask_review(walk: Walk, *before: Item) -> Moved:
    """Say `before`, then offer to hear, repeat or send what was recorded."""
    items = (*before, Item("ivr.review", {"seconds": round(walk.seconds)}))
    return replace(walk, phase=Phase.REVIEW), [say(walk, *items), steps.Wait(7.0)]


def sentence(walk: Walk, node: Node) -> Item:
    """What the node says; a unit's own recording of it wins."""
    return Item(node.say, variant=walk.values.get("unit", ""))


def read(walk: Walk, after: str, items: Iterable[Item]) -> Moved:
    """Read `items` out sentence by sentence, then go on to the node `after`."""
    reading = tuple(part for item in items for part in _sentences(item))
    return go_on(replace(walk, phase=Phase.READING, after=after, reading=reading, at=0, paused=False, barge=True))


def go_on(walk: Walk) -> Moved:
    """Say the sentence that is due."""
    return replace(walk, paused=False), [say(walk, walk.reading[walk.at])]


def _sentences(item: Item) -> Iterator[Item]:
    """An operator's words cut where a listener may want to go back to."""
    if not item.words:
        yield item
        return
    for part in _SENTENCE.split(item.words):
        if part.strip():
            yield replace(item, words=part.strip())


def tell(walk: Walk, after: str, *items: Item, barge: bool = True) -> Moved:
    """Say `items`, then go on to the node `after` ('' = hang up)."""
    return replace(walk, phase=Phase.SAID, after=after, barge=barge), [say(walk, *items, barge=barge)]


def say(walk: Walk, *items: Item, barge: bool = True) -> steps.Say:
    """The deed, in the caller's language."""
    return steps.Say(items, barge, walk.lang)


def over(menus: Menus, walk: Walk) -> Moved:
    """Hang up; a recording that found no `take` on its way is handed over all the same."""
    if walk.spool is not None:
        taking, deeds = hand_over(menus, walk)
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
    return guessed and what(node) in ("answer", "permit")


def about_answer(node: Node) -> bool:
    """Does this `look` ask for a ticket?"""
    return what(node) == "answer"


def what(node: Node) -> str:
    """What a `look` looks for."""
    return str(node.own.get("what", "answer"))


def excuse(node: Node, way: str) -> Iterator[Item]:
    """What is said when a look-up found nothing to say."""
    if way == "none":
        yield Item(_NONE[what(node)])
    elif way in ("locked", "busy"):
        yield Item(f"ivr.{way}")


def node_of(menus: Menus, walk: Walk) -> Node:
    """The node where the caller stands."""
    return menus.trees[walk.tree].nodes[walk.node]


def hand_over(menus: Menus, walk: Walk) -> Moved:
    """The caller is gone; what was recorded goes to the door, a prompt nobody confirmed to nobody."""
    if node_of(menus, walk).do == "prompt":
        return replace(walk, phase=Phase.OVER, gone=True, spool=None), []
    return replace(walk, phase=Phase.TAKING, gone=True), [take(walk)]
