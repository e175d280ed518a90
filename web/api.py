"""The API `/api/v1`: create, track, list, read and reply; its description at `/openapi.json`."""

from __future__ import annotations

import hashlib
import secrets
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, Struct, UnsetType

from core import approvals, codes, desk, people, phones, replies
from core import text as words
from core.channels import Asker, Contact, ContactKind, Inbound, Kind
from core.errors import NotFound
from core.permissions import Permission
from core.views import Actor, MessageView, QueueRow, TicketView
from web import auth, forms
from web.routes import Route
from web.typed import Api, Call, Param, Refused, ticket_id
from web.visit import Visit

PREFIX = "/api/v1"
IDEMPOTENCY = Param("Idempotency-Key", "header", "Repeat with the same key and body and get the first receipt", {
    "type": "string", "maxLength": 64,
})  # fmt: skip
READ = auth.token("tickets.read", Permission.READ)
WRITE = auth.token("tickets.write", Permission.REPLY)
SUBMIT = auth.token("tickets.write", Permission.SUBMIT)
APPROVE = auth.token("tickets.write", Permission.APPROVE)
TicketKind = Annotated[str, Meta(pattern="^(complaint|criticism|suggestion|request|thanks)$")]


class NewTicket(Struct, frozen=True, forbid_unknown_fields=True):
    """A citizen's message."""

    kind: TicketKind
    text: Annotated[str, Meta(min_length=5, max_length=10_000)]
    unit: Annotated[str, Meta(max_length=40)] | None = None
    service: Annotated[str, Meta(max_length=40)] | None = None
    subject: Annotated[str, Meta(max_length=200)] | None = None
    place: Annotated[str, Meta(max_length=300)] | None = None
    name: Annotated[str, Meta(max_length=100)] | None = None
    phone: Annotated[str, Meta(max_length=40)] | None = None
    mail: Annotated[str, Meta(max_length=254)] | None = None
    answer_by: Annotated[str, Meta(pattern="^(here|sms|phone|mail)$")] = "here"
    lang: Annotated[str, Meta(pattern="^[a-z]{2,3}$")] = "fa"


class ReceiptOut(Struct, frozen=True):
    """The acknowledgement, made after commit. `first` is false for a repeat."""

    id: str
    code: str
    pin: str
    unit: str
    state: str
    due_at: int | None
    first: bool
    same_id: bool


class TrackIn(Struct, frozen=True, forbid_unknown_fields=True):
    """A code, and a second proof (PIN, phone or mail) for the contents."""

    code: Annotated[str, Meta(max_length=40)]
    proof: Annotated[str, Meta(max_length=254)] | None = None


class WordsOut(Struct, frozen=True):
    """One message."""

    way: str
    text: str
    at: int
    channel: str


class TrackOut(Struct, frozen=True):
    """Where a ticket stands; `messages` only with proof."""

    code: str
    state: str
    kind: str
    unit: str
    unit_name: str
    at: int
    due_at: int | None
    answered_at: int | None
    proven: bool
    messages: list[WordsOut]


class RowOut(Struct, frozen=True):
    """A line of a list."""

    id: str
    code: str
    kind: str
    subject: str
    channel: str
    unit: str
    assignee: str | None
    state: str
    at: int
    due_at: int | None
    urgent: bool
    version: int


class PageOut(Struct, frozen=True):
    """A page of a list; `next` is the `after` of the next one."""

    tickets: list[RowOut]
    next: str | None


class MessageOut(Struct, frozen=True):
    """A message as staff see it."""

    id: str
    way: str
    channel: str
    author: str
    text: str
    at: int
    deliveries: list[str]


class TicketOut(Struct, frozen=True):
    """A ticket as staff see it."""

    id: str
    code: str
    version: int
    state: str
    kind: str
    subject: str
    unit: str
    unit_name: str
    assignee: str | None
    channel: str
    answer_by: str
    at: int
    due_at: int | None
    answered_at: int | None
    messages: list[MessageOut]


class MessageIn(Struct, frozen=True, forbid_unknown_fields=True):
    """A reply to the citizen, or a note inside. `version` is the ticket's as last read."""

    text: Annotated[str, Meta(min_length=1, max_length=10_000)]
    version: Annotated[int, Meta(ge=0)]
    way: Annotated[str, Meta(pattern="^(reply|note)$")] = "reply"
    channel: Annotated[str, Meta(pattern="^(web|sms|mail|phone|desk)$")] | UnsetType = UNSET
    then: Annotated[str, Meta(pattern="^(answered|asked)$")] = "answered"


class DraftIn(Struct, frozen=True, forbid_unknown_fields=True):
    """An answer for a second person to let go. `version` is the ticket's as last read."""

    text: Annotated[str, Meta(min_length=1, max_length=10_000)]
    version: Annotated[int, Meta(ge=0)]
    channel: Annotated[str, Meta(pattern="^(web|sms|mail|phone|desk)$")] | UnsetType = UNSET


class ApprovalIn(Struct, frozen=True, forbid_unknown_fields=True):
    """A decision about the answer that waits, on the ticket as last read. With `back`, a note, it returns to its
    writer; without, it goes out."""

    version: Annotated[int, Meta(ge=0)]
    back: Annotated[str, Meta(min_length=1, max_length=1000)] | None = None


class Written(Struct, frozen=True):
    """What was written."""

    ticket: str
    message: str | None


async def owner(visit: Visit, token: str) -> Actor | None:
    """Whose token it is; Refused(429) past its calls a minute."""
    actor = await people.token_actor(visit.parts.store, token)
    if actor is not None and (wait := visit.site.guard.api(str(actor.staff))) is not None:
        raise Refused(429, wait=wait)
    return actor


api = Api("Pasokh", "1", owner)


@api.op("POST", "/tickets", access=auth.PUBLIC, status=201, errors=(409, 422), params=[IDEMPOTENCY])
async def create_ticket(call: Call, body: NewTicket) -> ReceiptOut:
    """Send a message to the agency."""
    visit = call.visit
    if (wait := visit.site.guard.form(visit.peer)) is not None:
        raise Refused(429, wait=wait)
    key = visit.request.headers.get("Idempotency-Key", "")
    if len(key) > 64:
        raise Refused(422, errors={"Idempotency-Key": "long"})
    receipt = await visit.parts.door.take(_inbound(visit, body, key))
    return ReceiptOut(
        str(receipt.ticket), receipt.code, receipt.pin, receipt.unit, receipt.state, receipt.due_at,
        receipt.first, receipt.same_id,
    )  # fmt: skip


@api.op("POST", "/track", access=auth.PUBLIC, errors=(404, 422))
async def track(call: Call, body: TrackIn) -> TrackOut:
    """The state of a ticket, and its words with proof."""
    code = codes.parse(body.code)
    if code is None or not codes.ok(code):
        raise Refused(422, errors={"code": "digits" if code is None else "check"})
    asker = Asker("web", auth.bucket(call.visit.peer), proof=_proof(body.proof))
    answer = await call.visit.parts.door.answer_for(code, asker)
    if answer is None or (body.proof and not answer.proven):
        raise NotFound
    shown = [WordsOut(one.way, one.text, one.at, one.channel) for one in answer.words]
    return TrackOut(
        answer.code, answer.state, answer.kind, answer.unit, answer.unit_name, answer.at, answer.due_at,
        answer.answered_at, answer.proven, shown,
    )  # fmt: skip


@api.op("GET", "/tickets", access=READ, errors=(401, 403, 422), params=[
    Param("view", "query", "mine, new, due, breached, asked, outside, disputed, approvals, all"),
    Param("q", "query", "a code or words"),
    Param("after", "query", "`next` of the page before"),
    Param("limit", "query", "rows", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}),
])  # fmt: skip
async def list_tickets(call: Call) -> PageOut:
    """Tickets of the token's units, by view."""
    view, limit = call.query.get("view", "all"), call.query.get("limit", "50")
    if view not in ("mine", "new", "due", "breached", "asked", "outside", "disputed", "approvals", "all"):
        raise Refused(422, errors={"view": "choice"})
    if not (limit.isascii() and limit.isdigit() and len(limit) < 4 and 1 <= int(limit) <= 200):
        raise Refused(422, errors={"limit": "range"})
    page = await desk.queue(
        call.visit.parts.store, _actor(call), view, call.query.get("q", ""), call.query.get("after"), int(limit)
    )
    return PageOut([_row(row) for row in page.rows], page.after)


@api.op("GET", "/tickets/{id}", access=READ, errors=(401, 403, 404))
async def read_ticket(call: Call) -> TicketOut:
    """A ticket with its messages."""
    return _ticket(await desk.ticket(call.visit.parts.store, _actor(call), ticket_id(call)))


@api.op(
    "POST", "/tickets/{id}/messages", access=WRITE, status=201, errors=(401, 403, 404, 409, 422), params=[IDEMPOTENCY]
)
async def write_message(call: Call, body: MessageIn) -> Written:
    """Reply to the citizen, or leave a note."""
    store, who, ticket = call.visit.parts.store, _actor(call), ticket_id(call)
    if body.way == "note":
        await desk.note(store, who, ticket, body.version, body.text)
        return Written(str(ticket), None)
    channel = None if body.channel is UNSET else body.channel
    message = await replies.reply(
        store, who, ticket, body.version, body.text, channel=channel, ref=_key(call), then=body.then
    )
    return Written(str(ticket), str(message))


@api.op(
    "POST", "/tickets/{id}/drafts", access=SUBMIT, status=201, errors=(401, 403, 404, 409, 422), params=[IDEMPOTENCY]
)
async def submit_draft(call: Call, body: DraftIn) -> Written:
    """Write an answer that a second person lets go; `message` is the draft's id."""
    channel = None if body.channel is UNSET else body.channel
    who, ticket = _actor(call), ticket_id(call)
    draft = await approvals.submit(
        call.visit.parts.store, who, ticket, body.version, body.text, channel, ref=_key(call)
    )
    return Written(str(ticket), str(draft))


@api.op("POST", "/tickets/{id}/approval", access=APPROVE, status=201, errors=(401, 403, 404, 409, 422))
async def approve_draft(call: Call, body: ApprovalIn) -> Written:
    """Let the waiting answer go as it was submitted, or send it back to its writer with a note."""
    store, who, ticket = call.visit.parts.store, _actor(call), ticket_id(call)
    if body.back is not None:
        await approvals.send_back(store, who, ticket, body.version, body.back)
        return Written(str(ticket), None)
    return Written(str(ticket), str(await approvals.approve(store, who, ticket, body.version)))


async def openapi(visit: Visit) -> web.StreamResponse:
    """The description of the API."""
    return web.Response(body=msgspec.json.encode(api.spec(PREFIX)), content_type="application/json")


def routes() -> list[Route]:
    """The API's routes and its description."""
    described = [Route("GET", path, openapi, auth.PUBLIC) for path in ("/openapi.json", f"{PREFIX}/openapi.json")]
    return [*api.routes(PREFIX), *described]


def _actor(call: Call) -> Actor:
    if call.actor is None:
        raise Refused(401)
    return call.actor


def _key(call: Call) -> str | None:
    key = call.visit.request.headers.get("Idempotency-Key")
    if key is not None and len(key) > 64:
        raise Refused(422, errors={"Idempotency-Key": "long"})
    return key


def _inbound(visit: Visit, body: NewTicket, key: str) -> Inbound:
    phone, mail = _phone(body.phone), _mail(body.mail)
    needed = {"sms": ("phone", phone), "phone": ("phone", phone), "mail": ("mail", mail)}.get(body.answer_by)
    if needed and needed[1] is None:
        raise Refused(422, errors={needed[0]: "empty"})
    agency = visit.site.agency
    faults = {
        name: "choice"
        for name, value, known in (
            ("unit", body.unit, agency.unit_slugs),
            ("service", body.service, agency.service_slugs),
        )
        if value is not None and value not in known
    }
    if faults:
        raise Refused(422, errors=faults)
    if len(cleaned := words.clean(body.text).strip()) < 5:
        raise Refused(422, errors={"text": "short"})
    return Inbound(
        channel="web",
        ref=f"api:{_once(body, key) if key else secrets.token_hex(16)}",
        text=cleaned,
        kind=Kind(body.kind),
        contact=(mail or phone) if body.answer_by == "mail" else (phone or mail),
        name=words.clean(body.name) if body.name else None,
        subject=words.clean(body.subject) if body.subject else None,
        lang=body.lang,
        unit=body.unit,
        service=body.service,
        place=words.clean(body.place) if body.place else None,
        answer_by="web" if body.answer_by == "here" else body.answer_by,
    )


def _once(body: NewTicket, key: str) -> str:
    """A key of a stranger's choice with the body it came with: only both together find the first receipt."""
    return f"{key}:{hashlib.sha256(msgspec.json.encode(body)).hexdigest()[:32]}"


def _phone(typed: str | None) -> Contact | None:
    if typed is None:
        return None
    number = phones.parse(typed)
    if number is None:
        raise Refused(422, errors={"phone": "shape"})
    return Contact(ContactKind.PHONE, number)


def _mail(typed: str | None) -> Contact | None:
    if typed is None:
        return None
    try:
        return Contact(ContactKind.MAIL, forms.Mail().clean([typed]))
    except forms.Wrong as wrong:
        raise Refused(422, errors={"mail": wrong.word}) from wrong


def _proof(typed: str | None) -> str | None:
    if typed is None:
        return None
    try:
        return forms.Proof().clean([typed])
    except forms.Wrong as wrong:
        raise Refused(422, errors={"proof": wrong.word}) from wrong


def _row(row: QueueRow) -> RowOut:
    return RowOut(
        str(row.ticket), row.code, row.kind, row.subject, row.channel, row.unit, row.assignee, row.state, row.at,
        row.due_at, row.urgent, row.version,
    )  # fmt: skip


def _ticket(view: TicketView) -> TicketOut:
    return TicketOut(
        str(view.id), view.code, view.version, view.state, view.kind, view.subject, view.unit, view.unit_name,
        view.assignee_name, view.channel, view.answer_by, view.at, view.due_at, view.answered_at,
        [_message(one) for one in view.messages],
    )  # fmt: skip


def _message(one: MessageView) -> MessageOut:
    return MessageOut(
        str(one.id), one.way, one.channel, one.author, one.text, one.at, [sent.state for sent in one.deliveries]
    )
