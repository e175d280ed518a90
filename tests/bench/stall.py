"""How long one hostile letter holds up the loop, on which calls and pages wait: the whole program, with its workers."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.size import Size
from tests.bench.table import Figure
from tests.gateway.mail.test_hostile import HOSTILE

TICK = 0.001  # seconds between looks at the clocks
PIECE = 65_536  # octets of a letter that come at once
LONG = {"25 MB of text": b"From: sara@mailbox.example\r\n\r\n" + (b"x" * 76 + b"\r\n") * 330_000}


@dataclass(slots=True)
class Stall:
    """The longest in which the loop did nothing else: seconds of its own thread's CPU, and by the wall's clock."""

    cpu: float = 0.0
    wall: float = 0.0


def figures(size: Size) -> list[Figure]:
    """One row: the letter that held the loop up the longest."""
    from gateway import loop

    letters = dict(list((HOSTILE | LONG).items())[: size.of(None, 3)])
    with (
        tempfile.TemporaryDirectory(prefix="pasokh-bench-") as name,
        asyncio.Runner(loop_factory=loop.new) as runner,
    ):
        found = runner.run(_all(letters, Path(name)))
    slowest = max(found, key=lambda name: found[name].cpu)
    return [
        Figure(
            "the longest that one hostile letter holds up the loop", f"{found[slowest].cpu * 1000:.0f} ms of CPU",
            "≤ 50 ms", f"{slowest}; {found[slowest].wall * 1000:.0f} ms by the wall's clock; {len(found)} letters",
        )
    ]  # fmt: skip


async def _all(letters: Mapping[str, bytes], folder: Path) -> dict[str, Stall]:
    from gateway import supervise
    from tests.bench.mail import system

    parts = supervise.Parts()
    opened = await system("full", folder, parts)
    await _take(opened, b"From: sara@mailbox.example\r\n\r\nthe first")
    found = {}
    for name, raw in letters.items():
        async with _watched() as stall:
            await _take(opened, raw)
        found[name] = stall
    await parts.stop(1)
    return found


@contextlib.asynccontextmanager
async def _watched() -> AsyncIterator[Stall]:
    """Looks at the clocks in every turn of the loop, before, while and after."""
    stall = Stall()

    async def look() -> None:
        while True:
            cpu, wall = time.thread_time(), time.perf_counter()
            await asyncio.sleep(TICK)
            stall.cpu = max(stall.cpu, time.thread_time() - cpu)
            stall.wall = max(stall.wall, time.perf_counter() - wall - TICK)

    looking = asyncio.create_task(look())
    await asyncio.sleep(20 * TICK)
    stall.cpu = stall.wall = 0.0
    try:
        yield stall
        await asyncio.sleep(20 * TICK)
    finally:
        looking.cancel()


async def _take(opened: Any, raw: bytes) -> None:
    """Hand a letter over as the listener does."""
    from gateway.mail import smtp
    from gateway.mail.letter import Content, Letter

    content = Content(opened._gear.folder)
    for at in range(0, len(raw), PIECE):
        content.add(raw[at : at + PIECE])
        await asyncio.sleep(0)
    envelope = smtp.Envelope("bench", "sara@mailbox.example", (smtp.Rcpt("bench", "example.ir"),), False, False)
    reply = await opened._take("main", Letter(envelope, "127.0.0.1", content))
    content.close()
    assert reply.code == 250, reply
