"""A ticket: its thread, what may be done, the reply box, its files."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from aiohttp import web

from core import approvals, desk, people, replies
from core.channels import Measure, Measuring
from core.errors import Guarded, NotAllowed, Stale, WrongInput, WrongState
from core.model import Contact, Way
from core.points import CHANNEL_OF, KIND_OF
from core.views import MessageView, TicketView
from web import files, forms
from web.forms import Bad, Choice, Text, Whole, Word
from web.visit import Visit

UNDO = 10_000  # ms in which a reply may be taken back
NUMBER = re.compile(r"[0-9]{1,18}")  # of a ticket or message
CHANNELS = ("web", "sms", "mail", "phone", "desk")


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply box. `way` note keeps the words inside, submit lets a second person send them."""

    version: Annotated[int, Whole(0, 2**53)]
    text: Annotated[str, Text(10_000)]
    ref: Annotated[str, Word(64)]
    way: Annotated[str, Choice(("reply", "submit", "note"))] = "reply"
    channel: Annotated[str | None, Choice(CHANNELS)] = None
    then: Annotated[str, Choice(("answered", "asked"))] = "answered"
    hour: Annotated[int | None, Whole(0, 23)] = None  #: of the call, where the answer goes by telephone


async def show(visit: Visit) -> web.StreamResponse:
    """The ticket as it stands."""
    return await _page(visit, await desk.ticket(visit.parts.store, visit.actor, number(visit)))


async def reply(visit: Visit) -> web.StreamResponse:
    """Send the words of the reply box; what is refused comes back with the words kept."""
    read = forms.read(Reply, visit.form)
    if isinstance(read, Bad):
        return await again(visit, number(visit), 422, "reply", dict(read.errors))
    if visit.form.faults:
        return await again(visit, number(visit), 422, "reply", {"files": visit.form.faults[0]})
    try:
        await _send(visit, read)
    except Stale as stale:
        return await again(visit, number(visit), 409, "reply", {"form": stale.word})
    except (WrongState, Guarded, NotAllowed) as no:
        return await again(visit, number(visit), 409, "reply", {"form": no.word})
    except WrongInput as wrong:
        return await again(visit, number(visit), 422, "reply", {wrong.field: wrong.word})
    raise web.HTTPSeeOther(f"/console/t/{number(visit)}#end")


async def measure(visit: Visit) -> web.StreamResponse:
    """How many messages the words of the reply box would take, framed as they would go; nothing is sent."""
    view = await desk.ticket(visit.parts.store, visit.actor, number(visit))
    return await _page(visit, view, 200, "measure")


async def unsend(visit: Visit) -> web.StreamResponse:
    """Take a reply back within 10 seconds."""
    message = visit.form.get("message")
    if not NUMBER.fullmatch(message):
        raise web.HTTPBadRequest
    try:
        await replies.unsend(visit.parts.store, visit.actor, number(visit), int(message))
    except (WrongState, Guarded) as no:
        return await again(visit, number(visit), 409, "unsend", {"form": no.word})
    raise web.HTTPSeeOther(f"/console/t/{number(visit)}#end")


async def file(visit: Visit) -> web.StreamResponse:
    """A file of a ticket (`?t=` its id) this person may read; sound plays in place, by Range."""
    asked = visit.request.query.get("t", "")
    if not NUMBER.fullmatch(asked):
        raise web.HTTPNotFound
    view = await desk.ticket(visit.parts.store, visit.actor, int(asked))
    key = visit.request.match_info["key"]
    kept = next((one for message in view.messages for one in message.files if one.key == key), None)
    if kept is None:
        raise web.HTTPNotFound
    return await files.serve(visit, kept)


def number(visit: Visit) -> int:
    """The ticket's id in the address."""
    return int(visit.request.match_info["id"])


async def again(visit: Visit, ticket: int, status: int, tried: str, errors: Mapping[str, str]) -> web.StreamResponse:
    """The ticket as it is now, with the refusal and all that was typed."""
    view = await desk.ticket(visit.parts.store, visit.actor, ticket)
    return await _page(visit, view, status, tried, errors)


async def _send(visit: Visit, form: Reply) -> None:
    store, who, ticket = visit.parts.store, visit.actor, number(visit)
    if form.way == "note":
        await desk.note(store, who, ticket, form.version, form.text)
        return
    if form.way == "submit":
        await approvals.submit(store, who, ticket, form.version, form.text, form.channel, visit.form.files, form.ref)
        return
    await replies.reply(
        store,
        who,
        ticket,
        form.version,
        form.text,
        channel=form.channel,
        files=visit.form.files,
        ref=form.ref,
        then=form.then,
        hour=form.hour,
    )


async def _page(
    visit: Visit, view: TicketView, status: int = 200, tried: str = "", errors: Mapping[str, str] | None = None
) -> web.Response:
    colleagues = await people.colleagues(visit.parts.store) if "assign" in view.events_allowed else []
    typed = {
        name: visit.form.get(name)
        for name in ("text", "reason", "unit", "until", "staff", "then", "channel", "way", "hour")
    }
    return visit.page(
        "console/ticket.html",
        status,
        ticket=view,
        tried=tried,
        errors=errors or {},
        typed=typed,
        ref=visit.form.get("ref") or secrets.token_hex(16),
        units=visit.site.agency.offices(visit.lang),
        reasons=desk.CLOSE_REASONS,
        colleagues=colleagues,
        service=visit.site.agency.service_title(view.service, visit.lang) if view.service else "",
        roads=roads(view),
        hours=_hours(visit, view),
        measures=_measuring(visit, view) is not None,
        measured=_measured(visit, view) if tried in ("reply", "measure") else None,
        allowed=lambda name: _allowed(visit, view, name),
        undoable=lambda one: _undoable(visit, one),
        mark_text=lambda mark: _known(visit, "console.mark.", mark),
        event_text=lambda kind: _known(visit, "core.event.", kind),
        delivery_text=lambda state: _known(visit, "core.delivery.", state),
        why_text=lambda why: _why(visit, str(why)),
        reason_text=lambda reason: _known(visit, "console.close.", str(reason)),
    )


def _hours(visit: Visit, view: TicketView) -> range:
    """Hours at which the citizen may be called with the answer; none where it does not go by telephone."""
    panel = visit.parts.telephone
    window = panel.call_hours() if panel is not None and view.answer_by == "phone" else None
    return range(window[0], window[1] + 1) if window is not None else range(0)


def _measuring(visit: Visit, view: TicketView) -> Measuring | None:
    """The channel whose texts are counted in parts, if the answer may go by one."""
    return next((found for road in roads(view) if (found := visit.parts.measures.get(road.channel))), None)


def _measured(visit: Visit, view: TicketView) -> Measure | None:
    """What the typed words would take, as an answer of this ticket's unit with its code."""
    channel, text = _measuring(visit, view), visit.form.get("text")
    if channel is None or not text:
        return None
    lang = visit.parts.config.agency.lang
    facts = {"unit": visit.site.agency.unit_name(view.unit, lang), "code": view.code}
    return channel.measure(text, facts, lang)


@dataclass(frozen=True, slots=True)
class Road:
    """A way for the answer: what the form sends ('' = as the citizen wished), its channel, whom it reaches."""

    value: str
    channel: str
    to: Contact | None


def roads(view: TicketView) -> list[Road]:
    """The citizen's wish first, as core will follow it; then other proven points, a channel each, and the portal."""
    kind = KIND_OF.get(view.answer_by)
    same = sorted((one for one in view.points if one.kind == kind), key=lambda one: not one.proven)
    proven = [one for one in view.points if one.proven]
    first = next(iter(same + proven), None) if kind else None
    wish = Road("", CHANNEL_OF[first.kind] if first else view.answer_by, first)
    others = {CHANNEL_OF[one.kind]: one for one in reversed(proven)}
    found = [Road(channel, channel, one) for channel, one in others.items() if channel != wish.channel]
    portal = [Road("web", "web", None)] if wish.channel not in ("web", "desk") else []
    return [wish, *found, *portal]


def _allowed(visit: Visit, view: TicketView, deed: str) -> bool:
    """May this deed be offered? A ticket that is one's own already is not taken again."""
    return deed in view.events_allowed and not (deed == "take" and view.assignee == visit.actor.staff)


def _undoable(visit: Visit, one: MessageView) -> bool:
    """A reply of the last ten seconds."""
    return one.way == Way.OUT and not one.withdrawn and visit.now() - one.at < UNDO


def _why(visit: Visit, why: str) -> str:
    """Why something did not arrive: in words of ours where there are some, else the peer's own."""
    word = why.replace(" ", "_")
    told = _known(visit, "console.unreached.", word)
    return why if told == word else told


def _known(visit: Visit, prefix: str, word: str) -> str:
    """The text for a word, or the word itself where there is none."""
    try:
        return visit.t(prefix + word)
    except LookupError:
        return word
