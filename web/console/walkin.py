"""Someone at the desk: the operator types the message in and prints the slip with code, PIN and QR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, time
from typing import Annotated

from aiohttp import web

from core import desk, jalali
from core.channels import Inbound, KeptFile, Receipt
from core.errors import WrongInput
from core.fresh import receipts
from web import forms
from web.console.ticket import number
from web.forms import Bad, Choice, Date
from web.portal import new
from web.visit import Visit

CHANNELS = ("desk", "phone", "letter")


@dataclass(frozen=True, slots=True)
class WalkIn:
    """What the portal's form has not: how it came, and on which day."""

    channel: Annotated[str, Choice(CHANNELS)] = "desk"
    arrived: Annotated[date | None, Date()] = None


async def show(visit: Visit) -> web.StreamResponse:
    """The empty form."""
    return _form(visit, {}, {}, [], 200)


async def send(visit: Visit) -> web.StreamResponse:
    """Take what the operator typed; the answer is the slip, 201."""
    kept = new.files_of(visit)
    read, own = forms.read(new.Message, visit.form), forms.read(WalkIn, visit.form)
    errors = {**(read.errors if isinstance(read, Bad) else new.rules(visit, read, kept))}
    errors |= own.errors if isinstance(own, Bad) else _rules(visit, own)
    if not visit.form.get("text").strip() and not new.spoken(kept):
        errors["text"] = "empty"
    if visit.form.faults:
        errors["files"] = visit.form.faults[0]
    if errors or isinstance(read, Bad) or isinstance(own, Bad):
        return _form(visit, _echo(visit), errors, kept, 422)
    try:
        receipt = await visit.parts.door.take(_inbound(visit, read, own, kept))
    except WrongInput as wrong:
        return _form(visit, _echo(visit), {wrong.field: wrong.word}, kept, 422)
    return _slip(visit, receipt, 201)


async def slip(visit: Visit) -> web.StreamResponse:
    """The slip once more, for the printer; the PIN only for who typed the ticket in."""
    view = await desk.ticket(visit.parts.store, visit.actor, number(visit))
    message = view.messages[0].id
    found = await visit.parts.store.read(receipts, [message], visit.parts.keyring)
    receipt = found[message] if view.taken_by == visit.actor.staff else replace(found[message], pin="")
    return _slip(visit, receipt, 200)


def _inbound(visit: Visit, form: new.Message, own: WalkIn, kept: Sequence[KeptFile]) -> Inbound:
    arrived = None
    if own.arrived is not None:
        arrived = min(jalali.at(own.arrived, time(12), visit.site.agency.zone), visit.now())
    return replace(
        new.inbound_of(visit, form, kept, channel=own.channel), operator=visit.actor.staff, arrived_at=arrived
    )


def _rules(visit: Visit, own: WalkIn) -> dict[str, str]:
    today = jalali.local(visit.now(), visit.site.agency.zone).date()
    return {"arrived": "range"} if own.arrived is not None and own.arrived > today else {}


def _slip(visit: Visit, receipt: Receipt, status: int) -> web.Response:
    return visit.page("console/slip.html", status, **new.slip(visit, receipt))


def _echo(visit: Visit) -> dict[str, str]:
    return forms.echo(new.Message, visit.form) | forms.echo(WalkIn, visit.form)


def _form(
    visit: Visit, values: Mapping[str, str], errors: Mapping[str, str], kept: Sequence[KeptFile], status: int
) -> web.Response:
    return visit.page("console/new.html", status, channels=CHANNELS, **new.form_facts(visit, values, errors, kept))
