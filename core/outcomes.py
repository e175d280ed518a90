"""What came of claims: read together, decided by the table of states, written together, all or nothing.

A crash before the commit leaves every row of it claimed: its lease runs out, then it is in doubt and looked up.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from core import outbox, sets, spending
from core.channels import Outcome, Refused, Sent, TryLater, Unknown
from core.schema import outbox as rows
from core.schema import ticket
from core.sending import LOOKS, UNFINISHED, WAITS, Fact, Stage, move, wait
from core.text import clean

Row = Mapping[str, Any]

WRITTEN = ("id", "state", "worker", "why", "ref", "cost", "parts", "done_at", "doubt_at", "due_at")
_READ = (*WRITTEN, "ticket", "channel", "purpose", "attempt", "fence", "facts")


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one claim."""

    row: int
    fence: int
    outcome: Outcome


def record(s: Connection, results: Sequence[Result], now: int) -> list[Stage | None]:
    """Record what came of several claims; the stage after each, None where it no longer counts.

    With an old fence (the lease ran out, another has it) only Sent is still recorded: it did reach the outside.
    """
    found = _held(s, results)
    stages: list[Stage | None] = []
    settled: list[tuple[Row, Row, Outcome]] = []
    for result in results:
        row = found.get(result.row)
        after = _settled(row, result, now) if row is not None and _counts(row, result) else None
        stages.append(None if after is None else Stage(after["state"]))
        if row is not None and after is not None:
            found[result.row] = after
            settled.append((row, after, result.outcome))
    changed = {after["id"]: after for _, after, _ in settled}
    if changed:
        sets.update(s, rows, [{key: after[key] for key in WRITTEN} for after in changed.values()])
    spending.count(s, [outcome for _, _, outcome in settled if isinstance(outcome, Sent)], now)
    for row, after, outcome in settled:
        _follow(s, row, after, outcome, now)
    early = outbox.early_reports(s, {(row["channel"], row["ref"]): number for number, row in changed.items()}, now)
    return [stage and early.get(result.row, stage) for result, stage in zip(results, stages, strict=True)]


def _held(s: Connection, results: Sequence[Result]) -> dict[int, Row]:
    """The rows by number, held till commit: what reports name them by first, then their tickets, then they."""
    mine = rows.c.id.in_([result.row for result in results])
    about = {row.id: row for row in s.execute(sa.select(rows.c.id, rows.c.channel, rows.c.ticket).where(mine))}
    sent = [(result.row, _ref(result.outcome)) for result in results if result.row in about]
    outbox.alone(s, {(about[number].channel, ref) for number, ref in sent if ref})
    tickets = {row.ticket for row in about.values() if row.ticket is not None}
    if tickets:
        s.execute(sa.select(ticket.c.id).where(ticket.c.id.in_(tickets)).order_by(ticket.c.id).with_for_update()).all()
    ask = sa.select(*(rows.c[key] for key in _READ)).where(mine).order_by(rows.c.id).with_for_update()
    return {row["id"]: dict(row) for row in s.execute(ask).mappings()}


def _ref(outcome: Outcome) -> str | None:
    return clean(outcome.ref) if isinstance(outcome, Sent) and outcome.ref is not None else None


def _counts(row: Row, result: Result) -> bool:
    stage = Stage(row["state"])
    if row["fence"] == result.fence and stage in (Stage.SENDING, Stage.UNKNOWN):
        return True
    return isinstance(result.outcome, Sent) and stage in (*UNFINISHED, Stage.PARKED)


def _settled(row: Row, result: Result, now: int) -> Row:
    """The row as it is afterwards."""
    stage, outcome = Stage(row["state"]), result.outcome
    after = move(stage, _fact(stage, outcome))
    values: dict[str, Any] = {**row, "state": after, "worker": None, "why": outbox.word(outcome.why)}
    if isinstance(outcome, Sent):
        told = {"ref": _ref(outcome), "cost": outcome.cost, "parts": outcome.parts}
        return values | told | {"done_at": now, "doubt_at": None}
    if after not in UNFINISHED:
        return values | {"done_at": now}
    told_wait = None if isinstance(outcome, Refused) else outcome.after
    steps = LOOKS if after is Stage.UNKNOWN else WAITS
    due = now + wait(row["attempt"], told_wait, random.random(), steps)
    return values | {"due_at": due, "doubt_at": (row["doubt_at"] or now) if after is Stage.UNKNOWN else None}


def _fact(stage: Stage, outcome: Outcome) -> Fact:
    match outcome:
        case Sent():
            return Fact.FOUND if outcome.found and stage in (Stage.SENDING, Stage.UNKNOWN) else Fact.ACCEPTED
        case TryLater():
            return Fact.NOT_FOUND if stage is Stage.UNKNOWN else Fact.TRY_LATER
        case Refused():
            return Fact.REFUSED
        case Unknown():
            return Fact.HORIZON if outcome.park else Fact.DOUBT


def _follow(s: Connection, row: Row, after: Row, outcome: Outcome, now: int) -> None:
    """What follows for the ticket: a line in its log, the next point after a loss."""
    if isinstance(outcome, TryLater) and outcome.tried:
        outbox.note(s, row, "tried", after["why"], now)
    elif isinstance(outcome, Sent) and row["channel"] == "phone" and not outcome.found:
        outbox.note(s, row, "heard", "", now)
    outbox.tell(s, row, after["state"], after["why"], now)
