"""Time that runs out: tickets whose state's time is over get the event `lapse`. Columns, so that no restart loses one."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from core.model import State
from core.office import Office, of
from core.schema import ticket
from core.store import Store
from core.turn import lock, turn

LIVE = (State.HELD, State.ASKED, State.OUTSIDE, State.APPROVAL, State.ANSWERED)
AT_ONCE = 100  # tickets a look


async def fire(store: Store) -> int:
    """Fire every lapse that is due, each in a transaction of its own; returns how many. Raises Busy."""
    office = of(store)
    due = await store.read(_due, office.clock.now())
    for number in due:
        await store.write(_lapse, office, number)
    return len(due)


def _due(s: Connection, now: int) -> Sequence[int]:
    ask = sa.select(ticket.c.id).where(ticket.c.lapse_at <= now, ticket.c.state.in_(LIVE))
    return list(s.execute(ask.order_by(ticket.c.lapse_at).limit(AT_ONCE)).scalars())


def _lapse(s: Connection, office: Office, number: int) -> None:
    """Once: another process, or an answer meanwhile, may have moved the ticket on."""
    row, now = lock(s, number), office.clock.now()
    if row["lapse_at"] is None or row["lapse_at"] > now or row["state"] not in LIVE:
        return
    stays = {"lapse_at": None} if row["state"] == State.APPROVAL else {}
    turn(s, row, "lapse", "system", now, office.calendar(row["unit"]), changes=stays)
