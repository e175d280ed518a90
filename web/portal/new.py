"""The service desk form: shown, checked, sent. Nothing is kept between the steps but what rides in the form itself."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import segno
from aiohttp import web
from markupsafe import Markup

from core.channels import Contact, ContactKind, Inbound, KeptFile, Kind, Receipt
from core.errors import WrongInput
from core.text import persian
from web import forms, uploads
from web.forms import Bad, Choice, Line, Mail, Number, Phone, Text, Word
from web.guard import Verdict
from web.portal import fields
from web.portal.fields import Answers
from web.visit import Visit

KINDS = ("complaint", "criticism", "suggestion", "request", "thanks")
WAYS = ("here", "sms", "phone", "mail")
KEPT_LIFE = 24 * 3600 * 1000  # ms a list of kept files holds
SUBJECT = 70  # characters
MAX_FILES = uploads.Limits().many


@dataclass(frozen=True, slots=True)
class Message:
    """What a citizen may fill in. `answer_by` makes its own field required."""

    kind: Annotated[str, Choice(KINDS)]
    ref: Annotated[str, Word(64)]
    text: Annotated[str, Text(10_000, 5)] = ""
    service: Annotated[str | None, Word(40)] = None
    unit: Annotated[str | None, Word(40)] = None
    manager: Annotated[str | None, Word(40)] = None
    place: Annotated[str | None, Line(300)] = None
    lat: Annotated[float | None, Number(-90, 90)] = None
    long: Annotated[float | None, Number(-180, 180)] = None
    name: Annotated[str | None, Line(100)] = None
    phone: Annotated[str | None, Phone()] = None
    mail: Annotated[str | None, Mail()] = None
    answer_by: Annotated[str, Choice(WAYS)] = "here"


async def show(visit: Visit) -> web.StreamResponse:
    """The empty form; `service`, `unit`, `manager` in the address are chosen already."""
    query = visit.request.query
    values = {name: query.get(name, "")[:40] for name in ("service", "unit", "manager", "kind")}
    return _form(visit, values, {}, [], 200)


async def send(visit: Visit) -> web.StreamResponse:
    """`step`: `check` shows what will be sent, `edit` goes back, `send` commits."""
    kept = files_of(visit)
    if visit.form.get("step") == "edit":
        return _form(visit, forms.echo(Message, visit.form), {}, kept, 200)
    read = forms.read(Message, visit.form)
    errors = dict(read.errors) if isinstance(read, Bad) else rules(visit, read, kept)
    if not visit.form.get("text").strip() and not spoken(kept):
        errors["text"] = "empty"
    if visit.form.faults:
        errors["files"] = visit.form.faults[0]
    if errors or isinstance(read, Bad):
        return _form(visit, forms.echo(Message, visit.form), errors, kept, 422)
    return await _judged(visit, read, kept)


async def _judged(visit: Visit, message: Message, kept: Sequence[KeptFile]) -> web.StreamResponse:
    asked = fields.answers(visit.parts.config.services.get(message.service or ""), visit.form, visit.lang)
    sending = visit.form.get("step") == "send"
    if not sending or asked.errors:
        return _check(visit, message, kept, asked, 422 if sending else 200)
    verdict = visit.site.guard.judge("new", visit.form.fields, visit.peer, message.text, visit.now())
    if verdict.stale:
        return _form(visit, forms.echo(Message, visit.form), {"form": "forged"}, kept, 422)
    if verdict.shut is not None:
        response = _form(visit, forms.echo(Message, visit.form), {"form": "too_often"}, kept, 429)
        response.headers["Retry-After"] = str(round(verdict.shut) + 1)
        return response
    return await _take(visit, with_answers(message, asked), kept, verdict, asked)


def _check(visit: Visit, message: Message, kept: Sequence[KeptFile], asked: Answers, status: int) -> web.Response:
    """What will be sent; a service's own fields are asked here, their faults told once they were sent."""
    errors = asked.errors if status == 422 else {}
    return visit.page(
        "portal/check.html",
        status,
        **_carried(visit, kept),
        shown=_shown(visit, message),
        budget=_budget(visit, message),
        asked=asked.shown,
        errors=errors,
        names={one.name: one.label for one in asked.shown},
    )


def with_answers(message: Message, asked: Answers) -> Message:
    """The message with the service's answers below its words, for whoever reads it by whatever channel."""
    parts = [part for part in (message.text, asked.lines()) if part]
    return replace(message, text="\n\n".join(parts))


async def _take(
    visit: Visit, message: Message, kept: Sequence[KeptFile], verdict: Verdict, asked: Answers
) -> web.StreamResponse:
    held = verdict.points >= visit.site.settings.hold_at
    inbound = replace(inbound_of(visit, message, kept), held=held, facts=_facts(message, verdict, asked))
    try:
        receipt = await visit.parts.door.take(inbound)
    except WrongInput as wrong:
        return _form(visit, forms.echo(Message, visit.form), {wrong.field: wrong.word}, kept, 422)
    more = {"token": "", "text": ""}
    if receipt.same_id:  # the form had been sent before with other words: these are offered as an addition
        more = {"token": pass_for(visit, receipt), "text": message.text}
    return visit.page("portal/receipt.html", 201, **slip(visit, receipt), **more, ref=secrets.token_hex(16))


def pass_for(visit: Visit, receipt: Receipt) -> str:
    """A pass as the tracking page gives, for the holder of a fresh receipt."""
    return visit.site.signer.sign("pass", [receipt.code, receipt.pin], visit.now())


def rules(visit: Visit, message: Message, kept: Sequence[KeptFile]) -> dict[str, str]:
    """What one field asks of another, and what must be known here."""
    agency = visit.site.agency
    faults: dict[str, str] = {}
    if not message.text and not spoken(kept):
        faults["text"] = "empty"
    needed = {"sms": "phone", "phone": "phone", "mail": "mail"}.get(message.answer_by)
    if needed and getattr(message, needed) is None:
        faults[needed] = "empty"
    if (message.lat is None) != (message.long is None):
        faults["lat" if message.lat is None else "long"] = "empty"
    for name, known in (("service", agency.service_slugs), ("unit", agency.unit_slugs), ("manager", agency.managers)):
        value = getattr(message, name)
        if value is not None and value not in known:
            faults[name] = "choice"
    return faults


def spoken(kept: Sequence[KeptFile]) -> bool:
    """Is there a voice message, which may stand in for words?"""
    return any(one.type.startswith("audio/") for one in kept)


def inbound_of(visit: Visit, message: Message, kept: Sequence[KeptFile], channel: str = "web") -> Inbound:
    """The form as the door takes it."""
    manager = visit.site.agency.managers.get(message.manager or "")
    return Inbound(
        channel=channel,
        ref=message.ref,
        text=message.text,
        kind=Kind(message.kind),
        contact=contact_of(message),
        name=message.name,
        subject=subject_of(message.text),
        to=(manager.mail,) if manager and manager.mail else (),
        lang=visit.lang,
        unit=message.unit or (manager.unit if manager else None),
        service=message.service,
        place=message.place,
        answer_by=channel_of(message.answer_by),
        answer_to=contact_of(message),
        files=kept,
    )


def subject_of(words: str) -> str | None:
    """The first words of a message, as its line in a list."""
    line = " ".join(words.split())
    return (line if len(line) <= SUBJECT else line[:SUBJECT].rsplit(" ", 1)[0].rstrip(" .،؛") + "…") or None


def channel_of(answer_by: str) -> str:
    """`here` is the portal itself."""
    return "web" if answer_by == "here" else answer_by


def contact_of(message: Message) -> Contact | None:
    """The contact the answer goes by, else whatever was given."""
    phone = Contact(ContactKind.PHONE, message.phone) if message.phone else None
    mail = Contact(ContactKind.MAIL, message.mail) if message.mail else None
    return (mail or phone) if message.answer_by == "mail" else (phone or mail)


def files_of(visit: Visit) -> list[KeptFile]:
    """Files kept at earlier steps (by their signed list) and those of this one, within the limits together."""
    opened = visit.site.signer.fresh("kept", visit.form.get("kept"), visit.now(), KEPT_LIFE)
    earlier = uploads.unpack(opened.value) if opened else []
    gone = set(visit.form.getall("drop"))
    files = [one for one in earlier if one.key not in gone] + visit.form.files
    if len(files) > MAX_FILES:
        visit.form.faults.append("many")
    if sum(one.size for one in files) > uploads.Limits().total:
        visit.form.faults.append("big")
    return files[:MAX_FILES]


def slip(visit: Visit, receipt: Receipt) -> dict[str, Any]:
    """What a receipt shows: code, PIN, unit, due date, and the QR code of the tracking page."""
    address = f"{visit.site.agency.origin(visit.request)}{visit.url('/track')}#{receipt.code}"
    return {
        "receipt": receipt,
        "unit": visit.site.agency.unit_name(receipt.unit, visit.lang),
        "qr": _qr(visit, address),
    }


def _qr(visit: Visit, address: str) -> Markup:
    """The address as an inline SVG, named for those who hear the page."""
    drawn = segno.make(address, error="m").svg_inline(
        scale=5, border=2, dark="#16211f", light="#ffffff", omitsize=True, title=visit.t("portal.receipt.qr")
    )
    return Markup(drawn.replace("<svg ", '<svg role="img" ', 1))


def _facts(message: Message, verdict: Verdict, asked: Answers) -> dict[str, Any]:
    position = {} if message.lat is None else {"lat": message.lat, "long": message.long}
    more = {"fields": dict(asked.values)} if asked.values else {}
    return position | more | ({"guard": list(verdict.why)} if verdict.why else {})


def _carried(visit: Visit, kept: Sequence[KeptFile]) -> dict[str, Any]:
    """What rides in hidden fields from step to step."""
    values = forms.echo(Message, visit.form)
    return {
        "values": values | {"ref": values.get("ref") or secrets.token_hex(16)},
        "stamp": visit.form.get("t") or visit.site.guard.stamp("new", visit.now()),
        "kept": visit.site.signer.sign("kept", uploads.pack(kept), visit.now()),
        "files": kept,
        "trap": visit.form.get("website"),
        "service_values": [pair for pair in visit.form.fields.items() if pair[0].startswith(fields.PREFIX)],
    }


def _form(
    visit: Visit, values: Mapping[str, str], errors: Mapping[str, str], kept: Sequence[KeptFile], status: int
) -> web.Response:
    return visit.page("portal/new.html", status, **form_facts(visit, values, errors, kept))


def form_facts(
    visit: Visit, values: Mapping[str, str], errors: Mapping[str, str], kept: Sequence[KeptFile]
) -> dict[str, Any]:
    """What the form's template needs; a stamp too old, or none, is renewed."""
    agency, carried = visit.site.agency, _carried(visit, kept)
    if errors.get("form") == "forged":
        carried["stamp"] = visit.site.guard.stamp("new", visit.now())
    carried["values"] |= {name: value for name, value in values.items() if value}
    return carried | {
        "errors": errors,
        "kinds": KINDS,
        "ways": ways(visit),
        "units": agency.units(visit.lang),
        "services": agency.services(visit.lang),
        "managers": agency.people(visit.lang),
    }


def ways(visit: Visit) -> list[str]:
    """Ways for the answer: here, and the channels that can send."""
    channels = visit.parts.channels
    return ["here", *(way for way in WAYS[1:] if way in channels and channels[way].can_send)]


def _shown(visit: Visit, message: Message) -> list[tuple[str, str]]:
    agency, lang = visit.site.agency, visit.lang
    rows = [
        ("kind", visit.t("core.kind." + message.kind)),
        ("service", agency.service_title(message.service, lang) if message.service else ""),
        ("unit", agency.unit_name(message.unit, lang) if message.unit else visit.t("portal.new.by_routing")),
        ("manager", agency.managers[message.manager].name if message.manager else ""),
        ("place", message.place or ""),
        ("name", message.name or ""),
        ("phone", message.phone or ""),
        ("mail", message.mail or ""),
        ("answer_by", visit.t("portal.way." + message.answer_by)),
    ]
    return [(name, value) for name, value in rows if value]


def _budget(visit: Visit, message: Message) -> str:
    """The time an answer may take, as the settings or the service's card say it."""
    budget = visit.parts.config.budget(message.kind, message.service)
    if budget is None:
        return ""
    number = budget.rstrip("wdh")
    shown = persian(number) if visit.lang == "fa" else number
    return visit.t("portal.budget." + budget.removeprefix(number), n=shown)
