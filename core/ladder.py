"""The ladder of a ticket that waits: at 50, 80, 100 and 150 % of its working time, people ever higher up are told."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from config.units import Units
from core import events, ids
from core.calendar import MINUTE, Calendar, Pause, after_minutes, minutes
from core.errors import Busy
from core.model import State
from core.office import Office, of
from core.permissions import Permission
from core.schema import grant, ticket, told
from core.states import LIVE
from core.store import Store
from core.turn import lock
from core.views import Actor

log = logging.getLogger(__name__)

RUNGS = (50, 80, 100, 150)  #: % of the working time between start and due date
AT_ONCE = 100  # tickets a look
KEPT = 400 * 24 * 60 * MINUTE  # who was told; the log keeps it as long as the ticket
LATE = 15 * MINUTE  # a rung that falls on the end of the day is still told then

_CLIMBS = (
    ticket.c.clock == "runs",
    ticket.c.due_at.is_not(None),
    ticket.c.rung < len(RUNGS),
    ticket.c.state.in_(sorted(LIVE)),
)


def moment(start: int, due_at: int, percent: int, cal: Calendar, pauses: Sequence[Pause] = ()) -> int:
    """When `percent` of the open minutes between `start` and `due_at` (ms UTC), pauses left out, have passed.

    100 is the due date itself. Pure; raises NoWorkingDay for a calendar that never opens.
    """
    if percent == 100:
        return due_at
    total = sum(minutes(low, high, cal) for low, high in _running(start, due_at, pauses))
    left = -(-total * percent // 100)
    for low, high in _running(start, None, pauses):
        here = minutes(low, high, cal) if high is not None else left
        if here >= left:
            return after_minutes(low, left, cal)
        left -= here
    raise AssertionError("the last span has no end")


def _running(start: int, end: int | None, pauses: Sequence[Pause]) -> Iterator[tuple[int, Any]]:
    """The spans in which the clock ran, from `start` to `end` (None: for ever)."""
    for pause in sorted(pauses, key=lambda one: one.start):
        if end is not None and pause.start >= end:
            break
        if pause.start > start:
            yield start, pause.start
        start = max(start, pause.end)
    if end is None or end > start:
        yield start, end


def before(who: Actor) -> sa.ColumnElement[bool]:
    """The tickets that a rung has brought before `who` and nobody has answered since, as a WHERE."""
    mine = sa.select(told.c.ticket).where(told.c.staff == who.staff, told.c.ticket == ticket.c.id)
    now = sa.or_(ticket.c.rung > 0, ticket.c.state == State.APPROVAL)
    since = sa.func.coalesce(ticket.c.due_from, ticket.c.at)
    return sa.and_(ticket.c.clock == "runs", now, mine.where(told.c.at >= since).exists())


def tell_superior(s: Connection, office: Office, row: RowMapping, now: int) -> list[int]:
    """An answer waits too long for approval: whoever assigns work one unit up is told; their numbers."""
    units, leads = office.config.units, _leads(s, office)
    above = units.superior(_headed(units, row["unit"], leads))
    people = sorted(leads.get(_headed(units, above.slug, leads), ())) if above else []
    _tell(s, row["id"], people, 0, now)
    return people


def forget(s: Connection, now: int, most: int) -> int:
    """Delete up to `most` rows of who was told long ago; returns how many."""
    old = sa.select(told.c.id).where(told.c.at < now - KEPT).limit(most)
    return s.execute(sa.delete(told).where(told.c.id.in_(old))).rowcount


async def climb(store: Store) -> int:
    """Plan the next rung of every ticket that has none, then fire those that are due, each once; returns how many
    fired. Called by the timers; what cannot be fired is logged and holds up no other. Raises Busy."""
    office, fired = of(store), 0
    for number in await store.read(_unplanned):
        await _each(store, _plan, office, number)
    for number in await store.read(_due, office.clock.now()):
        fired += bool(await _each(store, _fire, office, number))
    return fired


async def _each(store: Store, deed: Any, office: Office, number: int) -> Any:
    try:
        return await store.write(deed, office, number)
    except Busy:
        raise
    except Exception:
        log.exception("a rung of a ticket's ladder failed", extra={"ticket": number})
        return None


def _unplanned(s: Connection) -> Sequence[int]:
    return _numbers(s, sa.select(ticket.c.id).where(ticket.c.rung_at.is_(None), *_CLIMBS).order_by(ticket.c.due_at))


def _due(s: Connection, now: int) -> Sequence[int]:
    return _numbers(s, sa.select(ticket.c.id).where(ticket.c.rung_at <= now, *_CLIMBS).order_by(ticket.c.rung_at))


def _numbers(s: Connection, ask: sa.Select[Any]) -> Sequence[int]:
    return list(s.execute(ask.limit(AT_ONCE)).scalars())


def _climbs(row: RowMapping) -> bool:
    return row["clock"] == "runs" and row["due_at"] is not None and row["rung"] < len(RUNGS) and row["state"] in LIVE


def _plan(s: Connection, office: Office, number: int) -> None:
    row = lock(s, number)
    if row["rung_at"] is None and _climbs(row):
        _set(s, number, rung_at=_next(row, row["rung"], office.calendar(row["unit"])))


def _next(row: RowMapping, rung: int, cal: Calendar) -> int | None:
    if rung >= len(RUNGS):
        return None
    waits = [Pause(begin, end) for begin, end in row["pauses"]]
    return moment(row["due_from"] or row["at"], row["due_at"], RUNGS[rung], cal, waits)


def _fire(s: Connection, office: Office, number: int) -> bool:
    """In working time, and only while nobody has answered."""
    row, now = lock(s, number), office.clock.now()
    cal = office.calendar(row["unit"])
    if not _climbs(row) or row["rung_at"] is None or row["rung_at"] > now:
        return False
    if not cal.open_at(now) and now - row["rung_at"] > LATE:
        return False
    rung = row["rung"] + 1
    people = sorted(_people(s, office, row, rung))
    _set(s, number, rung=rung, rung_at=_next(row, rung, cal))
    _tell(s, number, people, rung, now)
    events.add(s, number, "rung", "system", {"percent": RUNGS[rung - 1], "staff": people}, at=now)
    return True


def _tell(s: Connection, number: int, people: Sequence[int], rung: int, now: int) -> None:
    rows = [{"id": ids.new(s), "at": now, "staff": one, "ticket": number, "rung": rung} for one in people]
    if rows:
        s.execute(sa.insert(told), rows)


def _people(s: Connection, office: Office, row: RowMapping, rung: int) -> set[int]:
    """Staff who are told at a rung: 1 the assignee, 2 the head of the unit, 3 and the one above, 4 and oversight."""
    units, leads = office.config.units, _leads(s, office)
    unit = _headed(units, row["unit"], leads)
    if rung == 1 and row["assignee"] is not None:
        return {row["assignee"]}
    found = set(leads.get(unit, ()))
    if rung >= 3 and (above := units.superior(unit)):
        found |= leads.get(_headed(units, above.slug, leads), set())
    if rung >= 4 and units.oversight:
        found |= leads.get(units.oversight.slug, set())
    return found


def _headed(units: Units, slug: str, leads: Mapping[str, set[int]]) -> str:
    """The unit itself, or the nearest above it, where somebody may assign work."""
    return next((one for one in (slug, *units.ancestors(slug)) if leads.get(one)), slug)


def _leads(s: Connection, office: Office) -> dict[str, set[int]]:
    """Staff who may assign work, by the unit of their grant."""
    roles = [name for name, may in office.rights.roles.items() if Permission.ASSIGN in may]
    now = office.clock.now()
    ask = sa.select(grant.c.staff, grant.c.unit).where(
        grant.c.role.in_(roles), sa.or_(grant.c.until.is_(None), grant.c.until > now)
    )
    found: dict[str, set[int]] = {}
    for one in s.execute(ask):
        found.setdefault(one.unit, set()).add(one.staff)
    return found


def _set(s: Connection, number: int, **values: Any) -> None:
    """Columns of the ladder alone: a rung makes nobody's reply stale."""
    s.execute(sa.update(ticket).where(ticket.c.id == number).values(values))
