"""Checking the chains: was an event, or a text it commits to, changed, cut, swapped or put in?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from core import events
from core.schema import event, message, ticket

PAGE = 500  #: tickets read at a time


@dataclass(frozen=True, slots=True)
class Broken:
    """One fault. `what`: gap, prev, hash, tail, seal; `seq` is the event's, 0 for the whole chain."""

    ticket: int
    seq: int
    what: str


def verify(s: Connection, about: int) -> list[Broken]:
    """What is wrong with the chain of ticket `about`; [] when it holds. An unknown ticket has no chain."""
    head = s.execute(sa.select(ticket.c.chain, ticket.c.events).where(ticket.c.id == about)).first()
    ask = sa.select(event).where(event.c.ticket == about).order_by(event.c.seq)
    rows = [dict(row) for row in s.execute(ask).mappings()]
    if head is None:
        return [Broken(about, 0, "tail")] if rows else []
    texts = _texts(s, about)
    found = list(_links(s.info["chain_key"], about, rows, texts))
    if len(rows) != head.events or (rows[-1]["hash"] if rows else events.START) != head.chain:
        found.append(Broken(about, 0, "tail"))
    return found


def verify_all(s: Connection, after: int = 0) -> Iterator[Broken]:
    """What is wrong with any chain, in the order of tickets behind number `after`."""
    while True:
        some = sa.select(ticket.c.id).where(ticket.c.id > after).order_by(ticket.c.id).limit(PAGE)
        numbers = list(s.execute(some).scalars())
        for number in numbers:
            yield from verify(s, number)
        if len(numbers) < PAGE:
            return
        after = numbers[-1]


def _links(key: bytes, about: int, rows: list[dict[str, Any]], texts: Mapping[int, str]) -> Iterator[Broken]:
    prev = events.START
    sealed = [row for row in rows if row["salt"] is not None]
    newest = {row["data"].get("message"): row["seq"] for row in sealed}  # what is read again later is sealed again
    for place, row in enumerate(rows, start=1):
        if row["seq"] != place:
            yield Broken(about, row["seq"], "gap")
        if row["prev"] != prev:
            yield Broken(about, row["seq"], "prev")
        if row["hash"] != events.link(key, row["prev"], row, row["seal"]):
            yield Broken(about, row["seq"], "hash")
        about_message = row["data"].get("message", 0)
        text = texts.get(about_message) if newest.get(about_message) == row["seq"] else None
        if row["salt"] is not None and text is not None and events.seal(row["salt"], text) != row["seal"]:
            yield Broken(about, row["seq"], "seal")
        prev = row["hash"]


def _texts(s: Connection, about: int) -> dict[int, str]:
    return {
        row.id: row.text for row in s.execute(sa.select(message.c.id, message.c.text).where(message.c.ticket == about))
    }
