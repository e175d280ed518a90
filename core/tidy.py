"""What is kept for a time only and then forgotten: repeats' marks, ended sessions, files that no row names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import sqlalchemy as sa
from sqlalchemy import Connection

from core import automatic, budgets, calls, hearing, ladder, questions
from core.files import Files
from core.schema import seen
from core.schema import session as sessions
from core.store import Store

Deed = Callable[[Connection, int], int]
DAY = 86_400_000  # ms
REPEATS = 90 * DAY  # a repeat after this is a new message
AT_ONCE = 1000  # rows a transaction, so that intake waits milliseconds only
FEW = 100  # where each may want an event


async def tidy(store: Store, files: Files, now: int, calls_days: int = 730) -> int:
    """Forget what is past its time (`now`: ms UTC); returns how many rows and files went."""
    gone = await files.sweep(now / 1000)
    gone += await _all(store, _seen, now - REPEATS)
    for forget in (automatic.forget, budgets.forget, hearing.forget, ladder.forget, questions.forget):
        gone += await _all(store, partial(forget, most=AT_ONCE), now)
    gone += await _all(store, partial(calls.forget, now=now, most=FEW), now - calls_days * DAY)
    return gone + await _all(store, _sessions, now)


async def _all(store: Store, some: Deed, limit: int) -> int:
    total = 0
    while went := await store.write(some, limit):
        total += went
    return total


def _seen(s: Connection, limit: int) -> int:
    key = sa.tuple_(seen.c.agency, seen.c.channel, seen.c.ref, seen.c.body_hash)
    old = sa.select(seen.c.agency, seen.c.channel, seen.c.ref, seen.c.body_hash).where(seen.c.at < limit)
    return s.execute(sa.delete(seen).where(key.in_(old.limit(AT_ONCE)))).rowcount


def _sessions(s: Connection, limit: int) -> int:
    old = sa.select(sessions.c.id).where(sessions.c.ends_at < limit).limit(AT_ONCE)
    return s.execute(sa.delete(sessions).where(sessions.c.id.in_(old))).rowcount
