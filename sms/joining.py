"""Parts of long texts on disk: each is durable before it is acknowledged, whole texts go on, holes are told in time."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from weakref import WeakValueDictionary

from core.channels import Clock, Door
from core.errors import Busy
from sms import assembly
from sms.providers.base import Arrival, Part

log = logging.getLogger("pasokh.sms")

LOOK = 15.0  # seconds between looks for sets that wait too long
MOST_SETS = 1000  # open at a time; the oldest is released early
PREFIX = "sms:set:"
HEADER = "who"  #: box of who wrote, by the set's box: a set must tell after a restart whose it is


@dataclass(frozen=True, slots=True)
class Whole:
    """A text put together. `late`: the ticket it amends; `missing`: numbers that never came."""

    provider: str
    arrival: Arrival
    missing: tuple[int, ...] = ()
    total: int = 1
    late: str = ""


Take = Callable[[Whole], Awaitable[str]]  #: returns what the text became, for late parts


class Joining:
    """One for all lines. `take` is called with whole texts; raises Busy like the door."""

    def __init__(self, door: Door, clock: Clock, take: Take) -> None:
        self._door, self._clock, self._take = door, clock, take
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._settled: OrderedDict[str, int] = OrderedDict()
        self._open: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="sms parts")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def part(self, provider: str, line: str, part: Part) -> None:
        """Keep a part; when it was the last one, the text goes on. On disk when it returns. Raises Busy."""
        box = assembly.key(provider, line, part)
        async with self._locks.setdefault(box, asyncio.Lock()):
            slots = await self._door.drawer.get(box)
            now = self._clock.now()
            where = assembly.place(_parts(slots), part, now)
            if where.repeat:
                log.info("a part came again", extra={"line": line})
                return
            who = "\x00".join((provider, part.sender, part.to)).encode()
            await self._door.drawer.change(box, {HEADER: who, where.slot: where.data})
            self._open[box] = now
            kept = await self._door.drawer.get(box)
            mine = assembly.sets(_parts(kept))[where.set]
            if mine.whole or mine.told:
                await self._give(box, provider, part.sender, part.to, mine)
        await self._make_room()

    async def _give(self, box: str, provider: str, sender: str, to: str, mine: assembly.Set) -> None:
        text, odd = assembly.join(mine)
        missing = tuple(n for n in range(1, mine.total + 1) if n not in mine.octets)
        late = ":late" + "".join(f".{n}" for n in missing) if mine.told else ""
        ref = f"{box.removeprefix(PREFIX)}.{mine.number}.{mine.first_at}{late}"
        arrival = Arrival(ref, sender, to, text, mine.first_at, odd)
        became = await self._take(Whole(provider, arrival, missing, mine.total, mine.told))
        done = assembly.taken(mine) if mine.whole else assembly.released(mine, became)
        await self._door.drawer.change(box, done)
        if mine.whole:
            self._open.pop(box, None)

    # ---- sets that wait

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except Busy:
                log.warning("the store was too busy for waiting parts")
            except Exception:
                log.exception("waiting parts could not be looked at, they are again")
            await asyncio.sleep(LOOK)

    async def look(self) -> None:
        """Take what a crash left whole, release what waited too long, forget what is over."""
        now = self._clock.now()
        for box in await self._door.drawer.boxes(now + 1):
            if box.startswith(PREFIX) and self._settled.get(box, 0) <= now:
                await self._look_at(box, now)

    async def _look_at(self, box: str, now: int, early: bool = False) -> None:
        async with self._locks.setdefault(box, asyncio.Lock()):
            slots = await self._door.drawer.get(box)
            provider, sender, to = slots.get(HEADER, b"\x00\x00").decode().split("\x00")
            for mine in assembly.due(_parts(slots), now, early):
                await self._give(box, provider, sender, to, mine)
            slots = await self._door.drawer.get(box)
            if assembly.settled(_parts(slots), now):
                await self._door.drawer.close(box)
                self._settled.pop(box, None)
            elif all(mine.done or mine.told for mine in assembly.sets(_parts(slots)).values()):
                self._settled[box] = now + assembly.SHUT

    async def _make_room(self) -> None:
        while len(self._open) > MOST_SETS:
            box = min(self._open, key=lambda each: self._open[each])
            self._open.pop(box)
            log.warning("too many texts wait for parts, the oldest is released")
            await self._look_at(box, self._clock.now(), early=True)


def _parts(slots: Mapping[str, bytes]) -> dict[str, bytes]:
    return {slot: data for slot, data in slots.items() if slot != HEADER}
