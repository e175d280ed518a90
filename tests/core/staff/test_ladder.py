"""The ladder: who is told of a ticket that waits, at which share of its working time, once each, on both stores."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import calendar, desk, ladder, replies, schema
from core.calendar import MINUTE, Pause
from tests.core.conftest import sample_config
from tests.core.staff.conftest import SATURDAY, World

HOUR, DAY = 3600, 86_400  # seconds
WAITS = st.lists(st.tuples(st.integers(0, 400), st.integers(1, 200)), max_size=3)  # hours until, hours of a pause


async def told(world: World, ticket: int) -> list[tuple[int, str]]:
    rows = await world.rows(schema.told, schema.told.c.ticket == ticket)
    names = {row["id"]: row["login"] for row in await world.rows(schema.staff)}
    return sorted((row["rung"], names[row["staff"]]) for row in rows)


async def climb_to(world: World, ticket: int) -> int:
    """Plan, set the clock to the next rung, and fire it."""
    await ladder.climb(world.store)
    at = (await world.row(schema.ticket, ticket))["rung_at"]
    world.clock.advance((at - world.clock.now()) / 1000 + 60)
    return await ladder.climb(world.store)


async def waiting(world: World, **more) -> int:
    """A ticket in a unit that has no lead of its own, due in ten working days."""
    due = calendar.due(world.clock.now(), "10wd", world.office.calendar("subscribers")).at
    return await world.plant(unit="subscribers", due_at=due, due_from=world.clock.now(), budget="10wd", **more)


async def test_each_rung_is_told_once_and_higher_each_time(world: World):
    clerk = await world.who("subscribers")
    ticket = await waiting(world, assignee=clerk.staff)
    for expected in ("subscribers", "services", "director", "inspector"):
        assert await climb_to(world, ticket) == 1
        assert await ladder.climb(world.store) == 0, "fired twice"
        assert expected in [name for _, name in await told(world, ticket)]
    assert (await world.row(schema.ticket, ticket))["rung_at"] is None
    log = await world.rows(schema.event, schema.event.c.ticket == ticket, schema.event.c.kind == "rung")
    assert [row["data"]["percent"] for row in log] == [50, 80, 100, 150]


async def test_who_was_told_finds_it_in_a_queue_and_an_answer_takes_it_out(world: World):
    clerk, head = await world.who("subscribers"), await world.who("services")
    ticket = await waiting(world, assignee=clerk.staff)
    await climb_to(world, ticket)
    assert [row.ticket for row in (await desk.queue(world.store, clerk, "told")).rows] == [ticket]
    assert (await desk.queue(world.store, head, "told")).rows == []
    await climb_to(world, ticket)
    assert [row.ticket for row in (await desk.queue(world.store, head, "told")).rows] == [ticket]
    await replies.reply(world.store, head, ticket, None, "رسیدگی شد")
    assert (await desk.queue(world.store, head, "told")).rows == []
    world.clock.advance(60 * DAY)
    assert await ladder.climb(world.store) == 0


async def test_nobody_is_told_while_we_wait_for_the_citizen(world: World):
    ticket, head = await waiting(world), await world.who("services")
    await ladder.climb(world.store)
    await desk.ask(world.store, head, ticket, None, "نشانی را بفرمایید")
    world.clock.advance(5 * DAY)
    assert await ladder.climb(world.store) == 0
    planned = (await world.row(schema.ticket, ticket))["rung_at"]
    assert planned is None
    await desk.resume(world.store, head, ticket, None)
    await ladder.climb(world.store)
    assert (await world.row(schema.ticket, ticket))["rung_at"] > world.clock.now()


async def test_outside_working_hours_a_rung_waits_for_the_morning(world: World):
    ticket = await waiting(world)
    await ladder.climb(world.store)
    world.clock.advance(8 * DAY)
    night = datetime.fromtimestamp(world.clock.now() / 1000, ZoneInfo("Asia/Tehran")).replace(hour=23)
    world.clock.advance(night.timestamp() - world.clock.now() / 1000)
    assert await ladder.climb(world.store) == 0
    world.clock.advance(10 * HOUR)
    assert await ladder.climb(world.store) == 1
    assert await told(world, ticket) == [(1, "services")], "without an assignee the head is told at once"


async def test_a_rung_makes_no_reply_stale(world: World):
    ticket, head = await waiting(world), await world.who("services")
    seen = (await world.row(schema.ticket, ticket))["version"]
    assert await climb_to(world, ticket) == 1
    await replies.reply(world.store, head, ticket, seen, "رسیدگی شد")


@pytest.mark.parametrize("percent", ladder.RUNGS)
@given(
    days=st.integers(1, 30),
    hours=st.integers(0, 96),
    waits=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 200)), max_size=3),
)
def test_the_minutes_of_a_share_are_that_share(percent, days, hours, waits):
    cal = sample_config().calendar
    start = SATURDAY + hours * HOUR * 1000
    pauses, at = [], start
    for gap, length in waits:
        at += gap * HOUR * 1000
        pauses.append(Pause(at, at + length * HOUR * 1000))
        at = pauses[-1].end
    due = calendar.due(start, f"{days}wd", cal, pauses).at
    found = ladder.moment(start, due, percent, cal, pauses)
    total, passed = ran(start, due, cal, pauses), ran(start, found, cal, pauses)
    assert abs(passed - total * percent / 100) <= 1
    assert found == due or percent != 100


def ran(start: int, end: int, cal: calendar.Calendar, pauses: list[Pause]) -> int:
    """Open minutes outside pauses, by another way: what all of it holds, less what each pause holds of it."""
    out = sum(calendar.minutes(p.start, min(p.end, end), cal) for p in pauses if p.start < end)
    return calendar.minutes(start, end, cal) - out


def test_a_day_later_is_a_day_later():
    cal = sample_config().calendar
    assert calendar.minutes(SATURDAY, SATURDAY + 24 * 60 * MINUTE, cal) == 450
    assert calendar.after_minutes(SATURDAY, 450, cal) <= SATURDAY + timedelta(days=1) / timedelta(milliseconds=1)
