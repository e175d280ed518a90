"""Receipts that were held back by the ration: told in the next letter that goes to their sender anyway. SQL only.

They are settled when that letter is handed out for the first time, and stand in its row from then on, so that every try
has the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from core import events
from core.fresh import UNTOLD
from core.model import Purpose
from core.schema import code, message, outbox, ticket

ALONG = "along"  #: fact of a row: [ticket, key of its PIN, code] of each receipt that goes along
CARRY = (Purpose.RECEIPT, Purpose.STATE, Purpose.ANSWER)
MOST = 20  # receipts a letter takes along; the rest wait for the one after
_LIVE = sa.text("ticket.state NOT IN ('closed', 'merged', 'junk')")  # as the index of live tickets has it


def along(s: Connection, row: RowMapping, now: int) -> Mapping[str, Any]:
    """The facts of a claimed row; at its first try a letter takes the held receipts of its recipient along."""
    facts: dict[str, Any] = row["facts"]
    if row["channel"] != "mail" or row["contact"] is None or row["attempt"] != 1 or row["purpose"] not in CARRY:
        return facts
    told = [[one.id, one.pin_key, one.value] for one in _held(s, row["contact"]) if _settle(s, one)]
    if not told:
        return facts
    for number, *_ in told:
        events.add(s, number, "receipt_along", "system", {"outbox": row["id"]}, at=now)
    facts = {**facts, ALONG: [*facts.get(ALONG, ()), *told]}
    s.execute(sa.update(outbox).where(outbox.c.id == row["id"]).values(facts=facts))
    return facts


def again(s: Connection, row: int) -> None:
    """The letter is lost: what went along with it is held back as before."""
    facts = s.execute(sa.select(outbox.c.facts).where(outbox.c.id == row)).scalar_one()
    if ALONG not in facts:
        return
    for number, *_ in facts[ALONG]:
        marks = s.execute(sa.select(message.c.marks).where(message.c.id == number)).scalar_one()
        s.execute(sa.update(message).where(message.c.id == number).values(marks=[*marks, UNTOLD]))
    s.execute(sa.update(outbox).where(outbox.c.id == row).values(facts=without(facts)))


def without(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a row for another way, which takes nothing along."""
    return {key: value for key, value in facts.items() if key != ALONG}


def _held(s: Connection, who: int) -> list[Any]:
    ask = (
        sa.select(ticket.c.id, ticket.c.pin_key, code.c.value, message.c.marks)
        .join(message, message.c.id == ticket.c.id)  # a ticket has the number of its first message
        .join(code, sa.and_(code.c.ticket == ticket.c.id, code.c.kind == "tracking"))
        .where(ticket.c.contact == who, _LIVE, sa.cast(message.c.marks, sa.Text).contains(f'"{UNTOLD}"'))
        .order_by(ticket.c.at, ticket.c.id)
        .limit(MOST)
    )
    return list(s.execute(ask))


def _settle(s: Connection, one: Any) -> bool:
    """Whoever changes the marks first tells it."""
    marks = [mark for mark in one.marks if mark != UNTOLD]
    mine = (message.c.id == one.id, message.c.marks == one.marks)
    return bool(s.execute(sa.update(message).where(*mine).values(marks=marks)).rowcount)
