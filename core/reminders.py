"""The reminder to a citizen whom we asked something: halfway to the day the ticket closes unanswered, once a question.

It goes the way the question went, else to a proven point, and says no contents. The row that goes out, the event and
the mark that it is done are one transaction: after a crash it is neither lost nor told twice.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from core import automatic, cipher, events, ids, jalali, outbox, points
from core.automatic import Wish
from core.errors import Busy
from core.model import Purpose, State, Way
from core.office import Office, of
from core.points import Point
from core.schema import contact, message, ticket
from core.sending import UNHEARD
from core.store import Store
from core.turn import lock

log = logging.getLogger(__name__)

KEY = "reminder"  #: the channels' sentence; facts: `until`, the day it closes, as it is read
AT_ONCE = 100  # tickets a look
LATE = 15 * 60_000  # ms: one that falls on the end of the working day is still told then
DAY = 86_400_000  # ms until an address that had its automatic letter of the day is tried again


async def remind(store: Store) -> int:
    """Remind whoever is due, in working hours, each in a transaction of its own; returns how many were.

    One that cannot be told is logged and holds up no other. Raises Busy.
    """
    office, told = of(store), 0
    for number in await store.read(_due, office.clock.now()):
        try:
            told += bool(await store.write(_remind, office, number))
        except Busy:
            raise
        except Exception:
            log.exception("a citizen could not be reminded", extra={"ticket": number})
    return told


def _due(s: Connection, now: int) -> Sequence[int]:
    ask = sa.select(ticket.c.id).where(ticket.c.remind_at <= now, ticket.c.state == State.ASKED.value)
    return list(s.execute(ask.order_by(ticket.c.remind_at).limit(AT_ONCE)).scalars())


def _remind(s: Connection, office: Office, number: int) -> bool:
    """Once: another process may have told it, or the citizen answered."""
    row, now = lock(s, number), office.clock.now()
    at = row["remind_at"]
    if at is None or at > now or row["state"] != State.ASKED or UNHEARD in row["tags"]:
        return False
    if not office.calendar(row["unit"]).open_at(now) and now - at > LATE:
        return False
    asked = _question(s, number)
    point = _point(s, number, asked)
    if point is not None and not _granted(s, office, number, point, now):
        _set(s, number, now + DAY)
        return False
    _set(s, number, None)
    sent = _put(s, office, row, asked, point, now) if point is not None else None
    data = {"message": asked["id"], "channel": point.channel if point else "web", "outbox": sent}
    events.add(s, number, "reminder", "system", data, at=now)
    return True


def _question(s: Connection, number: int) -> RowMapping:
    """The newest thing we said: what the ticket waits for."""
    ask = sa.select(message).where(
        message.c.ticket == number, message.c.way == Way.OUT, message.c.withdrawn_at.is_(None)
    )
    return s.execute(ask.order_by(message.c.seq.desc()).limit(1)).mappings().one()


def _point(s: Connection, number: int, asked: RowMapping) -> Point | None:
    """Where the question went, else a proven point; None: it is read with the code."""
    there = {point.contact: point for point in points.of_ticket(s, number)}
    return there.get(asked["contact"]) or points.next_proven(s, number, set())


def _granted(s: Connection, office: Office, number: int, point: Point, now: int) -> bool:
    """Automatic letters are rationed; what is told by text is not, since nobody answers it by itself."""
    if point.channel != "mail":
        return True
    row = s.execute(sa.select(contact.c.value, contact.c.blind).where(contact.c.id == point.contact)).one()
    address = cipher.unseal(office.keyring, "contact", "value", point.contact, row.value).decode()
    wish = Wish(ids.new(s), automatic.OTHER, row.blind, automatic.domain_of(address), number)
    return bool(automatic.grant(s, [wish], now))


def _put(s: Connection, office: Office, row: RowMapping, asked: RowMapping, point: Point, now: int) -> int:
    closes = jalali.local(row["lapse_at"] or now, office.config.agency.zone).date()
    return outbox.put(
        s, ticket=row["id"], seq=asked["seq"], message=asked["id"], channel=point.channel, purpose=Purpose.STATE,
        now=now, contact=point.contact, lang=row["lang"], key=KEY, facts={"until": jalali.words(closes, row["lang"])},
    )  # fmt: skip


def _set(s: Connection, number: int, at: int | None) -> None:
    """A column of its own: a reminder makes nobody's reply stale."""
    values: dict[str, Any] = {"remind_at": at}
    s.execute(sa.update(ticket).where(ticket.c.id == number).values(values))
