"""Half an hour of calls that come and go: what the program holds stays the same, and comes back to what it was.

`PASOKH_SOAK_SECONDS=120 pytest -m long -s tests/ivr/test_soak.py` tries it for two minutes.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from ivr.media import ports
from tests.bench.phone import line, resident, ring

SECONDS = float(os.environ.get("PASOKH_SOAK_SECONDS", "1800"))
CALLS, RATE = 200, 5.0  # at once, new ones a second
HOLD = CALLS / RATE  # seconds each lasts
EVERY = 10  # one call in so many leaves a message
WARM = max(HOLD + 20, SECONDS / 3)  # all at once by then, every port, pool, cache and journal has been used
# KB that the line through the samples may rise from then on: in the long run 0.8 KB for each of 6,000 calls; one under
# twenty minutes is not warm yet: the caches of the store and of malloc fill for five, and only a gross leak shows
GROWTH = 5_000 if SECONDS >= 1200 else 15_000
LOOPS = min(32, (os.cpu_count() or 1) + 4)  # asyncio's own pool
POOLS = {  # threads that are started one by one when they are needed and kept for ever, and how many of each at most
    "files": 4, "store-reader": 2, "store-writer": 1, "pasokh-speech": 1, "password": 2,
    "asyncio": LOOPS, "uvloop": LOOPS,
}  # fmt: skip
CALM = 8  # files beyond those before the first call: connections of the store are opened when they are needed, and kept


@dataclass(frozen=True)
class Look:
    """What a process holds."""

    at: float
    kb: float
    threads: int
    sockets: int
    files: int


def look(pid: int) -> Look:
    kinds = []
    for one in Path(f"/proc/{pid}/fd").iterdir():
        try:
            kinds.append(os.readlink(one))
        except FileNotFoundError:  # shut meanwhile
            continue
    sockets = sum(kind.startswith("socket:") for kind in kinds)
    threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    return Look(time.monotonic(), resident(pid), threads, sockets, len(kinds) - sockets)


def kinds(names: list[str]) -> Counter[str]:
    """Threads by name, those of a pool by its."""
    return Counter(name.rstrip("0123456789").removesuffix("_") for name in names)


def rise(looks: list[Look]) -> float:
    """KB by which the straight line through the samples (least squares) rises from the first to the last."""
    times = [each.at for each in looks]
    return statistics.linear_regression(times, [each.kb for each in looks]).slope * (times[-1] - times[0])


@pytest.mark.long
@pytest.mark.timeout(SECONDS + 300)
def test_half_an_hour_of_calls_leaves_memory_sockets_and_threads_as_they_were():
    looks: list[Look] = []
    done = threading.Event()
    with line(CALLS) as (up, over):
        before = look(up["pid"])

        def watch() -> None:
            while not done.wait(max(0.5, SECONDS / 600)):
                looks.append(look(up["pid"]))

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            many = int(RATE * SECONDS)
            told = ring(f"127.0.0.1:{up['sip']}", many, 0, "100", RATE, hold=HOLD, every=EVERY, settle=HOLD / 2)
        finally:
            done.set()
            watching.join()
        after = look(up["pid"])
    steady = [each for each in looks if before.at + WARM <= each.at <= before.at + SECONDS]
    grown = rise(steady)
    print("MB:", *(f"{each.kb / 1024:.1f}" for each in looks[:: max(1, len(looks) // 40)]))
    print(
        f"{told}\n{over}\nbefore {before}\nwarm {steady[0]}\nafter {after}\ngrown {grown:.0f} KB in {len(steady)} looks"
    )
    assert (told["failed"], told["unheard"], told["keys_sent"] - over["keys"]) == (0, 0, 0)
    assert (over["tickets"], over["records"]) == (len(range(0, many, EVERY)), many)
    assert (over["calls"], over["ports"]) == (0, 0)
    assert grown <= GROWTH
    assert kinds(over["threads"]).keys() - POOLS.keys() == kinds(up["threads"]).keys() - POOLS.keys()
    assert all(count <= POOLS.get(name, 1) for name, count in kinds(over["threads"]).items())
    assert max(each.threads for each in looks) <= before.threads + sum(POOLS.values())
    assert max(each.sockets for each in looks) <= before.sockets + 2 * ports.POOL  # RTP and RTCP of the shared ports
    assert after.files <= before.files + CALM
