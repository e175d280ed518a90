"""Writing a message of ours onto a ticket's thread: a reply or a note, with its files. SQL only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from core import ids
from core.model import KeptFile, Way
from core.schema import file, message


def write(
    s: Connection, row: RowMapping, now: int, *, way: Way, channel: str, author: int | None, text: str,
    contact: int | None = None, files: Sequence[KeptFile] = (), meta: Mapping[str, Any] | None = None,
    marks: Sequence[str] = (), before: Mapping[str, Any] | None = None,
) -> tuple[int, int]:  # fmt: skip
    """Add a message to the locked ticket `row`; returns (id, seq). Whoever changes the ticket sets `seq` there."""
    number, seq = ids.new(s), int(row["seq"]) + 1
    s.execute(
        sa.insert(message).values(
            id=number, at=now, ticket=row["id"], seq=seq, way=way, channel=channel, author=author, contact=contact,
            text=text, lang=row["lang"], meta=dict(meta or {}), marks=list(marks), before=before,
        )
    )  # fmt: skip
    for kept in files:
        s.execute(
            sa.insert(file).values(
                id=ids.new(s), at=now, key=kept.key, size=kept.size, type=kept.type, label=kept.name,
                seconds=kept.seconds, ticket=row["id"], message=number, scan=kept.scan,
            )
        )  # fmt: skip
    return number, seq
