"""What sending cost, by line and day: counted with the result of each send, so that a restart forgets nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from core import jalali
from core.channels import Sent
from core.schema import spent

COUNTED = ("parts", "rial", "auto_parts", "auto_rial")


def count(s: Connection, sent: Iterable[Sent], now: int) -> None:
    """Add what went by lines that count their spending."""
    sums: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: dict.fromkeys(COUNTED, 0))
    for one in sent:
        if one.line is None:
            continue
        channel, _, line = one.line.partition(":")
        mine = sums[channel, line]
        for name, value in (("parts", one.parts or 0), ("rial", one.cost or 0)):
            mine[name] += value
            mine[f"auto_{name}"] += value if one.auto else 0
    insert = sqlite.insert if s.dialect.name == "sqlite" else postgresql.insert
    for (channel, line), values in sorted(sums.items()):
        made = insert(spent).values(channel=channel, line=line, day=day(now), **values)
        more = {name: spent.c[name] + values[name] for name in COUNTED}
        s.execute(made.on_conflict_do_update(index_elements=["channel", "line", "day"], set_=more))


def of_day(s: Connection, channel: str, line: str, now: int) -> Mapping[str, int]:
    """`parts`, `rial`, `auto_parts`, `auto_rial` of today."""
    mine = (spent.c.channel == channel, spent.c.line == line, spent.c.day == day(now))
    row = s.execute(sa.select(*(spent.c[name] for name in COUNTED)).where(*mine)).mappings().first()
    return dict(row) if row is not None else dict.fromkeys(COUNTED, 0)


def day(now: int) -> int:
    """The day of `now` (ms UTC) in the body's zone, as days since 1/1/1."""
    return jalali.local(now).date().toordinal()
