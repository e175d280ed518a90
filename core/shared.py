"""Units besides a ticket's own: a letter to several of ours is one ticket, which each of them reads and notes, and its
own unit answers. SQL only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from core import events
from core.channels import Inbound
from core.permissions import Everywhere
from core.routing import Rules
from core.schema import message, shared_ones, ticket


def addressed(heard: Inbound, rules: Rules) -> tuple[str, ...]:
    """The units a letter is written to by their own addresses, in its order; () for what is no letter."""
    if heard.channel != "mail":
        return ()
    found = (rules.addresses.get(one.lower()) for one in heard.to)
    return tuple(dict.fromkeys(slug for slug in found if slug is not None))


def besides(units: Sequence[str], own: str) -> list[str]:
    """Those of the units a new letter was written to that are not its ticket's; a letter to one of ours has none."""
    return [slug for slug in units if slug != own] if len(units) > 1 else []


def reach(units: frozenset[str] | Everywhere) -> sa.ColumnElement[bool]:
    """Tickets that one of `units` was added to, as a WHERE."""
    if isinstance(units, Everywhere) or not units:
        return sa.false()
    names = sa.cast(ticket.c.added, sa.Text)
    return sa.and_(shared_ones, sa.or_(*(names.contains(f'"{slug}"') for slug in sorted(units))))


def again(s: Connection, came: Iterable[tuple[int, Sequence[str]]], now: int) -> None:
    """Letters that came once more (by the message they are known as) with the units they were now written to."""
    wanted: dict[int, list[str]] = {}
    for number, units in came:
        wanted.setdefault(number, []).extend(units)
    if not wanted:
        return
    ask = sa.select(message.c.id, message.c.ticket).where(message.c.id.in_(wanted)).order_by(message.c.ticket)
    for row in s.execute(ask).all():
        add(s, row.ticket, wanted[row.id], row.id, now)


def add(s: Connection, number: int, units: Iterable[str], said: int, now: int) -> None:
    """Add `units` to a ticket, each once, because of message `said`; one event each. Nobody's reply becomes stale."""
    ask = sa.select(ticket.c.unit, ticket.c.added).where(ticket.c.id == number).with_for_update()
    about = s.execute(ask).one()
    fresh = [slug for slug in dict.fromkeys(units) if slug != about.unit and slug not in about.added]
    if not fresh:
        return
    s.execute(sa.update(ticket).where(ticket.c.id == number).values(added=[*about.added, *fresh]))
    for slug in fresh:
        events.add(s, number, "share", "citizen", {"unit": slug, "message": said}, at=now)
