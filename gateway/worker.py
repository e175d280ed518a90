"""The worker: claims due outbox rows, lets their channel send with no transaction open, records what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from core import outbox, outcomes
from core.channels import Channel, Clock, Outcome, TryLater, Unknown
from core.outbox import Claimed
from core.outcomes import Result
from core.store import Store

log = logging.getLogger("pasokh.worker")

POLL = 2.0  # seconds between looks when nothing rings: another process may have put something
BLINK = 0.05  # seconds after a claim that found its rows in other workers' hands
AT_ONCE = 16  # sends at the same time for a channel that does not say (`at_once`)
HICCUP = 0.5  # seconds after a failed write to the store before it is tried again
HOUR = 3600.0  # seconds
BATCH = 400  # results recorded in one transaction
SHARE, COMPANY = 4, 0.05  # a busy channel's rows are claimed a quarter of its places at a time, or after 50 ms


class Worker:
    """Serves every channel that can send. `ring()` says that something may be due; `stop` loses no result."""

    def __init__(
        self, store: Store, channels: Mapping[str, Channel], keyring: Any, clock: Clock, name: str = "worker"
    ) -> None:
        self.store = store
        self.keyring = keyring
        self.clock = clock
        self.name = name
        self.channels = {key: channel for key, channel in channels.items() if channel.can_send}
        self._rooms = {key: _Room(_at_once(channel)) for key, channel in self.channels.items()}
        self._results: asyncio.Queue[Result] = asyncio.Queue()
        self._serving: list[asyncio.Task[None]] = []
        self._sending: set[asyncio.Task[None]] = set()
        self._recorder: asyncio.Task[None] | None = None
        self._tidying: asyncio.Task[None] | None = None
        self._stopping = False

    def ring(self) -> None:
        """Something is due, or may be. The store rings by itself after each commit."""
        self.store.doorbell.ring()

    async def start(self) -> None:
        """On SQLite, which one process has alone, what an earlier one was sending is looked up now, not in minutes."""
        if self.store.dialect == "sqlite":
            left = await self.store.write(outbox.orphaned, self.clock.now())
            log.info("rows an earlier process left", extra={"left": left})
        self._recorder = asyncio.create_task(self._record_all(), name="outbox results")
        self._tidying = asyncio.create_task(self._tidy(), name="outbox tidying")
        self._serving = [
            asyncio.create_task(self._serve(channel), name=f"outbox {key}") for key, channel in self.channels.items()
        ]

    def health(self) -> str:
        """`failed` when one of its tasks has ended though nobody asked."""
        tasks = [*self._serving, *(task for task in (self._recorder, self._tidying) if task is not None)]
        return "failed" if not self._stopping and any(task.done() for task in tasks) else "up"

    async def stop(self, drain: float) -> None:
        """Claim nothing new, give running sends `drain` seconds, record every result, give unsent claims back."""
        self._stopping = True
        self.ring()
        for room in self._rooms.values():
            room.hurry()
        await asyncio.gather(*self._serving)
        if self._sending:
            await asyncio.wait(self._sending, timeout=drain)
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        await self._results.join()
        helpers = [task for task in (self._recorder, self._tidying) if task is not None]
        for task in helpers:
            task.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)

    async def _serve(self, channel: Channel) -> None:
        room = self._rooms[channel.name]
        while not self._stopping:
            try:
                claims = await self._next(channel.name, await room.free())
            except Exception:
                log.exception("the outbox could not be claimed", extra={"channel": channel.name})
                await asyncio.sleep(HICCUP)
                continue
            for claim in claims:
                self._begin(channel, claim, room)

    async def _next(self, channel: str, n: int) -> Sequence[Claimed]:
        """Up to `n` claims; waits for the doorbell when nothing is due (a claim is a write, so it would ring too)."""
        since = self.store.doorbell.count
        now = self.clock.now()
        due = await self.store.read(outbox.next_due, channel, now)
        if self._stopping:
            return []
        if due is None or due > now:
            await self.store.doorbell.wait(since, POLL if due is None else min(POLL, (due - now) / 1000))
            return []
        claims = await self.store.write(outbox.claim, channel, n, now, self.name)
        if not claims:
            await asyncio.sleep(BLINK)
        if claims and self._stopping:
            await self.store.write(outbox.give_back, claims, self.clock.now())
            return []
        return claims

    def _begin(self, channel: Channel, claim: Claimed, room: _Room) -> None:
        def over(task: asyncio.Task[None]) -> None:
            self._sending.discard(task)
            room.leave()

        task = asyncio.create_task(self._send(channel, claim))
        room.enter()
        self._sending.add(task)
        task.add_done_callback(over)

    async def _send(self, channel: Channel, claim: Claimed) -> None:
        outcome: Outcome = Unknown("stopped while sending")
        try:
            outcome = await self._try(channel, claim)
        finally:
            self._results.put_nowait(Result(claim.id, claim.fence, outcome))

    async def _try(self, channel: Channel, claim: Claimed) -> Outcome:
        try:
            message = claim.open(self.keyring)
        except Exception:
            log.exception("an outbox row cannot be opened", extra={"outbox": claim.id})
            why = "cannot be opened"
            return Unknown(why) if claim.message.in_doubt else TryLater(why)  # what may have gone is still looked up
        try:
            return await channel.send(message)
        except Exception as fault:
            log.exception("a channel raised while sending", extra={"outbox": claim.id, "channel": channel.name})
            return Unknown(f"raised {type(fault).__name__}")

    async def _tidy(self) -> None:
        """Once an hour forget reports that no send was ever recorded for."""
        while True:
            await asyncio.sleep(HOUR)
            try:
                await self.store.write(outbox.forget_reports, self.clock.now())
            except Exception:
                log.exception("old reports could not be forgotten")

    async def _record_all(self) -> None:
        while True:
            batch = [await self._results.get()]
            while len(batch) < BATCH and not self._results.empty():
                batch.append(self._results.get_nowait())
            await self._keep(batch)
            for _ in batch:
                self._results.task_done()

    async def _keep(self, batch: Sequence[Result]) -> None:
        """Record `batch`, together if it goes, else one by one; what still fails goes to the end of the queue.

        Never given up: after its lease the row is looked up, and a late Sent still counts.
        """
        if await self._recorded(batch):
            return
        failed = [result for result in batch if not await self._recorded([result])]
        if failed:
            await asyncio.sleep(HICCUP)
        for result in failed:
            self._results.put_nowait(result)

    async def _recorded(self, batch: Sequence[Result]) -> bool:
        try:
            await self.store.write(outcomes.record, batch, self.clock.now())
        except Exception:
            log.exception("results could not be recorded", extra={"outbox": [result.row for result in batch]})
            return False
        return True


class _Room:
    """How many sends a channel can still take."""

    def __init__(self, most: int) -> None:
        self._left, self._share = most, max(1, most // SHARE)
        self._free, self._wide = asyncio.Event(), asyncio.Event()
        self._look()

    async def free(self) -> int:
        """Wait for a place, and a moment for company: many rows are claimed at the price of one. How many there are."""
        await self._free.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(COMPANY):
                await self._wide.wait()
        return self._left

    def enter(self) -> None:
        self._left -= 1
        self._look()

    def leave(self) -> None:
        self._left += 1
        self._look()

    def hurry(self) -> None:
        """Let go of whoever waits: the worker stops."""
        self._free.set()
        self._wide.set()

    def _look(self) -> None:
        for event, least in ((self._free, 1), (self._wide, self._share)):
            (event.set if self._left >= least else event.clear)()


def _at_once(channel: Channel) -> int:
    return max(1, int(getattr(channel, "at_once", AT_ONCE)))
