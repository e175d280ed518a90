"""Gathers the sends of one moment into one call to the provider: at most 20 ms or a full batch.

No number stands twice in a batch: an answer is matched to its text by place and number.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from sms.providers import base
from sms.providers.base import Doubt, Outcome, Provider, Rejected, Text

log = logging.getLogger("pasokh.sms")

WAIT = 0.02  # seconds a text waits for company

Waiting = tuple[Text, "asyncio.Future[Outcome]"]


class Gather:
    """One queue a provider."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._waiting: list[Waiting] = []
        self._timer: asyncio.TimerHandle | None = None
        self._calls: set[asyncio.Task[None]] = set()

    async def send(self, text: Text) -> Outcome:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Outcome] = loop.create_future()
        self._waiting.append((text, done))
        if len(self._waiting) >= self.provider.caps.max_batch:
            self._go()
        elif self._timer is None:
            self._timer = loop.call_later(WAIT, self._go)
        return await done

    async def stop(self, drain: float) -> None:
        """Send what waits, then wait at most `drain` seconds for the answers."""
        self._go()
        if self._calls:
            await asyncio.wait(self._calls, timeout=drain)
        for call in self._calls:
            call.cancel()

    def _go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for batch in _batches(self._waiting, self.provider.caps.max_batch):
            call = asyncio.ensure_future(self._call(batch))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
        self._waiting = []

    async def _call(self, batch: Sequence[Waiting]) -> None:
        try:
            outcomes = await self.provider.send([text for text, _ in batch])
        except base.ProviderError as error:
            outcomes = [Rejected(error)] * len(batch)
        except asyncio.CancelledError:
            outcomes = [Doubt(base.Ambiguous("stopped while sending"))] * len(batch)
        except Exception:  # whoever waits would wait for ever
            log.exception("a provider broke while sending", extra={"provider": self.provider.name})
            outcomes = [Doubt(base.Ambiguous("broke while sending"))] * len(batch)
        for (_, done), outcome in zip(batch, outcomes, strict=True):
            if not done.done():
                done.set_result(outcome)


def _batches(waiting: Sequence[Waiting], most: int) -> list[list[Waiting]]:
    """In order, each number at most once a batch."""
    batches: list[dict[str, Waiting]] = []  # by number
    for item in waiting:
        to = item[0].to
        batch = next((one for one in batches if len(one) < most and to not in one), None)
        if batch is None:
            batches.append(batch := {})
        batch[to] = item
    return [list(batch.values()) for batch in batches]
