"""Letters of ours that come back: noted on their ticket; what is lost goes to the next contact point. SQL only."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping
from sqlalchemy.dialects import postgresql, sqlite

from core import events, ids, outbox
from core.channels import DeliveryState, Returned
from core.schema import AGENCY, raw, seen
from core.schema import outbox as rows
from core.text import clean
from core.turn import lock

__all__ = ["LASTS", "Returned", "returned"]

LASTS = 30 * 86_400_000  #: ms after which a report is about nothing any more
STATES = {"hard": DeliveryState.UNDELIVERED, "delivered": DeliveryState.DELIVERED}


def returned(s: Connection, back: Returned, now: int) -> int | None:
    """Note `back` once; the number of the kept report. None: an orphan, about nothing that was sent lately."""
    row = _about(s, back, now)
    if row is None:
        return None
    number = ids.new(s)
    first = _first(s, back, number, row["ticket"], now)
    if first != number:
        return first
    lock(s, row["ticket"])
    s.execute(
        sa.insert(raw).values(
            id=number, agency=AGENCY, at=now, message=row["message"], channel=back.channel, ref=clean(back.ref),
            why="report", bytes=back.raw,
        )
    )  # fmt: skip
    data = {"said": back.said, "outbox": row["id"], "channel": back.channel, "purpose": row["purpose"], "raw": number}
    events.add(s, row["ticket"], "bounce", "system", data | {"why": clean(back.why)[: outbox.REASON]}, at=now)
    if back.said in STATES:
        outbox.came_back(s, row["id"], clean(back.sent), STATES[back.said], back.why, now)
    return number


def _about(s: Connection, back: Returned, now: int) -> RowMapping | None:
    """The row, if it is of this channel and a ticket, not too old, and was sent under that id."""
    ask = sa.select(rows).where(rows.c.id == back.row, rows.c.channel == back.channel, rows.c.ticket.is_not(None))
    row = s.execute(ask).mappings().first()
    if row is None or row["at"] < now - LASTS or (row["ref"] is not None and row["ref"] != clean(back.sent)):
        return None
    return row


def _first(s: Connection, back: Returned, number: int, about: int, now: int) -> int:
    """`number`, or the number under which this report was noted before."""
    insert = sqlite.insert if s.dialect.name == "sqlite" else postgresql.insert
    key: dict[str, Any] = {
        "agency": AGENCY, "channel": f"back:{back.channel}", "body_hash": b"",
        "ref": blake2b(back.ref.encode(errors="replace"), digest_size=16).digest(),
    }  # fmt: skip
    put = insert(seen).values(**key, at=now, ticket=about, message=number)
    if s.execute(put.on_conflict_do_nothing().returning(seen.c.message)).first() is not None:
        return number
    same = (seen.c[name] == value for name, value in key.items())
    return int(s.execute(sa.select(seen.c.message).where(*same)).scalar_one())
