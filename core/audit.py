"""Checking the chains: was an event, or a text it commits to, changed, cut, swapped or put in?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from core import events
from core.schema import event, message, ticket
from core.store import Store

PAGE = 50  #: tickets read at a time


@dataclass(frozen=True, slots=True)
class Broken:
    """One fault. `what`: gap, prev, hash, tail, seal; `seq` is the event's, 0 for the whole chain."""

    ticket: int
    seq: int
    what: str


@dataclass(frozen=True, slots=True)
class Checked:
    """How many tickets were looked at, and every fault in their order."""

    tickets: int
    broken: Sequence[Broken]


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


async def verify_all(store: Store) -> Checked:
    """Look through every chain, page by page: on PostgreSQL the hashing is the loop's. Raises Busy."""
    broken: list[Broken] = []
    tickets, after, numbers = 0, 0, [0]
    while numbers:
        found, numbers = await store.read(_page, after)
        broken += found
        tickets, after = tickets + len(numbers), numbers[-1] if numbers else after
    return Checked(tickets, broken)


def _page(s: Connection, after: int) -> tuple[list[Broken], list[int]]:
    """What is wrong with the next tickets behind number `after`, and their numbers."""
    some = sa.select(ticket.c.id).where(ticket.c.id > after).order_by(ticket.c.id).limit(PAGE)
    numbers = list(s.execute(some).scalars())
    return [fault for number in numbers for fault in verify(s, number)], numbers


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
