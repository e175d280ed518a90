"""Calls that are over, on the history of who called, for as long as they are kept. SQL only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy import Connection

from core import events
from core.channels import CallRecord
from core.schema import call, contact
from core.views import CallView

NEWEST = 20  # calls shown on a ticket


def over(s: Connection, record: CallRecord, blind: bytes | None) -> None:
    """Enter a call once; `blind` is the caller's number as it is looked up by, None for a withheld one."""
    if s.execute(sa.select(call.c.ref).where(call.c.ref == record.ref)).first() is not None:
        return
    s.execute(
        call.insert().values(
            ref=record.ref,
            at=record.began_at,
            seconds=record.seconds,
            line=record.line,
            called=record.called,
            blind=blind,
            proven=record.contact is not None and record.contact.proven,
            way=record.way,
            ticket=record.ticket,
            facts=dict(record.facts),
        )
    )


def forget(s: Connection, before: int, now: int, most: int) -> int:
    """Delete up to `most` records of calls that began before `before`, the oldest first; how many.

    A ticket that calls belonged to has an event that says how many of them went.
    """
    old = sa.select(call.c.agency, call.c.ref, call.c.ticket).where(call.c.at < before).order_by(call.c.at).limit(most)
    rows = s.execute(old).all()
    if not rows:
        return 0
    key = sa.tuple_(call.c.agency, call.c.ref)
    s.execute(sa.delete(call).where(key.in_([(row.agency, row.ref) for row in rows])))
    for number, many in Counter(row.ticket for row in rows if row.ticket is not None).items():
        events.add(s, number, "calls_forgotten", "system", {"calls": many}, at=now)
    return len(rows)


def of(s: Connection, contacts: Iterable[int]) -> list[CallView]:
    """The newest calls from the numbers of these contacts."""
    blinds = sa.select(contact.c.blind).where(contact.c.id.in_(list(contacts)))
    ask = sa.select(call).where(call.c.blind.in_(blinds)).order_by(call.c.at.desc(), call.c.ref).limit(NEWEST)
    return [
        CallView(row["at"], row["seconds"], row["way"], row["line"], row["ticket"], row["proven"], row["facts"] or {})
        for row in s.execute(ask).mappings()
    ]
