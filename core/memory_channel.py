"""The in-memory channel that ships: it records what it is given to send and answers as it is told."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from core.channels import Door, Gear, Inbound, Outbound, Outcome, Receipt, Refused, Sent

Told = Outcome | BaseException


class Memory:
    """Keeps all in lists. `tell` queues outcomes for the next sends; without any, all is Sent with a made-up ref.

    Like a provider that can be asked, it remembers what reached the outside by outbox id: a row handed out
    `in_doubt` that had arrived is `Sent(found=True)` and is not delivered again.
    """

    can_send = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.door: Door | None = None
        self.asked: list[Outbound] = []  #: every call of `send`
        self.arrived: list[Outbound] = []  #: what a person would hold now
        self.running = 0
        self.most = 0  #: how many sends ran at once, at most
        self.gate = asyncio.Event()  #: sends wait for it; open unless `hold` was called
        self.gate.set()
        self._told: deque[Told] = deque()
        self._refs: dict[int, str] = {}

    async def start(self, door: Door) -> None:
        self.door = door

    async def stop(self, drain: float) -> None:
        self.door = None

    def tell(self, outcomes: Iterable[Told]) -> None:
        """The next sends come out like this; an exception is raised."""
        self._told.extend(outcomes)

    def hold(self) -> None:
        """Let sends hang until `gate` is set."""
        self.gate.clear()

    def reach(self, message: Outbound) -> str:
        """As if it had reached the outside, whatever the sender learns of it; returns its ref there."""
        self.arrived.append(message)
        return self._refs.setdefault(message.id, f"{self.name}-{message.id}")

    async def receive(self, message: Inbound) -> Receipt:
        """Hand a citizen's message to the door, as a channel does."""
        if self.door is None:
            raise RuntimeError("the memory channel is not started")
        return await self.door.take(message)

    async def send(self, message: Outbound) -> Outcome:
        self.asked.append(message)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.gate.wait()
            return self._come_out(message)
        finally:
            self.running -= 1

    def _come_out(self, message: Outbound) -> Outcome:
        if message.in_doubt and message.id in self._refs:
            return Sent(self._refs[message.id], found=True)
        told = self._told.popleft() if self._told else Sent()
        if isinstance(told, BaseException):
            raise told
        if isinstance(told, Sent):
            return Sent(told.ref or self.reach(message), told.cost, told.found)
        if isinstance(told, Refused):
            self._refs.pop(message.id, None)
        return told


def make(gear: Gear) -> Memory:
    """The entry point's function."""
    return Memory(gear.name)
