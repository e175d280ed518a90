"""Files that wait for the virus scanner, and what it said of them. Part of the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from core import events
from core.model import Scan
from core.schema import file
from core.text import clean

SAID = 200  # characters kept of what the scanner said


@dataclass(frozen=True, slots=True)
class Due:
    """A file to scan: its row, the key it is kept under, how big it is."""

    id: int
    key: str
    size: int


def due(s: Connection, state: Scan, after: int = 0, most: int = 50) -> list[Due]:
    """Files that are WAITING, or UNSCANNED, whose rows come after `after`, the oldest first."""
    ask = sa.select(file.c.id, file.c.key, file.c.size)
    ask = ask.where(file.c.scan == state, file.c.scan.in_([Scan.WAITING, Scan.UNSCANNED]), file.c.state == "kept")
    return [Due(*row) for row in s.execute(ask.where(file.c.id > after).order_by(file.c.id).limit(most))]


def said(s: Connection, number: int, scan: Scan, found: str, now: int) -> None:
    """Note what the scanner said of the file's row `number`; one that is infected is an event of its ticket."""
    ask = sa.update(file).where(file.c.id == number, file.c.scan.in_([Scan.WAITING, Scan.UNSCANNED]))
    row = s.execute(ask.values(scan=scan, found=clean(found)[:SAID]).returning(file.c.ticket, file.c.message)).first()
    if row is not None and scan is Scan.INFECTED:
        data = {"file": number, "message": row.message, "found": clean(found)[:SAID]}
        events.add(s, row.ticket, "infected", "system", data, at=now)
