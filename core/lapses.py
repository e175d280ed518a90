"""Time that runs out: tickets whose state's time is over get the event `lapse`. Columns: no restart loses one."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from core import ladder
from core.errors import Busy
from core.model import State
from core.office import Office, of
from core.schema import ticket
from core.sending import UNHEARD
from core.store import Store
from core.turn import lock, turn

log = logging.getLogger(__name__)

LIVE = (State.HELD, State.ASKED, State.OUTSIDE, State.APPROVAL, State.ANSWERED)
BACK = {State.ANSWERED: "reopen", State.ASKED: "resume"}  # what reached nobody is not taken as accepted
AT_ONCE = 100  # tickets a look


async def fire(store: Store) -> int:
    """Fire every lapse that is due, each in a transaction of its own; returns how many. One that cannot be fired is
    logged and holds up no other. Raises Busy."""
    office = of(store)
    fired = 0
    for number in await store.read(_due, office.clock.now()):
        try:
            await store.write(_lapse, office, number)
            fired += 1
        except Busy:
            raise
        except Exception:
            log.exception("a ticket's time ran out and could not be fired", extra={"ticket": number})
    return fired


def _due(s: Connection, now: int) -> Sequence[int]:
    ask = sa.select(ticket.c.id).where(ticket.c.lapse_at <= now, ticket.c.state.in_(LIVE))
    return list(s.execute(ask.order_by(ticket.c.lapse_at).limit(AT_ONCE)).scalars())


def _lapse(s: Connection, office: Office, number: int) -> None:
    """Once: another process, or an answer meanwhile, may have moved the ticket on."""
    row, now = lock(s, number), office.clock.now()
    if row["lapse_at"] is None or row["lapse_at"] > now or row["state"] not in LIVE:
        return
    waits = row["state"] == State.APPROVAL
    data = {"staff": ladder.tell_superior(s, office, row, now)} if waits else {}
    stays = {"lapse_at": None} if waits else {}
    event = BACK.get(State(row["state"]), "lapse") if UNHEARD in row["tags"] else "lapse"
    turn(s, row, event, "system", now, office.calendar(row["unit"]), data=data, changes=stays)
