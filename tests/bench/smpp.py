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
from tests.bench.processes import line, started
from tests.bench.size import Size, say
from tests.bench.table import Figure

WINDOW, ROUNDS = 50, 5
COUNT, DURABLE, COUNT_IN = 20_000, 4_000, 2_000  # texts of a session; of the outbox; delivered
TINY = 200  # of each
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
        return line(self._process.stdout)

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
    with started(words, stdin=subprocess.PIPE) as process:
        yield Centre(process)


# ---------------------------------------------------------------- one client's session


async def ours(port: int, count: int) -> float:
    """Our link and session at a window of 50, as smpp.twisted3's client does it; prints texts a second."""
    from sms.providers.smpp.link import Link
    from sms.providers.smpp.session import Mode
    from sms.providers.smpp.settings import Settings

    body = Message(source="30001234", dest="989120000001", text=WORDS)
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    class Owner:
        left, waiting, began = count, count, 0.0

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
    found = count / (time.monotonic() - owner.began)
    await link.stop(1)
    await run
    return found


def _session(kind: str, port: int, count: int) -> float:
    from tests.sms.smpp import peers

    if kind == "ours":
        return _told("ours", str(port), count=count)[0]
    script = Path(peers.__file__).with_name("peer_client.py")
    return _rate([str(peers.PYTHON), str(script), str(port), str(count // 4), str(WINDOW)])[0]


def _told(*words: str, count: int) -> list[float]:
    return _rate([sys.executable, "-m", "tests.bench.smpp", *words, "--count", str(count)])


def _rate(words: list[str]) -> list[float]:
    out = subprocess.run(words, capture_output=True, text=True, timeout=120)
    if out.returncode or not out.stdout.strip():
        raise RuntimeError(out.stderr[-2000:])
    return [float(each) for each in out.stdout.split()]


def sessions(size: Size) -> list[Figure]:
    """Ours beside theirs, in turn."""
    from tests.sms.smpp import peers

    if not peers.PYTHON.exists():
        return [Figure("SMPP session", "not measured", "", "make bench sets up .peers/")]
    rates: dict[str, list[float]] = {"ours": [], "theirs": []}
    with running() as at:
        for n in range(rounds := size.rounds(ROUNDS)):
            for kind, found in rates.items():
                found.append(_session(kind, at.port, size.of(COUNT, TINY)))
            say(f"smpp: sessions, round {n + 1} of {rounds}")
    ratio = statistics.median(o / t for o, t in zip(rates["ours"], rates["theirs"], strict=True))
    note = f"{statistics.median(rates['ours']):.0f}/s : {statistics.median(rates['theirs']):.0f}/s, window {WINDOW}"
    note += f", {rounds} rounds"
    return [Figure("SMPP client ÷ smpp.twisted3's, same centre", f"{ratio:.1f}", "≥ 2.0", note)]


# ---------------------------------------------------------------- durable out


async def durable(port: int, folder: Path, count: int) -> float:
    """Texts a second from rows of the outbox to the centre, each claimed before and recorded after."""
    from tests.bench import sms as bench

    (folder / "password").write_text("secret")
    provider = {
        "kind": "smpp", "host": "127.0.0.1", "port": port, "system_id": "pasokh", "window": WINDOW,
        "password_file": str(folder / "password"),
    }  # fmt: skip
    async with bench.opened(folder, {"op": provider}, loop.guest(asyncio.get_running_loop())) as home:
        await bench.fill(home, count, 0)
        alone = await bench.by_store(home)
        await bench.fill(home, count, count)
        print(alone, end=" ", flush=True)
        return await bench.by_channel(home, count)


def kannel(at: Centre, folder: Path, texts: int) -> float:
    """Texts a second that Kannel hands the centre, nothing on disk, all queued at once."""
    from tests.sms.smpp.kannel import Kannel

    at.so_far()
    with Kannel(folder, at.port, 9, WINDOW) as box:
        query = {"username": "made", "password": "up", "text": WORDS.decode(), "coding": "0"}
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(partial(_many, box.send, query), range(texts // 100)))
        ends, count, span = time.monotonic() + 60, 0, 0.0
        while count < texts and time.monotonic() < ends:
            time.sleep(0.2)
            count, span = at.so_far(again=False)
    if count < texts:
        raise RuntimeError(f"Kannel sent {count} of {texts}")
    return count / span


def _many(port: int, query: dict[str, str], n: int) -> None:
    numbers = " ".join(f"+98912{n * 100 + k:07d}" for k in range(100))
    answer = requests.get(f"http://127.0.0.1:{port}/cgi-bin/sendsms", params={**query, "to": numbers}, timeout=60)
    answer.raise_for_status()


def out(size: Size) -> list[Figure]:
    """Durable out beside Kannel, in turn."""
    if shutil.which("bearerbox", path="/usr/sbin:/usr/bin") is None:
        return [Figure("SMPP durable out", "not measured", "", "install kannel (Debian)")]
    rates: dict[str, list[float]] = {"store": [], "ours": [], "kannel": []}
    with running() as at, tempfile.TemporaryDirectory() as name:
        for n in range(rounds := size.rounds(ROUNDS)):
            folder, count = Path(name) / f"d{n}", size.of(DURABLE, TINY)
            folder.mkdir()
            alone, through = _told("durable", str(at.port), str(folder), count=count)
            rates["store"].append(alone)
            rates["ours"].append(through)
            rates["kannel"].append(kannel(at, Path(name) / f"k{n}", count))
            say(f"smpp: durable out, round {n + 1} of {rounds}")
    mid = {name: statistics.median(found) for name, found in rates.items()}
    return [
        Figure(
            "durable outbox → SMPP : Kannel without a store", f"{mid['ours'] / mid['kannel']:.2f}", "≥ 0.5",
            f"{mid['ours']:.0f} : {mid['kannel']:.0f} a second, window {WINDOW}, {rounds} rounds",
        ),
        Figure(
            "durable outbox → SMPP : claim and record alone", f"{mid['ours'] / mid['store']:.2f}", "",
            f"{mid['ours']:.0f} : {mid['store']:.0f} a second",
        ),
    ]  # fmt: skip


def figures(size: Size) -> list[Figure]:
    """The rows of the table."""
    return [*sessions(size), *out(size), *come(size)]


class Flood(Counting):
    """A centre that, when told to, delivers texts to who is bound, each from another telephone, as fast as they are
    taken. It hears of no bind before."""

    def __init__(self, texts: int) -> None:
        super().__init__()
        self._numbers, self._left = iter(range(texts)), texts
        self._client: smsc.Client | None = None
        self.done = asyncio.Event()

    def bound(self, client: smsc.Client) -> None:
        self._client = client

    def begin(self) -> None:
        assert self._client is not None, "nobody is bound"
        self.first = time.monotonic()
        self._fill(self._client)

    def _fill(self, client: smsc.Client) -> None:
        while client.session.room > 0 and (n := next(self._numbers, None)) is not None:
            words = f"آب خیابان {n} قطع است".encode("utf-16-be")
            body = Message(source_ton=1, source=f"98937{n:07d}", dest="30001234", coding=8, text=words)
            client.session.submit(body, time.monotonic())
        client.flush()

    def answered(self, client: smsc.Client, seq: int, told: int) -> None:
        if told:
            raise RuntimeError(f"answered {told}")
        self._left -= 1
        self.last = time.monotonic()
        self._fill(client)
        if not self._left:
            self.done.set()


async def delivering(count: int) -> int:
    """A process: prints its port, begins with the first line on its input, prints how many a second were taken."""
    flood, reactor = Flood(count), loop.guest(asyncio.get_running_loop())
    port = reactor.listenTCP(0, smsc.factory(flood, window=WINDOW), interface="127.0.0.1")
    print(port.getHost().port, flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    flood.begin()
    await flood.done.wait()
    print(count / (flood.last - flood.first), flush=True)
    return 0


async def taking(port: int, folder: Path, count: int) -> int:
    """A process: binds to the centre, prints bare rows committed a second, then takes what is delivered."""
    from tests.bench import sms as bench

    (folder / "password").write_text("secret")
    provider = {
        "kind": "smpp", "host": "127.0.0.1", "port": port, "system_id": "pasokh",
        "password_file": str(folder / "password"),
    }  # fmt: skip
    async with bench.opened(folder, {"op": provider}, loop.guest(asyncio.get_running_loop())) as home:
        await bench.crowd(TINY, lambda k: bench.take(home, k, "warm"))
        print(await bench.crowd(count, lambda k: bench.take(home, TINY + k, "bare")), flush=True)
        await asyncio.Event().wait()
    return 0


def _came(folder: str, count: int) -> tuple[float, float]:
    """Bare rows and delivered texts a second, one after the other in the same store."""
    words = [sys.executable, "-m", "tests.bench.smpp"]
    with started([*words, "deliver", "--count", str(count)], stdin=subprocess.PIPE) as centre:
        port = line(centre.stdout).strip()
        with started([*words, "in", port, folder, "--count", str(count)]) as taker:
            bare = float(line(taker.stdout))
            assert centre.stdin is not None
            centre.stdin.write("begin\n")
            centre.stdin.flush()
            return bare, float(line(centre.stdout))


def come(size: Size) -> list[Figure]:
    """Texts in beside the bare rows."""
    found = []
    for n in range(rounds := size.rounds(ROUNDS)):
        with tempfile.TemporaryDirectory() as name:
            found.append(_came(name, size.of(COUNT_IN, TINY)))
        say(f"smpp: texts in, round {n + 1} of {rounds}")
    ratio = statistics.median(through / bare for bare, through in found)
    bare, through = (statistics.median(each) for each in zip(*found, strict=True))
    note = f"{through:.0f} : {bare:.0f} a second, window {WINDOW}, {rounds} rounds"
    return [Figure("SMPP texts in: deliver_sm → ticket : bare commit of the rows", f"{ratio:.2f}", "≥ 0.5", note)]


async def _print(work: Awaitable[float]) -> int:
    print(await work, flush=True)
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["centre", "ours", "durable", "deliver", "in"])
    parser.add_argument("port", type=int, nargs="?", default=0)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=TINY, help="texts")
    options = parser.parse_args()
    if options.what == "centre":
        _under_loop(centre())
    elif options.what == "ours":
        _under_loop(_print(ours(options.port, options.count)))
    elif options.what == "in":
        _under_loop(taking(options.port, options.folder, options.count))
    elif options.what == "deliver":
        _under_loop(delivering(options.count))
    else:
        _under_loop(_print(durable(options.port, options.folder, options.count)))


if __name__ == "__main__":
    main()
