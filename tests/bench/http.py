"""Durable HTTP intake beside its peers: the same program only validating, one transaction each, bare aiohttp."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.table import Figure
from tests.postgres import Server, find

CLIENTS, SECONDS, PAIRS = 50, 3, 5
SCRIPT = """
local n = 0
request = function()
  n = n + 1
  local body = '{"kind":"complaint","text":"چراغ خیابان نمونه شمارهٔ ' .. n .. ' خاموش است، لطفاً رسیدگی کنید."}'
  local headers = {["Content-Type"] = "application/json", ["Idempotency-Key"] = thread_id .. "-" .. n}
  return wrk.format("POST", "/api/v1/tickets", headers, body)
end
local made = 0
function setup(thread) made = made + 1; thread:set("thread_id", os.time() .. "-" .. made) end
"""


@contextmanager
def serving(kind: str, folder: Path, database: str | None = None) -> Iterator[tuple[int, int]]:
    """A server on core 0; yields its port and its process."""
    words = [sys.executable, "-m", "tests.bench.server", kind, "--dir", str(folder)]
    words += ["--database", database] if database else []
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, "PASOKH_UNSAFE": "1"})
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline()), process.pid
    finally:
        process.terminate()
        process.wait(15)
        process.stdout.close()


def rate(port: int, script: Path) -> tuple[float, float]:
    """Requests a second answered 2xx, and p99 in ms; wrk on core 1."""
    words = ["taskset", "-c", "1", "wrk", "-t1", f"-c{CLIENTS}", f"-d{SECONDS}s", "--latency", "-s", str(script)]
    out = subprocess.run([*words, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out:
        raise RuntimeError(f"not all were taken:\n{out}")
    speed = re.search(r"Requests/sec:\s+([\d.]+)", out)
    tail = re.search(r"99%\s+([\d.]+)(us|ms|s)", out)
    assert speed is not None, out
    assert tail is not None, out
    return float(speed[1]), float(tail[1]) * {"us": 0.001, "ms": 1, "s": 1000}[tail[2]]


def spent(process: int) -> float:
    """Seconds of processor a process has had."""
    user, system = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def fsyncs(folder: Path, seconds: float = 0.5) -> float:
    """4 KiB appends with fsync a second: what this disk can promise."""
    import time

    with (folder / "probe").open("wb") as probe:
        ends, count = time.monotonic() + seconds, 0
        while time.monotonic() < ends:
            probe.write(bytes(4096))
            probe.flush()
            os.fsync(probe.fileno())
            count += 1
    return count / seconds


def figures() -> list[Figure]:
    """The rows of the table; needs wrk."""
    if shutil.which("wrk") is None:
        return [Figure("HTTP intake", "not measured", "", "install wrk (Debian)")]
    rows = []
    with tempfile.TemporaryDirectory(prefix="pasokh-bench-") as name:
        folder = Path(name)
        script = folder / "post.lua"
        script.write_text(SCRIPT)
        rows += _compare(folder, script, "SQLite", lambda n: None, 0.35, 3.0)
        binaries = find()
        if binaries is not None:
            with Server(binaries) as server:
                rows += _compare(folder, script, "PostgreSQL", lambda n: _database(server, n), 0.70, 2.2)
    return rows


def _database(server: Server, name: str) -> str:
    import asyncio

    import asyncpg

    from core import store

    async def make() -> str:
        connection = await asyncpg.connect(server.url)
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        await connection.close()
        url = server.url.rsplit("/", 1)[0] + "/" + name
        await store.migrate(url, Path())
        return url

    return asyncio.run(make())


Databases = Callable[[str], str | None]  # name of a run → URL, None = SQLite


def _compare(
    folder: Path, script: Path, what: str, database: Databases, goal: float, group_goal: float
) -> list[Figure]:
    """Pairs in turn, medians of their ratios."""
    rates: dict[str, list[float]] = {"durable": [], "validate": [], "prepare": [], "single": [], "bare": []}
    costs: dict[str, list[float]] = {kind: [] for kind in rates}
    tails, probes = [], []
    for n in range(PAIRS):
        probes.append(fsyncs(folder))
        for kind, found in rates.items():
            url = None if kind == "bare" else database(f"{kind}{n}")
            with serving(kind, folder / f"{what}-{kind}-{n}", url) as (port, process):
                before = spent(process)
                speed, tail = rate(port, script)
                costs[kind].append((spent(process) - before) / (speed * SECONDS) * 1e6)
            found.append(speed)
            tails += [tail] if kind == "durable" else []

    def against(kind: str) -> float:
        return statistics.median(d / o for d, o in zip(rates["durable"], rates[kind], strict=True))

    middle = {kind: statistics.median(found) for kind, found in rates.items()}
    ratio, group, alone = against("validate"), against("single"), against("bare")
    cost = ", ".join(f"{kind} {min(costs[kind]):.0f}" for kind in ("durable", "prepare", "validate"))
    note = f"{middle['durable']:.0f}/s, p99 {statistics.median(tails):.0f} ms, {min(probes):.0f}+ fsyncs/s"
    note += f"; µs of processor a request: {cost}"
    return [
        Figure(f"durable HTTP intake ÷ validate-only, {what}", f"{ratio:.2f}", f"≥ {goal:.2f}", note),
        Figure(f"the same ÷ all but the transaction, {what}", f"{against('prepare'):.2f}", "", "prepared, not stored"),
        Figure(f"the same ÷ bare aiohttp with one handler, {what}", f"{alone:.2f}", "", f"{middle['bare']:.0f}/s"),
        Figure(f"grouped ÷ one transaction each, {what}", f"{group:.1f}", f"≥ {group_goal:.1f}", f"{CLIENTS} clients"),
    ]
