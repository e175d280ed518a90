"""Calls at once on the whole program, pinned to one core and measured from the other: alone, crowded, beside the web.

A row whose generator was late itself (p99 of sending to itself over 1 ms) says "generator-bound".
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.bench.http import SCRIPT
from tests.bench.processes import line as said
from tests.bench.processes import started
from tests.bench.size import Size, say
from tests.bench.table import Figure
from tests.journeys.running import Demo

SECONDS, ROUNDS = 10.0, 3  # measured, of each round
CROWD = 1000
CALLS = 200  # beside the web, and at once in the idle demo's weighing
RATE = 50  # new calls a second
KEYS = "100"  # complaint, unit not known, no explanation: then each call is recorded till it hangs up
IDLE = 60  # seconds before the weighing
BESIDE = (  # what else: pages are asked for; threads compute beside
    ("alone", False, 0),
    ("beside durable intake", False, 0),
    ("beside intake and pages", True, 0),
    ("beside intake, pages and two busy readers", True, 2),
)
BOUND = 1.0  # ms; the generator alone must be better than that

Round = dict[str, Any]


def figures(size: Size) -> list[Figure]:
    """The rows of the table."""
    return [*([] if size.tiny else _weighing()), *_crowd(size), *_beside(size)]


# ---------------------------------------------------------------- rounds


@contextmanager
def line(calls: int, *more: str) -> Iterator[tuple[Round, Round]]:
    """The program on core 0; yields what it told at its start and, filled in at the end, what it tells then."""
    with tempfile.TemporaryDirectory(prefix="pasokh-bench-") as name:
        words = [sys.executable, "-m", "tests.bench.line", "--dir", name, "--calls", str(calls), *more]
        with started(words, stderr=subprocess.DEVNULL) as process:
            up: Round = json.loads(said(process.stdout))
            over: Round = {}
            time.sleep(min(5, calls / 40))  # its prompts are being spoken for the first time
            yield up, over
            process.send_signal(signal.SIGTERM)
            over.update(json.loads(said(process.stdout)))


def ring(target: str, calls: int, seconds: float, keys: str = "", rate: float = RATE, **more: float) -> Round:
    """Call from core 1; the figures of tests.bench.callers, whose options `more` may name."""
    options = {"calls": calls, "seconds": seconds, "rate": rate, "keys": keys, "pause": 1.5, "settle": 2, **more}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    words = ["taskset", "-c", "1", sys.executable, "-m", "tests.bench.callers", target, *words]
    out = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
    return dict(json.loads(out.splitlines()[-1]))


def crowded(calls: int, seconds: float, settle: float) -> Round:
    """One round of menu calls that press keys and are recorded; `memory_kb` of each, `keys_lost`, `tickets`."""
    with line(calls) as (up, over):
        before = resident(up["pid"])
        peak = [before]
        told = _watched(up["pid"], peak, lambda: ring(f"127.0.0.1:{up['sip']}", calls, seconds, KEYS, settle=settle))
    told["memory_kb"] = (max(peak) - before) / calls
    return {**told, "line": over, "keys_lost": told["keys_sent"] - over.get("keys", 0)}


def _watched(pid: int, peak: list[float], deed: Any) -> Round:
    """Do `deed`, looking every half second how large the process is."""
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.5):
            peak.append(resident(pid))

    watch = threading.Thread(target=look)
    watch.start()
    try:
        told: Round = deed()
        return told
    finally:
        done.set()
        watch.join()


# ---------------------------------------------------------------- rows


def _crowd(size: Size) -> list[Figure]:
    crowd, seconds, rounds = size.of(CROWD, 4), size.of(SECONDS, 0.5), []
    for n in range(count := size.rounds(ROUNDS)):
        rounds.append(crowded(crowd, seconds, size.of(5, 1)))
        say(f"phone: {crowd} calls, round {n + 1} of {count}")
    middle = sorted(rounds, key=lambda told: told["jitter_ms"]["p99"])[len(rounds) // 2]
    what = f"{crowd} menu calls at once, keys and recording on, one core"
    setup = statistics.median(told["setup_ms"]["p99"] for told in rounds)
    lost = sum(told["keys_lost"] for told in rounds)
    tickets = sum(told["line"]["tickets"] for told in rounds)
    failed = sum(told["failed"] for told in rounds)
    memory = statistics.median(told["memory_kb"] for told in rounds)
    return [
        Figure(f"{what}: jitter p99", _ms(middle["jitter_ms"]["p99"]), "≤ 5 ms", _note(rounds, middle, seconds)),
        Figure(f"set-up p99 at {RATE} calls/s", _ms(setup), "≤ 100 ms", f"until {crowd} calls are up"),
        Figure("failed calls", str(failed), "0", f"of {crowd * count}; {tickets} messages became tickets"),
        Figure("lost keys", str(lost), "0", f"of {sum(told['keys_sent'] for told in rounds)}"),
        Figure("memory a call", f"{memory:.0f} KB", "≤ 200 KB", "resident, with its recording"),
    ]


def _beside(size: Size) -> list[Figure]:
    """200 calls beside durable intake, beside pages too, and with readers in threads of the same process."""
    if shutil.which("wrk") is None:
        return [Figure("calls beside the web", "not measured", "", "install wrk (Debian)")]
    rows = []
    calls, seconds, count = size.of(CALLS, 2), size.of(SECONDS, 0.5), size.rounds(ROUNDS)
    for what, pages, readers in size.of(BESIDE, BESIDE[2:3]):
        rounds = []
        for n in range(count):
            rounds.append(_beside_round(calls, seconds, what != "alone", pages, readers))
            say(f"phone: {calls} calls {what}, round {n + 1} of {count}")
        middle = sorted(rounds, key=lambda told: told["jitter_ms"]["p99"])[len(rounds) // 2]
        rate = f", {middle['intakes']:.0f} intakes/s" if what != "alone" else ""
        note = _note(rounds, middle, seconds) + rate
        rows.append(Figure(f"{calls} calls {what}: jitter p99", _ms(middle["jitter_ms"]["p99"]), "≤ 5 ms", note))
    return rows


def _beside_round(calls: int, seconds: float, intake: bool, pages: bool, readers: int) -> Round:
    with line(calls, "--readers", str(readers)) as (up, over), tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(SCRIPT)
        web = f"http://127.0.0.1:{up['web']}"
        length = f"{int(seconds) + 15}s"
        loads = [["-c8", "-d", length, "-s", str(script), web]] if intake else []
        loads += [["-c2", "-d", length, f"{web}/"]] if pages else []
        with ExitStack() as stack:
            running = [stack.enter_context(started(["taskset", "-c", "1", "wrk", "-t1", *words])) for words in loads]
            told = ring(f"127.0.0.1:{up['sip']}", calls, seconds, settle=min(2, seconds))
            for load in running:
                load.send_signal(signal.SIGINT)
            found = [load.communicate(timeout=30)[0] for load in running]
    rate = next((row.split()[1] for row in found[0].splitlines() if row.startswith("Requests/sec")), 0) if found else 0
    return {**told, "line": over, "intakes": float(rate)}


def _weighing() -> list[Figure]:
    """What the whole demo weighs when nobody calls."""
    say("phone: the idle demo is weighed")
    with tempfile.TemporaryDirectory(prefix="pasokh-bench-") as name:
        demo = Demo(Path(name) / "data")
        try:
            demo.start()
            time.sleep(IDLE)
            assert demo.process is not None
            weight = sum(resident(pid) for pid in _family(demo.process.pid)) / 1024
            demo.stop()
        finally:
            demo.end()
    return [Figure("memory of Pasokh and its workers, idle", f"{weight:.0f} MB", "≤ 250 MB", f"after {IDLE} s")]


def _note(rounds: list[Round], middle: Round, seconds: float) -> str:
    """What helps to read a row: spread, worst, the generator's own part."""
    spread = sorted(told["jitter_ms"]["p99"] for told in rounds)
    alone = statistics.median(told["bare_p99_ms"] for told in rounds)
    bound = ", generator-bound" if alone > BOUND else ""
    core = statistics.median(told["line"]["core_percent"] for told in rounds)
    return (
        f"{len(rounds)} rounds of {seconds:.0f} s, {spread[0]:.2f} to {spread[-1]:.2f}, max "
        f"{middle['jitter_ms']['max']:.1f} ms; core {core:.0f} %; generator alone {alone:.2f} ms{bound}; "
        f"load {os.getloadavg()[0]:.1f}"
    )


def _ms(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f} ms"


def resident(pid: int) -> float:
    """KB of a process (RSS)."""
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return float(next(int(row.split()[1]) for row in rows if row.startswith("Rss:")))


def _family(pid: int) -> list[int]:
    """A process and its children, without the made-up world."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            if b"tests.worlds" not in words:
                found += _family(int(child))
    return found
