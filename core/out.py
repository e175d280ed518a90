"""What did not get out: parked and lost rows with nothing after them, and what an operator can do about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from core import events, outbox
from core.access import actor, enter, may, scope
from core.errors import NotAllowed, NotFound
from core.office import Office, of
from core.permissions import Permission
from core.schema import contact, ticket
from core.schema import outbox as rows
from core.sending import DEAD
from core.showing import delivery
from core.store import Store
from core.views import Actor, Delivery

MOST = 200  # rows shown


async def dead(store: Store, who: Actor) -> list[Delivery]:
    """Rows that need a person, the oldest first: parked, or lost with no contact point left. Only of tickets that
    `who` may read."""
    office = of(store)
    return [delivery(office, row) for row in await store.read(_dead, scope(office, who))]


async def dead_with_tickets(store: Store, who: Actor) -> list[tuple[int, Delivery]]:
    """The same as (ticket, delivery)."""
    office = of(store)
    return [(row["ticket"], delivery(office, row)) for row in await store.read(_dead, scope(office, who))]


async def resend(store: Store, who: Actor, row: int) -> int:
    """Send it again, as a new row; returns its number. Raises NotFound, NotAllowed, WrongState."""
    return await store.write(_resend, of(store), who, row)


async def by_hand(store: Store, who: Actor, row: int) -> None:
    """The citizen was told another way. Raises NotFound, NotAllowed, WrongState."""
    await store.write(_by_hand, of(store), who, row)


def _dead(s: Connection, within: sa.ColumnElement[bool]) -> list[RowMapping]:
    later = rows.alias("later")
    followed = sa.exists().where(later.c.after == rows.c.id)
    ask = (
        sa.select(rows, contact.c.value)
        .join(ticket, ticket.c.id == rows.c.ticket)
        .join(contact, contact.c.id == rows.c.contact, isouter=True)
        .where(rows.c.state.in_(DEAD), ~followed, within)
        .order_by(rows.c.at, rows.c.id)
        .limit(MOST)
    )
    return list(s.execute(ask).mappings())


def _resend(s: Connection, office: Office, who: Actor, row: int) -> int:
    found = _enter(s, office, who, row)
    number = outbox.resend(s, row, office.clock.now(), office.keyring)
    _log(s, who, found, "resend", {"outbox": row, "next": number})
    return number


def _by_hand(s: Connection, office: Office, who: Actor, row: int) -> None:
    found = _enter(s, office, who, row)
    outbox.by_hand(s, row, office.clock.now())
    _log(s, who, found, "by_hand", {"outbox": row})


def _enter(s: Connection, office: Office, who: Actor, row: int) -> RowMapping:
    """The row, its ticket locked, if `who` may answer there."""
    found = s.execute(sa.select(rows).where(rows.c.id == row)).mappings().first()
    if found is None:
        raise NotFound(f"outbox {row}")
    about = enter(s, office, who, found["ticket"])
    if not may(office, who, Permission.REPLY, about):
        raise NotAllowed("reply")
    return found


def _log(s: Connection, who: Actor, found: RowMapping, kind: str, data: Mapping[str, Any]) -> None:
    events.add(s, found["ticket"], kind, actor(who), {**data, "channel": found["channel"]})
