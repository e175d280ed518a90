"""Start parts in order, stop them in reverse, and never leave one behind. No part knows another."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

log = logging.getLogger("pasokh.supervise")

Stop = Callable[[float], Awaitable[None]]
Health = Callable[[], str]
UP, FAILED = "up", "failed"
GRACE = 5.0  # seconds a part may take beyond its drain before it is left behind, loudly


@dataclass
class Parts:
    """What runs. `add` after a part has started; `stop` undoes everything, last first."""

    _stops: list[tuple[str, Stop]] = field(default_factory=list)
    _healths: dict[str, Health] = field(default_factory=dict)

    def add(self, name: str, stop: Stop, health: Health | None = None) -> None:
        """`health` says how the part is: up, or down, failed, red; None: it cannot fail by itself."""
        self._stops.append((name, stop))
        if health is not None:
            self._healths[name] = health

    def names(self) -> list[str]:
        return [name for name, _ in self._stops]

    def health(self) -> dict[str, str]:
        """How each part that runs is, by its own word."""
        return {name: _health_of(name, self._healths.get(name)) for name in self.names()}

    async def stop(self, drain: float) -> None:
        """Stop all, the last started first, each with what is left of `drain` seconds."""
        ends = asyncio.get_running_loop().time() + drain
        while self._stops:
            name, stop = self._stops.pop()
            await _stop_one(name, stop, max(0.0, ends - asyncio.get_running_loop().time()))


def _health_of(name: str, health: Health | None) -> str:
    try:
        return health() if health is not None else UP
    except Exception:
        log.exception("a part cannot say how it is", extra={"part": name})
        return FAILED


async def _stop_one(name: str, stop: Stop, left: float) -> None:
    try:
        await asyncio.wait_for(stop(left), left + GRACE)
    except TimeoutError:
        log.error("a part did not stop in time", extra={"part": name})
    except Exception:
        log.exception("a part failed while stopping", extra={"part": name})


class Signals:
    """SIGINT and SIGTERM ask for a stop; a second one skips the wait. SIGHUP asks to read menus and texts again."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurry = asyncio.Event()
        self._reloading: set[asyncio.Task[None]] = set()

    def install(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._ask)

    def on_reload(self, reload: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """From now on SIGHUP runs `reload`."""
        loop = asyncio.get_running_loop()

        def begin() -> None:
            task = loop.create_task(reload())
            self._reloading.add(task)
            task.add_done_callback(self._reloading.discard)

        loop.add_signal_handler(signal.SIGHUP, begin)

    def _ask(self) -> None:
        (self.hurry if self.asked.is_set() else self.asked).set()


async def stop_on(signals: Signals, parts: Parts, drain: float, broken: asyncio.Event) -> None:
    """Wait to be asked, then stop within `drain` seconds, or at once when asked twice. `broken` asks as well."""
    await _either(signals.asked, broken)
    stopping = asyncio.create_task(parts.stop(drain))
    hurry = asyncio.create_task(signals.hurry.wait())
    await asyncio.wait({stopping, hurry}, return_when=asyncio.FIRST_COMPLETED)
    if not stopping.done():
        stopping.cancel()
        await parts.stop(0)
    hurry.cancel()
    await asyncio.gather(stopping, hurry, return_exceptions=True)


async def _either(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
