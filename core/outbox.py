"""The outbox: one row for each thing to tell one person outside. SQL only; its states are in `core.sending`."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from core import events, ids, points
from core.channels import DeliveryState, Outbound, Outcome, Refused, Sent, TryLater, Unknown
from core.cipher import Keyring, pin, unseal
from core.model import KeptFile, Purpose
from core.schema import code, delivery, mail_id, meta, outbox, ticket, unit
from core.sending import (
    CALL_LEASE,
    KEPT_REPORTS,
    LANES,
    LEASE,
    LOOKS,
    LOST,
    UNFINISHED,
    UNORDERED,
    WAITS,
    WORTH,
    Fact,
    Stage,
    move,
    wait,
)

REFERENCES = 20  # Message-IDs told in References, the newest


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row handed to a worker: what to send, still sealed, and the fence that its result must show."""

    id: int
    fence: int
    message: Outbound
    sealed: tuple[str, str, int, bytes] | None  #: table, column, row, data of the address
    pin: tuple[int, int] | None  #: key number and ticket of its PIN; receipts tell it

    def open(self, ring: Keyring) -> Outbound:
        """The message with its address and PIN in clear; outside of any transaction."""
        to = unseal(ring, *self.sealed).decode() if self.sealed else ""
        facts = dict(self.message.facts)
        if self.pin is not None:
            facts["pin"] = pin(ring, *self.pin)
        return replace(self.message, to=to, facts=facts)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one claim."""

    row: int
    fence: int
    outcome: Outcome


def put(
    s: Connection,
    *,
    ticket: int,
    seq: int,
    channel: str,
    purpose: Purpose,
    now: int,
    message: int | None = None,
    contact: int | None = None,
    to: bytes = b"",
    line: str | None = None,
    lang: str = "fa",
    text: str = "",
    key: str | None = None,
    facts: Mapping[str, Any] | None = None,
    files: Sequence[KeptFile] = (),
    due_at: int | None = None,
    not_after: int | None = None,
    after: int | None = None,
) -> int:
    """Add a row; returns its id. `seq` is the message's on its ticket and orders rows of one (ticket, channel).

    The address is the contact's own; `to` (sealed as outbox.to under the row's id) only where there is no contact.
    """
    number = ids.outbox(s)
    worth = not_after if not_after is not None else (due_at or now) + WORTH[purpose] * 1000
    s.execute(
        sa.insert(outbox).values(
            id=number, at=now, ticket=ticket, seq=seq, message=message, channel=channel, line=line, contact=contact,
            to=to, purpose=purpose, lane=LANES[purpose], state=Stage.WAITING, lang=lang, text=text, key=key,
            facts=dict(facts or {}), files=[_plain(kept) for kept in files], due_at=due_at or now, not_after=worth,
            after=after,
        )
    )  # fmt: skip
    return number


def claim(s: Connection, channel: str, n: int, now: int, worker: str) -> list[Claimed]:
    """Hand out up to `n` due rows of `channel` under a lease, each to one worker only.

    A row waits for earlier unfinished ones of its (ticket, channel); receipts and one-time codes do not. A row whose
    lease ran out, or that was in doubt, comes as `in_doubt`: looked up first.
    """
    _too_late(s, channel, now)
    lease = CALL_LEASE if channel == "phone" else LEASE
    state = sa.case((outbox.c.state == Stage.WAITING, Stage.SENDING.value), else_=Stage.UNKNOWN.value)
    ready = _ready(channel, now, n)
    deed = (
        sa.update(outbox)
        .where(outbox.c.id.in_(sa.select(ready.c.id)))
        .values(
            state=state,
            due_at=now + lease * 1000,
            attempt=outbox.c.attempt + 1,
            fence=outbox.c.fence + 1,
            worker=worker,
        )
        .returning(*outbox.c)
    )
    rows = sorted(s.execute(deed).mappings(), key=lambda row: (row["lane"], row["seq"], row["id"]))
    return _claimed(s, rows) if rows else []


def _ready(channel: str, now: int, n: int) -> sa.CTE:
    return (
        sa.select(outbox.c.id)
        .where(*_free(channel), outbox.c.due_at <= now)
        .order_by(outbox.c.lane, outbox.c.due_at, outbox.c.id)
        .limit(n)
        .with_for_update(skip_locked=True, of=outbox)
        .cte("ready")
    )


def _free(channel: str) -> tuple[sa.ColumnElement[bool], ...]:
    """Unfinished rows of `channel` that wait for no earlier one."""
    earlier = outbox.alias("earlier")
    blocked = sa.exists().where(
        earlier.c.ticket == outbox.c.ticket,
        earlier.c.channel == outbox.c.channel,
        earlier.c.state.in_(UNFINISHED),
        earlier.c.purpose.not_in(UNORDERED),
        sa.or_(earlier.c.seq < outbox.c.seq, sa.and_(earlier.c.seq == outbox.c.seq, earlier.c.id < outbox.c.id)),
    )
    mine = sa.and_(outbox.c.channel == channel, outbox.c.state.in_(UNFINISHED))
    return (mine, sa.or_(outbox.c.purpose.in_(UNORDERED), ~blocked))


def _too_late(s: Connection, channel: str, now: int) -> None:
    s.execute(
        sa.update(outbox)
        .where(outbox.c.channel == channel, outbox.c.state == Stage.WAITING, outbox.c.due_at <= now)
        .where(outbox.c.not_after <= now)
        .values(state=move(Stage.WAITING, Fact.TOO_LATE), why="too_late", done_at=now)
    )


def next_due(s: Connection, channel: str) -> int | None:
    """When the next row that waits for no other is due, ms UTC; None when there is none."""
    found = s.execute(sa.select(sa.func.min(outbox.c.due_at)).where(*_free(channel))).scalar_one()
    return None if found is None else int(found)


def _claimed(s: Connection, rows: Sequence[RowMapping]) -> list[Claimed]:
    tickets = _about(s, {row["ticket"] for row in rows if row["ticket"] is not None})
    contacts = points.sealed(s, {row["contact"] for row in rows if row["contact"] is not None})
    epoch = int(s.execute(sa.select(meta.c.value).where(meta.c.key == "epoch")).scalar_one_or_none() or 0)
    return [_hand_out(s, row, tickets.get(row["ticket"]), contacts, epoch) for row in rows]


def _hand_out(
    s: Connection, row: RowMapping, about: RowMapping | None, contacts: Mapping[int, bytes], epoch: int
) -> Claimed:
    body = Outbound(
        id=row["id"],
        channel=row["channel"],
        to="",
        purpose=Purpose(row["purpose"]),
        ticket=row["ticket"] or 0,
        message=row["message"],
        line=row["line"] or (about["line"] if about and about["channel"] == row["channel"] else None),
        lang=row["lang"],
        text=row["text"],
        key=row["key"],
        facts=_facts(about, row) if about else row["facts"],
        files=tuple(KeptFile(**kept) for kept in row["files"]),
        not_after=row["not_after"],
        in_doubt=row["state"] == Stage.UNKNOWN,
        attempt=row["attempt"],
        epoch=epoch,
        thread=_thread(s, row) if about and row["channel"] == "mail" else row["thread"],
    )
    pin_of = (about["pin_key"], row["ticket"]) if about and row["purpose"] == Purpose.RECEIPT else None
    return Claimed(row["id"], row["fence"], body, _address(row, contacts), pin_of)


def _address(row: RowMapping, contacts: Mapping[int, bytes]) -> tuple[str, str, int, bytes] | None:
    if row["contact"] is not None:
        return ("contact", "value", row["contact"], contacts[row["contact"]])
    return ("outbox", "to", row["id"], row["to"]) if row["to"] else None


def _about(s: Connection, numbers: set[int]) -> dict[int, RowMapping]:
    ask = (
        sa.select(ticket, code.c.value.label("code"), unit.c.names, unit.c.email.label("unit_email"))
        .join(code, sa.and_(code.c.ticket == ticket.c.id, code.c.kind == "tracking"))
        .join(unit, sa.and_(unit.c.slug == ticket.c.unit, unit.c.agency == ticket.c.agency), isouter=True)
        .where(ticket.c.id.in_(numbers))
    )
    return {row["id"]: row for row in s.execute(ask).mappings()}


def _facts(about: RowMapping, row: RowMapping) -> dict[str, Any]:
    names = about["names"] or {}
    return {
        "code": about["code"],
        "unit": names.get(row["lang"]) or next(iter(names.values()), about["unit"]),
        "unit_slug": about["unit"],
        "unit_email": about["unit_email"],
        "subject": about["subject"],
        "kind": about["kind"],
        "state": about["state"],
        "at": about["at"],
        "due_at": about["due_at"],
        "answered_at": about["answered_at"],
        **row["facts"],
    }


def _thread(s: Connection, row: RowMapping) -> dict[str, Any]:
    """Mail's place in its conversation: Message-IDs of both sides in order, and the recipient's participant number."""
    theirs = sa.select(mail_id.c.at, mail_id.c.id, mail_id.c.value, sa.literal("in").label("way")).where(
        mail_id.c.ticket == row["ticket"], mail_id.c.value != ""
    )
    ours = sa.select(outbox.c.done_at, outbox.c.id, outbox.c.ref, sa.literal("out")).where(
        outbox.c.ticket == row["ticket"], outbox.c.channel == "mail", outbox.c.ref.is_not(None)
    )
    known = list(
        dict.fromkeys((v, way) for _, _, v, way in sorted(tuple(r) for r in s.execute(theirs.union_all(ours))))
    )
    got = [value for value, way in known if way == "in"]
    told = [value for value, _ in known]
    answered = got[-1] if got else (told[-1] if told else None)
    return {
        **row["thread"],
        "in_reply_to": answered,
        "references": [value for value in dict.fromkeys(told) if value != answered][-(REFERENCES - 1) :]
        + ([answered] if answered else []),
        "participant": points.participant_of(s, row["ticket"], row["contact"]),
    }


def give_back(s: Connection, claims: Sequence[Claimed], now: int) -> None:
    """A clean stop: these claims were certainly not tried; they are due at once for whoever comes next."""
    for claimed in claims:
        back = sa.case((outbox.c.state == Stage.SENDING, Stage.WAITING.value), else_=outbox.c.state)
        s.execute(
            sa.update(outbox)
            .where(outbox.c.id == claimed.id, outbox.c.fence == claimed.fence)
            .where(outbox.c.state.in_((Stage.SENDING, Stage.UNKNOWN)))
            .values(state=back, due_at=now, attempt=outbox.c.attempt - 1, worker=None)
        )


def record(s: Connection, results: Sequence[Result], now: int) -> None:
    """Record what came of several claims in one transaction, tickets locked in order."""
    wanted = sa.select(outbox.c.ticket).where(outbox.c.id.in_([result.row for result in results]))
    s.execute(sa.select(ticket.c.id).where(ticket.c.id.in_(wanted)).order_by(ticket.c.id).with_for_update()).all()
    for result in results:
        done(s, result.row, result.fence, result.outcome, now)


def done(s: Connection, row: int, fence: int, outcome: Outcome, now: int) -> Stage | None:
    """Record what came of a claim; the stage after it, None when it no longer counts.

    With an old fence (the lease ran out, another has it) only Sent is still recorded: it did reach the outside.
    """
    found = _lock(s, row)
    if found is None:
        return None
    stage = Stage(found["state"])
    mine = found["fence"] == fence and stage in (Stage.SENDING, Stage.UNKNOWN)
    if not mine and not (isinstance(outcome, Sent) and stage in (*UNFINISHED, Stage.PARKED)):
        return None
    return _settle(s, found, stage, outcome, now)


def _settle(s: Connection, row: RowMapping, stage: Stage, outcome: Outcome, now: int) -> Stage:
    after = move(stage, _fact(stage, outcome))
    values: dict[str, Any] = {"state": after, "worker": None, "why": "" if isinstance(outcome, Sent) else outcome.why}
    if isinstance(outcome, Sent):
        values |= {"ref": outcome.ref, "cost": outcome.cost, "done_at": now}
    elif after in UNFINISHED:
        told = None if isinstance(outcome, Refused) else outcome.after
        steps = LOOKS if after is Stage.UNKNOWN else WAITS
        values["due_at"] = now + wait(row["attempt"], told, random.random(), steps)
    else:
        values["done_at"] = now
    s.execute(sa.update(outbox).where(outbox.c.id == row["id"]).values(values))
    return _tell(s, row, after, values, now)


def _tell(s: Connection, row: RowMapping, after: Stage, values: Mapping[str, Any], now: int) -> Stage:
    """What follows a new stage: early reports after acceptance, the next point after a loss, a line in the log."""
    if after is Stage.ACCEPTED and values["ref"]:
        return _early_reports(s, row["id"], row["channel"], values["ref"], now)
    if after in LOST:
        _log(s, row, after, values["why"], now)
        fall_back(s, row["id"], now)
    elif after is Stage.PARKED:
        _log(s, row, after, values["why"], now)
    return after


def _fact(stage: Stage, outcome: Outcome) -> Fact:
    match outcome:
        case Sent():
            return Fact.FOUND if outcome.found and stage is not Stage.WAITING else Fact.ACCEPTED
        case TryLater():
            return Fact.NOT_FOUND if stage is Stage.UNKNOWN else Fact.TRY_LATER
        case Refused():
            return Fact.REFUSED
        case Unknown():
            return Fact.HORIZON if outcome.park else Fact.DOUBT


def fall_back(s: Connection, row: int, now: int) -> int | None:
    """Try the person's next proven contact point; None when there is none left (dead, shown to operators)."""
    lost = _lock(s, row)
    if lost is None or lost["ticket"] is None or lost["purpose"] == Purpose.OTP:
        return None
    tried = sa.select(outbox.c.contact).where(
        outbox.c.ticket == lost["ticket"], outbox.c.message == lost["message"], outbox.c.purpose == lost["purpose"]
    )
    point = points.next_proven(s, lost["ticket"], set(s.execute(tried).scalars()))
    if point is None:
        return None
    number = put(
        s, ticket=lost["ticket"], seq=lost["seq"], channel=point.channel, purpose=Purpose(lost["purpose"]), now=now,
        message=lost["message"], contact=point.contact, lang=lost["lang"], text=lost["text"], key=lost["key"],
        facts=lost["facts"], files=[KeptFile(**kept) for kept in lost["files"]], after=row,
    )  # fmt: skip
    events.add(s, lost["ticket"], "out.fallback", "system", {"outbox": row, "next": number, "channel": point.channel})
    return number


def reported(s: Connection, channel: str, ref: str, state: DeliveryState, why: str, now: int) -> Stage | None:
    """A peer's word about something sent, once; kept 72 h when its send is not recorded yet. Never goes backwards."""
    row = s.execute(_by_ref(channel, ref)).mappings().first()
    known = s.execute(
        sa.select(delivery.c.id).where(delivery.c.channel == channel, delivery.c.ref == ref, delivery.c.state == state)
    ).first()
    if known is None:
        s.execute(
            sa.insert(delivery).values(
                id=ids.new(s), at=now, channel=channel, ref=ref, state=state, why=why,
                outbox=row["id"] if row is not None else None,
            )
        )  # fmt: skip
    if row is None:
        return None
    s.execute(sa.select(ticket.c.id).where(ticket.c.id == row["ticket"]).with_for_update()).all()
    return _apply(s, row["id"], state, why, now)


def _by_ref(channel: str, ref: str) -> sa.Select[Any]:
    ask = sa.select(outbox.c.id, outbox.c.ticket).where(outbox.c.channel == channel, outbox.c.ref == ref)
    return ask.order_by(outbox.c.id.desc()).limit(1)


def _apply(s: Connection, number: int, state: DeliveryState, why: str, now: int) -> Stage | None:
    row = _lock(s, number)
    if row is None:
        return None
    stage, fact = Stage(row["state"]), Fact(f"reported.{state}")
    if stage not in (Stage.ACCEPTED, Stage.SENT) or (stage is Stage.SENT and fact is Fact.REPORTED_SENT):
        return stage
    after = move(stage, fact)
    values = {"state": after, "why": why, "done_at": now}
    s.execute(sa.update(outbox).where(outbox.c.id == number).values(values))
    if after in LOST or after is Stage.EXPIRED:
        return _tell(s, row, after, values, now)
    return after


def _early_reports(s: Connection, row: int, channel: str, ref: str, now: int) -> Stage:
    ask = sa.select(delivery).where(delivery.c.channel == channel, delivery.c.ref == ref)
    ask = ask.where(delivery.c.outbox.is_(None), delivery.c.at > now - KEPT_REPORTS * 1000)
    early = sorted(s.execute(ask).mappings(), key=lambda one: list(DeliveryState).index(DeliveryState(one["state"])))
    stage = Stage.ACCEPTED
    for one in early:
        s.execute(sa.update(delivery).where(delivery.c.id == one["id"]).values(outbox=row))
        stage = _apply(s, row, DeliveryState(one["state"]), one["why"], now) or stage
    return stage


def forget_reports(s: Connection, now: int) -> int:
    """Delete reports that waited 72 h for a send nobody recorded; how many."""
    old = sa.delete(delivery).where(delivery.c.outbox.is_(None), delivery.c.at <= now - KEPT_REPORTS * 1000)
    return int(s.execute(old).rowcount)


def resend(s: Connection, row: int, now: int) -> int:
    """Send a dead row again, under a new number, so that no provider takes it for the old one; returns the number.

    Raises WrongState when the row is not dead (parked or lost) or there is none.
    """
    found = _dead(s, row, Fact.RESEND)
    number = ids.outbox(s) if found["contact"] is not None else row
    s.execute(
        sa.update(outbox)
        .where(outbox.c.id == row)
        .values(
            id=number, state=Stage.WAITING, due_at=now, attempt=0, fence=outbox.c.fence + 1, ref=None, why="",
            done_at=None, not_after=now + WORTH[Purpose(found["purpose"])] * 1000,
        )
    )  # fmt: skip
    return number


def by_hand(s: Connection, row: int, now: int) -> None:
    """A person told the citizen another way: delivered. Raises WrongState when the row is not dead."""
    _dead(s, row, Fact.BY_HAND)
    s.execute(sa.update(outbox).where(outbox.c.id == row).values(state=Stage.DELIVERED, why="by_hand", done_at=now))


def _dead(s: Connection, row: int, fact: Fact) -> RowMapping:
    found = _lock(s, row)
    stage = Stage(found["state"]) if found is not None else Stage.DELIVERED
    move(stage, fact)
    assert found is not None
    return found


def _lock(s: Connection, row: int) -> RowMapping | None:
    return s.execute(sa.select(outbox).where(outbox.c.id == row).with_for_update()).mappings().first()


def _log(s: Connection, row: RowMapping, after: Stage, why: str, now: int) -> None:
    if row["ticket"] is None:
        return
    data = {"outbox": row["id"], "channel": row["channel"], "purpose": row["purpose"], "why": why}
    events.add(s, row["ticket"], f"out.{after}", "system", data)


def _plain(kept: KeptFile) -> dict[str, Any]:
    return {"key": kept.key, "name": kept.name, "type": kept.type, "size": kept.size, "seconds": kept.seconds}
