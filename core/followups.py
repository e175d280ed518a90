"""Messages that continue a ticket: additions, acceptance, objection, withdrawal, letters whose hints lead to one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from core import automatic, cipher, fresh, outbox, points, proofs, questions, shared, text
from core.automatic import Wish
from core.channels import Act, Auto, Hint, HintKind, Inbound, Receipt, Trust
from core.errors import Guarded, NotFound
from core.model import Purpose, State
from core.prepared import Prepared, Row
from core.schema import code, contact, file, mail_id, message, participant, raw, ticket
from core.schema import outbox as outbox_table
from core.states import move
from core.turn import lock as lock_ticket
from core.turn import turn

DAYS = 86_400_000  #: ms
LATE = 30 * DAYS  #: after an answer it is too late to object; after closing a word opens a new ticket
NOBODY = 0  #: stands for the ticket of an unknown code
TOP = 2  #: the level of the oversight; past it the refusal names the outside body
HOLDS = (Trust.PASS, Trust.UNJUDGED)
ACKS = {
    Act.ADD: "added",
    Act.NEW: "added",
    Act.ACCEPT: "accepted",
    Act.OBJECT: "objected",
    Act.WITHDRAW: "withdrawn",
}
EVENTS = {Act.ACCEPT: "accept", Act.WITHDRAW: "withdraw"}
BESIDE, OTHER = "beside", "other_number"  #: marks: for staff to accept or split; from somebody else's number
SPLIT = "split"  #: mark: it has become a ticket of its own


@dataclass(frozen=True, slots=True)
class Target:
    """The ticket a message leads to. `joins`: append it; else it is new and linked. `mark`: appended, moves nothing."""

    ticket: int
    joins: bool = True
    mark: str | None = None


def lock(s: Connection, items: Sequence[Prepared]) -> set[int]:
    """Hold the tickets `items` lead to; the messages (by number) whose ticket another transaction holds now.

    Nobody is waited for, so that one ticket never keeps the others, and two batches never wait for each other.
    """
    if s.dialect.name == "sqlite":
        return set()
    wanted: dict[int, int] = {}
    for item in items:
        found = _by_code(s, item.inbound.code) if item.inbound.act is not Act.NEW else _by_hints(s, item)
        if found:
            wanted[item.number] = found if isinstance(found, int) else found.ticket
    ask = sa.select(ticket.c.id).where(ticket.c.id.in_(set(wanted.values()))).with_for_update(skip_locked=True)
    ours = set(s.execute(ask).scalars())
    return {number for number, about in wanted.items() if about not in ours}


def write(s: Connection, item: Prepared) -> Receipt:
    """Append `item` to its ticket, or make it a new one. Raises NotFound, WrongState, Guarded."""
    rows = fresh.look(s, [item])[item.inbound.channel, item.ref]
    same = next((row.message for row in rows if row.body_hash == item.body), None)
    if same is not None:
        shared.again(s, [(same, item.units)], item.at)
        return fresh.repeat(fresh.receipts(s, [same], item.ring)[same])
    target = _named(s, item) if item.inbound.act is not Act.NEW else _by_hints(s, item)
    if target is None:
        return fresh.write(s, [item])[0]
    row = lock_ticket(s, target.ticket)
    if not target.joins or _is_over(row, item):
        return _linked(s, item, row["id"])
    marks = ([fresh.SAME_ID] if rows else []) + ([target.mark] if target.mark else [])
    return _append(s, item, row, marks, moves=target.mark is None)


# ---------------------------------------------------------------- which ticket


def _named(s: Connection, item: Prepared) -> Target:
    """The ticket of the code, if the sender may. Raises NotFound, which says nothing of why."""
    number = _by_code(s, item.inbound.code)
    proven = _proven(s, item, number or NOBODY)  # as much work for a code nobody has
    if number is None:
        raise NotFound("no such ticket, or no proof")
    if proven:
        return Target(number)
    if item.inbound.act is Act.ADD and item.inbound.channel == "sms" and item.inbound.proof is None:
        return Target(number, mark=OTHER)
    raise NotFound("no such ticket, or no proof")


def _by_code(s: Connection, value: str | None) -> int | None:
    return s.execute(sa.select(code.c.ticket).where(code.c.kind == "tracking", code.c.value == value)).scalar()


def _proven(s: Connection, item: Prepared, number: int) -> bool:
    """By a signed pass, an operator, the contact it came from, or the PIN."""
    if item.inbound.operator is not None:
        return True
    if any(hint.kind is HintKind.TICKET and hint.value == str(number) for hint in item.inbound.hints):
        if item.inbound.channel != "mail":
            return True
        mine = frozenset((item.contact["blind"],)) if item.contact is not None else frozenset()
        return bool(mine) and item.inbound.trust in HOLDS and _takes_part(s, number, mine)  # a token can be passed on
    if item.proofs and _takes_part(s, number, item.proofs):
        return True
    typed = text.digits(text.clean(item.inbound.proof or "")).strip()
    key = s.execute(sa.select(ticket.c.pin_key).where(ticket.c.id == number)).scalar() or item.ring.newest
    return cipher.same(typed, cipher.pin(item.ring, key, number))


def _takes_part(s: Connection, number: int, blinds: frozenset[bytes]) -> bool:
    mine = sa.select(ticket.c.contact).where(ticket.c.id == number)
    others = sa.select(participant.c.contact).where(participant.c.ticket == number)
    ask = sa.select(contact.c.id).where(
        contact.c.blind.in_(sorted(blinds)), sa.or_(contact.c.id.in_(mine), contact.c.id.in_(others))
    )
    return s.execute(ask.limit(1)).first() is not None


def _by_hints(s: Connection, item: Prepared) -> Target | None:
    """The first hint that leads to a ticket decides."""
    for hint in item.inbound.hints:
        number = _ticket_of(s, hint)
        if number is not None:
            return _judge(s, item, hint, number)
    return None


def _ticket_of(s: Connection, hint: Hint) -> int | None:
    match hint.kind:
        case HintKind.TICKET:
            known = int(hint.value) if hint.value.isascii() and hint.value.isdecimal() else 0
            return s.execute(sa.select(ticket.c.id).where(ticket.c.id == min(known, 2**53))).scalar()
        case HintKind.CODE:
            return _by_code(s, hint.value)
        case HintKind.SEEN_ID | HintKind.OWN_ID:
            ask = sa.select(mail_id.c.ticket).where(mail_id.c.hash == id_hash(hint.value)).order_by(mail_id.c.id)
            return s.execute(ask.limit(1)).scalar() or _sent_as(s, hint.value)
    return None


def _sent_as(s: Connection, value: str) -> int | None:
    """The ticket of a letter we sent under this Message-ID."""
    bare = text.clean(value).strip().strip("<>")
    ask = sa.select(outbox_table.c.ticket).where(
        outbox_table.c.channel == "mail", outbox_table.c.ref.in_((bare, f"<{bare}>"))
    )
    return s.execute(ask.limit(1)).scalar()


def _judge(s: Connection, item: Prepared, hint: Hint, number: int) -> Target:
    heard = item.inbound
    blinds = frozenset((item.contact["blind"],)) if item.contact is not None else frozenset()
    knows = bool(blinds) and _takes_part(s, number, blinds)
    if heard.channel == "mail":
        identity = heard.trust is Trust.PASS if hint.kind is HintKind.CODE else heard.trust in HOLDS
    else:
        identity = heard.contact is not None and heard.contact.proven
    if hint.kind in (HintKind.TICKET, HintKind.OWN_ID):
        sure = (identity and knows) or (heard.channel != "mail" and hint.kind is HintKind.TICKET)
        return Target(number, mark=None if sure else BESIDE)
    return Target(number, joins=identity and knows)


def id_hash(value: str) -> bytes:
    """16 octets over a Message-ID without its brackets."""
    return blake2b(value.strip().strip("<>").encode(errors="replace"), digest_size=16).digest()


def _is_over(row: RowMapping, item: Prepared) -> bool:
    """Has the ticket been closed so long that a new word opens a new one?"""
    adds = item.inbound.act in (Act.NEW, Act.ADD)
    return adds and row["state"] == State.CLOSED and item.at - (row["closed_at"] or 0) > LATE


def _linked(s: Connection, item: Prepared, related: int) -> Receipt:
    item.ticket["related"] = related
    return fresh.write(s, [item])[0]


# ---------------------------------------------------------------- what it does there


def _append(s: Connection, item: Prepared, row: RowMapping, marks: list[str], moves: bool) -> Receipt:
    heard, number, seq = item.inbound, item.number, row["seq"] + 1
    fresh.note_seen(s, [item], row["id"])
    fresh.link_contacts(s, [item])
    mine = item.message | {"ticket": row["id"], "seq": seq, "marks": [*item.message["marks"], *marks]}
    s.execute(sa.insert(message), [mine])
    _beside_it(s, item, row["id"])
    event, changes = _event(item, row) if moves else ("note", {})
    data: dict[str, Any] = {"message": number, "channel": heard.channel} | changes.pop("data", {})
    if marks:
        data["marks"] = marks
    actor = f"staff:{heard.operator}" if heard.operator is not None else "citizen"
    kind = heard.act.value if heard.act not in (Act.NEW, Act.ADD) else "hear"
    cal = item.book.calendar_of(changes.get("unit", row["unit"]))
    turn(s, row, event, actor, item.at, cal, kind=kind, data=data, text=mine["text"], changes=changes | {"seq": seq})
    if moves:
        shared.add(s, row["id"], item.units, number, item.at)
    proven = moves and heard.channel == "mail" and proofs.by_token(s, item, row)
    if moves and not proven:
        _acknowledge(s, item, row, seq)
    questions.close(s, heard.answers)
    if heard.asks is not None and item.contact is not None:
        questions.ask(s, heard.channel, heard.line, item.contact["blind"], row["id"], heard.asks, item.at)
    return fresh.receipts(s, [number], item.ring)[number]


def _beside_it(s: Connection, item: Prepared, number: int) -> None:
    """The original, files and Message-ID of an appended message."""
    if item.raw is not None:
        s.execute(sa.insert(raw), [item.raw])
    if item.files:
        s.execute(sa.insert(file), [one | {"ticket": number} for one in item.files])
    if item.mail is not None:
        known = sa.select(mail_id.c.id).where(mail_id.c.hash == item.mail["hash"], mail_id.c.ticket == number)
        if s.execute(known).first() is None:
            s.execute(sa.insert(mail_id), [item.mail | {"ticket": number}])


def _event(item: Prepared, row: RowMapping) -> tuple[str, Row]:
    """The event a message fires and the columns that go with it."""
    act = item.inbound.act
    if act is Act.OBJECT:
        return "object", _objection(item, row)
    if act in EVENTS:
        return EVENTS[act], {}
    if item.inbound.auto is not Auto.NO:
        return "note", {}
    return ("reopen" if row["state"] == State.CLOSED else "hear"), {}


def _objection(item: Prepared, row: RowMapping) -> Row:
    """One level up, to somebody else. Raises WrongState, Guarded(last_level, too_late, objected_once)."""
    move(State(row["state"]), "object")
    answered = row["answered_at"] or row["closed_at"] or row["at"]
    if row["level"] >= TOP:
        raise Guarded("last_level")
    if item.at - answered > LATE:
        raise Guarded("too_late")
    if row["objected_at"] is not None and row["objected_at"] >= answered:
        raise Guarded("objected_once")
    level = row["level"] + 1
    above = item.book.above(row["unit"], level)
    return {
        "level": level, "unit": above, "assignee": None, "objected_at": item.at,
        "data": {"level": level, "left": row["unit"], "unit": above},
    }  # fmt: skip


def _acknowledge(s: Connection, item: Prepared, row: RowMapping, seq: int) -> None:
    heard = item.inbound
    key, kind = heard.ack or ACKS.get(heard.act), points.KIND_OF.get(heard.channel)
    if key is None or item.contact is None or item.contact["kind"] != kind or not may_tell(heard):
        return
    if heard.channel == "mail" and not heard.exempt:
        wish = Wish(item.number, automatic.OTHER, item.contact["blind"], item.domain, row["id"])
        if not automatic.grant(s, [wish], item.at):
            return
    outbox.put(
        s, ticket=row["id"], seq=seq, channel=heard.channel, purpose=Purpose.STATE, now=item.at, message=item.number,
        contact=item.message["contact"], line=heard.line, lang=heard.lang, key=key,
    )  # fmt: skip


def may_tell(heard: Inbound) -> bool:
    """May an automatic sentence go back to this sender?"""
    told = not heard.quiet and heard.auto is Auto.NO and not heard.held
    return told and (heard.channel != "mail" or heard.trust in HOLDS)
