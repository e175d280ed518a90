"""Answers that wait for a second person: notes on the thread, each marked with where it stands. SQL only.

The citizen never sees one; once it is approved its words go out as a message of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from core.access import actor
from core.errors import Guarded, NotFound
from core.model import State
from core.schema import event, message
from core.views import Actor

WAITS, APPROVED, RETURNED, TAKEN_BACK, INSTEAD = (
    "submitted", "approved", "returned", "taken_back", "replaced",
)  # fmt: skip
STANDS = frozenset((WAITS, APPROVED, RETURNED, TAKEN_BACK, INSTEAD))  #: marks, one at a time


def waiting(s: Connection, number: int) -> RowMapping:
    """The draft that waits on a ticket. Raises NotFound."""
    found = _newest(s, number, WAITS)
    if found is None:
        raise NotFound(f"no answer waits on ticket {number}")
    return found


def settle(s: Connection, row: Mapping[Any, Any], mark: str) -> None:
    """What waits on the ticket (in its state before) waits no more."""
    found = _newest(s, row["id"], WAITS) if row["state"] == State.APPROVAL else None
    if found is not None:
        _mark(s, found, mark)


def again(s: Connection, row: RowMapping, state: str) -> None:
    """An answer was taken back to `state`: the draft that it came of, or replaced, waits again."""
    found = _newest(s, row["id"], APPROVED, INSTEAD) if state == State.APPROVAL else None
    if found is not None:
        _mark(s, found, WAITS)


def other_person(s: Connection, who: Actor, row: RowMapping) -> None:
    """Whoever wrote the draft does not approve it. Raises Guarded("same_person")."""
    if row["state"] != State.APPROVAL:
        return
    ask = sa.select(event.c.actor).where(event.c.ticket == row["id"], event.c.kind == "submit")
    if s.execute(ask.order_by(event.c.seq.desc()).limit(1)).scalar() == actor(who):
        raise Guarded("same_person")


def another_person(s: Connection, row: RowMapping, person: int) -> None:
    """What was objected to is seen to and answered by somebody who did not write it. Raises Guarded("same_person")."""
    if row["state"] != State.DISPUTED and not row["level"]:
        return
    ask = sa.select(event.c.actor, event.c.data).where(event.c.ticket == row["id"], event.c.kind == "reply")
    if row["objected_at"] is not None:
        ask = ask.where(event.c.at <= row["objected_at"])
    if any(one.actor == f"staff:{person}" or one.data.get("author") == person for one in s.execute(ask)):
        raise Guarded("same_person")


def by(who: Actor) -> sa.ColumnElement[bool]:
    """Messages that are `who`'s own waiting drafts, as a WHERE over `message`."""
    return sa.and_(message.c.author == who.staff, _marked(WAITS))


def sender(sent: RowMapping) -> int | None:
    """Who let a message of ours go: who approved it, else who wrote it."""
    found: int | None = sent["meta"].get("approved_by", sent["author"])
    return found


def _marked(*marks: str) -> sa.ColumnElement[bool]:
    return sa.or_(*(sa.cast(message.c.marks, sa.Text).contains(f'"{mark}"') for mark in marks))


def _newest(s: Connection, number: int, *marks: str) -> RowMapping | None:
    ask = sa.select(message).where(message.c.ticket == number, _marked(*marks))
    return s.execute(ask.order_by(message.c.seq.desc()).limit(1)).mappings().first()


def _mark(s: Connection, found: RowMapping, mark: str) -> None:
    marks = [one for one in found["marks"] if one not in STANDS] + [mark]
    s.execute(sa.update(message).where(message.c.id == found["id"]).values(marks=marks))
