"""What staff do with a ticket, each deed one transaction: allowed, not stale, a move of the table, a line in its chain.

Every deed takes the `version` its author saw (None: whatever it is now) and returns the new one. Raises NotFound (also
for another unit's ticket), NotAllowed, Stale, WrongState, Guarded, WrongInput.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from core import drafts, events
from core.access import actor, check, enter, may
from core.errors import Guarded, NotAllowed, WrongInput
from core.messages import write
from core.model import State, Way
from core.office import Office, of
from core.people import actor_of
from core.permissions import Permission, allowed
from core.replies import reply
from core.schema import event, staff, unit
from core.showing import counts, queue
from core.showing import ticket_of as ticket
from core.store import Store
from core.text import clean
from core.turn import touch, turn
from core.views import Actor

__all__ = [
    "CLOSE_REASONS", "ask", "assign", "close", "counts", "junk", "note", "outside", "queue", "release", "reopen",
    "resume", "route", "take", "ticket",
]  # fmt: skip

CLOSE_REASONS = ("duplicate", "not_ours", "unclear", "settled", "thanks", "no_answer_wanted")
REASON = 200  # characters of a reason, at most
TEXT = 10_000  # characters of a note, at most
REOPEN_DAYS = 30
OUTSIDE_DAYS = 30
BOUNCES = 3  # the third re-routing goes to the units' common head
DAY = 86_400_000  # ms


async def take(store: Store, who: Actor, number: int, version: int | None) -> int:
    """Take a ticket for oneself; from a colleague only with the right to assign."""
    return await store.write(_take, of(store), who, number, version)


async def assign(store: Store, who: Actor, number: int, version: int | None, assignee: int) -> int:
    """Give it to a member of staff who may answer in its unit; never to the one whose answer was objected to."""
    return await store.write(_assign, of(store), who, number, version, assignee)


async def route(store: Store, who: Actor, number: int, version: int | None, to: str, reason: str) -> int:
    """Into another unit's queue. The third time it goes to the common head of both instead."""
    return await store.write(_route, of(store), who, number, version, to, _reason(reason))


async def note(store: Store, who: Actor, number: int, version: int | None, text: str) -> int:
    """An internal note; the citizen never sees it."""
    return await store.write(_note, of(store), who, number, version, _text(text))


async def close(store: Store, who: Actor, number: int, version: int | None, reason: str) -> int:
    """Close without an answer, for one of `CLOSE_REASONS`; not once there was an objection."""
    if reason not in CLOSE_REASONS:
        raise WrongInput("reason", "unknown")
    return await store.write(_close, of(store), who, number, version, reason)


async def ask(store: Store, who: Actor, number: int, version: int | None, text: str) -> int:
    """Ask the citizen something; the clock pauses. Returns the message's id."""
    return await reply(store, who, number, version, text, then="asked")


async def outside(store: Store, who: Actor, number: int, version: int | None, until: int, text: str) -> int:
    """Wait for another body until `until` (ms UTC, ≤ 30 days); `text` says why, for colleagues."""
    return await store.write(_outside, of(store), who, number, version, until, _text(text))


async def resume(store: Store, who: Actor, number: int, version: int | None) -> int:
    """The wait is over; the clock goes on with what was left. An answer that waited for approval is sent back."""
    return await store.write(_resume, of(store), who, number, version)


async def release(store: Store, who: Actor, number: int, version: int | None) -> int:
    """Back into the queue; out of quarantine or junk."""
    return await store.write(_fire, of(store), who, number, version, "release", {"changes": {"assignee": None}})


async def junk(store: Store, who: Actor, number: int, version: int | None, reason: str) -> int:
    """It is no message to this body."""
    return await store.write(_fire, of(store), who, number, version, "junk", {"data": {"reason": _reason(reason)}})


async def reopen(store: Store, who: Actor, number: int, version: int | None) -> int:
    """Work on it again, with a fresh clock, ≤ 30 days after it was answered or closed."""
    return await store.write(_reopen, of(store), who, number, version)


def _fire(
    s: Connection,
    office: Office,
    who: Actor,
    number: int,
    version: int | None,
    what: str,
    more: Mapping[str, Any] | None = None,
) -> int:
    row = enter(s, office, who, number, version)
    check(office, who, row, what)
    return _turn(s, office, who, row, what, **(more or {}))


def _resume(s: Connection, office: Office, who: Actor, number: int, version: int | None) -> int:
    made = _fire(s, office, who, number, version, "resume")
    drafts.settle(s, {"id": number, "state": State.APPROVAL}, drafts.RETURNED)
    return made


def _turn(s: Connection, office: Office, who: Actor, row: RowMapping, what: str, **more: Any) -> int:
    turn(s, row, what, actor(who), office.clock.now(), office.calendar(row["unit"]), **more)
    return int(row["version"]) + 1


def _take(s: Connection, office: Office, who: Actor, number: int, version: int | None) -> int:
    row = enter(s, office, who, number, version)
    mine = row["assignee"] in (None, who.staff)
    if not may(office, who, Permission.TAKE if mine else Permission.ASSIGN, row):
        raise NotAllowed("take")
    drafts.another_person(s, row, who.staff)
    return _turn(s, office, who, row, "assign", kind="take", changes={"assignee": who.staff})


def _assign(s: Connection, office: Office, who: Actor, number: int, version: int | None, assignee: int) -> int:
    row = enter(s, office, who, number, version)
    check(office, who, row, "assign")
    _can_answer(s, office, row, assignee)
    drafts.another_person(s, row, assignee)
    return _turn(s, office, who, row, "assign", data={"assignee": assignee}, changes={"assignee": assignee})


def _can_answer(s: Connection, office: Office, row: RowMapping, assignee: int) -> None:
    found = s.execute(sa.select(staff).where(staff.c.id == assignee, staff.c.active)).mappings().first()
    theirs = actor_of(s, found) if found is not None else None
    now = office.clock.now()
    writes = (Permission.REPLY, Permission.SUBMIT)
    if theirs is None or not any(
        allowed(theirs, right, row["unit"], office.rights, assigned=True, now=now) for right in writes
    ):
        raise WrongInput("staff", "not_in_unit")


def _route(s: Connection, office: Office, who: Actor, number: int, version: int | None, to: str, reason: str) -> int:
    row = enter(s, office, who, number, version)
    check(office, who, row, "route")
    parents = {one.slug: one.parent for one in s.execute(sa.select(unit.c.slug, unit.c.parent).where(unit.c.active))}
    if to not in parents:
        raise WrongInput("unit", "unknown")
    if to == row["unit"]:
        raise WrongInput("unit", "same")
    bounced = _bounces(s, number) + 1 >= BOUNCES
    target = _common_head(row["unit"], to, parents) if bounced else to
    data = {"unit_from": row["unit"], "unit": target, "reason": reason}
    if bounced:
        data["asked_for"] = to
    tags = [*row["tags"], "ping_pong"] if bounced and "ping_pong" not in row["tags"] else row["tags"]
    return _turn(s, office, who, row, "route", data=data, changes={"unit": target, "assignee": None, "tags": tags})


def _bounces(s: Connection, number: int) -> int:
    ask = sa.select(sa.func.count()).where(event.c.ticket == number, event.c.kind == "route")
    return int(s.execute(ask.where(event.c.actor.like("staff:%"))).scalar_one())


def _common_head(one: str, other: str, parents: dict[str, str | None]) -> str:
    """The nearest unit above (or at) both; `other` when they share none."""
    line = _line(one, parents)
    return next((slug for slug in _line(other, parents) if slug in line and slug != one), other)


def _line(slug: str | None, parents: dict[str, str | None]) -> list[str]:
    found: list[str] = []
    while slug is not None and slug in parents and slug not in found:
        found.append(slug)
        slug = parents[slug]
    return found


def _note(s: Connection, office: Office, who: Actor, number: int, version: int | None, text: str) -> int:
    row = enter(s, office, who, number, version)
    check(office, who, row, "note")
    now = office.clock.now()
    message, seq = write(s, row, now, way=Way.NOTE, channel=who.channel, author=who.staff, text=text)
    touch(s, row, now, seq=seq)
    events.add(s, number, "note", actor(who), {"message": message}, text, at=now)
    return int(row["version"]) + 1


def _close(s: Connection, office: Office, who: Actor, number: int, version: int | None, reason: str) -> int:
    row = enter(s, office, who, number, version)
    check(office, who, row, "close")
    if row["level"] > 0:
        raise Guarded("objected")
    return _turn(s, office, who, row, "close", data={"reason": reason})


def _outside(s: Connection, office: Office, who: Actor, number: int, version: int | None, until: int, text: str) -> int:
    row = enter(s, office, who, number, version)
    check(office, who, row, "outside")
    now = office.clock.now()
    if not now < until <= now + OUTSIDE_DAYS * DAY:
        raise WrongInput("until", "out_of_range")
    _, seq = write(s, row, now, way=Way.NOTE, channel=who.channel, author=who.staff, text=text)
    return _turn(s, office, who, row, "outside", until=until, data={"until": until}, text=text, changes={"seq": seq})


def _reopen(s: Connection, office: Office, who: Actor, number: int, version: int | None) -> int:
    row = enter(s, office, who, number, version)
    check(office, who, row, "reopen")
    since = max(row["answered_at"] or 0, row["closed_at"] or 0)
    if since and office.clock.now() > since + REOPEN_DAYS * DAY:
        raise Guarded("too_late")
    return _turn(s, office, who, row, "reopen")


def _reason(text: str) -> str:
    text = clean(text)
    if not 0 < len(text.strip()) <= REASON:
        raise WrongInput("reason", "empty" if not text.strip() else "too_long")
    return text.strip()


def _text(text: str) -> str:
    text = clean(text)
    if not 0 < len(text.strip()) <= TEXT:
        raise WrongInput("text", "empty" if not text.strip() else "too_long")
    return text.strip()
