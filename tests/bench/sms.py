"""Texts out and in beside what the store alone does with the same rows, and the loop while a provider hangs.

The made-up Kavenegar is a process of its own; store, worker and channel are this one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa

import config as configuration
from core import ids, office, outbox, outcomes, store
from core.channels import Contact, ContactKind, Gear, Inbound, Purpose, RawRequest, Sent
from core.cipher import Keyring, seal
from core.clock import SystemClock
from core.files import Files
from core.intake import Desk
from core.outcomes import Result
from core.store import Store
from core.throttle import Throttle
from gateway.worker import Worker
from sms import channel as sms
from tests.bench.processes import line, started
from tests.bench.size import Size, say
from tests.bench.table import Figure

OUT, IN, AT_ONCE, ROUNDS = 8000, 1500, 64, 5
SECRET = "s" * 64
LAG, LAG_GOAL = 0.005, 50  # seconds between two looks at the loop; ms p99 may be


@dataclass(slots=True)
class House:
    """Store, door and channel of a run."""

    store: Store
    desk: Desk
    channel: sms.Sms
    ring: Keyring


@contextmanager
def world(folder: Path) -> Iterator[dict[str, Any]]:
    """The made-up Kavenegar as a process."""
    words = [sys.executable, "-m", "tests.worlds", "--dir", str(folder), "--sms", "0", "--world", "0", "--with-parent"]
    with started(words) as process:
        facts = json.loads(line(process.stdout))
        _provider(facts, "provider", data={"credit": 10**12, "ahead": 0})
        yield facts


def _provider(facts: dict[str, Any], page: str, **more: Any) -> None:
    """The page of who runs the made-up provider."""
    requests.post(f"{facts['handset'].rsplit('/', 1)[0]}/{page}", timeout=10, **more).raise_for_status()


@asynccontextmanager
async def house(folder: Path, facts: dict[str, Any]) -> AsyncIterator[House]:
    """One line by the made-up Kavenegar."""
    (folder / "key").write_text("made-up-key")
    provider = {
        "kind": "kavenegar",
        "host": facts["kavenegar"],
        "ca_file": facts["ca"],
        "key_file": str(folder / "key"),
    }
    async with opened(folder, {"k": provider}) as home:
        yield home


@asynccontextmanager
async def opened(folder: Path, providers: dict[str, dict[str, Any]], reactor: Any = None) -> AsyncIterator[House]:
    """One line by all of `providers`."""
    clock, ring = SystemClock(), Keyring({1: b"k" * 32})
    opened = await store.open(f"sqlite:///{folder / 'pasokh.db'}", clock, folder, ring.key("chain"))
    site = configuration.read()
    throttle = Throttle(site.settings.limits, clock)
    office.bind(opened, office.Office(site, ring, clock, throttle))
    files = Files(folder / "files", ring, opened)
    desk = Desk(opened, site, ring, files, clock, throttle)
    line = {
        "number": "30001234", "providers": [*providers], "hook_secret": SECRET, "poll_s": 0, "rate": 10_000.0,
        "daily_parts": 0,
    }  # fmt: skip
    tables = {"line": {"main": line}, "provider": providers}
    channel = sms.make(Gear("sms", tables, site.texts, str(folder), reactor, clock))
    assert isinstance(channel, sms.Sms)
    await channel.start(desk)
    try:
        yield House(opened, desk, channel, ring)
    finally:
        await channel.stop(0)
        files.close()
        await opened.close()


# ---------------------------------------------------------------- out


async def fill(home: House, count: int, first: int) -> None:
    """`count` answers wait in the outbox, each for another handset."""
    now = SystemClock().now()

    def deed(s: sa.Connection) -> None:
        for n in range(count):
            number = ids.outbox(s)
            to = seal(home.ring, "outbox", "to", number, f"+98912{first + n:07d}")
            row = {"id": number, "at": now, "seq": 0, "channel": "sms", "purpose": Purpose.ANSWER, "to": to, "lane": 2}
            row |= {"key": "plain", "facts": {"text": f"پاسخ شمارهٔ {n}"}, "due_at": now, "not_after": now + 10**9}
            s.execute(sa.insert(outbox.outbox).values(row))

    await home.store.write(deed)


async def by_store(home: House) -> float:
    """Rows a second that are claimed and recorded as sent, with no channel at all."""
    begun, done = time.perf_counter(), 0
    while claims := await home.store.write(outbox.claim, "sms", 400, SystemClock().now(), "bench"):
        for start in range(0, len(claims), 100):
            results = [Result(one.id, one.fence, Sent(f"k:{one.id}")) for one in claims[start : start + 100]]
            await home.store.write(outcomes.record, results, SystemClock().now())
        done += len(claims)
    return done / (time.perf_counter() - begun)


async def by_channel(home: House, count: int) -> float:
    """The same rows through worker, channel and the real client to the made-up provider, 200 a call."""
    worker = Worker(home.store, {"sms": home.channel}, home.ring, SystemClock())
    begun = time.perf_counter()
    await worker.start()
    while await home.store.read(outbox.next_due, "sms", SystemClock().now()) is not None:
        await home.store.doorbell.wait(home.store.doorbell.count, 0.05)
    took = time.perf_counter() - begun
    await worker.stop(1)
    return count / took


# ---------------------------------------------------------------- in


async def crowd(count: int, deed: Callable[[int], Awaitable[Any]]) -> float:
    """`deed` for each number, AT_ONCE at a time; how many a second."""
    numbers = iter(range(count))

    async def one() -> None:
        for n in numbers:
            await deed(n)

    begun = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    return count / (time.perf_counter() - begun)


async def take(home: House, n: int, run: str) -> None:
    """The rows of a text alone: ticket, message, code, event, raw, outbox."""
    who = Contact(ContactKind.PHONE, f"+98935{n:07d}", proven=True)
    text = f"آب خیابان {n} قطع است"
    await home.desk.take(Inbound("sms", f"bare{run}{n}", text, contact=who, line="main", raw=text.encode()))


async def push(home: House, n: int, run: str) -> None:
    query = {
        "from": f"0936{n:07d}",
        "to": "30001234",
        "message": f"آب خیابان {n} قطع است",
        "messageid": f"{run}{n + 1}",
    }
    answer = await home.channel.hook("main", SECRET, RawRequest("GET", query, {}, b"", "127.0.0.1"))
    assert answer.status == 200


# ---------------------------------------------------------------- the loop


async def lag(seconds: float) -> float:
    """p99 of how late a timer of 5 ms fires, ms."""
    late, ends = [], time.perf_counter() + seconds
    while (now := time.perf_counter()) < ends:
        await asyncio.sleep(LAG)
        late.append((time.perf_counter() - now - LAG) * 1000)
    return statistics.quantiles(late, n=100)[98]


async def lag_while(home: House, facts: dict[str, Any], fault: str, seconds: float) -> float:
    """With texts on their way to a provider that hangs, or does not."""
    if fault:
        body = {"method": "sendarray", "fault": fault, "count": 8}
        await asyncio.to_thread(_provider, facts, "faults.json", json=body)
    await fill(home, 800, 5_000_000 if fault else 6_000_000)
    worker = Worker(home.store, {"sms": home.channel}, home.ring, SystemClock())
    await worker.start()
    found = await lag(seconds)
    await worker.stop(0)
    return found


async def measure(size: Size, folder: Path, facts: dict[str, Any]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in ("store", "channel", "bare", "hook", "calm", "hung")}
    rounds, outward, inward, seconds = size.rounds(ROUNDS), size.of(OUT, 50), size.of(IN, 50), size.of(4.0, 0.3)
    async with house(folder, facts) as home:
        for n in range(rounds):
            await fill(home, outward, n * 2 * outward)
            found["store"].append(await by_store(home))
            await fill(home, outward, (n * 2 + 1) * outward)
            found["channel"].append(await by_channel(home, outward))
            say(f"sms: out, round {n + 1} of {rounds}")
        for n in range(rounds):
            found["bare"].append(await crowd(inward, lambda k, n=n: take(home, n * inward + k, f"{n}")))
            found["hook"].append(await crowd(inward, lambda k, n=n: push(home, n * inward + k, f"{n}")))
            say(f"sms: in, round {n + 1} of {rounds}")
        await home.store.write(lambda s: s.exec_driver_sql("UPDATE outbox SET state = 'sent'") and None)
        found["calm"].append(await lag_while(home, facts, "", seconds))
        found["hung"].append(await lag_while(home, facts, "hang", seconds))
    return found


def figures(size: Size) -> list[Figure]:
    """Ratios of the medians of rounds in turn."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        (Path(name) / "data").mkdir()
        facts = stack.enter_context(world(Path(name) / "world"))
        found = asyncio.run(measure(size, Path(name) / "data", facts))
    mid = {name: statistics.median(values) for name, values in found.items()}
    out, come = mid["channel"] / mid["store"], mid["hook"] / mid["bare"]
    return [
        Figure(
            "texts out: outbox → Kavenegar, 200 a call : claim and record alone", f"{out:.2f}", "≥ 0.5",
            f"{mid['channel']:.0f} : {mid['store']:.0f} a second, the made-up provider on the same two cores",
        ),
        Figure(
            "texts in: call-back → ticket : bare commit of the rows", f"{come:.2f}", "≥ 0.5",
            f"{mid['hook']:.0f} : {mid['bare']:.0f} a second, {AT_ONCE} at once",
        ),
        Figure(
            "loop lag while the provider hangs, p99", f"{mid['hung']:.1f} ms", f"< {LAG_GOAL} ms, ≤ 2 × healthy",
            f"healthy {mid['calm']:.1f} ms",
        ),
    ]  # fmt: skip
