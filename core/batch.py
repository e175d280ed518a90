"""Many messages in one transaction: new tickets as sets, then what continues a ticket, each behind a savepoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection

from core import followups, fresh
from core.channels import Receipt
from core.errors import PasokhError
from core.prepared import Prepared


class Held(Exception):
    """Another transaction holds the message's ticket at this moment; nothing was written of it."""


def write(s: Connection, items: Sequence[Prepared]) -> list[Receipt | Exception]:
    """Write `items`; an outcome each, in their order: a receipt, what it was refused with, or Held.

    Errors of one item are outcomes, others end the transaction.
    """
    outcomes: list[Receipt | Exception] = list(fresh.write(s, [item for item in items if not item.follows]))
    rest = [item for item in items if item.follows]
    if not rest:
        return outcomes
    held = followups.lock(s, rest)
    new = iter(outcomes)
    return [next(new) if not item.follows else Held() if item.number in held else _alone(s, item) for item in items]


def _alone(s: Connection, item: Prepared) -> Receipt | Exception:
    """A message that may continue a ticket: what it is refused with leaves the others' rows in place."""
    try:
        with savepoint(s):
            return followups.write(s, item)
    except PasokhError as error:
        return error


@contextmanager
def savepoint(s: Connection) -> Iterator[None]:
    """Take back what failed inside, and only that. A full disk has taken back everything already: then it just ends."""
    s.exec_driver_sql("SAVEPOINT item")
    try:
        yield
    except PasokhError:
        s.exec_driver_sql("ROLLBACK TO SAVEPOINT item")
        s.exec_driver_sql("RELEASE SAVEPOINT item")
        raise
    s.exec_driver_sql("RELEASE SAVEPOINT item")
