"""A line of ours without sockets, on a clock that is moved by hand, and telephones that talk to it."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

from ivr.settings import Line, Peer
from ivr.sip import message as sip
from ivr.sip.exchange import Exchange
from ivr.sip.leg import SipLeg
from ivr.sip.transaction import Peer as Address
from tests.ivr.sip.house import OFFER, NotedPlane, Spoken

ALL = Peer("all", allow=("127.0.0.0/8",), dial=True)


class Still:
    """The line, its sockets that only note, and what came of its calls."""

    def __init__(self, answers: bool, room: int, settings: Line, is_busy: Any = lambda: False) -> None:
        self.now = 1000.0
        self._wakes: list[float] = []
        self.sent: defaultdict[Address, list[bytes]] = defaultdict(list)
        self.plane = NotedPlane(room)
        self.line = Exchange("main", settings, self.plane, self, self.take, lambda: self.now, is_busy)
        self.plane.line = self.line
        self.answers = answers
        self.answered: bool | None = None
        self.legs: list[SipLeg] = []
        self.events: list[Any] = []
        self.tasks: list[asyncio.Task[None]] = []
        self._ports = iter(range(40_000, 60_000))

    # ---- the sockets

    def send(self, data: bytes, to: Address) -> None:
        self.sent[to].append(data)

    def open_port(self, transport: str) -> int:
        return {"udp": 5060, "tcp": 5060, "tls": 5061}[transport]

    def host(self, peer: str) -> str:
        return "127.0.0.1"

    def wake(self, at: float) -> None:
        heapq.heappush(self._wakes, at)

    # ---- the calls

    def take(self, leg: SipLeg) -> None:
        self.legs.append(leg)
        self.tasks.append(asyncio.get_running_loop().create_task(self._run(leg)))

    async def _run(self, leg: SipLeg) -> None:
        if self.answers:
            self.answered = await leg.answer()
        async for event in leg.events():
            self.events.append(event)

    # ---- the clock

    async def skip(self, seconds: float) -> None:
        """Let time pass, step by step, so that every timer fires in its order."""
        end = self.now + seconds
        while self.now < end:
            await self.step(end)

    async def step(self, end: float) -> None:
        """On to the next time that the line wants to be woken at, `end` at most."""
        while self._wakes and self._wakes[0] <= self.now:
            heapq.heappop(self._wakes)
        self.now = min(self._wakes[0], end) if self._wakes else end
        self.line.tick()
        await settle()

    def phone(self, host: str = "127.0.0.1", port: int = 0, transport: str = "udp") -> Phone:
        return Phone(self, Address(host, port or next(self._ports), transport))


class Phone(Spoken):
    """Says exactly what it is told, and reads what comes back."""

    def __init__(self, home: Still, there: Address) -> None:
        self.home, self.peer = home, there
        self.here = (there.host, there.port)
        self.raw: list[bytes] = []

    def __enter__(self) -> Phone:
        return self

    def __exit__(self, *why: object) -> None:
        """Nothing is open."""

    async def __aenter__(self) -> Phone:
        return self

    async def __aexit__(self, *why: object) -> None:
        """Nothing is open."""

    def say(self, data: bytes) -> None:
        self.home.line.feed(data, self.peer)

    async def hear(self, seconds: float = 2.0) -> sip.Message:
        """The next message; the clock moves on until there is one, `seconds` at most."""
        await settle()
        end = self.home.now + seconds
        while not self.home.sent[self.peer]:
            if self.home.now >= end:
                raise TimeoutError
            await self.home.step(end)
        self.raw.append(self.home.sent[self.peer].pop(0))
        message = sip.read(self.raw[-1])
        assert not isinstance(message, sip.Reject), message
        return message


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(8):
        await asyncio.sleep(0)


async def until(true: Any, seconds: float = 5.0) -> None:
    """What is true once everything has run; time does not pass."""
    for _ in range(10):
        if true():
            return
        await settle()
    raise AssertionError("did not come true")


@contextlib.asynccontextmanager
async def house(
    answers: bool = True, room: int = 1000, is_busy: Any = lambda: False, **settings: Any
) -> AsyncIterator[Still]:
    """A line that answers every call at once (or leaves it ringing)."""
    home = Still(answers, room, Line(peer=settings.pop("peer", (ALL,)), **settings), is_busy)
    home.line.begin()
    try:
        yield home
    finally:
        for task in home.tasks:
            task.cancel()
        await asyncio.gather(*home.tasks, return_exceptions=True)


__all__ = ["OFFER", "house", "settle", "until"]
