"""The outbox: one row for each thing to tell one person outside. SQL only; its states are in `core.sending`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from core import events, held, ids, optouts, points
from core.channels import DeliveryState
from core.cipher import Keyring, seal, unseal
from core.claims import Claimed, give_back, next_due, orphaned, too_late
from core.claims import claim as hand_out
from core.model import ContactKind, KeptFile, Purpose, State, Way
from core.schema import contact, delivery, message, outbox, ticket
from core.sending import (
    KEPT_REPORTS,
    LANES,
    LOST,
    UNHEARD,
    WORTH,
    Fact,
    Stage,
    move,
)
from core.text import clean

REASON = 500  # characters of a peer's reason

__all__ = [
    "Claimed", "by_hand", "claim", "fall_back", "forget_reports", "give_back", "next_due", "orphaned", "put",
    "reported", "resend", "unreported",
]  # fmt: skip


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
    """Give up what is too late, as for any loss, and hand out up to `n` due rows of `channel`: see core.claims."""
    for row in too_late(s, channel, now):
        tell(s, dict(row), Stage.FAILED, row["why"], now)
    return hand_out(s, channel, n, now, worker)


def tell(s: Connection, row: Mapping[str, Any], after: Stage, why: str, now: int) -> None:
    """What follows a new stage: the next point after a loss, a line in the log. `row` as it was before."""
    if after in LOST:
        held.again(s, row["id"])
        note(s, row, after, why, now)
        _unheard(s, row, fall_back(s, row["id"], now), now)
    elif after is Stage.PARKED:
        note(s, row, after, why, now)


def _unheard(s: Connection, row: Mapping[str, Any], following: int | None, now: int) -> None:
    """An answer that nobody got is none: its ticket is flagged, and the clock opens it again (core.lapses).

    So does a letter that came back, though another way is tried: it was told as answered, perhaps for days.
    """
    came_back = row["channel"] == "mail" and row["state"] in (Stage.ACCEPTED, Stage.SENT, Stage.UNKNOWN)
    if row["purpose"] != Purpose.ANSWER or row["ticket"] is None or (following is not None and not came_back):
        return
    if _answered_since(s, row["id"], row["ticket"]):
        return
    ask = sa.select(ticket.c.tags, ticket.c.state, ticket.c.version).where(ticket.c.id == row["ticket"])
    about = s.execute(ask.with_for_update()).mappings().one()
    values: dict[str, Any] = {"tags": [tag for tag in about["tags"] if tag != UNHEARD] + [UNHEARD]}
    if about["state"] in (State.ANSWERED, State.ASKED):
        values["lapse_at"] = now
    s.execute(sa.update(ticket).where(ticket.c.id == row["ticket"]).values(version=about["version"] + 1, **values))


def _answered_since(s: Connection, row: int, about: int) -> bool:
    """Have we written again since? Then what becomes of the newer words decides."""
    seq = sa.select(outbox.c.seq).where(outbox.c.id == row).scalar_subquery()
    ours = (message.c.ticket == about, message.c.way == Way.OUT, message.c.withdrawn_at.is_(None))
    return s.execute(sa.select(message.c.id).where(*ours, message.c.seq > seq).limit(1)).first() is not None


def fall_back(s: Connection, row: int, now: int) -> int | None:
    """Try the person's next proven contact point; None when there is none left (dead, shown to operators)."""
    lost = _lock(s, row)
    if lost is None or lost["ticket"] is None or lost["purpose"] == Purpose.OTP:
        return None
    tried = sa.select(outbox.c.contact).where(
        outbox.c.ticket == lost["ticket"], outbox.c.message == lost["message"], outbox.c.purpose == lost["purpose"]
    )
    point = points.next_proven(s, lost["ticket"], set(s.execute(tried).scalars()))
    if lost["channel"] == "phone" and lost["contact"] is not None:  # who did not hear it may still read it
        point = points.Point(lost["contact"], ContactKind.PHONE, True)
    if point is None:
        return None
    number = put(
        s, ticket=lost["ticket"], seq=lost["seq"], channel=point.channel, purpose=Purpose(lost["purpose"]), now=now,
        message=lost["message"], contact=point.contact, lang=lost["lang"], text=lost["text"], key=lost["key"],
        facts=held.without(lost["facts"]), files=[KeptFile(**kept) for kept in lost["files"]], after=row,
    )  # fmt: skip
    events.add(
        s,
        lost["ticket"],
        "delivery",
        "system",
        {"state": "next", "outbox": row, "next": number, "channel": point.channel},
    )
    return number


def reported(
    s: Connection, channel: str, ref: str, state: DeliveryState, why: str, now: int, also: Sequence[str] = ()
) -> Stage | None:
    """A peer's word about something sent, once; kept 72 h when its send is not recorded yet. Never goes backwards.

    `also`: other spellings, tried where nothing was sent as `ref` itself.
    """
    why = word(why)
    spellings = (clean(ref), *map(clean, also))
    alone(s, {(channel, one) for one in spellings})
    found = ((one, s.execute(_by_ref(channel, one)).mappings().first()) for one in spellings)
    ref, row = next((pair for pair in found if pair[1] is not None), (spellings[0], None))
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


def alone(s: Connection, refs: Iterable[tuple[str, str]]) -> None:
    """A report and the record of what it is about go one after the other: whichever is second sees the first.

    Taken ahead of tickets and rows; `refs` are (channel, ref).
    """
    s.info["alone"](s, [f"report {channel} {ref}" for channel, ref in refs])


def _by_ref(channel: str, ref: str) -> sa.Select[Any]:
    ask = sa.select(outbox.c.id, outbox.c.ticket).where(outbox.c.channel == channel, outbox.c.ref == ref)
    return ask.order_by(outbox.c.id.desc()).limit(1)


def _apply(s: Connection, number: int, state: DeliveryState, why: str, now: int) -> Stage | None:
    row = _lock(s, number)
    if row is None:
        return None
    stage, fact = Stage(row["state"]), Fact(f"reported.{state}")
    if stage not in (Stage.ACCEPTED, Stage.SENT, Stage.UNKNOWN) or (stage is Stage.SENT and fact is Fact.REPORTED_SENT):
        return stage
    after = move(stage, fact)
    values = {"state": after, "why": why, "done_at": now}
    s.execute(sa.update(outbox).where(outbox.c.id == number).values(values))
    if after is Stage.BLOCKED and row["contact"] is not None:
        blind = s.execute(sa.select(contact.c.blind).where(contact.c.id == row["contact"])).scalar_one()
        optouts.set_out(s, row["channel"], row["line"] or "", blind, True, "blocked at the provider", now)
    tell(s, dict(row), after, why, now)
    return after


def came_back(s: Connection, row: int, ref: str, state: DeliveryState, why: str, now: int) -> None:
    """A report that names its row. What is in doubt was sent, then; while it is being sent the report waits."""
    found = _lock(s, row)
    if found is not None and found["state"] == Stage.UNKNOWN:
        s.execute(sa.update(outbox).where(outbox.c.id == row).values(ref=ref))
    if found is not None:
        reported(s, found["channel"], ref, state, why, now)


def early_reports(s: Connection, sent: Mapping[tuple[str, str | None], int], now: int) -> dict[int, Stage]:
    """Apply what was reported before its send was recorded: `sent` is (channel, ref) → row. The stages it led to."""
    refs = [ref for _, ref in sent if ref]
    ask = sa.select(delivery).where(delivery.c.ref.in_(refs), delivery.c.outbox.is_(None))
    found = s.execute(ask.where(delivery.c.at > now - KEPT_REPORTS * 1000)).mappings().all() if refs else []
    stages: dict[int, Stage] = {}
    for one in sorted(found, key=lambda one: list(DeliveryState).index(DeliveryState(one["state"]))):
        row = sent.get((one["channel"], one["ref"]))
        if row is not None:
            s.execute(sa.update(delivery).where(delivery.c.id == one["id"]).values(outbox=row))
            stage = _apply(s, row, DeliveryState(one["state"]), one["why"], now)
            stages |= {} if stage is None else {row: stage}
    return stages


def unreported(s: Connection, channel: str, since: int, until: int) -> list[tuple[str, int]]:
    """(ref, accepted at) of rows a peer took in [since, until) ms UTC and told nothing final of."""
    ask = sa.select(outbox.c.ref, outbox.c.done_at).where(outbox.c.channel == channel, outbox.c.ref.is_not(None))
    ask = ask.where(outbox.c.state.in_((Stage.ACCEPTED, Stage.SENT)))
    ask = ask.where(outbox.c.done_at >= since, outbox.c.done_at < until).order_by(outbox.c.id)
    return [(row.ref, row.done_at) for row in s.execute(ask)]


def forget_reports(s: Connection, now: int) -> int:
    """Delete reports that waited 72 h for a send nobody recorded; how many."""
    old = sa.delete(delivery).where(delivery.c.outbox.is_(None), delivery.c.at <= now - KEPT_REPORTS * 1000)
    return int(s.execute(old).rowcount)


def resend(s: Connection, row: int, now: int, ring: Keyring | None = None) -> int:
    """Send a dead row again, under a new number, so that no provider takes it for the old one; returns the number.

    An address of its own is sealed anew with `ring` (without it the number stays): it was sealed under the old one.
    Raises WrongState when the row is not dead (parked or lost) or there is none.
    """
    found = _dead(s, row, Fact.RESEND)
    number, to = (ids.outbox(s) if ring is not None or not found["to"] else row), found["to"]
    if to and ring is not None:
        to = seal(ring, "outbox", "to", number, unseal(ring, "outbox", "to", row, to))
    s.execute(
        sa.update(outbox)
        .where(outbox.c.id == row)
        .values(
            id=number, to=to, state=Stage.WAITING, due_at=now, attempt=0, fence=outbox.c.fence + 1, ref=None, why="",
            done_at=None, doubt_at=None, parts=None, cost=None, not_after=now + WORTH[Purpose(found["purpose"])] * 1000,
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


def note(s: Connection, row: Mapping[str, Any], after: str, why: str, now: int) -> None:
    """A line in the log of the row's ticket."""
    if row["ticket"] is None:
        return
    data = {"state": after, "outbox": row["id"], "channel": row["channel"], "purpose": row["purpose"], "why": why}
    events.add(s, row["ticket"], "delivery", "system", data, at=now)


def word(why: str) -> str:
    """A peer's reason, as a store can keep it."""
    return clean(why)[:REASON]


def _plain(kept: KeptFile) -> dict[str, Any]:
    return {"key": kept.key, "name": kept.name, "type": kept.type, "size": kept.size, "seconds": kept.seconds}
