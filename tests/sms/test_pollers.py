"""One poller a line: of two programs on one store one polls, the other takes over when the first is gone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sms.providers.base import Arrival
from sms.watch import SPARE, Watch
from tests.sms.house import LINE, PAPER, House, house

POLL = 1
ASKED: list[tuple[str, bool]] = []


@pytest.fixture
def lines() -> dict[str, Any]:
    return {"line": {"main": {**LINE, "poll_s": POLL}}, "provider": {"paper": PAPER}}


def second(here: House, name: str) -> Watch:
    """The same line in another program: what it polls is noted under `name`."""
    channel = here.channel

    async def got(line: str, provider: str, arrival: Arrival) -> str:
        return name

    async def told(provider: str, report: object) -> None:
        raise AssertionError("no reports here")

    made = Watch(channel._lines, channel._providers, channel._ways, here.clock, got, told)

    async def fetch(line: str, settings: object, provider: object, since: int | None) -> int:
        ASKED.append((name, since is not None))
        return 0

    made.fetch = fetch  # type: ignore[method-assign]
    return made


async def until(found: Any, seconds: float = 10.0) -> None:
    ends = asyncio.get_running_loop().time() + seconds
    while not found():
        assert asyncio.get_running_loop().time() < ends
        await asyncio.sleep(0.02)


async def test_the_lease_is_one_programs_until_it_ends_or_is_let_go(tmp_path: Path):
    async with house(tmp_path) as here:
        drawer = here.desk.drawer
        at_once = await asyncio.gather(*(drawer.lease("sms:poll:x", f"p{n}", 60) for n in range(5)))
        assert sum(at_once) == 1
        mine, other = f"p{at_once.index(True)}", "somebody"
        assert await drawer.lease("sms:poll:x", mine, 60)
        assert not await drawer.lease("sms:poll:x", other, 60)
        await drawer.release("sms:poll:x", other)  # not theirs to let go of
        assert not await drawer.lease("sms:poll:x", other, 60)
        await drawer.release("sms:poll:x", mine)
        assert await drawer.lease("sms:poll:x", other, 60)
        here.clock.advance(61)
        assert await drawer.lease("sms:poll:x", mine, 60)
    async with house(tmp_path) as here:  # after kill -9; on SQLite nobody else can hold it
        assert await here.desk.drawer.lease("sms:poll:x", "next", 60)


@pytest.mark.slow
async def test_of_two_programs_one_polls_and_the_other_follows_when_it_is_gone(tmp_path: Path, lines, monkeypatch):
    ASKED.clear()
    monkeypatch.setattr("tests.sms.paper.Paper.poll", _nothing)
    async with house(tmp_path, lines) as here:
        await here.channel._watch.stop()
        first, other = second(here, "first"), second(here, "other")
        first.start(here.desk)
        await until(lambda: len(ASKED) >= 1)
        other.start(here.desk)
        await until(lambda: len(ASKED) >= 3)
        assert {name for name, _ in ASKED} == {"first"}
        for task in first._tasks:  # as kill -9 leaves it: nothing is let go of
            task.cancel()
        count = len(ASKED)
        here.clock.advance(2 * POLL + SPARE + 1)
        await until(lambda: len(ASKED) > count)
        assert ASKED[count:][0] == ("other", True)  # with what the first may have read and lost
        await other.stop()


async def _nothing(self: object, line: str, since: int | None) -> list[Arrival]:
    return []


async def test_a_program_that_stops_lets_go_at_once(tmp_path: Path, lines, monkeypatch):
    monkeypatch.setattr("tests.sms.paper.Paper.poll", _nothing)
    async with house(tmp_path, lines) as here:
        await until(lambda: here.channel._watch._polled)
        await here.channel._watch.stop()
        assert await here.desk.drawer.lease("sms:poll:main:paper", "next", 10)
