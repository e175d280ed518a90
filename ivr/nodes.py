"""Coming to a node: what is said, asked, recorded or done there first. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from ivr import steps
from ivr.stand import (
    BEEP,
    MISSES,
    WALKS_ON,
    Moved,
    Phase,
    Walk,
    about_answer,
    ask,
    ask_review,
    hand_over,
    knowing,
    node_of,
    over,
    say,
    sentence,
    take,
    tell,
    what,
)
from ivr.steps import Item
from ivr.tree import Menus, Node

SILENT = ("language", "when")  # verbs that neither say nor ask anything


def enter(menus: Menus, walk: Walk, name: str) -> Moved:
    """Come to a node, and walk on through those that ask and say nothing."""
    for _ in range(WALKS_ON):
        walk = replace(walk, node=name, tries=0, typed="")
        node = node_of(menus, walk)
        walk = knowing(walk, **_brings(node))
        if node.do == "language":
            walk = replace(walk, lang=str(node.own["lang"]))
        way = _passes(walk, node)
        if not way:
            return _ENTER[node.do](menus, replace(walk, path=(*walk.path, name)[-100:]), node)
        name = node.to(way)
    return over(menus, walk)


def mistake(menus: Menus, walk: Walk, node: Node, *said: Item) -> Moved:
    """Nothing usable came: say so and ask again, at the last try go to `else`. Keys pressed ahead are void."""
    walk = replace(walk, tries=walk.tries + 1, keys="")
    if walk.tries >= node.tries:
        return enter(menus, walk, node.to("else"))
    return ask(walk, node, *said)


def send(menus: Menus, walk: Walk) -> Moved:
    """Walk on towards `take` with the recording in hand; a prompt is published."""
    node = node_of(menus, walk)
    if node.do != "prompt":
        return enter(menus, walk, node.to("ok"))
    values = walk.values
    text, lang = (str(node.own.get(key) or values.get(key, "")) for key in ("text", "lang"))
    publish = steps.Publish(text, lang, walk.spool or "", values.get("permit", ""))
    return replace(walk, phase=Phase.DOING), [publish]


def too_short(menus: Menus, walk: Walk, node: Node, why: str) -> Moved:
    """A recording under two seconds, for whatever reason."""
    if why == "hung_up" or walk.gone:
        return hand_over(menus, walk) if walk.spool else (replace(walk, phase=Phase.OVER, gone=True), [])
    if why == "disk":
        return tell(walk, node.to("full"), Item("ivr.failed.disk"))
    if walk.spool:  # "again" was a slip: back to the one that is there
        return ask_review(walk, Item("ivr.too_short"))
    walk = replace(walk, tries=walk.tries + 1)
    if walk.tries >= node.tries:
        return tell(walk, node.to("short"), Item("ivr.too_short"))
    return replace(walk, phase=Phase.BEEP, barge=False), [say(walk, Item("ivr.too_short"), BEEP, barge=False)]


def _passes(walk: Walk, node: Node) -> str:
    """The exit by which a caller goes on without a word, '' where one stays."""
    if node.do == "when":
        return "yes" if getattr(walk, node.own.get("is", "open")) else "no"
    if node.do == "language" or (node.do == "say" and not node.say):
        return "go"
    if node.do == "look" and what(node) == "incident" and not walk.notice:
        return "none"
    return "ok" if node.own.get("check") == "back" and not walk.told else ""


def _brings(node: Node) -> dict[str, str]:
    """Values that a node sets, or clears, as soon as it is reached."""
    values = {key: str(node.own[key]) for key in ("kind", "unit", "act") if key in node.own}
    if node.do == "record":
        values.setdefault("act", "new")
    if node.do == "digits" and node.own.get("check") in ("code", "pin", "unit", "permit", "hour"):
        values[str(node.own["check"])] = ""
    return values


def _say(menus: Menus, walk: Walk, node: Node) -> Moved:
    if walk.keys and node.barge:
        return enter(menus, walk, node.to("go"))
    return tell(walk, node.to("go"), sentence(walk, node), barge=node.barge)


def _hangup(menus: Menus, walk: Walk, node: Node) -> Moved:
    return tell(walk, "", sentence(walk, node)) if node.say else over(menus, walk)


def _asking(menus: Menus, walk: Walk, node: Node) -> Moved:
    return ask(walk, node)


def _record(menus: Menus, walk: Walk, node: Node) -> Moved:
    hurried = bool(walk.keys)
    items = [BEEP] if hurried or not node.say else [sentence(walk, node), BEEP]
    asked = replace(walk, keys="", phase=Phase.BEEP, barge=node.barge and len(items) > 1)
    return asked, [say(walk, *items, barge=asked.barge)]


def _look(menus: Menus, walk: Walk, node: Node) -> Moved:
    if what(node) == "incident":
        return _incident(menus, walk, node)
    if walk.misses >= MISSES and (about_answer(node) or what(node) == "permit"):
        return tell(walk, node.to("locked"), Item("ivr.locked"))
    key = {"answer": "code", "unit": "unit", "card": "unit", "permit": "permit"}.get(what(node), "")
    look = steps.Look(what(node), walk.values.get(key, ""), walk.values.get("pin"))
    return replace(walk, phase=Phase.LOOKING), [look]


def _incident(menus: Menus, walk: Walk, node: Node) -> Moved:
    """What is known already; who presses ahead has no ear for it."""
    if walk.keys:
        return enter(menus, walk, node.to("none"))
    told = walk.notice.get(walk.lang) or next(iter(walk.notice.values()))
    return tell(walk, node.to("found"), Item(words=told))


def _take(menus: Menus, walk: Walk, node: Node) -> Moved:
    if walk.spool is None:
        walk = replace(walk, step=walk.step + 1)
    return replace(walk, phase=Phase.TAKING), [take(walk)]


def _text(menus: Menus, walk: Walk, node: Node) -> Moved:
    if not (walk.asserted and walk.mobile):
        return tell(walk, node.to("failed"), Item("ivr.failed.no_mobile"))
    key = "code" if what(node) == "answer" else "unit"
    deed = steps.Text(what(node), walk.values.get(key, ""), walk.values.get("pin") or None)
    return replace(walk, phase=Phase.DOING), [deed]


def _queue(menus: Menus, walk: Walk, node: Node) -> Moved:
    said = [say(walk, sentence(walk, node))] if node.say else []
    queue = steps.Queue(str(node.own.get("name", "")), walk.values.get("unit", ""))
    return replace(walk, phase=Phase.QUEUED), [*said, queue]


def _connect(menus: Menus, walk: Walk, node: Node) -> Moved:
    said = [say(walk, sentence(walk, node))] if node.say else []
    to = str(node.own.get("to") or walk.values.get("unit", ""))
    return replace(walk, phase=Phase.QUEUED), [*said, steps.Connect(to)]


_ENTER: Mapping[str, Callable[[Menus, Walk, Node], Moved]] = MappingProxyType(
    {
        "say": _say,
        "hangup": _hangup,
        "choose": _asking,
        "digits": _asking,
        "record": _record,
        "prompt": _record,
        "look": _look,
        "take": _take,
        "text": _text,
        "queue": _queue,
        "connect": _connect,
    }
)
