"""Handing out outbox rows: who may send what now, under a lease, with all a channel needs to say. SQL only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from core import held, points, questions
from core.channels import Outbound
from core.cipher import Keyring, pin, unseal
from core.model import KeptFile, Purpose
from core.schema import code, mail_id, meta, outbox, ticket, unit
from core.sending import CALL_LEASE, LEASE, UNFINISHED, UNORDERED, Fact, Stage, move

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
        if held.ALONG in facts:
            facts[held.ALONG] = [(code, pin(ring, key, number)) for number, key, code in facts[held.ALONG]]
        return replace(self.message, to=to, facts=facts)


def claim(s: Connection, channel: str, n: int, now: int, worker: str) -> list[Claimed]:
    """Hand out up to `n` due rows of `channel` under a lease, each to one worker only.

    A row waits for earlier unfinished ones of its (ticket, channel); receipts and one-time codes do not. A row whose
    lease ran out, or that was in doubt, comes as `in_doubt`: looked up first.
    """
    lease = CALL_LEASE if channel == "phone" else LEASE
    state = sa.case((outbox.c.state == Stage.WAITING, Stage.SENDING.value), else_=Stage.UNKNOWN.value)
    ready = ready_rows(channel, now, n).cte("ready")
    deed = (
        sa.update(outbox)
        .where(outbox.c.id.in_(sa.select(ready.c.id)))
        .values(
            state=state,
            due_at=now + lease * 1000,
            attempt=outbox.c.attempt + 1,
            fence=outbox.c.fence + 1,
            worker=worker,
            doubt_at=sa.case((outbox.c.state == Stage.WAITING, None), else_=sa.func.coalesce(outbox.c.doubt_at, now)),
        )
        .returning(*outbox.c)
    )
    rows = sorted(s.execute(deed).mappings(), key=lambda row: (row["lane"], row["seq"], row["id"]))
    questions.ask_verdicts(s, rows, now)
    return _claimed(s, rows, now) if rows else []


def orphaned(s: Connection, now: int) -> int:
    """Where only one process can have the store: what was claimed before this start is nobody's. It is due at once,
    and comes as in doubt. How many."""
    claimed = outbox.c.worker.is_not(None)
    rows = sa.update(outbox).where(unfinished(outbox.c.state), claimed, outbox.c.due_at > now)
    return s.execute(rows.values(due_at=now, worker=None)).rowcount


def ready_rows(channel: str, now: int, n: int) -> sa.Select[Any]:
    """Numbers of up to `n` rows that may be claimed, the most urgent first; PostgreSQL passes over locked ones."""
    return _ready(channel, now, n).with_for_update(skip_locked=True, of=outbox)


def _ready(channel: str, now: int, n: int) -> sa.Select[Any]:
    ask = sa.select(outbox.c.id, outbox.c.due_at).where(*_free(channel), outbox.c.due_at <= now)
    return ask.order_by(outbox.c.lane, outbox.c.due_at, outbox.c.id).limit(n)


def unfinished(state: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Waiting, sending or unknown; written out, so that the indexes over unfinished rows alone are used."""
    return state.in_(sa.bindparam(None, list(UNFINISHED), expanding=True, literal_execute=True))


def _of(channel: str) -> tuple[sa.ColumnElement[bool], ...]:
    """The unfinished rows of `channel`; naming the lane makes SQLite take the short index, not that of refs."""
    return (outbox.c.channel == channel, outbox.c.lane >= 0, unfinished(outbox.c.state))


def _free(channel: str) -> tuple[sa.ColumnElement[bool], ...]:
    """Unfinished rows of `channel` that wait for no earlier one."""
    earlier = outbox.alias("earlier")
    blocked = sa.exists().where(
        earlier.c.ticket == outbox.c.ticket,
        earlier.c.channel == outbox.c.channel,
        unfinished(earlier.c.state),
        earlier.c.purpose.not_in(UNORDERED),
        sa.or_(earlier.c.seq < outbox.c.seq, sa.and_(earlier.c.seq == outbox.c.seq, earlier.c.id < outbox.c.id)),
    )
    return (*_of(channel), sa.or_(outbox.c.purpose.in_(UNORDERED), ~blocked))


def too_late(s: Connection, channel: str, now: int) -> Sequence[RowMapping]:
    """Give up the rows of `channel` that are not worth sending any more; they, as they are now."""
    deed = (
        sa.update(outbox)
        .where(*_of(channel), outbox.c.state == Stage.WAITING, outbox.c.due_at <= now, outbox.c.not_after <= now)
        .values(state=move(Stage.WAITING, Fact.TOO_LATE), why="too_late", done_at=now)
        .returning(*outbox.c)
    )
    return s.execute(deed).mappings().all()


def next_due(s: Connection, channel: str, now: int) -> int | None:
    """When a row that waits for no other is due, ms UTC; None when there is none.

    Any that may be claimed at once, else the soonest: a long queue is not looked through.
    """
    first = s.execute(_ready(channel, now, 1)).first()
    found = first.due_at if first is not None else s.execute(due_rows(channel)).scalar_one()
    return None if found is None else int(found)


def due_rows(channel: str) -> sa.Select[Any]:
    """The question `next_due` asks."""
    return sa.select(sa.func.min(outbox.c.due_at)).where(*_free(channel))


def _claimed(s: Connection, rows: Sequence[RowMapping], now: int) -> list[Claimed]:
    tickets = _about(s, {row["ticket"] for row in rows if row["ticket"] is not None})
    contacts = points.sealed(s, {row["contact"] for row in rows if row["contact"] is not None})
    epoch = int(s.execute(sa.select(meta.c.value).where(meta.c.key == "epoch")).scalar_one_or_none() or 0)
    return [_hand_out(s, row, tickets.get(row["ticket"]), contacts, epoch, held.along(s, row, now)) for row in rows]


def _hand_out(
    s: Connection, row: RowMapping, about: RowMapping | None, contacts: Mapping[int, bytes], epoch: int,
    told: Mapping[str, Any],
) -> Claimed:  # fmt: skip
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
        facts=_facts(about, row["lang"], told) if about else told,
        files=tuple(KeptFile(**kept) for kept in row["files"]),
        not_after=row["not_after"],
        in_doubt=row["state"] == Stage.UNKNOWN,
        attempt=row["attempt"],
        epoch=epoch,
        thread=_thread(s, row) if about and row["channel"] == "mail" else row["thread"],
        doubt_at=row["doubt_at"],
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


def _facts(about: RowMapping, lang: str, told: Mapping[str, Any]) -> dict[str, Any]:
    names = about["names"] or {}
    return {
        "code": about["code"],
        "unit": names.get(lang) or next(iter(names.values()), about["unit"]),
        "unit_slug": about["unit"],
        "unit_email": about["unit_email"],
        "subject": about["subject"],
        "kind": about["kind"],
        "state": about["state"],
        "at": about["at"],
        "due_at": about["due_at"],
        "answered_at": about["answered_at"],
        **told,
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
