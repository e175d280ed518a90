"""What happened to a ticket, as a chain nobody can change unseen, and the doorbell that wakes who reads it.

hash = BLAKE2b(key, prev ‖ canonical row ‖ seal), seal = BLAKE2b(salt ‖ text): a text can be erased (its salt too)
and the chain still holds. The key lies outside the store.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from core import ids
from core.errors import NotFound
from core.schema import AGENCY, encoded, event, ticket

START = bytes(32)  #: what every chain begins from, so that a new ticket reads nothing
SALT = 16  #: octets
BELL = 0.02  #: seconds between two rings: whoever is woken looks into the store


@dataclass(frozen=True, slots=True)
class Row:
    """One event as consumers read it, in the order (pos, id)."""

    pos: int
    id: int
    ticket: int
    seq: int
    kind: str
    actor: str
    at: int
    data: Mapping[str, Any] = field(default_factory=dict)


def seal(salt: bytes, text: str) -> bytes:
    """The salted commitment to a text: 32 octets that say nothing once the salt is gone."""
    return blake2b(salt + text.encode(), digest_size=32).digest()


def link(key: bytes, prev: bytes, row: Mapping[str, Any], sealed: bytes | None) -> bytes:
    """The hash of `row` (id, ticket, seq, kind, actor, at, data) behind `prev`. 32 octets."""
    words = encoded([row["id"], row["ticket"], row["seq"], row["kind"], row["actor"], row["at"], row["data"]])
    return blake2b(prev + words + (sealed or b""), key=key, digest_size=32).digest()


def chained(
    key: bytes, prev: bytes, number: int, about: int, seq: int, kind: str, actor: str, at: int,
    data: Mapping[str, Any], text: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A row for the event table but for its `pos`; its `hash` is the ticket's next `chain`."""
    salt = None if text is None else os.urandom(SALT)
    sealed = None if salt is None else seal(salt, text or "")
    row = {
        "id": number, "agency": AGENCY, "at": at, "ticket": about, "seq": seq, "kind": kind, "actor": actor,
        "data": dict(data), "salt": salt, "seal": sealed, "prev": prev,
    }  # fmt: skip
    row["hash"] = link(key, prev, row, sealed)
    return row


def add(
    s: Connection, about: int, kind: str, actor: str, data: Mapping[str, Any] | None = None, text: str | None = None,
    at: int | None = None,
) -> int:  # fmt: skip
    """Append an event to ticket `about` and move its chain on; returns the event's seq.

    `actor` is citizen, system or staff:<id>. Facts go into `data`, contents only into `text`, of which nothing but
    a salted commitment is kept here. `at` defaults to the store's clock. Raises NotFound.
    """
    take = (
        sa.update(ticket)
        .where(ticket.c.id == about)
        .values(events=ticket.c.events + 1)
        .returning(ticket.c.events, ticket.c.chain)
    )
    found = s.execute(take).first()
    if found is None:
        raise NotFound(f"ticket {about}")
    at = s.info["clock"].now() if at is None else at
    row = chained(s.info["chain_key"], found.chain, ids.new(s), about, found.events, kind, actor, at, data or {}, text)
    s.execute(sa.insert(event), [row | {"pos": pos(s)}])
    s.execute(sa.update(ticket).where(ticket.c.id == about).values(chain=row["hash"]))
    return int(found.events)


def pos(s: Connection) -> int:
    """This transaction's place in the order consumers read by; the same for all its events."""
    if not s.info["pos"]:
        s.info["pos"] = s.info["position"](s)
    return int(s.info["pos"])


def after(s: Connection, cursor: tuple[int, int], n: int = 500) -> Sequence[Row]:
    """Up to `n` events behind `cursor` = (pos, id), none of which an unfinished transaction can still precede."""
    ask = (
        sa.select(
            event.c.pos, event.c.id, event.c.ticket, event.c.seq, event.c.kind, event.c.actor, event.c.at, event.c.data
        )
        .where(sa.tuple_(event.c.pos, event.c.id) > sa.tuple_(*cursor))
        .order_by(event.c.pos, event.c.id)
        .limit(n)
    )
    edge = s.info["horizon"](s)
    if edge is not None:
        ask = ask.where(event.c.pos < edge)
    return [Row(*found) for found in s.execute(ask)]


class Doorbell:
    """Wakes everyone who waits for new rows. In one process an event of the loop; rung only after commit."""

    def __init__(self) -> None:
        self.count = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._rung_at = -BELL
        self._later: asyncio.TimerHandle | None = None

    def ring(self) -> None:
        """Wake them now, or together with whoever rings next when it has just rung."""
        if self._later is not None:
            return
        loop = asyncio.get_running_loop()
        wait = self._rung_at + BELL - loop.time()
        if wait > 0:
            self._later = loop.call_later(wait, self._ring)
        else:
            self._ring()

    def _ring(self) -> None:
        self._later = None
        self._rung_at = asyncio.get_running_loop().time()
        self.count += 1
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()

    async def wait(self, since: int | None = None, timeout: float = 2.0) -> int:
        """Wait until rung after `count` was `since` (None = from now), or `timeout` seconds; returns `count`."""
        if since is None or since == self.count:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.add(waiter)
            await asyncio.wait([waiter], timeout=timeout)
            self._waiting.discard(waiter)
        return self.count
