"""A program that sends an outbox and kills itself at a point between two lines: its parent is the judge.

`python -m tests.core.staff.sender FOLDER POINT`; the point `end` is none: it sends all and ends. What reached the
outside lies in FOLDER/ledger, a row's number a line.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from core import ids, outbox, sets, store
from core.channels import Door, Outbound, Outcome, Purpose, Sent
from core.cipher import Keyring, seal
from core.clock import SystemClock
from core.schema import outbox as rows
from gateway.worker import Worker

ROWS = 40
POINTS = ("claimed", "sent", "half", "recorded")  # before a send; between send and record; in a record; after it


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Outside:
    """A provider that can be asked what it has: the ledger."""

    name, can_send, at_once = "sms", True, 16

    def __init__(self, folder: Path, point: str) -> None:
        self._ledger, self._point, self._sends = folder / "ledger", point, 0
        self._ledger.touch()

    async def start(self, door: Door) -> None:
        """Nothing to open."""

    async def stop(self, drain: float) -> None:
        """Nothing to close."""

    async def send(self, message: Outbound) -> Outcome:
        if message.in_doubt and str(message.id) in self._ledger.read_text().split():
            return Sent(f"r{message.id}", found=True)
        self._sends += 1
        if self._point == "claimed" and self._sends == 5:
            die()
        with self._ledger.open("a") as file:
            file.write(f"{message.id}\n")
        if self._point == "sent" and self._sends == 11:
            die()
        return Sent(f"r{message.id}")


def fill(s: sa.Connection, ring: Keyring, now: int) -> None:
    """The rows, once."""
    if s.execute(sa.select(rows.c.id).limit(1)).first() is None:
        for n in range(ROWS):
            number = ids.outbox(s)
            row = {"id": number, "at": now, "seq": 0, "channel": "sms", "purpose": Purpose.ANSWER, "lane": 2}
            row |= {"to": seal(ring, "outbox", "to", number, f"+98912{n:07}"), "due_at": now, "text": "پاسخ"}
            s.execute(sa.insert(rows).values(row))


def half(real: Callable[..., None]) -> Callable[..., None]:
    """Writes half of what it is given, in a transaction that never ends."""

    def update(s: sa.Connection, table: sa.Table, given: Any) -> None:
        real(s, table, given[: len(given) // 2])
        die()

    return update


class Dying(Worker):
    """Dies once results are on disk and nobody has been told."""

    async def _recorded(self, batch: Any) -> bool:
        await super()._recorded(batch)
        die()
        return True


async def main(folder: Path, point: str) -> None:
    clock, ring = SystemClock(), Keyring({1: b"k" * 32})
    opened = await store.open(f"sqlite:///{folder / 'pasokh.db'}", clock, folder, ring.key("chain"))
    await opened.write(fill, ring, clock.now())
    if point == "half":
        sets.update = half(sets.update)
    kind = Dying if point == "recorded" else Worker
    worker = kind(opened, {"sms": Outside(folder, point)}, ring, clock)
    await worker.start()
    while await opened.read(outbox.next_due, "sms", clock.now()) is not None:
        await opened.doorbell.wait(timeout=0.1)
    await worker.stop(2)
    await opened.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
