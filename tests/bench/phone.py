"""Calls at once on the whole program, pinned to one core and measured from the other: alone, crowded, beside the web.

A row whose generator was late itself (p99 of sending to itself over 1 ms) says "generator-bound".
"""

from __future__ import annotations

import itertools
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

SECONDS, ROUNDS = 4.0, 5  # measured, of each round
CROWD = 1000
CALLS = 200  # beside the web
RATE = 50  # new calls a second
QUICK = 200  # the same, where the set-up is not what is measured
KEYS = "100"  # complaint, unit not known, no explanation: then each call is recorded till it hangs up
IDLE = 60  # seconds before the weighing
INTAKE, PAGES = "durable intake", "pages"
READERS = "two readers that never rest"
BESIDE = (  # how the program is started; what else it does, in turn
    ((), ((), (INTAKE,), (INTAKE, PAGES))),
    (("--readers", "2"), ((INTAKE, PAGES, READERS),)),
    (("--readers", "2", "--apart"), ((INTAKE, PAGES, READERS, "the plane apart"),)),
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


def rung(up: Round, *words: Any, **more: Any) -> Round:
    """The same on the line that is `up`; `core_percent` of it and its children meanwhile, `peak_kb` at most."""
    target, peak = f"127.0.0.1:{up['sip']}", [0.0]
    used, began = spent(up["pid"]), time.monotonic()
    told = _watched(up["pid"], peak, lambda: ring(target, *words, **more))
    share = (spent(up["pid"]) - used) / (time.monotonic() - began)
    return {**told, "core_percent": 100 * share, "peak_kb": max(peak)}


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
    """Menu calls that press keys and are recorded, again and again on one running program."""
    crowd, seconds, count = size.of(CROWD, 4), size.of(SECONDS, 0.5), size.rounds(ROUNDS)
    rounds = []
    with line(crowd) as (up, over):
        before = resident(up["pid"])
        for n in range(count):
            rounds.append(rung(up, crowd, seconds, KEYS, settle=size.of(6, 1)))  # the last one has time to speak
            time.sleep(size.of(5, 0))  # and its message to be taken, before the next crowd calls
            say(f"phone: {crowd} calls, round {n + 1} of {count}")
    what = f"{crowd} menu calls at once, keys and recording on, one core"
    setup = statistics.median(told["setup_ms"]["p99"] for told in rounds)
    failed, sent = (sum(told[name] for told in rounds) for name in ("failed", "keys_sent"))
    memory = (max(told["peak_kb"] for told in rounds) - before) / crowd
    tickets = f"of {crowd * count}; {over['tickets']} messages became tickets"
    return [
        _jitter(what, rounds, seconds),
        Figure(f"set-up p99 at {RATE} calls/s", _ms(setup), "≤ 100 ms", f"until {crowd} calls are up"),
        Figure("failed calls", str(failed), "0", tickets),
        Figure("lost keys", str(sent - over.get("keys", 0)), "0", f"of {sent}"),
        Figure("memory a call", f"{memory:.0f} KB", "≤ 200 KB", "resident, with its recording; most in all rounds"),
    ]


def _beside(size: Size) -> list[Figure]:
    """200 calls beside durable intake, beside pages too, and with readers in threads of the same process."""
    if shutil.which("wrk") is None:
        return [Figure("calls beside the web", "not measured", "", "install wrk (Debian)")]
    rows = []
    calls, seconds, count = size.of(CALLS, 2), size.of(SECONDS, 0.5), size.rounds(ROUNDS)
    for words, turns in size.of(BESIDE, BESIDE[2:]):
        rounds: dict[tuple[str, ...], list[Round]] = {turn: [] for turn in turns}
        with line(calls, *words) as (up, _):
            for n, turn in itertools.product(range(count), turns):
                rounds[turn].append(_beside_round(up, calls, seconds, turn))
                say(f"phone: {calls} calls {_named(turn)}, round {n + 1} of {count}")
        rows += [_jitter(f"{calls} calls {_named(turn)}", told, seconds) for turn, told in rounds.items()]
    return rows


def _named(turn: tuple[str, ...]) -> str:
    return f"beside {', '.join(turn)}" if turn else "alone"


def _beside_round(up: Round, calls: int, seconds: float, turn: tuple[str, ...]) -> Round:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        script = Path(folder) / "post.lua"
        script.write_text(SCRIPT)
        web, length = f"http://127.0.0.1:{up['web']}", f"{int(seconds) + 15}s"
        loads = [["-c8", "-d", length, "-s", str(script), web]] if INTAKE in turn else []
        loads += [["-c2", "-d", length, f"{web}/"]] if PAGES in turn else []
        running = [stack.enter_context(started(["taskset", "-c", "1", "wrk", "-t1", *words])) for words in loads]
        told = rung(up, calls, seconds, rate=QUICK, settle=min(1, seconds))
        for load in running:
            load.send_signal(signal.SIGINT)
        found = [load.communicate(timeout=30)[0] for load in running]
    rates = [row.split()[1] for row in "".join(found[:1]).splitlines() if row.startswith("Requests/sec")]
    return {**told, "intakes": float(rates[0]) if rates else 0.0}


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


def _jitter(what: str, rounds: list[Round], seconds: float) -> Figure:
    """The median round's, with what helps to read it: spread, worst, the generator's own part."""
    by = sorted(rounds, key=lambda told: told["jitter_ms"]["p99"])
    least, middle, most = (by[at]["jitter_ms"]["p99"] for at in (0, len(by) // 2, -1))
    alone, core, intakes = (
        statistics.median(told.get(name, 0.0) for told in rounds) for name in ("bare_p99_ms", "core_percent", "intakes")
    )
    note = (
        f"{len(rounds)} rounds of {seconds:.0f} s, {least:.2f} to {most:.2f}, "
        f"max {by[len(by) // 2]['jitter_ms']['max']:.1f} ms; core {core:.0f} %; generator alone {alone:.2f} ms"
        f"{', generator-bound' if alone > BOUND else ''}{f'; {intakes:.0f} intakes/s' if intakes else ''}; "
        f"load {os.getloadavg()[0]:.1f}"
    )
    return Figure(f"{what}: jitter p99", _ms(middle), "≤ 5 ms", note)


def _ms(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f} ms"


def resident(pid: int) -> float:
    """KB of a process (RSS)."""
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return float(next(int(row.split()[1]) for row in rows if row.startswith("Rss:")))


def spent(pid: int) -> float:
    """Seconds of processor time of a process and its children, those that live."""
    rows = [Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in _family(pid)]
    return sum(int(row[11]) + int(row[12]) for row in rows) / os.sysconf("SC_CLK_TCK")


def _family(pid: int) -> list[int]:
    """A process and its children, without the made-up world."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            if b"tests.worlds" not in words:
                found += _family(int(child))
    return found
