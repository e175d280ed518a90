"""What a key does where the caller stands. Pure."""

from __future__ import annotations

from dataclasses import replace

from core import codes
from ivr import steps
from ivr.nodes import enter, mistake, send
from ivr.stand import AHEAD, BEEP, MISSES, PAUSE, Moved, Phase, Walk, ask_review, go_on, knowing, node_of, say, tell
from ivr.steps import Item
from ivr.tree import Menus, Node

BACK, REST, ON = "7", "8", "9"  # while an answer is read out
CALL_ME, MESSAGE = "1", "2"  # while one waits for an operator


def press(menus: Menus, walk: Walk, key: str) -> Moved:
    """A key where one is asked for."""
    if walk.phase is Phase.REVIEW:
        return _review(menus, walk, key)
    node = node_of(menus, walk)
    if key in node.keys and not walk.typed:
        return enter(menus, walk, node.keys[key])
    if node.do == "choose":
        return mistake(menus, walk, node, Item(node.wrong))
    return _digit(menus, walk, node, key)


def while_reading(menus: Menus, walk: Walk, key: str) -> Moved:
    """7 one sentence back, 9 on, 8 rests and goes on again; any other key ends the reading and counts there."""
    if key == REST and not walk.paused:
        return replace(walk, paused=True), [steps.Hush(), steps.Wait(PAUSE)]
    if key in (BACK, ON, REST):
        at = walk.at + {BACK: -1, ON: 1, REST: 0}[key]
        if at < len(walk.reading):
            now, deeds = go_on(replace(walk, at=max(0, at)))
            return now, [steps.Hush(), *deeds]
        key = ""
    ahead = replace(walk, keys=(walk.keys + key)[:AHEAD], reading=(), paused=False)
    now, deeds = enter(menus, ahead, walk.after)
    return now, [steps.Hush(), *deeds]


def while_queued(menus: Menus, walk: Walk, key: str) -> Moved:
    """1 be called back at the same place, 2 leave a message instead; a bell can only be waited for."""
    node = node_of(menus, walk)
    if node.do == "queue" and key == CALL_ME:
        if not walk.asserted:
            return walk, [say(walk, Item("ivr.queue.no_number"))]
        return replace(walk, phase=Phase.DOING), [steps.Hush(), steps.CallBack(str(node.own.get("name", "")))]
    if node.do == "queue" and key == MESSAGE:
        now, deeds = enter(menus, walk, node.to("over"))
        return now, [steps.Hush(), steps.Leave(), *deeds]
    return walk, []


def digits_done(menus: Menus, walk: Walk, node: Node) -> Moved:
    """All digits of an answer came."""
    typed, walk, check = walk.typed, replace(walk, typed=""), node.own.get("check")
    if len(typed) < int(node.own.get("min", 1)):
        return mistake(menus, walk, node, Item(node.wrong))
    if check == "code" and not codes.ok(typed):
        return mistake(menus, walk, node, Item("ivr.one_digit_wrong"))
    if check == "back":
        return _keyed_back(menus, walk, node, typed)
    if check == "hour" and not in_hours(walk, int(typed)):
        return mistake(menus, walk, node, Item("ivr.hour_wrong", hours(walk)))
    if check == "mine":
        return _chosen(menus, walk, node, typed)
    if check:
        walk = knowing(walk, **{check: typed, **({"pin": ""} if check == "code" else {})})
    return enter(menus, walk, node.to("ok"))


def _digit(menus: Menus, walk: Walk, node: Node, key: str) -> Moved:
    if key == node.own.get("end", "#"):
        return digits_done(menus, walk, node)
    if not key.isdigit():
        return mistake(menus, replace(walk, typed=""), node, Item(node.wrong))
    typed = replace(walk, typed=walk.typed + key)
    if len(typed.typed) >= int(node.own.get("max", 20)):
        return digits_done(menus, replace(typed, spare=node.own.get("end", "#")), node)
    return typed, [steps.Wait(node.between)]


def hours(walk: Walk) -> dict[str, int]:
    """The first and the last hour at which a call may be asked for."""
    return {"first": int(walk.values.get("first", 0)), "last": int(walk.values.get("last", 23))}


def in_hours(walk: Walk, hour: int) -> bool:
    """May a call be asked for at this hour?"""
    known = hours(walk)
    return known["first"] <= hour <= known["last"]


def _keyed_back(menus: Menus, walk: Walk, node: Node, typed: str) -> Moved:
    if typed != walk.told:
        return mistake(menus, walk, node, Item("ivr.code_differs"), Item("ivr.code_again", {"code": walk.told}))
    return tell(walk, node.to("ok"), Item("ivr.code_right"))


def _chosen(menus: Menus, walk: Walk, node: Node, typed: str) -> Moved:
    if not 1 <= int(typed) <= len(walk.choices):
        return mistake(menus, walk, node, Item(node.wrong))
    return enter(menus, knowing(walk, code=walk.choices[int(typed) - 1], pin=""), node.to("ok"))


def _review(menus: Menus, walk: Walk, key: str) -> Moved:
    if key == "#":
        return walk, [steps.Wait(node_of(menus, walk).wait)]  # the key that ended the recording, heard late
    if key == "1":
        return ask_review(walk, Item(voice=f"spool:{walk.spool}"))
    if key == "2":
        return replace(walk, phase=Phase.BEEP, barge=False), [say(walk, BEEP, barge=False)]
    if key == "3":
        return send(menus, walk)
    again = replace(walk, tries=walk.tries + 1, keys="")
    return ask_review(again, Item("ivr.wrong")) if again.tries < MISSES else send(menus, again)
