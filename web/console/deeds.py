"""What an operator does with a ticket besides replying: each deed a form, and core's function for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import time
from typing import Annotated, Any

from aiohttp import web

from core import approvals, desk, jalali
from core.errors import Guarded, NotAllowed, Stale, WrongInput, WrongState
from web import forms
from web.console import ticket
from web.forms import Bad, Date, Line, Text, Whole, Word
from web.visit import Visit

VERSION = Whole(0, 2**53)


@dataclass(frozen=True, slots=True)
class Plain:
    """Nothing but the version the operator saw."""

    version: Annotated[int, VERSION]


@dataclass(frozen=True, slots=True)
class Reasoned:
    """With a reason."""

    version: Annotated[int, VERSION]
    reason: Annotated[str, Line(200)]


@dataclass(frozen=True, slots=True)
class Told:
    """With words."""

    version: Annotated[int, VERSION]
    text: Annotated[str, Text(10_000)]


@dataclass(frozen=True, slots=True)
class Returned:
    """With a note to a colleague."""

    version: Annotated[int, VERSION]
    text: Annotated[str, Text(approvals.LONGEST)]


@dataclass(frozen=True, slots=True)
class Assigned:
    """With a person."""

    version: Annotated[int, VERSION]
    staff: Annotated[int, Whole(1, 2**53)]


@dataclass(frozen=True, slots=True)
class Routed:
    """With a unit and a reason."""

    version: Annotated[int, VERSION]
    unit: Annotated[str, Word(40)]
    reason: Annotated[str, Line(200)]


@dataclass(frozen=True, slots=True)
class Outside:
    """With a date and words."""

    version: Annotated[int, VERSION]
    until: Annotated[Any, Date()]
    text: Annotated[str, Text(10_000)]


Fire = Callable[[Visit, int, Any], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Deed:
    """A form and what it does."""

    form: type[Any]
    fire: Fire


async def do(visit: Visit) -> web.StreamResponse:
    """`POST /console/t/{id}/{deed}`: do it, and show the ticket; a refusal shows the ticket with what was typed."""
    name, number = visit.request.match_info["deed"], ticket.number(visit)
    deed = DEEDS.get(name)
    if deed is None:
        raise web.HTTPNotFound
    read = forms.read(deed.form, visit.form)
    if isinstance(read, Bad):
        return await ticket.again(visit, number, 422, name, dict(read.errors))
    try:
        await deed.fire(visit, number, read)
    except Stale as stale:
        return await ticket.again(visit, number, 409, name, {"form": stale.word})
    except (WrongState, Guarded, NotAllowed) as no:
        return await ticket.again(visit, number, 409, name, {"form": no.word})
    except WrongInput as wrong:
        return await ticket.again(visit, number, 422, name, {wrong.field: wrong.word})
    raise web.HTTPSeeOther(f"/console/t/{number}")


async def _outside(visit: Visit, number: int, form: Outside) -> None:
    until = jalali.at(form.until, time(23, 59), visit.site.agency.zone)
    await desk.outside(visit.parts.store, visit.actor, number, form.version, until, form.text)


async def _take(visit: Visit, number: int, form: Plain) -> None:
    await desk.take(visit.parts.store, visit.actor, number, form.version)


async def _assign(visit: Visit, number: int, form: Assigned) -> None:
    await desk.assign(visit.parts.store, visit.actor, number, form.version, form.staff)


async def _route(visit: Visit, number: int, form: Routed) -> None:
    await desk.route(visit.parts.store, visit.actor, number, form.version, form.unit, form.reason)


async def _approve(visit: Visit, number: int, form: Plain) -> None:
    await approvals.approve(visit.parts.store, visit.actor, number, form.version)


async def _send_back(visit: Visit, number: int, form: Returned) -> None:
    await approvals.send_back(visit.parts.store, visit.actor, number, form.version, form.text)


async def _take_back(visit: Visit, number: int, form: Plain) -> None:
    await approvals.take_back(visit.parts.store, visit.actor, number, form.version)


async def _note(visit: Visit, number: int, form: Told) -> None:
    await desk.note(visit.parts.store, visit.actor, number, form.version, form.text)


async def _ask(visit: Visit, number: int, form: Told) -> None:
    await desk.ask(visit.parts.store, visit.actor, number, form.version, form.text)


async def _close(visit: Visit, number: int, form: Reasoned) -> None:
    await desk.close(visit.parts.store, visit.actor, number, form.version, form.reason)


async def _junk(visit: Visit, number: int, form: Reasoned) -> None:
    await desk.junk(visit.parts.store, visit.actor, number, form.version, form.reason)


async def _resume(visit: Visit, number: int, form: Plain) -> None:
    await desk.resume(visit.parts.store, visit.actor, number, form.version)


async def _release(visit: Visit, number: int, form: Plain) -> None:
    await desk.release(visit.parts.store, visit.actor, number, form.version)


async def _reopen(visit: Visit, number: int, form: Plain) -> None:
    await desk.reopen(visit.parts.store, visit.actor, number, form.version)


DEEDS: dict[str, Deed] = {
    "take": Deed(Plain, _take),
    "assign": Deed(Assigned, _assign),
    "route": Deed(Routed, _route),
    "note": Deed(Told, _note),
    "approve": Deed(Plain, _approve),
    "send_back": Deed(Returned, _send_back),
    "take_back": Deed(Plain, _take_back),
    "ask": Deed(Told, _ask),
    "outside": Deed(Outside, _outside),
    "resume": Deed(Plain, _resume),
    "release": Deed(Plain, _release),
    "reopen": Deed(Plain, _reopen),
    "close": Deed(Reasoned, _close),
    "junk": Deed(Reasoned, _junk),
}
