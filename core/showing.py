"""What staff are shown: queues by keyset, one whole ticket. Names and addresses are opened after the read."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from core import calls, cipher, codes, drafts, ladder, phones, points, states, transcripts
from core.access import may, scope, second_needed
from core.errors import NotFound, WrongInput
from core.model import Contact, ContactKind, KeptFile, Kind, Scan, State, Way
from core.office import Office, of
from core.permissions import Permission, needed
from core.schema import code, contact, event, file, message, outbox, raw, staff, ticket, unit
from core.store import Store
from core.text import clean
from core.turn import known
from core.views import Actor, CallView, Delivery, EventView, MessageView, Page, QueueRow, TicketView

MOST = 200  # rows of a page
OTHERS = 5  # newest tickets of the same contact beside a ticket
COUNTED = 1000  # a queue is counted so far, then "more"
_LAST = 1 << 53
_LIVE = [state.value for state in sorted(states.LIVE)]


@dataclass(frozen=True, slots=True)
class View:
    """One queue: what it holds, given who asks, now and the end of the local day (ms)."""

    where: Callable[[Actor, int, int], sa.ColumnElement[bool]]
    newest_first: bool = False
    permission: Permission | None = None  #: only where whoever asks holds it, besides reading


def _state(state: State) -> View:
    return View(lambda who, now, end: ticket.c.state == state)


def _awaits(who: Actor, now: int, end: int) -> sa.ColumnElement[bool]:
    """Answers somebody else wrote, for `who` to approve."""
    own = sa.select(message.c.id).where(message.c.ticket == ticket.c.id, drafts.by(who))
    return sa.and_(ticket.c.state == State.APPROVAL, ~own.exists())


_RUNS = ticket.c.clock == "runs"
VIEWS: Mapping[str, View] = {
    "mine": View(lambda who, now, end: sa.and_(ticket.c.assignee == who.staff, ticket.c.state.in_(_LIVE))),
    "new": _state(State.NEW),
    "due": View(lambda who, now, end: sa.and_(_RUNS, ticket.c.due_at > now, ticket.c.due_at <= end)),
    "told": View(lambda who, now, end: ladder.before(who)),
    "breached": View(lambda who, now, end: sa.and_(_RUNS, ticket.c.due_at <= now)),
    "asked": _state(State.ASKED),
    "outside": _state(State.OUTSIDE),
    "disputed": _state(State.DISPUTED),
    "approvals": View(_awaits, permission=Permission.APPROVE),
    "held": _state(State.HELD),
    "open": View(lambda who, now, end: ticket.c.state.in_(_LIVE)),
    "all": View(lambda who, now, end: sa.true(), newest_first=True),
}


async def queue(store: Store, who: Actor, view: str, q: str = "", after: str | None = None, limit: int = 50) -> Page:
    """A page of a queue, the most urgent first (`all`: the newest), within what `who` may read.

    `q`: a tracking code, a phone number or mail address (exact), else words of the subject. `after` is the last
    page's. Raises WrongInput for an unknown view or a key that is none.
    """
    if view not in VIEWS:
        raise WrongInput("view", "unknown")
    office, limit = of(store), max(1, min(limit, MOST))
    ask = _listed().where(scope(office, who), _matching(office, q)).limit(limit + 1)
    rows = await store.read(_all, _paged(ask.where(_where(office, who, view)), VIEWS[view], after))
    shown = [queue_row(office, row) for row in rows[:limit]]
    return Page(shown, _after(rows[limit - 1], VIEWS[view]) if len(rows) > limit else None)


async def counts(store: Store, who: Actor) -> dict[str, int]:
    """How many each queue holds, counted up to 1,000."""
    office = of(store)
    asks = {
        view: sa.select(ticket.c.id).where(scope(office, who), _where(office, who, view)).limit(COUNTED)
        for view in VIEWS
    }
    return await store.read(_count, asks)


def _count(s: Connection, asks: Mapping[str, sa.Select[Any]]) -> dict[str, int]:
    def many(ask: sa.Select[Any]) -> int:
        return int(s.execute(sa.select(sa.func.count()).select_from(ask.subquery())).scalar_one())

    return {view: many(ask) for view, ask in asks.items()}


def _where(office: Office, who: Actor, view: str) -> sa.ColumnElement[bool]:
    now = office.clock.now()
    there = datetime.fromtimestamp(now / 1000, UTC).astimezone(ZoneInfo(office.config.agency.zone))
    end = there.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    held = VIEWS[view]
    where = held.where(who, now, round(end.timestamp() * 1000))
    return where if held.permission is None else sa.and_(where, scope(office, who, held.permission))


def _listed() -> sa.Select[Any]:
    return (
        sa.select(
            ticket, code.c.value.label("code"), unit.c.names, staff.c.name.label("owner"),
            contact.c.id.label("contact_id"), contact.c.kind.label("contact_kind"),
            contact.c.value.label("contact_value"), contact.c.proven_at,
        )
        .join(code, sa.and_(code.c.ticket == ticket.c.id, code.c.kind == "tracking"))
        .join(unit, sa.and_(unit.c.slug == ticket.c.unit, unit.c.agency == ticket.c.agency), isouter=True)
        .join(staff, staff.c.id == ticket.c.assignee, isouter=True)
        .join(contact, contact.c.id == ticket.c.contact, isouter=True)
    )  # fmt: skip


def _matching(office: Office, q: str) -> sa.ColumnElement[bool]:
    q = clean(q).strip()
    if not q:
        return sa.true()
    number = codes.parse(q)
    if number is not None and codes.ok(number):
        return code.c.value == number
    phone = phones.parse(q)
    if phone is not None:
        return contact.c.blind == cipher.blind(office.keyring, ContactKind.PHONE, phone)
    if "@" in q:
        return contact.c.blind == cipher.blind(office.keyring, ContactKind.MAIL, q.lower())
    return sa.or_(ticket.c.subject.contains(q, autoescape=True), transcripts.holding(q, ticket.c.id))


def _paged(ask: sa.Select[Any], view: View, after: str | None) -> sa.Select[Any]:
    sort = ticket.c.at if view.newest_first else sa.func.coalesce(ticket.c.due_at, _LAST)
    ask = ask.add_columns(sort.label("sort"))
    if after is not None:
        last, number = _key(after)
        beyond = sa.or_(sort < last, sa.and_(sort == last, ticket.c.id < number))
        if not view.newest_first:
            beyond = sa.or_(sort > last, sa.and_(sort == last, ticket.c.id > number))
        ask = ask.where(beyond)
    if view.newest_first:
        return ask.order_by(sort.desc(), ticket.c.id.desc())
    return ask.order_by(sort, ticket.c.id)


def _key(after: str) -> tuple[int, int]:
    try:
        last, number = map(int, base64.urlsafe_b64decode(after.encode()).decode().split(":"))
    except (ValueError, binascii.Error):
        raise WrongInput("after", "unknown") from None
    if not (0 <= last <= _LAST and 0 <= number <= _LAST):  # no store can be asked for it
        raise WrongInput("after", "unknown")
    return last, number


def _after(row: RowMapping, view: View) -> str:
    return base64.urlsafe_b64encode(f"{row['sort']}:{row['id']}".encode()).decode()


def _all(s: Connection, ask: sa.Select[Any]) -> Sequence[RowMapping]:
    return s.execute(ask).mappings().all()


def queue_row(office: Office, row: RowMapping) -> QueueRow:
    """A listed row, opened."""
    return QueueRow(
        ticket=row["id"], code=row["code"], kind=Kind(row["kind"]), subject=row["subject"] or "",
        person=_person(office, row), channel=row["channel"], unit=row["unit"], unit_name=_named(office, row),
        assignee=row["owner"], state=State(row["state"]), at=row["at"], due_at=row["due_at"],
        urgent=bool(row["urgent"]), version=row["version"],
    )  # fmt: skip


def _named(office: Office, row: RowMapping) -> str:
    names = row["names"] or {}
    return str(names.get(office.config.agency.lang) or next(iter(names.values()), row["unit"]))


def _name(office: Office, row: RowMapping) -> str | None:
    return cipher.unseal(office.keyring, "ticket", "name", row["id"], row["name"]).decode() if row["name"] else None


def _contact(office: Office, row: RowMapping) -> Contact | None:
    if row["contact_id"] is None:
        return None
    value = cipher.unseal(office.keyring, "contact", "value", row["contact_id"], row["contact_value"]).decode()
    return Contact(ContactKind(row["contact_kind"]), value, row["proven_at"] is not None)


def _point(office: Office, found: _Found, one: points.Point) -> Contact:
    value = cipher.unseal(office.keyring, "contact", "value", one.contact, found.sealed[one.contact]).decode()
    return Contact(one.kind, value, one.proven)


def _person(office: Office, row: RowMapping) -> str:
    found = _contact(office, row)
    return _name(office, row) or (found.value if found else "")


# ---------------------------------------------------------------- one ticket


@dataclass(frozen=True, slots=True)
class _Found:
    """Everything of a ticket as it lies in the store."""

    row: RowMapping
    messages: Sequence[RowMapping]
    files: Sequence[RowMapping]
    deliveries: Sequence[RowMapping]
    events: Sequence[RowMapping]
    raws: frozenset[int]
    names: Mapping[int, str]
    others: Sequence[RowMapping]
    calls: Sequence[CallView]
    points: Sequence[points.Point]
    sealed: Mapping[int, bytes]


async def ticket_of(store: Store, who: Actor, number: int) -> TicketView:
    """A ticket with its thread, log, deliveries and what `who` may do now. NotFound for another unit's."""
    office = of(store)
    found = await store.read(_find, scope(office, who), number)
    row = found.row
    return TicketView(
        id=row["id"], code=row["code"], version=row["version"], state=State(row["state"]), kind=Kind(row["kind"]),
        level=row["level"], subject=row["subject"] or "", unit=row["unit"], unit_name=_named(office, row),
        assignee=row["assignee"], assignee_name=row["owner"], service=row["service"], channel=row["channel"],
        place=row["place"], urgent=bool(row["urgent"]), at=row["at"], due_at=row["due_at"],
        due_steps=row["due_steps"], answered_at=row["answered_at"], closed_at=row["closed_at"],
        person=_name(office, row), contact=_contact(office, row), answer_by=row["answer_by"], route=row["route"],
        messages=[_message(office, found, one) for one in found.messages],
        events=[_event(found, one) for one in found.events], events_allowed=deeds(office, who, row, _drafted(found)),
        others=[queue_row(office, one) for one in found.others], calls=found.calls,
        points=[_point(office, found, one) for one in found.points], facts=row["facts"] or {},
        added=[office.config.units.name(slug, office.config.agency.lang) for slug in row["added"]],
        taken_by=found.messages[0]["author"] if found.messages else None,
    )  # fmt: skip


def deeds(office: Office, who: Actor, row: RowMapping, drafted: int | None = None) -> frozenset[str]:
    """Events of the table that `who` may fire on the ticket now, and `take`; where an answer (by `drafted`) waits for
    approval `approve`, `send_back`, `take_back`."""
    state = State(row["state"])
    allowed = {one for one in states.events(state) if (right := needed(state, one)) and may(office, who, right, row)}
    if "assign" in states.events(state) and may(office, who, Permission.TAKE, row):
        allowed.add("take")
    if row["level"] > 0:
        allowed.discard("close")
    if state is State.APPROVAL:
        return frozenset(_about_draft(allowed, drafted == who.staff and may(office, who, Permission.SUBMIT, row)))
    if second_needed(office, who, row):
        allowed.discard("reply")
    return frozenset(allowed)


def _about_draft(allowed: set[str], own: bool) -> set[str]:
    """Whoever wrote it may take it back, anybody else who approves decides about it."""
    if own:
        return allowed - {"reply", "resume"} | {"take_back"}
    decides = {"approve"} if "reply" in allowed else set()
    return allowed - {"resume"} | decides | ({"send_back"} if "resume" in allowed else set())


def _drafted(found: _Found) -> int | None:
    """Who wrote the answer that waits."""
    return next((one["author"] for one in reversed(found.messages) if drafts.WAITS in one["marks"]), None)


def _find(s: Connection, within: sa.ColumnElement[bool], number: int) -> _Found:
    row = s.execute(_listed().where(ticket.c.id == known(number), within)).mappings().first()
    if row is None:
        raise NotFound(f"ticket {number}")
    said = sa.select(message, contact.c.value).join(contact, contact.c.id == message.c.contact, isouter=True)
    messages = _of(s, said.where(message.c.ticket == number).order_by(message.c.seq))
    events = _of(s, sa.select(event).where(event.c.ticket == number).order_by(event.c.seq))
    there = points.of_ticket(s, number)
    return _Found(
        row,
        messages,
        _of(s, sa.select(file).where(file.c.ticket == number, file.c.state == "kept").order_by(file.c.id)),
        _of(s, _sent(number)),
        events,
        frozenset(s.execute(sa.select(raw.c.message).where(raw.c.message.in_([m["id"] for m in messages]))).scalars()),
        _staff_names(s, [m["author"] for m in messages], [e["actor"] for e in events]),  # who approved is an actor, too
        _of(s, _same_contact(row, within)) if row["contact"] is not None else [],
        calls.of(s, [one.contact for one in there]),
        there,
        points.sealed(s, [one.contact for one in there]),
    )


def _of(s: Connection, ask: sa.Select[Any]) -> Sequence[RowMapping]:
    return s.execute(ask).mappings().all()


def _sent(number: int) -> sa.Select[Any]:
    ask = sa.select(outbox, contact.c.value).join(contact, contact.c.id == outbox.c.contact, isouter=True)
    return ask.where(outbox.c.ticket == number).order_by(outbox.c.id)


def _same_contact(row: RowMapping, within: sa.ColumnElement[bool]) -> sa.Select[Any]:
    ask = _listed().where(ticket.c.contact == row["contact"], ticket.c.id != row["id"], within)
    return ask.order_by(ticket.c.at.desc(), ticket.c.id.desc()).limit(OTHERS)


def _staff_names(s: Connection, authors: Iterable[int | None], actors: Iterable[str]) -> dict[int, str]:
    wanted = {one for one in authors if one is not None}
    wanted |= {int(word.removeprefix("staff:")) for word in actors if word.startswith("staff:")}
    return {row.id: row.name for row in s.execute(sa.select(staff.c.id, staff.c.name).where(staff.c.id.in_(wanted)))}


def _message(office: Office, found: _Found, one: RowMapping) -> MessageView:
    ours = one["author"] is not None
    return MessageView(
        id=one["id"], seq=one["seq"], way=Way(one["way"]), channel=one["channel"],
        author=found.names.get(one["author"], "") if ours else _writer(office, found, one), text=one["text"],
        quoted=one["quoted"], at=one["at"],
        files=[kept(row) for row in found.files if row["message"] == one["id"]],
        deliveries=[delivery(office, row) for row in found.deliveries if row["message"] == one["id"]],
        has_raw=one["id"] in found.raws or one["raw_key"] is not None, withdrawn=one["withdrawn_at"] is not None,
        marks=one["marks"], meta=one["meta"], approver=found.names.get(one["meta"].get("approved_by"), ""),
    )  # fmt: skip


def _writer(office: Office, found: _Found, one: RowMapping) -> str:
    """The ticket's person; for what came from elsewhere, from where."""
    if one["contact"] is None or one["contact"] == found.row["contact_id"]:
        return _person(office, found.row)
    return cipher.unseal(office.keyring, "contact", "value", one["contact"], one["value"]).decode()


def kept(row: RowMapping) -> KeptFile:
    """A row of `file` as channels and screens know it."""
    return KeptFile(row["key"], row["label"], row["type"], row["size"], row["seconds"], scan_of(row))


def scan_of(row: RowMapping) -> Scan | None:
    """What the scanner said of a file's row."""
    return Scan(row["scan"]) if row["scan"] else None


def delivery(office: Office, row: RowMapping) -> Delivery:
    """A row of `outbox` (with its contact's `value`) as its line in the thread."""
    to = (
        cipher.unseal(office.keyring, "contact", "value", row["contact"], row["value"]).decode() if row["value"] else ""
    )
    return Delivery(
        outbox=row["id"], channel=row["channel"], to=to, state=row["state"], why=row["why"], attempt=row["attempt"],
        at=row["done_at"] or row["at"], parts=row["parts"], cost=row["cost"],
    )  # fmt: skip


def _event(found: _Found, one: RowMapping) -> EventView:
    actor = str(one["actor"])
    if actor.startswith("staff:"):
        actor = found.names.get(int(actor.removeprefix("staff:")), actor)
    return EventView(one["seq"], one["kind"], actor, one["at"], one["data"])
