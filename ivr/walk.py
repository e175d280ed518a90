"""The pure menu machine: where a caller stands, what happens, what is to be done. No sockets, clock or database.

Every front (SIP, a PBX extension, the simulator, golden transcripts) drives the same `step`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from core import codes
from ivr import steps
from ivr.menu import Menus, Node
from ivr.steps import Deed, Event, Item

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


def step(menus: Menus, walk: Walk, event: Event) -> Moved:
    """What `event` makes of `walk`: the next walk and the deeds, in order. Never raises on any event."""
    if walk.done:
        return walk, []
    if isinstance(event, steps.Ended):
        return _gone(walk)
    now, deeds = _EVENTS[type(event)](menus, walk, event)
    return _ahead(menus, now, deeds)


def _ahead(menus: Menus, walk: Walk, deeds: list[Deed]) -> Moved:
    """Use keys pressed ahead while somebody asks; a prompt that was answered already is not spoken."""
    while walk.keys and walk.phase in (Phase.ASKED, Phase.REVIEW):
        key, walk = walk.keys[0], replace(walk, keys=walk.keys[1:])
        if key == walk.spare:
            walk = replace(walk, spare="")
            continue
        walk, more = _press(menus, walk, key)
        deeds = [deed for deed in deeds if not (isinstance(deed, steps.Say) and deed.barge)] + more
    return walk, deeds


# ---------------------------------------------------------------- events


def _started(menus: Menus, walk: Walk, event: steps.Started) -> Moved:
    number = event.number or ""
    known = replace(walk, asserted=event.asserted and bool(number), mobile=number.startswith("+989"))
    return _enter(menus, known, menus.trees[walk.tree].start)


def _key(menus: Menus, walk: Walk, event: steps.Key) -> Moved:
    if walk.spare:
        spare, walk = walk.spare, replace(walk, spare="")
        if event.key == spare:
            return walk, []
    if walk.phase in (Phase.ASKED, Phase.REVIEW):
        now, deeds = _press(menus, walk, event.key)
        return now, [steps.Hush(), *deeds]
    if walk.phase is Phase.RECORDING:
        return walk, []  # the leg itself ends it at `#`
    if walk.phase is Phase.BEEP:
        if not walk.barge:
            return walk, []
        return replace(walk, barge=False), [steps.Hush(), _say(walk, BEEP, barge=False)]
    waiting = replace(walk, keys=(walk.keys + event.key)[:AHEAD])
    if walk.phase is Phase.SAID and walk.barge and walk.after:
        now, deeds = _enter(menus, waiting, walk.after)
        return now, [steps.Hush(), *deeds]
    return waiting, []


def _quiet(menus: Menus, walk: Walk, event: steps.Quiet) -> Moved:
    if walk.phase is Phase.REVIEW:
        again = replace(walk, tries=walk.tries + 1)
        return _ask_review(again) if again.tries < 2 else _send(menus, again)
    if walk.phase is not Phase.ASKED:
        return walk, []
    node = _node(menus, walk)
    if node.do == "digits" and walk.typed:
        return _digits_done(menus, walk, node)
    return _mistake(menus, walk, node, node.silence)


def _played(menus: Menus, walk: Walk, event: steps.PlayedOut) -> Moved:
    if walk.phase is Phase.BEEP:
        node = _node(menus, walk)
        most, silence = float(node.own.get("max", MOST)), float(node.own.get("silence", SILENCE))
        recording = replace(walk, phase=Phase.RECORDING, step=walk.step + 1)
        return recording, [steps.Record(most, silence)]
    if walk.phase is Phase.SAID:
        return _enter(menus, walk, walk.after) if walk.after else _over(walk)
    return replace(walk, spare=""), []  # whoever heard the whole question means it


def _recorded(menus: Menus, walk: Walk, event: steps.Recorded) -> Moved:
    if walk.phase is not Phase.RECORDING:
        return walk, []
    node = _node(menus, walk)
    if event.seconds < LEAST:
        return _too_short(menus, walk, node, event.why)
    walk = replace(walk, spool=event.path, seconds=event.seconds, tries=0)
    if event.why == "hung_up" or walk.gone:
        return _hand_over(walk)
    return _send(menus, walk) if event.why == "disk" else _ask_review(walk)


def _found(menus: Menus, walk: Walk, event: steps.Found) -> Moved:
    if walk.phase is not Phase.LOOKING:
        return walk, []
    node = _node(menus, walk)
    walk = replace(walk, misses=walk.misses + _missed(walk, node, event.exit))
    if walk.misses >= MISSES:
        return _tell(walk, node.to("locked"), *event.items, Item("ivr.locked"))
    if event.exit in ("waiting", "unproven") and event.exit not in node.exits:
        return _tell(walk, node.to("found"), *event.items)
    if event.exit == "found" and "unit" in event.facts:
        walk = _with(walk, unit=str(event.facts["unit"]))
    return _tell(walk, node.to(event.exit), *(event.items or _excuse(node, event.exit)))


def _taken(menus: Menus, walk: Walk, event: steps.Taken) -> Moved:
    if walk.phase is not Phase.TAKING:
        return walk, []
    walk = replace(walk, spool=None, seconds=0.0)
    if walk.gone:
        return replace(walk, phase=Phase.OVER), []
    node, act = _node(menus, walk), walk.values.get("act", "new")
    if act != "new":
        return _tell(walk, node.to("ok"), Item(f"ivr.done.{act}"))
    code, pin = {"code": event.code}, {"pin": event.pin}
    words = [Item("ivr.taken", event.facts), Item("ivr.code", code), Item("ivr.code_again", code)]
    return _tell(walk, node.to("ok"), *words, Item("ivr.pin", pin), Item("ivr.pin_again", pin), barge=False)


def _failed(menus: Menus, walk: Walk, event: steps.Failed) -> Moved:
    if walk.phase not in (Phase.TAKING, Phase.RECORDING, Phase.LOOKING):
        return walk, []
    why = event.why if event.why in ("busy", "disk", "state", "locked") else "refused"
    if walk.phase is Phase.RECORDING and walk.spool is not None:  # "again" cannot be had; the first one is there
        return _hand_over(walk) if walk.gone else _ask_review(walk, Item(f"ivr.failed.{why}"))
    ways = {Phase.RECORDING: ("full",), Phase.TAKING: ("failed",), Phase.LOOKING: ("busy",)}[walk.phase]
    said = replace(walk, spool=None, seconds=0.0)
    if walk.gone:
        return replace(said, phase=Phase.OVER), []
    return _tell(said, _node(menus, walk).to(*ways), Item(f"ivr.failed.{why}"))


def _gone(walk: Walk) -> Moved:
    """The caller hung up: a message that was said is handed over, everything else is forgotten."""
    if walk.phase is Phase.TAKING:
        return replace(walk, gone=True), []
    if walk.phase is Phase.RECORDING:  # its Recorded is still to come
        return replace(walk, gone=True), [] if walk.gone else [steps.StopRecord()]
    if walk.spool is not None:
        return _hand_over(walk)
    return replace(walk, phase=Phase.OVER, gone=True), []


def _hand_over(walk: Walk) -> Moved:
    return replace(walk, phase=Phase.TAKING, gone=True), [_take(walk)]


_EVENTS: Mapping[type, Callable[[Menus, Walk, Any], Moved]] = MappingProxyType(
    {
        steps.Started: _started,
        steps.Key: _key,
        steps.Quiet: _quiet,
        steps.PlayedOut: _played,
        steps.Recorded: _recorded,
        steps.Found: _found,
        steps.Taken: _taken,
        steps.Failed: _failed,
    }
)


# ---------------------------------------------------------------- nodes


def _enter(menus: Menus, walk: Walk, name: str) -> Moved:
    """Come to a node, and walk on through those that ask and say nothing."""
    for _ in range(WALKS_ON):
        walk = replace(walk, node=name, tries=0, typed="", path=(*walk.path, name)[-100:])
        node = _node(menus, walk)
        walk = _with(walk, **_brings(node))
        if node.do == "language":
            walk = replace(walk, lang=str(node.own["lang"]))
        if node.do not in ("language", "when") and not (node.do == "say" and not node.say):
            return _ENTER[node.do](menus, walk, node)
        name = node.to(_answer(walk, node) if node.do == "when" else "go")
    return _over(walk)


def _brings(node: Node) -> dict[str, str]:
    """Values that a node sets, or clears, as soon as it is reached."""
    values = {key: str(node.own[key]) for key in ("kind", "unit", "act") if key in node.own}
    if node.do == "record":
        values.setdefault("act", "new")
    if node.do == "digits" and "check" in node.own:
        values[str(node.own["check"])] = ""
    return values


def _answer(walk: Walk, node: Node) -> str:
    return "yes" if getattr(walk, node.own.get("is", "open")) else "no"


def _enter_say(menus: Menus, walk: Walk, node: Node) -> Moved:
    if walk.keys and node.barge:
        return _enter(menus, walk, node.to("go"))
    return _tell(walk, node.to("go"), Item(node.say), barge=node.barge)


def _enter_hangup(menus: Menus, walk: Walk, node: Node) -> Moved:
    return _tell(walk, "", Item(node.say)) if node.say else _over(walk)


def _enter_asking(menus: Menus, walk: Walk, node: Node) -> Moved:
    return _ask(walk, node)


def _enter_record(menus: Menus, walk: Walk, node: Node) -> Moved:
    hurried = bool(walk.keys)
    items = [BEEP] if hurried or not node.say else [Item(node.say), BEEP]
    asked = replace(walk, keys="", phase=Phase.BEEP, barge=node.barge and len(items) > 1)
    return asked, [_say(walk, *items, barge=asked.barge)]


def _enter_look(menus: Menus, walk: Walk, node: Node) -> Moved:
    what = str(node.own.get("what", "answer"))
    key = walk.values.get("code" if what == "answer" else "unit", "")
    return replace(walk, phase=Phase.LOOKING), [steps.Look(what, key, walk.values.get("pin"))]


def _enter_take(menus: Menus, walk: Walk, node: Node) -> Moved:
    if walk.spool is None:
        walk = replace(walk, step=walk.step + 1)
    return replace(walk, phase=Phase.TAKING), [_take(walk)]


_ENTER: Mapping[str, Callable[[Menus, Walk, Node], Moved]] = MappingProxyType(
    {
        "say": _enter_say,
        "hangup": _enter_hangup,
        "choose": _enter_asking,
        "digits": _enter_asking,
        "record": _enter_record,
        "look": _enter_look,
        "take": _enter_take,
    }
)


# ---------------------------------------------------------------- keys


def _press(menus: Menus, walk: Walk, key: str) -> Moved:
    if walk.phase is Phase.REVIEW:
        return _press_review(menus, walk, key)
    node = _node(menus, walk)
    if key in node.keys and not walk.typed:
        return _enter(menus, walk, node.keys[key])
    if node.do == "choose":
        return _mistake(menus, walk, node, node.wrong)
    return _press_digit(menus, walk, node, key)


def _press_digit(menus: Menus, walk: Walk, node: Node, key: str) -> Moved:
    if key == node.own.get("end", "#"):
        return _digits_done(menus, walk, node)
    if not key.isdigit():
        return _mistake(menus, replace(walk, typed=""), node, node.wrong)
    typed = replace(walk, typed=walk.typed + key)
    if len(typed.typed) >= int(node.own.get("max", 20)):
        return _digits_done(menus, replace(typed, spare=node.own.get("end", "#")), node)
    return typed, [steps.Wait(node.between)]


def _digits_done(menus: Menus, walk: Walk, node: Node) -> Moved:
    typed, walk, check = walk.typed, replace(walk, typed=""), node.own.get("check")
    if len(typed) < int(node.own.get("min", 1)):
        return _mistake(menus, walk, node, node.wrong)
    if check == "code" and not codes.ok(typed):
        return _mistake(menus, walk, node, "ivr.one_digit_wrong")
    if check:
        walk = _with(walk, **{check: typed, **({"pin": ""} if check == "code" else {})})
    return _enter(menus, walk, node.to("ok"))


def _press_review(menus: Menus, walk: Walk, key: str) -> Moved:
    if key == "#":
        return walk, [steps.Wait(_node(menus, walk).wait)]  # the key that ended the recording, heard late
    if key == "1":
        return _ask_review(walk, Item(voice=f"spool:{walk.spool}"))
    if key == "2":
        return replace(walk, phase=Phase.BEEP, barge=False), [_say(walk, BEEP, barge=False)]
    if key == "3":
        return _send(menus, walk)
    again = replace(walk, tries=walk.tries + 1, keys="")
    return _ask_review(again, Item("ivr.wrong")) if again.tries < MISSES else _send(menus, again)


def _mistake(menus: Menus, walk: Walk, node: Node, sentence: str) -> Moved:
    """Nothing usable came: say so and ask again, at the last try go to `else`. Keys pressed ahead are void."""
    walk = replace(walk, tries=walk.tries + 1, keys="")
    if walk.tries >= node.tries:
        return _enter(menus, walk, node.to("else"))
    return _ask(walk, node, Item(sentence))


# ---------------------------------------------------------------- deeds


def _ask(walk: Walk, node: Node, *before: Item) -> Moved:
    items = [item for item in (*before, Item(node.say)) if item.key]
    asked = replace(walk, phase=Phase.ASKED, typed="", barge=node.barge)
    return asked, [_say(walk, *items, barge=node.barge), steps.Wait(node.wait)]


def _ask_review(walk: Walk, *before: Item) -> Moved:
    items = (*before, Item("ivr.review", {"seconds": round(walk.seconds)}))
    return replace(walk, phase=Phase.REVIEW), [_say(walk, *items), steps.Wait(7.0)]


def _send(menus: Menus, walk: Walk) -> Moved:
    """Walk on towards `take` with the recording in hand."""
    return _enter(menus, walk, _node(menus, walk).to("ok"))


def _too_short(menus: Menus, walk: Walk, node: Node, why: str) -> Moved:
    if why == "hung_up" or walk.gone:
        return _hand_over(walk) if walk.spool else (replace(walk, phase=Phase.OVER, gone=True), [])
    if why == "disk":
        return _tell(walk, node.to("full"), Item("ivr.failed.disk"))
    if walk.spool:  # "again" was a slip: back to the one that is there
        return _ask_review(walk, Item("ivr.too_short"))
    walk = replace(walk, tries=walk.tries + 1)
    if walk.tries >= node.tries:
        return _tell(walk, node.to("short"), Item("ivr.too_short"))
    return replace(walk, phase=Phase.BEEP, barge=False), [_say(walk, Item("ivr.too_short"), BEEP, barge=False)]


def _tell(walk: Walk, after: str, *items: Item, barge: bool = True) -> Moved:
    return replace(walk, phase=Phase.SAID, after=after, barge=barge), [_say(walk, *items, barge=barge)]


def _say(walk: Walk, *items: Item, barge: bool = True) -> steps.Say:
    return steps.Say(items, barge, walk.lang)


def _over(walk: Walk) -> Moved:
    """Hang up; a recording that found no `take` on its way is handed over all the same."""
    if walk.spool is not None:
        taking, deeds = _hand_over(walk)
        return taking, [*deeds, steps.Hangup()]
    return replace(walk, phase=Phase.OVER), [steps.Hangup()]


def _take(walk: Walk) -> steps.Take:
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


def _with(walk: Walk, **values: str) -> Walk:
    return replace(walk, values=MappingProxyType({**walk.values, **values})) if values else walk


def _missed(walk: Walk, node: Node, way: str) -> bool:
    """Was a code or PIN guessed wrong? Asking for the bare state without a PIN is no guess."""
    guessed = way == "none" or (way == "unproven" and bool(walk.values.get("pin")))
    return guessed and node.own.get("what", "answer") == "answer"


def _excuse(node: Node, way: str) -> Iterator[Item]:
    what = node.own.get("what", "answer")
    if way == "none":
        yield Item("ivr.no_answer" if what == "answer" else "ivr.no_unit")
    elif way in ("locked", "busy"):
        yield Item(f"ivr.{way}")


def _node(menus: Menus, walk: Walk) -> Node:
    return menus.trees[walk.tree].nodes[walk.node]
