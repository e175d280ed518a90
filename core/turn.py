"""One event on one ticket inside a transaction: its state, clock, due date, lapse, version and chain, together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from core import calendar, events
from core.calendar import Calendar, Pause
from core.errors import NotFound, Stale
from core.model import State
from core.schema import ticket
from core.states import CLOCK, LAPSES, move


def lock(s: Connection, number: int, version: int | None = None) -> RowMapping:
    """The ticket's row, held till commit. Raises NotFound, and Stale when it is past `version`."""
    row = s.execute(sa.select(ticket).where(ticket.c.id == known(number)).with_for_update()).mappings().first()
    if row is None:
        raise NotFound(f"ticket {number}")
    if version is not None and row["version"] != version:
        raise Stale(version, row["version"])
    return row


def known(number: int) -> int:
    """A number that the store can be asked for; what lies beyond all numbers is no ticket's."""
    return number if 0 <= number < 1 << 53 else 0


def turn(
    s: Connection, row: RowMapping, event: str, actor: str, now: int, cal: Calendar, *, kind: str | None = None,
    data: Mapping[str, Any] | None = None, text: str | None = None, until: int | None = None,
    before: State | None = None, changes: Mapping[str, Any] | None = None,
) -> State:  # fmt: skip
    """Fire `event` on the locked ticket `row`; returns the state after it.

    `changes` are more columns to set, and win; `until` (ms) is the date of a wait for another body; `kind` names the
    event in the log when it is not `event` itself. Raises WrongState: nothing was written then.
    """
    state = State(row["state"])
    after = move(state, event, before)
    values: dict[str, Any] = {"state": after, "version": row["version"] + 1, "last_at": now}
    values |= _clock(row, after, now, cal) | _lapse(row, after, event, now, cal, until)
    if event == "reply":
        values["answered_at"] = now
    if after is not state and State.CLOSED in (state, after):
        values["closed_at"] = now if after is State.CLOSED else None
    values |= changes or {}
    s.execute(sa.update(ticket).where(ticket.c.id == row["id"]).values(values))
    facts = {"from": state, "to": after, **(data or {})}
    events.add(s, row["id"], kind or event, actor, facts, text, at=now)
    return after


def touch(s: Connection, row: RowMapping, now: int, **values: Any) -> None:
    """Change columns without a move; the version moves all the same."""
    values |= {"version": row["version"] + 1, "last_at": now}
    s.execute(sa.update(ticket).where(ticket.c.id == row["id"]).values(values))


def _clock(row: RowMapping, after: State, now: int, cal: Calendar) -> dict[str, Any]:
    """Columns of the due date: a pause keeps the time left, a fresh start begins the budget anew. The ladder plans its
    next rung again after each."""
    was, runs = row["clock"], CLOCK[after]
    if was == runs:
        return {}
    if runs == "paused":
        return {"clock": runs, "paused_at": now, "rung_at": None}
    if was == "paused":
        pauses = [*row["pauses"], [row["paused_at"] or now, now]]
        ended: dict[str, Any] = {"clock": runs, "paused_at": None, "pauses": pauses, "rung_at": None}
        return ended | (_due(row, row["due_from"] or row["at"], pauses, cal) if runs == "runs" else {})
    if runs == "runs":
        fresh = {"clock": runs, "pauses": [], "due_from": now, "rung": 0, "rung_at": None}
        return fresh | _due({**row, "due_at": None}, now, [], cal)
    return {"clock": runs}


def _due(row: Mapping[Any, Any], start: int, pauses: list[list[int]], cal: Calendar) -> dict[str, Any]:
    waits = [Pause(begin, end) for begin, end in pauses]
    if row["budget"] is None:  # thanks and comments owe no answer
        return {}
    found = calendar.due(start, row["budget"], cal, waits)
    return {"due_at": calendar.later(row["due_at"], found.at), "due_steps": found.json()}


def _lapse(row: RowMapping, after: State, event: str, now: int, cal: Calendar, until: int | None) -> dict[str, Any]:
    """When the state's time runs out, and when the citizen is reminded before that; kept while the state stays, but for
    a new answer or a new date."""
    if after == row["state"] and event not in ("reply", "outside"):
        return {}
    lapse = LAPSES.get(after)
    if lapse is None:
        return {"lapse_at": None, "remind_at": None}
    return {
        "lapse_at": until if lapse.budget is None else calendar.due(now, lapse.budget, cal).at,
        "remind_at": None if lapse.reminder is None else calendar.due(now, lapse.reminder, cal).at,
    }
