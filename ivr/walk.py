"""The pure menu machine: where a caller stands, what happens, what is to be done. No sockets, clock or database.

Every front (SIP, a PBX extension, the simulator, golden transcripts) drives the same `step`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ivr import keys, steps
from ivr.nodes import enter, mistake, send, too_short
from ivr.stand import (
    AHEAD,
    BEEP,
    LEAST,
    MISSES,
    MOST,
    SILENCE,
    Moved,
    Phase,
    Walk,
    ask_review,
    excuse,
    go_on,
    hand_over,
    knowing,
    missed,
    node_of,
    over,
    read,
    say,
    tell,
    what,
)
from ivr.steps import Deed, Event, Item
from ivr.tree import Menus

ASKING = (Phase.ASKED, Phase.REVIEW)


def step(menus: Menus, walk: Walk, event: Event) -> Moved:
    """What `event` makes of `walk`: the next walk and the deeds, in order. Never raises on any event."""
    if walk.done:
        return walk, []
    if isinstance(event, steps.Ended):
        return _gone(menus, walk)
    now, deeds = _EVENTS[type(event)](menus, walk, event)
    return _ahead(menus, now, deeds)


def _ahead(menus: Menus, walk: Walk, deeds: list[Deed]) -> Moved:
    """Use keys pressed ahead while somebody asks; a prompt that was answered already is not spoken."""
    while walk.keys and walk.phase in ASKING:
        key, walk = walk.keys[0], replace(walk, keys=walk.keys[1:])
        if key == walk.spare:
            walk = replace(walk, spare="")
            continue
        walk, more = keys.press(menus, walk, key)
        deeds = [deed for deed in deeds if not (isinstance(deed, steps.Say) and deed.barge)] + more
    return walk, deeds


# ---------------------------------------------------------------- events


def _started(menus: Menus, walk: Walk, event: steps.Started) -> Moved:
    number = event.number or ""
    known = replace(walk, asserted=event.asserted and bool(number), mobile=number.startswith("+989"))
    return enter(menus, known, menus.trees[walk.tree].start)


def _key(menus: Menus, walk: Walk, event: steps.Key) -> Moved:
    if walk.spare:
        spare, walk = walk.spare, replace(walk, spare="")
        if event.key == spare:
            return walk, []
    if walk.phase in ASKING:
        now, deeds = keys.press(menus, walk, event.key)
        return now, [steps.Hush(), *deeds]
    if walk.phase is Phase.READING:
        return keys.while_reading(menus, walk, event.key)
    if walk.phase is Phase.QUEUED:
        return keys.while_queued(menus, walk, event.key)
    if walk.phase in (Phase.RECORDING, Phase.TALKING):
        return walk, []  # the leg itself ends it at `#`
    if walk.phase is Phase.BEEP:
        if not walk.barge:
            return walk, []
        return replace(walk, barge=False), [steps.Hush(), say(walk, BEEP, barge=False)]
    waiting = replace(walk, keys=(walk.keys + event.key)[:AHEAD])
    if walk.phase is Phase.SAID and walk.barge and walk.after:
        now, deeds = enter(menus, waiting, walk.after)
        return now, [steps.Hush(), *deeds]
    return waiting, []


def _quiet(menus: Menus, walk: Walk, event: steps.Quiet) -> Moved:
    if walk.phase is Phase.REVIEW:
        again = replace(walk, tries=walk.tries + 1)
        return ask_review(again) if again.tries < 2 else send(menus, again)
    if walk.phase is Phase.READING and walk.paused:
        return go_on(walk)
    if walk.phase is not Phase.ASKED:
        return walk, []
    node = node_of(menus, walk)
    if node.do == "digits" and walk.typed:
        return keys.digits_done(menus, walk, node)
    return mistake(menus, walk, node, Item(node.silence))


def _played(menus: Menus, walk: Walk, event: steps.PlayedOut) -> Moved:
    if walk.phase is Phase.BEEP:
        node = node_of(menus, walk)
        most, silence = float(node.own.get("max", MOST)), float(node.own.get("silence", SILENCE))
        recording = replace(walk, phase=Phase.RECORDING, step=walk.step + 1)
        return recording, [steps.Record(most, silence, prompt=node.do == "prompt")]
    if walk.phase is Phase.READING:
        return _read_on(menus, walk)
    if walk.phase is Phase.SAID:
        return enter(menus, walk, walk.after) if walk.after else over(menus, walk)
    return replace(walk, spare=""), []  # whoever heard the whole question means it


def _recorded(menus: Menus, walk: Walk, event: steps.Recorded) -> Moved:
    if walk.phase is not Phase.RECORDING:
        return walk, []
    node = node_of(menus, walk)
    if event.seconds < LEAST:
        return too_short(menus, walk, node, event.why)
    walk = replace(walk, spool=event.path, seconds=event.seconds, tries=0)
    if event.why == "hung_up" or walk.gone:
        return hand_over(menus, walk)
    return send(menus, walk) if event.why == "disk" else ask_review(walk)


def _found(menus: Menus, walk: Walk, event: steps.Found) -> Moved:
    if walk.phase is not Phase.LOOKING:
        return walk, []
    node = node_of(menus, walk)
    walk = replace(walk, misses=walk.misses + missed(walk, node, event.exit))
    if walk.misses >= MISSES and what(node) in ("answer", "permit"):
        return tell(walk, node.to("locked"), *event.items, Item("ivr.locked"))
    walk = _learned(walk, event)
    after = event.exit
    if event.exit in ("waiting", "unproven") and event.exit not in node.exits:
        after = "found"
    items = list(event.items or excuse(node, event.exit))
    if not items:
        return enter(menus, walk, node.to(after))
    if what(node) == "answer" and event.items:
        return read(walk, node.to(after), items)
    return tell(walk, node.to(after), *items)


def _learned(walk: Walk, event: steps.Found) -> Walk:
    """What a look-up found out, kept for the nodes behind it."""
    if event.exit != "found":
        return walk
    known = {key: str(event.facts[key]) for key in ("unit", "text", "lang") if key in event.facts}
    return replace(knowing(walk, **known), choices=tuple(event.facts.get("codes", walk.choices)))


def _read_on(menus: Menus, walk: Walk) -> Moved:
    """The sentence was heard: the next one, or what follows the last."""
    if walk.paused:
        return walk, []
    if walk.at + 1 < len(walk.reading):
        return go_on(replace(walk, at=walk.at + 1))
    return enter(menus, replace(walk, reading=()), walk.after)


def _taken(menus: Menus, walk: Walk, event: steps.Taken) -> Moved:
    if walk.phase is not Phase.TAKING:
        return walk, []
    node, act = node_of(menus, walk), walk.values.get("act", "new")
    walk = replace(walk, spool=None, seconds=0.0, told=event.code if act == "new" else "")
    if walk.gone:
        return replace(walk, phase=Phase.OVER), []
    if act != "new":
        return tell(walk, node.to("ok"), Item(f"ivr.done.{act}"))
    code, pin = {"code": event.code}, {"pin": event.pin}
    words = [Item("ivr.taken", event.facts), Item("ivr.code", code), Item("ivr.code_again", code)]
    return tell(walk, node.to("ok"), *words, Item("ivr.pin", pin), Item("ivr.pin_again", pin), barge=False)


def _failed(menus: Menus, walk: Walk, event: steps.Failed) -> Moved:
    if walk.phase not in _FAILS:
        return walk, []
    why = event.why if event.why in ("busy", "disk", "state", "locked", "no_mobile") else "refused"
    if walk.phase is Phase.RECORDING and walk.spool is not None:  # "again" cannot be had; the first one is there
        return hand_over(menus, walk) if walk.gone else ask_review(walk, Item(f"ivr.failed.{why}"))
    said = replace(walk, spool=None, seconds=0.0)
    if walk.gone:
        return replace(said, phase=Phase.OVER), []
    node = node_of(menus, walk)
    way = node.to("over" if node.do == "queue" else _FAILS[walk.phase])
    return tell(said, way, Item(f"ivr.failed.{why}"))


def _done(menus: Menus, walk: Walk, event: steps.Done) -> Moved:
    if walk.phase is not Phase.DOING:
        return walk, []
    node = node_of(menus, walk)
    walk = replace(walk, spool=None, seconds=0.0)
    if node.do == "queue":
        return tell(walk, "", Item("ivr.queue.called_back"))
    return tell(walk, node.to("ok"), Item("ivr.published" if node.do == "prompt" else "ivr.texted"))


def _place(menus: Menus, walk: Walk, event: steps.Place) -> Moved:
    if walk.phase is not Phase.QUEUED:
        return walk, []
    items = [Item("ivr.queue.place", {"place": event.place})]
    items += [Item("ivr.queue.wait", {"minutes": event.minutes})] if event.minutes is not None else []
    return walk, [say(walk, *items, Item("ivr.queue.keys"))]


def _connected(menus: Menus, walk: Walk, event: steps.Connected) -> Moved:
    if walk.phase is not Phase.QUEUED:
        return walk, []
    notice = [say(walk, Item("ivr.queue.recorded"), barge=False)] if event.recorded else []
    return replace(walk, phase=Phase.TALKING, keys=""), [steps.Hush(), *notice]


def _parted(menus: Menus, walk: Walk, event: steps.Parted) -> Moved:
    """An operator has hung up, nobody came, the queue is closed."""
    if walk.phase not in (Phase.QUEUED, Phase.TALKING):
        return walk, []
    node = node_of(menus, walk)
    met = walk.phase is Phase.TALKING
    other = ("served" if met else "closed") if node.do == "queue" else ("done" if met else "away")
    known = event.way if event.way in node.exits else other
    now, deeds = enter(menus, walk, node.to(known))
    return now, [steps.Hush(), *deeds]


def _gone(menus: Menus, walk: Walk) -> Moved:
    """The caller hung up: a message that was said is handed over, everything else is forgotten."""
    if walk.phase is Phase.TAKING:
        return replace(walk, gone=True), []
    if walk.phase is Phase.DOING and walk.spool is not None:  # a prompt is being published: let it
        return replace(walk, phase=Phase.OVER, gone=True), []
    if walk.phase is Phase.RECORDING:  # its Recorded is still to come
        return replace(walk, gone=True), [] if walk.gone else [steps.StopRecord()]
    if walk.spool is not None:
        return hand_over(menus, walk)
    return replace(walk, phase=Phase.OVER, gone=True), []


_FAILS: Mapping[Phase, str] = MappingProxyType(  # the exit where what was wanted cannot be had
    {Phase.RECORDING: "full", Phase.TAKING: "failed", Phase.LOOKING: "busy", Phase.DOING: "failed"}
)
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
        steps.Done: _done,
        steps.Place: _place,
        steps.Connected: _connected,
        steps.Parted: _parted,
    }
)
