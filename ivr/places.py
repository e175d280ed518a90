"""What of the queue is on disk: promised call-backs and their tries, places of proven callers, who is on duty.

A call-back is on disk before its caller hears of it, and a try before their telephone rings; the rest is written as
soon as it is so. After a restart whoever was cut off has their place when they ring again.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from core.channels import Drawer
from core.errors import Busy, PasokhError
from ivr import queue as hall
from ivr.counter import House
from ivr.queue import Duty, Hall, Operator, Waiting
from ivr.roster import Roster

log = logging.getLogger(__name__)
PROMISED = "call_back:"  # boxes of call-backs, by call
KEPT = "queue_place:"  # boxes of callers on the line, by call
DUTY = "queue_duty"  # the box of presence, a slot an operator
PLACE, TRY, REACHED = "place", "try-", "reached"  # slots
SHIFT = 12 * 3600  # seconds; who came on duty before that is not after a restart
AGAIN = 1.0  # seconds between tries while the store is busy


class Places:
    """`follow` each change of the hall; `remembered` gives what was so before."""

    def __init__(self, roster: Roster, house: Callable[[], House]) -> None:
        self._roster, self._house = roster, house
        self._work: asyncio.Queue[tuple[str, str, bytes | None]] = asyncio.Queue()  # box, slot, what; None: close
        self._kept: set[str] = set()  # calls with a box of KEPT
        self._known: dict[str, Mapping[str, Any]] = {}  # operator → what is on disk

    # ---------------------------------------------------------------- call-backs

    async def promise(self, call: str, queue: str, number: str, joined: int, more: Mapping[str, Any]) -> None:
        """On disk when it returns. `joined`: ms UTC."""
        known = {"queue": queue, "number": number, "joined": joined, **more}
        await self._drawer.put(PROMISED + call, PLACE, json.dumps(known).encode())

    async def tries(self, call: str) -> None:
        """The caller's telephone is about to ring: a crash from now on costs a try."""
        await self._drawer.put(PROMISED + call, f"{TRY}{self._now()}", b"")

    def reached(self, call: str) -> None:
        """The caller has pressed 1: they are not called again, whatever happens."""
        self._work.put_nowait((PROMISED + call, REACHED, b""))

    def forget(self, call: str) -> None:
        """Served, or given up."""
        self._work.put_nowait((PROMISED + call, "", None))

    # ---------------------------------------------------------------- the hall

    def follow(self, now: Hall, at: float) -> None:
        """Have written what has changed. `at` is the hall's clock."""
        here = {one.call: one for one in now.waiting if one.number and not one.promised}
        for call in self._kept - here.keys():
            self._work.put_nowait((KEPT + call, "", None))
        for call in here.keys() - self._kept:
            self._work.put_nowait((KEPT + call, PLACE, self._place(here[call], at)))
        self._kept = set(here)
        for login, one in now.operators.items():
            told = _presence(one)
            if told != self._known.get(login, _presence(Operator(login, one.queues))):
                self._known[login] = told
                self._work.put_nowait((DUTY, login, json.dumps({**told, "at": self._now()}).encode()))

    def _place(self, one: Waiting, at: float) -> bytes:
        joined = self._now() - round(1000 * (at - one.joined))
        return json.dumps({"queue": one.queue, "number": one.number, "joined": joined}).encode()

    async def write(self) -> None:
        """Write one change after the other, for ever; in the order in which they came."""
        while True:
            box, slot, data = await self._work.get()
            try:
                await self._written(box, slot, data)
            except PasokhError:
                log.exception("place in the queue not written")
            finally:
                self._work.task_done()

    async def settled(self) -> None:
        """Until all is written."""
        await self._work.join()

    async def _written(self, box: str, slot: str, data: bytes | None) -> None:
        while True:
            try:
                if data is None:
                    await self._drawer.close(box)
                else:
                    await self._drawer.put(box, slot, data)
                return
            except Busy:
                await asyncio.sleep(AGAIN)

    # ---------------------------------------------------------------- after a restart

    async def remembered(self) -> list[hall.Event]:
        """Events that make the hall what it was. Raises PasokhError."""
        found: list[hall.Event] = []
        for box in await self._drawer.boxes(self._now() + 1):
            if box == DUTY:
                found += self._duties(await self._drawer.get(box))
            elif box.startswith(PROMISED):
                found += self._promised(box.removeprefix(PROMISED), await self._drawer.get(box))
            elif box.startswith(KEPT):
                found += self._places(box.removeprefix(KEPT), await self._drawer.get(box))
        promised = {event.call for event in found if isinstance(event, hall.Promised)}
        return [event for event in found if not (isinstance(event, hall.Kept) and event.call in promised)]

    def _promised(self, call: str, slots: Mapping[str, bytes]) -> Iterator[hall.Event]:
        known = self._read(slots)
        tries = [int(slot.removeprefix(TRY)) for slot in slots if slot.startswith(TRY)]
        if known is None or REACHED in slots or len(tries) >= hall.TRIES:
            self.forget(call)
            return
        rest = hall.AGAIN - (self._now() - max(tries)) / 1000 if tries else 0.0
        yield hall.Promised(call, known["queue"], known["number"], self._since(known), len(tries), rest)

    def _places(self, call: str, slots: Mapping[str, bytes]) -> Iterator[hall.Event]:
        known = self._read(slots)
        if known is None:
            self._work.put_nowait((KEPT + call, "", None))
            return
        self._kept.add(call)
        yield hall.Kept(call, known["queue"], known["number"], self._since(known))

    def _duties(self, slots: Mapping[str, bytes]) -> Iterator[hall.Event]:
        for login, data in slots.items():
            told = json.loads(data)
            if login not in self._roster.logins or self._now() - told["at"] > SHIFT * 1000:
                continue
            self._known[login] = {"duty": told["duty"], "reason": told["reason"]}
            if told["duty"] == Duty.READY:
                yield hall.On(login)
            elif told["duty"] == Duty.PAUSED:
                yield hall.Pause(login, told["reason"])

    def _read(self, slots: Mapping[str, bytes]) -> dict[str, Any] | None:
        """What is known of a place; None when its queue is no more."""
        known: dict[str, Any] = json.loads(slots[PLACE]) if PLACE in slots else {}
        return known if known.get("queue") in self._roster.queues else None

    def _since(self, known: Mapping[str, Any]) -> float:
        return (self._now() - int(known["joined"])) / 1000

    def _now(self) -> int:
        return self._house().clock.now()

    @property
    def _drawer(self) -> Drawer:
        return self._house().door.drawer


def _presence(one: Operator) -> Mapping[str, Any]:
    """Off, paused or there: an operator who talks or rings is there."""
    there = Duty.READY if one.duty not in (Duty.OFF, Duty.PAUSED) else one.duty
    return {"duty": there.value, "reason": one.reason}
