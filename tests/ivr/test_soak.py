"""Half an hour of calls that come and go: what the program holds stays the same, and comes back to what it was.

`PASOKH_SOAK_SECONDS=120 pytest -m long tests/ivr/test_soak.py` tries it for two minutes.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bench.phone import line, resident, ring

SECONDS = float(os.environ.get("PASOKH_SOAK_SECONDS", "1800"))
CALLS, RATE = 200, 5.0  # at once, new ones a second
EVERY = 10  # one call in so many leaves a message
GROWTH = 5_000  # KB between the end of the first third (10 of 30 minutes) and the end
POOL = min(
    32, (os.cpu_count() or 1) + 4
)  # threads of asyncio's own pool, which it starts one by one as they are needed
PEAK = 0.95  # of the samples are compared: a page cache or a full journal may stand out for a moment


@dataclass(frozen=True)
class Look:
    """What a process holds."""

    kb: float
    threads: int
    files: int


def look(pid: int) -> Look:
    folder = Path(f"/proc/{pid}")
    return Look(resident(pid), len(list((folder / "task").iterdir())), len(list((folder / "fd").iterdir())))


def middle(looks: list[Look]) -> float:
    """A high but not the highest KB of these."""
    return sorted(each.kb for each in looks)[int(PEAK * (len(looks) - 1))]


@pytest.mark.long
@pytest.mark.timeout(SECONDS + 300)
def test_half_an_hour_of_calls_leaves_memory_sockets_and_threads_as_they_were():
    looks: list[Look] = []
    done = threading.Event()
    with line(CALLS) as (up, over):

        def watch() -> None:
            while not done.wait(SECONDS / 180):
                looks.append(look(up["pid"]))

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            told = ring(
                f"127.0.0.1:{up['sip']}", int(RATE * SECONDS), 0, "100", RATE, hold=CALLS / RATE, every=EVERY, settle=20
            )
        finally:
            done.set()
            watching.join()
        after = look(up["pid"])
    third = len(looks) // 3
    grown = middle(looks[2 * third :]) - middle(looks[third : 2 * third])
    warm = looks[third]  # all shared ports are open by then, all pools of threads at their size
    print(f"{told}\n{over}\nwarm {warm}, after {after}, grown {grown} KB")
    assert (told["failed"], told["keys_sent"] - over["keys"]) == (0, 0)
    assert over["tickets"] == len(range(0, told["calls"], EVERY))
    assert (over["calls"], over["ports"]) == (0, 0)
    assert grown <= GROWTH
    assert after.threads <= warm.threads + POOL
    assert after.files <= max(each.files for each in looks[: 2 * third])
