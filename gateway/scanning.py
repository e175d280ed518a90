"""The part that has kept files scanned: at once when they come, and again while the scanner did not answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

from core import scans
from core.channels import Clock
from core.errors import NotFound, PasokhError
from core.files import Damaged, Files
from core.model import Scan
from core.scans import Due
from core.store import Store
from gateway.mail.scan import Clamd, NoAnswer

log = logging.getLogger("pasokh.scanning")

EVERY = 0.5  # seconds between looks, however often the bell rings
IDLE = 60.0  # seconds at most between looks
NEVER = float("inf")
HICCUP = 1.0  # seconds after the store could not


class Scanning:
    """`start`, then `stop`. Nothing is lost between: what waits is found in the store."""

    def __init__(self, store: Store, files: Files, clamd: Clamd, clock: Clock) -> None:
        self._store, self._files, self._clamd, self._clock = store, files, clamd, clock
        self._again = 0.0  #: monotonic seconds: when those it did not answer for are asked about again
        self._answers = True
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="scanning")

    def health(self) -> str:
        """`down` while the scanner does not answer: files are held meanwhile."""
        if self._task is not None and self._task.done():
            return "failed"
        return "up" if self._answers else "down"

    async def stop(self, drain: float) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            since = self._store.doorbell.count
            try:
                await self._look()
            except PasokhError:
                log.warning("the store was too busy for the scanner's files")
            except Exception:
                log.exception("scanning failed, it goes on")
                await asyncio.sleep(HICCUP)
            await asyncio.sleep(EVERY)
            await self._store.doorbell.wait(since, min(IDLE, max(0.0, self._again - self._clock.monotonic())))

    async def _look(self) -> None:
        """Those that came, and when it is time (and at the start) those it did not answer for."""
        if self._clock.monotonic() >= self._again:
            self._again = NEVER
            await self._all(Scan.UNSCANNED)
        await self._all(Scan.WAITING)

    async def _all(self, state: Scan) -> None:
        after = 0
        while found := await self._store.read(scans.due, state, after):
            for each in found:
                await self._one(each)
            after = found[-1].id

    async def _one(self, each: Due) -> None:
        scan, found = await self._verdict(each)
        await self._store.write(scans.said, each.id, scan, found, self._clock.now())
        if scan is Scan.INFECTED:
            log.warning("a file is infected and held", extra={"file": each.id})

    async def _verdict(self, each: Due) -> tuple[Scan, str]:
        try:
            stream = cast("AsyncGenerator[bytes, None]", self._files.stream(each.key))
            async with aclosing(stream) as data:
                found = await self._clamd.virus(data)
        except NoAnswer as why:
            self._no_answer(str(why))
            return Scan.UNSCANNED, str(why)
        except (NotFound, Damaged) as fault:
            log.error("a file cannot be read for the scanner", extra={"file": each.id, "word": fault.word})
            return Scan.UNSCANNED, fault.word
        self._answers = True
        return (Scan.INFECTED, found) if found is not None else (Scan.CLEAN, "")

    def _no_answer(self, why: str) -> None:
        if self._answers:
            log.error("the virus scanner does not answer, files are held", extra={"why": why})
        self._answers = False
        self._again = min(self._again, self._clock.monotonic() + self._clamd.settings.again_s)
