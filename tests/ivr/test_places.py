"""What of the queue outlives the program, without telephones: promises with their tries, places, presence."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from core.clock import HandClock
from core.errors import Busy
from ivr import places, queue
from ivr.places import Places
from ivr.queue import Hall, Operator, Rules, Waiting
from ivr.roster import Queue, Roster
from tests.ivr.test_callback import Drawer

NUMBER = "+982188880000"
ROSTER = Roster({"main": Queue(operators=("sara",))})


class World:
    """Places over a drawer in memory; `again` is what a restart finds."""

    def __init__(self) -> None:
        self.clock, self.drawer = HandClock(1_700_000_000_000), Drawer()
        self.places = self.again()

    def again(self) -> Places:
        drawer = SimpleNamespace(put=self.drawer.put, get=self.drawer.get, close=self.drawer.close, boxes=self._boxes)
        house: Any = SimpleNamespace(clock=self.clock, door=SimpleNamespace(drawer=drawer))
        return Places(ROSTER, lambda: house)

    async def _boxes(self, before: int) -> list[str]:
        return list(self.drawer.boxes)

    async def written(self) -> None:
        while not self.places._work.empty():
            await self.places._written(*self.places._work.get_nowait())


@pytest.fixture
def world() -> World:
    return World()


def hall(*waiting: Waiting, duty: queue.Duty = queue.Duty.OFF, reason: str = "") -> Hall:
    sara = Operator("sara", frozenset({"main"}), duty, reason=reason)
    return Hall({"main": Rules()}, {"sara": sara}, waiting)


async def test_a_promise_comes_back_with_its_tries_and_rests_between_them(world):
    now = world.clock.now()
    await world.places.promise("a", "main", NUMBER, now - 60_000, {"lang": "fa"})
    assert await world.again().remembered() == [queue.Promised("a", "main", NUMBER, 60.0)]
    await world.places.tries("a")
    world.clock.advance(100)
    assert await world.again().remembered() == [queue.Promised("a", "main", NUMBER, 160.0, 1, 200.0)]
    await world.places.tries("a")
    assert await world.again().remembered() == []  # given up


async def test_who_was_reached_is_never_called_again(world):
    await world.places.promise("a", "main", NUMBER, world.clock.now(), {})
    world.places.reached("a")
    await world.written()
    assert await world.again().remembered() == []


async def test_a_served_promise_leaves_nothing(world):
    await world.places.promise("a", "main", NUMBER, world.clock.now(), {})
    world.places.forget("a")
    await world.written()
    assert world.drawer.boxes == {}


async def test_a_proven_callers_place_is_kept_until_they_are_out(world):
    one, nobody = Waiting("a", "main", 5.0, NUMBER), Waiting("b", "main", 6.0)
    world.places.follow(hall(one, nobody), 65.0)
    await world.written()
    assert await world.again().remembered() == [queue.Kept("a", "main", NUMBER, 60.0)]
    world.places.follow(hall(nobody), 66.0)
    await world.written()
    assert world.drawer.boxes == {}


async def test_a_caller_who_chose_to_be_called_has_one_place_not_two(world):
    world.places.follow(hall(Waiting("a", "main", 5.0, NUMBER)), 5.0)
    await world.places.promise("a", "main", NUMBER, world.clock.now(), {})
    await world.written()
    assert [type(event) for event in await world.again().remembered()] == [queue.Promised]


@pytest.mark.parametrize(
    "duty, reason, comes",
    [
        (queue.Duty.READY, "", [queue.On("sara")]),
        (queue.Duty.TALKING, "", [queue.On("sara")]),
        (queue.Duty.PAUSED, "prayer", [queue.Pause("sara", "prayer")]),
        (queue.Duty.OFF, "", []),
    ],
)
async def test_who_was_on_duty_is_so_again_within_a_shift(world, duty, reason, comes):
    world.places.follow(hall(duty=duty, reason=reason), 0.0)
    await world.written()
    assert await world.again().remembered() == comes
    world.clock.advance(13 * 3600)
    assert await world.again().remembered() == []


async def test_presence_is_written_only_when_it_changes(world):
    for _ in range(3):
        world.places.follow(hall(duty=queue.Duty.READY), 0.0)
    assert world.places._work.qsize() == 1


async def test_places_of_queues_and_people_that_are_no_more_are_passed_over(world):
    world.drawer.boxes = {
        "queue_place:a": {"place": json.dumps({"queue": "old", "number": NUMBER, "joined": 0}).encode()},
        "call_back:b": {"place": json.dumps({"queue": "old", "number": NUMBER, "joined": 0}).encode()},
        "queue_duty": {"reza": json.dumps({"duty": "ready", "reason": "", "at": world.clock.now()}).encode()},
        "sms:parts": {"place": b"not ours"},
    }
    assert await world.again().remembered() == []


async def test_a_busy_store_is_asked_again_in_order(world, monkeypatch):
    monkeypatch.setattr(places, "AGAIN", 0.0)
    put, fails = world.drawer.put, [Busy(1), Busy(1)]

    async def slow(box: str, slot: str, data: bytes) -> Any:
        if fails:
            raise fails.pop()
        return await put(box, slot, data)

    world.drawer.put = slow
    world.places = world.again()
    world.places.follow(hall(Waiting("a", "main", 5.0, NUMBER)), 5.0)
    await world.written()
    assert list(world.drawer.boxes) == ["queue_place:a"]
