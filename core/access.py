"""Which tickets an actor may know of and touch: permissions as a WHERE, and the checks of one locked row."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from core import shared
from core.errors import NotAllowed, NotFound
from core.model import State
from core.office import Office
from core.permissions import ALL, Everywhere, Permission, allowed, needed, units_of
from core.schema import ticket
from core.turn import lock
from core.views import Actor

SHARED = frozenset((Permission.READ, Permission.NOTE))  #: what units may that were added to a ticket


def scope(office: Office, who: Actor, permission: str = Permission.READ) -> sa.ColumnElement[bool]:
    """The WHERE over `ticket` that leaves what `who` holds `permission` for."""
    now = office.clock.now()
    everywhere = units_of(who, permission, office.rights, now=now)
    own = units_of(who, permission, office.rights, assigned=True, now=now)
    found = sa.or_(_in(everywhere), sa.and_(ticket.c.assignee == who.staff, _in(own)))
    return sa.or_(found, shared.reach(everywhere)) if permission in SHARED else found


def _in(units: frozenset[str] | Everywhere) -> sa.ColumnElement[bool]:
    return sa.true() if units is ALL or isinstance(units, Everywhere) else ticket.c.unit.in_(sorted(units))


def may(office: Office, who: Actor, permission: str, row: RowMapping) -> bool:
    """Does `who` hold `permission` for this ticket?"""
    mine, now = row["assignee"] == who.staff, office.clock.now()
    if allowed(who, permission, row["unit"], office.rights, assigned=mine, now=now):
        return True
    added = row["added"] if permission in SHARED else ()
    return any(allowed(who, permission, slug, office.rights, now=now) for slug in added)


def enter(s: Connection, office: Office, who: Actor, number: int, version: int | None = None) -> RowMapping:
    """The locked ticket, if `who` may read it. Raises NotFound (another unit's too), then Stale."""
    row = lock(s, number)
    if not may(office, who, Permission.READ, row):
        raise NotFound(f"ticket {number}")
    return row if version is None else lock(s, number, version)


def check(office: Office, who: Actor, row: RowMapping, event: str) -> None:
    """Raises NotAllowed unless `who` may fire `event` on the ticket as it stands."""
    permission = needed(State(row["state"]), event)
    if permission is None or not may(office, who, permission, row):
        raise NotAllowed(event)


def second_needed(office: Office, who: Actor, row: RowMapping) -> bool:
    """Must a second person approve what `who` answers here? By the ticket's kind or unit (settings `[approval]`), for
    whoever may not approve."""
    rule = office.config.settings.approval
    units = office.config.units
    within = row["kind"] in rule.kinds or any(row["unit"] in units.subtree(slug) for slug in rule.units)
    return within and not may(office, who, Permission.APPROVE, row)


def actor(who: Actor) -> str:
    """The word events name them by."""
    return f"staff:{who.staff}"
