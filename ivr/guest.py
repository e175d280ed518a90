"""A call of ours to an operator, a unit, a caller who asked for it: what comes of it, as things to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from ivr import leg as legs
from ivr.leg import LegEvent, Run
from ivr.steps import Item

PATIENCE = 6.0  # seconds after the words in which a key is waited for
TIMES = 2  # the words are said; a machine that answers hears no more
CLOSING = 10.0  # seconds the end of a call and its recording may take


class Other(legs.Leg, Protocol):
    """A leg that can be brought together with another of the same plane."""

    overhear: Callable[[LegEvent], None]  #: hears everything before it is told
    refers: Callable[[str], bool]  #: asked when the far end wants its partner sent on (REFER)

    @property
    def up(self) -> bool: ...

    @property
    def plays(self) -> int:
        """The number of the last play."""
        ...

    def music(self, runs: Sequence[Run]) -> None: ...

    def bridge(self, other: Other) -> None: ...

    def overhears(self, row: int) -> None: ...

    def part(self) -> None: ...

    def listen(self, other: Other, whisper: bool = False) -> None: ...

    def record_with(self, other: Other, path: str, most: float) -> None: ...

    def untimed(self, so: bool = True) -> None: ...


class Saying(Protocol):
    """Items as sound (`ivr.sounds.Sounds`)."""

    def runs(self, item: Item, lang: str) -> AsyncIterator[Run]: ...


class Guest:
    """One leg that we have called and that has answered."""

    def __init__(self, leg: Other) -> None:
        self.leg = leg
        self.gone = asyncio.Event()
        self.recorded = asyncio.Event()  #: the recording of a talk is on disk
        self._news: asyncio.Queue[LegEvent] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._listen())

    async def presses(self, key: str, sounds: Saying, items: Sequence[Item], lang: str) -> bool:
        """Say `items`, twice, and wait for `key`; any other key is none."""
        for _ in range(TIMES):
            for item in items:
                async for run in sounds.runs(item, lang):
                    last = self.leg.play([run])
            if await self._pressed(key, last):
                self.leg.stop()
                return True
            if self.gone.is_set():
                return False
        return False

    async def hears(self, sounds: Saying, item: Item, lang: str) -> None:
        """Say one sentence to its end."""
        async for run in sounds.runs(item, lang):
            await self._pressed("", self.leg.play([run]), 0.0)

    async def end(self) -> None:
        """Hang up and see it through."""
        self.leg.hang_up()
        try:
            await asyncio.wait_for(self.gone.wait(), CLOSING)
        except TimeoutError:
            self._task.cancel()

    async def _pressed(self, key: str, play: int, patience: float = PATIENCE) -> bool:
        """Was `key` pressed before `play` was over and for a while after?"""
        try:
            while True:
                match await self._news.get():
                    case legs.Pressed(pressed) if pressed == key:
                        return True
                    case legs.HungUp():
                        return False
                    case legs.PlayedOut(over) if over == play:
                        break
            async with asyncio.timeout(patience):
                while True:
                    match await self._news.get():
                        case legs.Pressed(pressed) if pressed == key:
                            return True
                        case legs.HungUp():
                            return False
        except TimeoutError:
            return False

    async def _listen(self) -> None:
        try:
            async for event in self.leg.events():
                if isinstance(event, legs.RecordEnded):
                    self.recorded.set()
                self._news.put_nowait(event)
        finally:
            self.gone.set()
