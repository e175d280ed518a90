"""The clock's own deeds: tickets whose time ran out, and what is past its keeping. Many may look; each fires once."""

from __future__ import annotations

import asyncio
import logging

from core import ladder, lapses, reminders
from core.channels import Clock
from core.errors import PasokhError
from core.files import Files
from core.store import Store
from core.tidy import tidy

log = logging.getLogger("pasokh.timers")

TIDY = 3600.0  # seconds between looks for what is past its keeping
EVERY = 20.0  # seconds between looks; lapses are counted in days


class Timers:
    """`start`, then `stop`. `calls_days`: how long records of calls are kept."""

    def __init__(self, store: Store, files: Files, clock: Clock, calls_days: int = 730, every: float = EVERY) -> None:
        self._store, self._files, self._clock, self._every = store, files, clock, every
        self._calls_days = calls_days
        self._tidy_at = 0.0  #: monotonic seconds
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="timers")

    def health(self) -> str:
        """`failed` when it has ended though nobody asked."""
        return "failed" if self._task is not None and self._task.done() else "up"

    async def stop(self, drain: float) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                fired = await lapses.fire(self._store)
                fired = max(fired, await ladder.climb(self._store), await reminders.remind(self._store))
                await self._tidy()
            except PasokhError:
                log.warning("the store was too busy for timers")
                fired = 0
            except Exception:
                log.exception("timers failed, they look again")  # nobody else fires what is due
                fired = 0
            if fired < lapses.AT_ONCE:
                await asyncio.sleep(self._every)

    async def _tidy(self) -> None:
        now = self._clock.monotonic()
        if now >= self._tidy_at:
            self._tidy_at = now + TIDY
            gone = await tidy(self._store, self._files, self._clock.now(), self._calls_days)
            log.info("tidied up", extra={"gone": gone})
