"""The whole program with a phone line for many calls, pinned to core 0 with its children, for the benchmarks.

`python -m tests.bench.line --dir D --calls 1000` prints one JSON line when it is up (ports, pid), and another with the
plane's counts, the tickets made and its memory when it is told to stop. `--readers N`: so many threads beside the loop
compute in Python half of the time, as templates and parsers do. `--apart`: the media plane in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from config.values import Config
from gateway import loop, supervise, wiring
from tests.bench.server import told

LEAVING = 30.0  # seconds the last recordings may take to become tickets


async def serve(options: argparse.Namespace) -> int:
    """Up until told to stop."""
    parts = supervise.Parts()
    system = await wiring.start(_site(options), options.dir, None, parts)
    phone: Any = system.channels["phone"]
    while not phone.counts()["ticks"]:  # noqa: ASYNC110 - a child's clock, which begins a moment later
        await asyncio.sleep(0.05)
    up = {"sip": phone.ports["main"], "web": system.web_port, "pid": os.getpid(), "threads": _threads()}
    print(json.dumps(up), flush=True)
    over = threading.Event()
    readers = [threading.Thread(target=_read, args=(over,)) for _ in range(options.readers)]
    for reader in readers:
        reader.start()
    await told()
    over.set()
    await _calm(phone)
    counts, threads = dict(phone._plane.counts()), _threads()
    await parts.stop(1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    facts = {"peak_mb": peak, "threads": threads, **_stored(options.dir)}
    print(json.dumps({**facts, **counts}), flush=True)
    return 0


def _site(options: argparse.Namespace) -> Config:
    """The sample agency with a phone line and the web, on free ports."""
    site = wiring.site(None)
    room = options.calls + options.calls // 10 + 10
    line = {"bind": ["udp:127.0.0.1:0"], "rtp": "0", "max_calls": room, "per_second": 1000, "burst": 2000}
    moved = wiring.moved(site, {"phone.line.main": line, "phone.media": {"apart": options.apart}})
    web = replace(site.settings.web, bind="127.0.0.1", port=0)
    settings = replace(site.settings, loopback_exempt=True, second_factor="optional", web=web)
    return replace(moved, settings=settings, lines={"phone": moved.lines["phone"]})


def _read(over: threading.Event) -> None:
    while not over.wait(0.01):
        end = time.monotonic() + 0.01
        while time.monotonic() < end:
            sum(range(200))


async def _calm(phone: Any) -> None:
    """Until the last call is over and its recording taken."""
    end = time.monotonic() + LEAVING
    while phone.calls and time.monotonic() < end:  # noqa: ASYNC110 - it is asked from outside
        await asyncio.sleep(0.1)


def _threads() -> list[str]:
    """Names of those that live."""
    return sorted(thread.name for thread in threading.enumerate())


def _stored(folder: Path) -> dict[str, int]:
    """Tickets of the phone and records of calls."""
    path = next(folder.glob("*.sqlite*"), None) or next(folder.glob("*.db"))
    with closing(sqlite3.connect(path)) as store:
        tickets = store.execute("SELECT count(*) FROM ticket WHERE channel = 'phone'").fetchone()[0]
        return {"tickets": tickets, "records": store.execute("SELECT count(*) FROM call").fetchone()[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--readers", type=int, default=0)
    parser.add_argument("--apart", action="store_true")
    options = parser.parse_args()
    options.dir.mkdir(parents=True, exist_ok=True)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with asyncio.Runner(loop_factory=loop.new) as runner:
        runner.run(_hosted(options))


async def _hosted(options: argparse.Namespace) -> int:
    loop.guest(asyncio.get_running_loop())
    try:
        return await serve(options)
    finally:
        loop.stop_guest()


if __name__ == "__main__":
    main()
