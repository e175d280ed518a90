"""kill -9 at any moment, under load on all channels: every acknowledged message is there after the next start, once."""

from __future__ import annotations

import random
import time
from functools import partial
from pathlib import Path

import pytest

from tests.journeys.load import Callers, Crowd, judge, phone_tickets, recordings
from tests.journeys.running import Demo, until


def rounds(folder: Path, count: int, seed: int) -> None:
    """`count` times: start, let the crowd write, kill, start again, judge."""
    chance = random.Random(seed)
    demo = Demo(folder / "data").start()
    try:
        crowds: list[Crowd] = []
        for n in range(count):
            _round(demo, folder, n, chance, crowds)
        assert demo.stop() == 0
    finally:
        demo.end()


def _round(demo: Demo, folder: Path, n: int, chance: random.Random, crowds: list[Crowd]) -> None:
    """Callers in every other round; `crowds` are all who have written so far."""
    callers = Callers(demo, folder, 2) if n % 2 == 0 else None
    due = phone_tickets(demo)
    with Crowd(demo, f"r{n}") as crowd:
        if callers is not None:
            until(lambda: recordings(demo) >= 2, 60)
        time.sleep(chance.uniform(0.5, 2.5))
        due += recordings(demo)
        demo.kill()
    if callers is not None:
        callers.end()
    crowds.append(crowd)
    assert all(crowd.acknowledged.values()), {k: len(v) for k, v in crowd.acknowledged.items()}
    demo.start()
    for each in crowds:
        judge(demo, each)
    until(partial(_heard, demo, due), 60)


def _heard(demo: Demo, due: int) -> bool:
    return phone_tickets(demo) >= due


def test_three_kills_lose_nothing_that_was_acknowledged(tmp_path):
    rounds(tmp_path, 3, 1)


@pytest.mark.long
def test_twenty_kills_lose_nothing_that_was_acknowledged(tmp_path):
    rounds(tmp_path, 20, 2)
