"""SMPP: our client beside smpp.twisted3's at the same message centre, durable texts out beside Kannel without a store.

The centre is a process of its own that only counts and answers; clients run one after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import requests

from gateway import loop
from gateway.__main__ import _under_loop
from sms.providers.smpp import smsc
from sms.providers.smpp.events import Came
from sms.providers.smpp.pdu import Bind, Message
from tests.bench.table import Figure

COUNT, WINDOW, ROUNDS = 20_000, 50, 3
DURABLE = 4_000
COUNT_IN = 2_000
WORDS = b"a text of forty octets or somewhat more."


class Counting:
    """A centre that takes everything at once. `first` and `last`: when."""

    def __init__(self) -> None:
        self.count, self.first, self.last = 0, 0.0, 0.0

    def asked(self, bind: Bind) -> int:
        return 0

    def bound(self, client: smsc.Client) -> None:
        """Nothing is delivered."""

    def submitted(self, client: smsc.Client, came: Came) -> None:
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.count += 1
        client.answer(came.seq, 0, f"{self.count}")

    def answered(self, client: smsc.Client, seq: int, told: int) -> None:
        """Nothing was asked."""

    def gone(self, client: smsc.Client) -> None:
        """Whoever wants may go."""


async def centre() -> int:
    """A process: prints its port, then for each line on its input the count and the span so far, and begins anew."""

    reactor = loop.guest(asyncio.get_running_loop())
    counting = Counting()
    port = reactor.listenTCP(0, smsc.factory(counting), interface="127.0.0.1")
    print(port.getHost().port, flush=True)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        print(json.dumps([counting.count, counting.last - counting.first]), flush=True)
        if line.strip():
            counting.count, counting.first = 0, 0.0
    return 0


class Centre:
    """That process from outside."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.port = int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def so_far(self, again: bool = True) -> tuple[int, float]:
        """Texts and seconds between the first and the last; `again`: counted from 0 from now on."""
        assert self._process.stdin is not None
        self._process.stdin.write("again\n" if again else "\n")
        self._process.stdin.flush()
        count, span = json.loads(self._line())
        return count, span


@contextmanager
def running() -> Iterator[Centre]:
    words = [sys.executable, "-m", "tests.bench.smpp", "centre"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Centre(process)
    finally:
        process.terminate()
        process.wait(5)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


# ---------------------------------------------------------------- one client's session


async def ours(port: int) -> float:
    """Our link and session at a window of 50, as smpp.twisted3's client does it; prints texts a second."""
    from sms.providers.smpp.link import Link
    from sms.providers.smpp.session import Mode
    from sms.providers.smpp.settings import Settings

    body = Message(source="30001234", dest="989120000001", text=WORDS)
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    class Owner:
        left, waiting, began = COUNT, COUNT, 0.0

        def bound(self, link: Link) -> None:
            self.began = time.monotonic()
            self.fill(link)

        def fill(self, link: Link) -> None:
            while self.left and link.room > 0:
                link.submit(body, ())
                self.left -= 1

        def answered(self, link: Link, seq: int, told: int, id_: str) -> None:
            self.waiting -= 1
            self.fill(link)
            if not self.waiting:
                done.set_result(None)

        def ended(self, link: Link, why: str, told: int) -> None:
            """It ends when we say so."""

        def doubtful(self, link: Link, seq: int, why: str) -> None:
            raise RuntimeError(why)

        def came(self, link: Link, came: Came) -> None:
            """Nothing comes."""

    owner = Owner()
    settings = Settings("smpp", "127.0.0.1", "pasokh", "", port, window=WINDOW)
    link = Link(settings, Mode.TRX, "secret", loop.guest(asyncio.get_running_loop()), owner)
    run = asyncio.ensure_future(link.run())
    await done
    found = COUNT / (time.monotonic() - owner.began)
    await link.stop(1)
    await run
    return found


def _session(kind: str, port: int) -> float:
    from tests.sms.smpp import peers

    if kind == "ours":
        return _told("ours", str(port))[0]
    script = Path(peers.__file__).with_name("peer_client.py")
    return _rate([str(peers.PYTHON), str(script), str(port), str(COUNT // 4), str(WINDOW)])[0]


def _told(*words: str) -> list[float]:
    return _rate([sys.executable, "-m", "tests.bench.smpp", *words])


def _rate(words: list[str]) -> list[float]:
    out = subprocess.run(words, capture_output=True, text=True, timeout=120)
    if out.returncode or not out.stdout.strip():
        raise RuntimeError(out.stderr[-2000:])
    return [float(each) for each in out.stdout.split()]


def sessions() -> list[Figure]:
    """Ours beside theirs, in turn."""
    from tests.sms.smpp import peers

    if not peers.PYTHON.exists():
        return [Figure("SMPP session", "not measured", "", "make bench sets up .peers/")]
    rates: dict[str, list[float]] = {"ours": [], "theirs": []}
    with running() as at:
        for _ in range(ROUNDS):
            for kind, found in rates.items():
                found.append(_session(kind, at.port))
    ratio = statistics.median(o / t for o, t in zip(rates["ours"], rates["theirs"], strict=True))
    note = f"{statistics.median(rates['ours']):.0f}/s : {statistics.median(rates['theirs']):.0f}/s, window {WINDOW}"
    return [Figure("SMPP client ÷ smpp.twisted3's, same centre", f"{ratio:.1f}", "≥ 2.0", note)]


# ---------------------------------------------------------------- durable out


async def durable(port: int, folder: Path) -> float:
    """Texts a second from rows of the outbox to the centre, each claimed before and recorded after."""
    from tests.bench import sms as bench

    (folder / "password").write_text("secret")
    provider = {
        "kind": "smpp", "host": "127.0.0.1", "port": port, "system_id": "pasokh", "window": WINDOW,
        "password_file": str(folder / "password"),
    }  # fmt: skip
    async with bench.opened(folder, {"op": provider}, loop.guest(asyncio.get_running_loop())) as home:
        await bench.fill(home, DURABLE, 0)
        alone = await bench.by_store(home)
        await bench.fill(home, DURABLE, DURABLE)
        print(alone, end=" ", flush=True)
        return await bench.by_channel(home, DURABLE)


def kannel(at: Centre, folder: Path) -> float:
    """Texts a second that Kannel hands the centre, nothing on disk, all queued at once."""
    from tests.sms.smpp.kannel import Kannel

    at.so_far()
    with Kannel(folder, at.port, 9, WINDOW) as box:
        query = {"username": "made", "password": "up", "text": WORDS.decode(), "coding": "0"}
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(partial(_many, box.send, query), range(DURABLE // 100)))
        ends, count, span = time.monotonic() + 60, 0, 0.0
        while count < DURABLE and time.monotonic() < ends:
            time.sleep(0.2)
            count, span = at.so_far(again=False)
    if count < DURABLE:
        raise RuntimeError(f"Kannel sent {count} of {DURABLE}")
    return count / span


def _many(port: int, query: dict[str, str], n: int) -> None:
    numbers = " ".join(f"+98912{n * 100 + k:07d}" for k in range(100))
    answer = requests.get(f"http://127.0.0.1:{port}/cgi-bin/sendsms", params={**query, "to": numbers}, timeout=60)
    answer.raise_for_status()


def out() -> list[Figure]:
    """Durable out beside Kannel, in turn."""
    if shutil.which("bearerbox", path="/usr/sbin:/usr/bin") is None:
        return [Figure("SMPP durable out", "not measured", "", "install kannel (Debian)")]
    rates: dict[str, list[float]] = {"store": [], "ours": [], "kannel": []}
    with running() as at, tempfile.TemporaryDirectory() as name:
        for n in range(ROUNDS):
            folder = Path(name) / f"d{n}"
            folder.mkdir()
            alone, through = _told("durable", str(at.port), str(folder))
            rates["store"].append(alone)
            rates["ours"].append(through)
            rates["kannel"].append(kannel(at, Path(name) / f"k{n}"))
    mid = {name: statistics.median(found) for name, found in rates.items()}
    return [
        Figure(
            "durable outbox → SMPP : Kannel without a store", f"{mid['ours'] / mid['kannel']:.2f}", "≥ 0.5",
            f"{mid['ours']:.0f} : {mid['kannel']:.0f} a second, window {WINDOW}",
        ),
        Figure(
            "durable outbox → SMPP : claim and record alone", f"{mid['ours'] / mid['store']:.2f}", "",
            f"{mid['ours']:.0f} : {mid['store']:.0f} a second",
        ),
    ]  # fmt: skip


def figures() -> list[Figure]:
    """The rows of the table."""
    return [*sessions(), *out(), *come()]


class Flood(Counting):
    """A centre that delivers `COUNT_IN` texts to who binds, each from another telephone, as fast as they are taken."""

    def __init__(self, run: int) -> None:
        super().__init__()
        self._numbers = iter(range(run * COUNT_IN, (run + 1) * COUNT_IN))
        self.taken, self.done = 0, asyncio.Event()

    def bound(self, client: smsc.Client) -> None:
        self.first = time.monotonic()
        self._fill(client)

    def _fill(self, client: smsc.Client) -> None:
        while client.session.room > 0 and (n := next(self._numbers, None)) is not None:
            words = f"آب خیابان {n} قطع است".encode("utf-16-be")
            body = Message(source_ton=1, source=f"98937{n:07d}", dest="30001234", coding=8, text=words)
            client.session.submit(body, time.monotonic())
        client.flush()

    def answered(self, client: smsc.Client, seq: int, told: int) -> None:
        if told:
            raise RuntimeError(f"answered {told}")
        self.taken += 1
        self.last = time.monotonic()
        self._fill(client)
        if self.taken == COUNT_IN:
            self.done.set()


async def inbound(folder: Path) -> float:
    """Prints rows committed bare, then texts taken by deliver_sm, a second: the same tickets, one after the other."""
    from tests.bench import sms as bench

    reactor = loop.guest(asyncio.get_running_loop())
    (folder / "password").write_text("secret")
    flood = Flood(0)
    port = reactor.listenTCP(0, smsc.factory(flood, window=WINDOW), interface="127.0.0.1")
    provider = {
        "kind": "smpp", "host": "127.0.0.1", "port": port.getHost().port, "system_id": "pasokh",
        "password_file": str(folder / "password"),
    }  # fmt: skip
    async with bench.opened(folder, {"op": provider}, reactor) as home:
        await flood.done.wait()
        through = COUNT_IN / (flood.last - flood.first)
        print(await bench.crowd(COUNT_IN, lambda k: bench.take(home, k, "bare")), end=" ", flush=True)
    port.stopListening()
    return through


def come() -> list[Figure]:
    """Texts in beside the bare rows."""
    found = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as name:
            found.append(_told("in", "0", name))
    ratio = statistics.median(through / bare for bare, through in found)
    bare, through = (statistics.median(each) for each in zip(*found, strict=True))
    note = f"{through:.0f} : {bare:.0f} a second, window {WINDOW}"
    return [Figure("SMPP texts in: deliver_sm → ticket : bare commit of the rows", f"{ratio:.2f}", "≥ 0.5", note)]


async def _print(work: Awaitable[float]) -> int:
    print(await work, flush=True)
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["centre", "ours", "durable", "in"])
    parser.add_argument("port", type=int, nargs="?", default=0)
    parser.add_argument("folder", type=Path, nargs="?")
    options = parser.parse_args()
    if options.what == "centre":
        _under_loop(centre())
    elif options.what == "ours":
        _under_loop(_print(ours(options.port)))
    elif options.what == "in":
        _under_loop(_print(inbound(options.folder)))
    else:
        _under_loop(_print(durable(options.port, options.folder)))


if __name__ == "__main__":
    main()
