"""Numbers for rows: < 2^53, drawn from blocks that the process fetches ahead; they order nothing across processes."""

from __future__ import annotations

from collections import deque

import sqlalchemy as sa
from sqlalchemy import Connection

from core.schema import meta

BLOCK = 1000  #: numbers fetched at a time
IDS, OUTBOX = "ids", "outbox_ids"  #: rows of meta; outbox rows stay < 2^36 for the SMS local id


class Maker:
    """The numbers of one process. Safe from any thread: a deque's ends are."""

    def __init__(self) -> None:
        self._left: dict[str, deque[int]] = {IDS: deque(), OUTBOX: deque()}

    def left(self, row: str) -> int:
        return len(self._left[row])

    def add(self, row: str, first: int, count: int) -> None:
        self._left[row].extend(range(first, first + count))

    def next(self, row: str = IDS) -> int | None:
        """The next number, or None when the block is used up."""
        try:
            return self._left[row].popleft()
        except IndexError:
            return None


def fetch(s: Connection, row: str, count: int = BLOCK) -> int:
    """Take `count` numbers from `meta` in this transaction; returns the first."""
    value = sa.cast(sa.cast(meta.c.value, sa.BigInteger) + count, sa.Text)
    ask = sa.update(meta).where(meta.c.key == row).values(value=value).returning(meta.c.value)
    return int(s.execute(ask).scalar_one()) - count


def new(s: Connection) -> int:
    """A number for any row but the outbox's, inside a deed."""
    return _draw(s, IDS)


def outbox(s: Connection) -> int:
    """A number for an outbox row, inside a deed."""
    return _draw(s, OUTBOX)


def _draw(s: Connection, row: str) -> int:
    maker: Maker = s.info["ids"]
    number = maker.next(row)
    return fetch(s, row, 1) if number is None else number
