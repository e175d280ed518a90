"""What runs says honestly how it is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest_asyncio

from core import lapses, store
from core.clock import HandClock
from core.memory_channel import Memory
from core.store import Store
from gateway.supervise import Parts
from gateway.timers import Timers
from gateway.worker import Worker


@pytest_asyncio.fixture
async def opened(tmp_path: Path):
    made = await store.open(None, HandClock(), tmp_path)
    yield made
    await made.close()


async def nothing(drain: float) -> None:
    pass


def broken() -> str:
    raise ValueError("broken")


async def test_each_part_says_it_itself_and_one_that_cannot_has_failed():
    parts = Parts()
    parts.add("web", nothing)
    parts.add("phone", nothing, lambda: "down")
    parts.add("mail", nothing, broken)
    assert parts.health() == {"web": "up", "phone": "down", "mail": "failed"}
    await parts.stop(0)
    assert parts.health() == {}


async def test_a_worker_whose_task_ended_has_failed(opened: Store):
    worker = Worker(opened, {"sms": Memory("sms")}, None, HandClock())
    await worker.start()
    assert worker.health() == "up"
    worker._serving[0].cancel()
    await asyncio.wait(worker._serving)
    assert worker.health() == "failed"
    worker._serving.clear()
    await worker.stop(1)


async def test_a_store_whose_disk_failed_is_down(opened: Store):
    assert opened.health() == "up"
    opened.broken.set()
    assert opened.health() == "down"


async def test_timers_outlive_a_look_that_failed(opened: Store, monkeypatch):
    looks: list[int] = []

    async def fire(_: Store) -> int:
        looks.append(1)
        raise ValueError("poison")

    monkeypatch.setattr(lapses, "fire", fire)
    timers = Timers(opened, None, HandClock(), every=0.001)  # type: ignore[arg-type]
    await timers.start()
    async with asyncio.timeout(5):
        while len(looks) < 3:  # noqa: ASYNC110 bounded above
            await asyncio.sleep(0.001)
    assert timers.health() == "up"
    await timers.stop(0)
