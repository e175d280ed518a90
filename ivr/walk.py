"""The pure menu machine: where a caller stands, what happens, what is to be done. No sockets, clock or database.

Every front (SIP, a PBX extension, the simulator, golden transcripts) drives the same `step`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from core import codes
from ivr import steps
from ivr.menu import Menus, Node
from ivr.stand import (
    AHEAD,
    BEEP,
    LEAST,
    MISSES,
    MOST,
    SILENCE,
    WALKS_ON,
    Moved,
    Phase,
    Walk,
    about_answer,
    ask,
    ask_review,
    excuse,
    hand_over,
    knowing,
    missed,
    node_of,
    over,
    say,
    take,
    tell,
)
from ivr.steps import Deed, Event, Item


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
        return replace(walk, barge=False), [steps.Hush(), say(walk, BEEP, barge=False)]
    waiting = replace(walk, keys=(walk.keys + event.key)[:AHEAD])
    if walk.phase is Phase.SAID and walk.barge and walk.after:
        now, deeds = _enter(menus, waiting, walk.after)
        return now, [steps.Hush(), *deeds]
    return waiting, []


def _quiet(menus: Menus, walk: Walk, event: steps.Quiet) -> Moved:
    if walk.phase is Phase.REVIEW:
        again = replace(walk, tries=walk.tries + 1)
        return ask_review(again) if again.tries < 2 else _send(menus, again)
    if walk.phase is not Phase.ASKED:
        return walk, []
    node = node_of(menus, walk)
    if node.do == "digits" and walk.typed:
        return _digits_done(menus, walk, node)
    return _mistake(menus, walk, node, node.silence)


def _played(menus: Menus, walk: Walk, event: steps.PlayedOut) -> Moved:
    if walk.phase is Phase.BEEP:
        node = node_of(menus, walk)
        most, silence = float(node.own.get("max", MOST)), float(node.own.get("silence", SILENCE))
        recording = replace(walk, phase=Phase.RECORDING, step=walk.step + 1)
        return recording, [steps.Record(most, silence)]
    if walk.phase is Phase.SAID:
        return _enter(menus, walk, walk.after) if walk.after else over(walk)
    return replace(walk, spare=""), []  # whoever heard the whole question means it


def _recorded(menus: Menus, walk: Walk, event: steps.Recorded) -> Moved:
    if walk.phase is not Phase.RECORDING:
        return walk, []
    node = node_of(menus, walk)
    if event.seconds < LEAST:
        return _too_short(menus, walk, node, event.why)
    walk = replace(walk, spool=event.path, seconds=event.seconds, tries=0)
    if event.why == "hung_up" or walk.gone:
        return hand_over(walk)
    return _send(menus, walk) if event.why == "disk" else ask_review(walk)


def _found(menus: Menus, walk: Walk, event: steps.Found) -> Moved:
    if walk.phase is not Phase.LOOKING:
        return walk, []
    node = node_of(menus, walk)
    walk = replace(walk, misses=walk.misses + missed(walk, node, event.exit))
    if walk.misses >= MISSES and about_answer(node):
        return tell(walk, node.to("locked"), *event.items, Item("ivr.locked"))
    if event.exit in ("waiting", "unproven") and event.exit not in node.exits:
        return tell(walk, node.to("found"), *event.items)
    if event.exit == "found" and "unit" in event.facts:
        walk = knowing(walk, unit=str(event.facts["unit"]))
    return tell(walk, node.to(event.exit), *(event.items or excuse(node, event.exit)))


def _taken(menus: Menus, walk: Walk, event: steps.Taken) -> Moved:
    if walk.phase is not Phase.TAKING:
        return walk, []
    walk = replace(walk, spool=None, seconds=0.0)
    if walk.gone:
        return replace(walk, phase=Phase.OVER), []
    node, act = node_of(menus, walk), walk.values.get("act", "new")
    if act != "new":
        return tell(walk, node.to("ok"), Item(f"ivr.done.{act}"))
    code, pin = {"code": event.code}, {"pin": event.pin}
    words = [Item("ivr.taken", event.facts), Item("ivr.code", code), Item("ivr.code_again", code)]
    return tell(walk, node.to("ok"), *words, Item("ivr.pin", pin), Item("ivr.pin_again", pin), barge=False)


def _failed(menus: Menus, walk: Walk, event: steps.Failed) -> Moved:
    if walk.phase not in (Phase.TAKING, Phase.RECORDING, Phase.LOOKING):
        return walk, []
    why = event.why if event.why in ("busy", "disk", "state", "locked") else "refused"
    if walk.phase is Phase.RECORDING and walk.spool is not None:  # "again" cannot be had; the first one is there
        return hand_over(walk) if walk.gone else ask_review(walk, Item(f"ivr.failed.{why}"))
    ways = {Phase.RECORDING: ("full",), Phase.TAKING: ("failed",), Phase.LOOKING: ("busy",)}[walk.phase]
    said = replace(walk, spool=None, seconds=0.0)
    if walk.gone:
        return replace(said, phase=Phase.OVER), []
    return tell(said, node_of(menus, walk).to(*ways), Item(f"ivr.failed.{why}"))


def _gone(walk: Walk) -> Moved:
    """The caller hung up: a message that was said is handed over, everything else is forgotten."""
    if walk.phase is Phase.TAKING:
        return replace(walk, gone=True), []
    if walk.phase is Phase.RECORDING:  # its Recorded is still to come
        return replace(walk, gone=True), [] if walk.gone else [steps.StopRecord()]
    if walk.spool is not None:
        return hand_over(walk)
    return replace(walk, phase=Phase.OVER, gone=True), []


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
        node = node_of(menus, walk)
        walk = knowing(walk, **_brings(node))
        if node.do == "language":
            walk = replace(walk, lang=str(node.own["lang"]))
        if node.do not in ("language", "when") and not (node.do == "say" and not node.say):
            return _ENTER[node.do](menus, walk, node)
        name = node.to(_answer(walk, node) if node.do == "when" else "go")
    return over(walk)


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
    return tell(walk, node.to("go"), Item(node.say), barge=node.barge)


def _enter_hangup(menus: Menus, walk: Walk, node: Node) -> Moved:
    return tell(walk, "", Item(node.say)) if node.say else over(walk)


def _enter_asking(menus: Menus, walk: Walk, node: Node) -> Moved:
    return ask(walk, node)


def _enter_record(menus: Menus, walk: Walk, node: Node) -> Moved:
    hurried = bool(walk.keys)
    items = [BEEP] if hurried or not node.say else [Item(node.say), BEEP]
    asked = replace(walk, keys="", phase=Phase.BEEP, barge=node.barge and len(items) > 1)
    return asked, [say(walk, *items, barge=asked.barge)]


def _enter_look(menus: Menus, walk: Walk, node: Node) -> Moved:
    answer = about_answer(node)
    if answer and walk.misses >= MISSES:
        return tell(walk, node.to("locked"), Item("ivr.locked"))
    what, key = ("answer", "code") if answer else ("unit", "unit")
    look = steps.Look(what, walk.values.get(key, ""), walk.values.get("pin"))
    return replace(walk, phase=Phase.LOOKING), [look]


def _enter_take(menus: Menus, walk: Walk, node: Node) -> Moved:
    if walk.spool is None:
        walk = replace(walk, step=walk.step + 1)
    return replace(walk, phase=Phase.TAKING), [take(walk)]


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
    node = node_of(menus, walk)
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
        walk = knowing(walk, **{check: typed, **({"pin": ""} if check == "code" else {})})
    return _enter(menus, walk, node.to("ok"))


def _press_review(menus: Menus, walk: Walk, key: str) -> Moved:
    if key == "#":
        return walk, [steps.Wait(node_of(menus, walk).wait)]  # the key that ended the recording, heard late
    if key == "1":
        return ask_review(walk, Item(voice=f"spool:{walk.spool}"))
    if key == "2":
        return replace(walk, phase=Phase.BEEP, barge=False), [say(walk, BEEP, barge=False)]
    if key == "3":
        return _send(menus, walk)
    again = replace(walk, tries=walk.tries + 1, keys="")
    return ask_review(again, Item("ivr.wrong")) if again.tries < MISSES else _send(menus, again)


def _mistake(menus: Menus, walk: Walk, node: Node, sentence: str) -> Moved:
    """Nothing usable came: say so and ask again, at the last try go to `else`. Keys pressed ahead are void."""
    walk = replace(walk, tries=walk.tries + 1, keys="")
    if walk.tries >= node.tries:
        return _enter(menus, walk, node.to("else"))
    return ask(walk, node, Item(sentence))


def _send(menus: Menus, walk: Walk) -> Moved:
    """Walk on towards `take` with the recording in hand."""
    return _enter(menus, walk, node_of(menus, walk).to("ok"))


def _too_short(menus: Menus, walk: Walk, node: Node, why: str) -> Moved:
    if why == "hung_up" or walk.gone:
        return hand_over(walk) if walk.spool else (replace(walk, phase=Phase.OVER, gone=True), [])
    if why == "disk":
        return tell(walk, node.to("full"), Item("ivr.failed.disk"))
    if walk.spool:  # "again" was a slip: back to the one that is there
        return ask_review(walk, Item("ivr.too_short"))
    walk = replace(walk, tries=walk.tries + 1)
    if walk.tries >= node.tries:
        return tell(walk, node.to("short"), Item("ivr.too_short"))
    return replace(walk, phase=Phase.BEEP, barge=False), [say(walk, Item("ivr.too_short"), BEEP, barge=False)]
