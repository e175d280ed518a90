"""Durable HTTP intake beside its peers: the same program only validating, one transaction each, bare aiohttp.

All servers of a store are up from the beginning, each on core 0 and asleep unless it is asked; wrk is on core 1, and so
is PostgreSQL, as a database of another machine would not take the program's core.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from core import store
from tests.bench.processes import line, started
from tests.bench.size import Size, say
from tests.bench.table import Figure
from tests.postgres import Server, find

CLIENTS, SECONDS, ROUNDS = 50, 3, 5
REST = 0.3  # seconds a server gets to tidy up after its burst, before it sleeps
KINDS = ("durable", "validate", "prepare", "single", "bare")
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

Databases = Callable[[str], str | None]  # name of a server → URL, None = SQLite


@dataclass(slots=True)
class Peer:
    """One server and what was found of it, a burst each: requests a second, p99 in ms, µs of processor a request."""

    port: int
    process: int
    rates: list[float] = field(default_factory=list)
    tails: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    def burst(self, script: Path, seconds: int) -> None:
        """Awake for one burst. Raises RuntimeError when not all was taken."""
        os.kill(self.process, signal.SIGCONT)
        before = spent(self.process)
        speed, tail = rate(self.port, script, seconds)
        self.costs.append((spent(self.process) - before) / (speed * seconds) * 1e6)
        self.rates.append(speed)
        self.tails.append(tail)
        self.sleep()

    def sleep(self) -> None:
        """It has tidied up, and costs nothing while others are asked."""
        time.sleep(REST)
        os.kill(self.process, signal.SIGSTOP)


@contextmanager
def serving(kind: str, folder: Path, database: str | None = None) -> Iterator[Peer]:
    """A server on core 0."""
    words = [sys.executable, "-m", "tests.bench.server", kind, "--dir", str(folder)]
    words += ["--database", database] if database else []
    with started(words, env={**os.environ, "PASOKH_UNSAFE": "1"}) as process:
        try:
            yield Peer(int(line(process.stdout)), process.pid)
        finally:
            process.send_signal(signal.SIGCONT)


def rate(port: int, script: Path, seconds: int) -> tuple[float, float]:
    """Requests a second answered 2xx, and p99 in ms; wrk on core 1."""
    words = ["taskset", "-c", "1", "wrk", "-t1", f"-c{CLIENTS}", f"-d{seconds}s", "--latency", "-s", str(script)]
    words.append(f"http://127.0.0.1:{port}")
    out = subprocess.run(words, capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
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
    with (folder / "probe").open("wb") as probe:
        ends, count = time.monotonic() + seconds, 0
        while time.monotonic() < ends:
            probe.write(bytes(4096))
            probe.flush()
            os.fsync(probe.fileno())
            count += 1
    return count / seconds


def figures(size: Size) -> list[Figure]:
    """The rows of the table; needs wrk."""
    if shutil.which("wrk") is None:
        return [Figure("HTTP intake", "not measured", "", "install wrk (Debian)")]
    with tempfile.TemporaryDirectory(prefix="pasokh-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        rows = _compare(size, folder, "SQLite", lambda name: None, 0.35, 3.0)
        binaries = find()
        if binaries is not None:
            stack.enter_context(_on_core(1))
            server = stack.enter_context(Server(binaries))
            rows += _compare(size, folder, "PostgreSQL", lambda name: _database(server, name), 0.70, 2.2)
    return rows


@contextmanager
def _on_core(number: int) -> Iterator[None]:
    """What is started inside runs on that core, unless it chooses another."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before & {number} or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _database(server: Server, name: str) -> str:
    async def make() -> str:
        connection = await asyncpg.connect(server.url)
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        await connection.close()
        url = server.url.rsplit("/", 1)[0] + "/" + name
        await store.migrate(url, Path())
        return url

    return asyncio.run(make())


def _compare(size: Size, folder: Path, what: str, database: Databases, goal: float, group_goal: float) -> list[Figure]:
    """Bursts in turn, medians of their ratios."""
    probes = []
    with _peers(folder / what, database, size.of(KINDS, ("durable", "validate"))) as peers:
        for n in range(rounds := size.rounds(ROUNDS)):
            probes.append(fsyncs(folder, size.of(0.5, 0.1)))
            for peer in peers.values():
                peer.burst(folder / what / "post.lua", size.of(SECONDS, 1))
            say(f"http: {what}, round {n + 1} of {rounds}")
    return [*_intake(peers, what, goal, min(probes)), *_beside(peers, what, group_goal)]


@contextmanager
def _peers(folder: Path, database: Databases, kinds: Sequence[str]) -> Iterator[dict[str, Peer]]:
    """All of them, up and asleep."""
    folder.mkdir()
    (folder / "post.lua").write_text(SCRIPT)
    with ExitStack() as stack:
        peers = {}
        for kind in kinds:
            url = None if kind == "bare" else database(kind)
            peers[kind] = stack.enter_context(serving(kind, folder / kind, url))
            peers[kind].sleep()
        yield peers


def _intake(peers: dict[str, Peer], what: str, goal: float, probe: float) -> list[Figure]:
    durable, validate = peers["durable"], peers["validate"]
    note = f"{statistics.median(durable.rates):.0f}/s, p99 {statistics.median(durable.tails):.0f} ms, "
    note += f"{len(durable.rates)} pairs {_spread(durable.rates, validate.rates)}, {probe:.0f}+ fsyncs/s"
    costs = {kind: min(peer.costs) for kind, peer in peers.items() if kind in ("durable", "prepare", "validate")}
    spoken = ", ".join(f"{kind} {cost:.0f}" for kind, cost in costs.items())
    ratio = _against(durable.rates, validate.rates)
    return [
        Figure(f"durable HTTP intake ÷ validate-only, {what}", f"{ratio:.2f}", f"≥ {goal:.2f}", note),
        Figure(
            f"the same by the program's processor time, {what}",
            f"{costs['validate'] / costs['durable']:.2f}", "", f"µs a request, least of all bursts: {spoken}",
        ),
    ]  # fmt: skip


def _beside(peers: dict[str, Peer], what: str, goal: float) -> list[Figure]:
    rows = []
    for kind, about, wanted, note in (
        ("prepare", "the same ÷ all but the transaction", "", "prepared, not stored"),
        ("bare", "the same ÷ bare aiohttp with one handler", "", ""),
        ("single", "grouped ÷ one transaction each", f"≥ {goal:.1f}", f"{CLIENTS} clients"),
    ):
        if kind in peers:
            ratio = _against(peers["durable"].rates, peers[kind].rates)
            told = f"{note}; {statistics.median(peers[kind].rates):.0f}/s".lstrip("; ")
            rows.append(Figure(f"{about}, {what}", f"{ratio:.2f}", wanted, told))
    return rows


def _against(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios of pairs."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def _spread(ours: Sequence[float], theirs: Sequence[float]) -> str:
    found = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    return f"{found[0]:.2f} to {found[-1]:.2f}"
