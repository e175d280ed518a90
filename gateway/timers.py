"""The clock's own deeds: looks now and then for tickets whose time ran out. Many processes may look; each fires once."""

from __future__ import annotations

import asyncio
import logging

from core import lapses
from core.errors import PasokhError
from core.store import Store

log = logging.getLogger("pasokh.timers")

EVERY = 20.0  # seconds between looks; lapses are counted in days


class Timers:
    """`start`, then `stop`."""

    def __init__(self, store: Store, every: float = EVERY) -> None:
        self._store, self._every = store, every
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="timers")

    async def stop(self, drain: float) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                fired = await lapses.fire(self._store)
            except PasokhError:
                log.warning("the store was too busy for timers")
                fired = 0
            if fired < lapses.AT_ONCE:
                await asyncio.sleep(self._every)
