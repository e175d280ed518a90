"""Calls at once on the running demo, pinned to one core, measured from the other; and what the whole weighs idle."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.table import Figure
from tests.journeys.running import Demo

CALLS, SECONDS, ROUNDS = 200, 20, 5
IDLE = 60  # seconds before the weighing


def figures() -> list[Figure]:
    """The rows of the table."""
    with tempfile.TemporaryDirectory(prefix="pasokh-bench-") as name:
        demo = Demo(Path(name) / "data", "--rtp", "30000-31999").start()
        try:
            time.sleep(IDLE)
            weight = _weight(demo)
            _pin(demo)
            rounds = [_round(demo) for _ in range(ROUNDS)]
        finally:
            demo.stop()
    rounds.sort(key=lambda row: row["jitter_ms"]["p99"])
    middle = rounds[len(rounds) // 2]
    failed = sum(row["failed"] for row in rounds)
    note = f"{CALLS} calls, {SECONDS} s, {ROUNDS} rounds; max {middle['jitter_ms']['max']:.1f} ms"
    return [
        Figure("jitter p99, server on one core", f"{middle['jitter_ms']['p99']:.2f} ms", "< 5 ms", note),
        Figure("failed calls", str(failed), "0", f"of {CALLS * ROUNDS}"),
        Figure("memory of Pasokh and its workers, idle", f"{weight:.0f} MB", "≤ 250 MB", f"after {IDLE} s"),
    ]


def _round(demo: Demo) -> dict[str, object]:
    target = demo.facts["sip"].partition("@")[2]
    words = ["taskset", "-c", "1", sys.executable, "-m", "tests.bench.callers", target]
    words += ["--calls", str(CALLS), "--seconds", str(SECONDS)]
    return dict(json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[-1]))


def _family(pid: int) -> list[int]:
    """A process and its children, without the made-up world."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            if b"tests.worlds" not in words:
                found += _family(int(child))
    return found


def _weight(demo: Demo) -> float:
    """Resident MB of all of them, shared pages counted as often as they are mapped (RSS)."""
    assert demo.process is not None
    kib = 0
    for pid in _family(demo.process.pid):
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        kib += next(int(row.split()[1]) for row in rows if row.startswith("Rss:"))
    return kib / 1024


def _pin(demo: Demo) -> None:
    assert demo.process is not None
    for pid in _family(demo.process.pid):
        subprocess.run(["taskset", "-a", "-c", "-p", "0", str(pid)], check=True, stdout=subprocess.DEVNULL)
