"""A store that is busy for a moment ends none of the phone's own rounds."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from core.clock import HandClock
from core.errors import Busy
from ivr import notice, operators, places
from ivr.notice import Notice, Notices
from ivr.operators import Operators
from ivr.roster import Member, Queue, Roster

PROMISED = {"queue": "main", "number": "+989120000001", "joined": 0, "lang": "fa", "line": "main"}


class Drawer:
    """Busy at the second question of its life; then what was put there."""

    def __init__(self, boxes: Mapping[str, Mapping[str, bytes]]) -> None:
        self._boxes, self._asked = boxes, 0

    async def get(self, box: str) -> Mapping[str, bytes]:
        self._ask()
        return self._boxes.get(box, {})

    async def boxes(self, before: int) -> Sequence[str]:
        self._ask()
        return list(self._boxes)

    def _ask(self) -> None:
        self._asked += 1
        if self._asked == 2:
            raise Busy(1)


class House:
    def __init__(self, drawer: Drawer) -> None:
        self.door, self.clock = self, HandClock()
        self.drawer = drawer


async def until(found: Callable[[], Any], work: Coroutine[Any, Any, None]) -> None:
    """Run `work` till it is so."""
    task = asyncio.ensure_future(work)
    try:
        async with asyncio.timeout(10):
            while not found():
                assert not task.done(), task.exception()
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_notice_of_another_process_is_heard_all_the_same(monkeypatch):
    monkeypatch.setattr(notice, "FRESH", 0.01)
    clock = HandClock()
    told = Notice("n", {"fa": "آب قطع است."}, clock.now() + 1000)
    drawer = Drawer({})
    notices = Notices(House(drawer), clock)

    def now_told() -> bool:
        drawer._boxes = {notice.BOX: {notice.SLOT: json.dumps(asdict(told)).encode()}} if drawer._asked > 2 else {}
        return bool(notices.told())

    await until(now_told, notices.keep_fresh())


async def test_call_backs_are_remembered_once_and_time_passes_in_the_queue(monkeypatch):
    monkeypatch.setattr(operators, "EACH", 0.01)
    known = json.dumps(PROMISED).encode()
    house = House(Drawer({f"{places.PROMISED}a": {"place": known}, f"{places.PROMISED}b": {"place": known}}))
    roster = Roster({"main": Queue(("ali",))}, {"ali": Member("21")})
    desk = Operators(roster, list, lambda: house)
    await until(lambda: [one.call for one in desk.hall.waiting] == ["a", "b"], desk.run())
