"""Letters acknowledged after commit, beside smtp-sink that keeps nothing and aiosmtpd that commits like us.

`python -m tests.bench.mail`: the same client (smtp-source, core 1) sends 4 KiB letters over kept connections to each
server (core 0) in turn; then twenty letters of 25 MB at once, and what they add to the memory.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import shutil
import signal
import smtplib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.bench.processes import line, started
from tests.bench.size import Size, say
from tests.bench.table import Figure

LETTERS, OCTETS, SESSIONS, ROUNDS = 2000, 4096, 50, 5
LONG, LONG_OCTETS = 40, 5_000_000
BIG, BIG_OCTETS, GROWTH = 20, 25 << 20, 250  # letters at once, octets of each, MB
TO = "bench@example.ir"
GOALS = {"protocol": 0.25, "stub": 0.20, "full": None, "aiosmtpd": None}
WHAT = {
    "protocol": "protocol alone, nothing kept",
    "stub": "durable, parsing stubbed",
    "full": "durable, parsed by the workers",
    "aiosmtpd": "aiosmtpd, durable by the same commit, parsing stubbed",
}


def find(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin")


def rate(port: int, letters: int, octets: int = OCTETS, sessions: int = SESSIONS) -> float:
    """Letters a second with a 250 behind each; raises when one was refused."""
    source = find("smtp-source")
    assert source is not None
    words = [source, "-4", "-d", "-s", str(sessions), "-m", str(letters), "-l", str(octets)]
    begun = time.perf_counter()
    subprocess.run(
        ["taskset", "-c", "1", *words, "-f", "sara@mailbox.example", "-t", TO, f"127.0.0.1:{port}"],
        check=True, timeout=300,
    )  # fmt: skip
    return letters / (time.perf_counter() - begun)


@contextmanager
def sink() -> Iterator[int]:
    """Postfix's own test server, which answers and forgets."""
    program = find("smtp-sink")
    assert program is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    with started(["taskset", "-c", "0", program, *user, "-4", f"127.0.0.1:{port}", "512"]):
        _wait(port)
        yield port


@contextmanager
def serving(kind: str, folder: Path, pinned: bool = True) -> Iterator[tuple[int, int]]:
    """Pasokh (on core 0 if `pinned`) with the mail line only; yields its port and process id."""
    words = [sys.executable, "-m", "tests.bench.mail", "--serve", kind, "--dir", str(folder)]
    words += ["--pinned"] if pinned else []
    with started(words, env={**os.environ, "PASOKH_UNSAFE": "1"}) as process:
        yield int(line(process.stdout)), process.pid


def _wait(port: int) -> None:
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError("smtp-sink does not listen")


def run(letters: int = LETTERS, rounds: int = ROUNDS, long_letters: int = LONG) -> dict[str, Any]:
    """Median rates, and the medians of the ratios to smtp-sink in the same round."""
    rates: dict[str, list[float]] = {"sink": [], **{kind: [] for kind in GOALS}}
    cpu: dict[str, list[float]] = {kind: [] for kind in GOALS}
    long: list[float] = []
    with tempfile.TemporaryDirectory(prefix="pasokh-bench-") as name:
        for n in range(rounds):
            with sink() as port:
                rates["sink"].append(rate(port, letters))
                big_sink = rate(port, long_letters, LONG_OCTETS, 4)
            for kind in GOALS:
                with serving(kind, Path(name) / f"{kind}{n}") as (port, pid):
                    rate(port, min(200, letters))
                    before = processor(pid)
                    rates[kind].append(rate(port, letters))
                    cpu[kind].append((processor(pid) - before) / letters * 1e6)
                    if kind == "protocol":
                        long.append(rate(port, long_letters, LONG_OCTETS, 4) / big_sink)
            say(f"mail: round {n + 1} of {rounds}")
    result: dict[str, Any] = {
        "long_ratio": round(statistics.median(long), 2),
        "letters": letters,
        "octets": OCTETS,
        "sessions": SESSIONS,
    }
    result |= {f"{kind}_cpu": round(statistics.median(found)) for kind, found in cpu.items()}
    for kind, found in rates.items():
        result[kind] = round(statistics.median(found), 1)
        pairs = zip(found, rates["sink"], strict=True)
        result[f"{kind}_ratio"] = round(statistics.median(a / b for a, b in pairs), 3)
    result["to_aiosmtpd"] = round(
        statistics.median(a / b for a, b in zip(rates["stub"], rates["aiosmtpd"], strict=True)), 2
    )
    return result


# ---------------------------------------------------------------- memory


def big_letter(number: int) -> bytes:
    """A letter of about 25 MB with one file."""
    file = base64.encodebytes(os.urandom(1024) * (BIG_OCTETS * 54 // 74 // 1024)).replace(b"\n", b"\r\n")
    top = (
        f"From: sara@mailbox.example\r\nSubject: {number}\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        "--b\r\n\r\nplan\r\n--b\r\nContent-Type: application/pdf; name=plan.pdf\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\n"
    )
    return top.encode() + file + b"--b--\r\n"


def resident(pid: int) -> int:
    """Octets of memory of a process and its children."""
    total = 0
    for each in [pid, *_children(pid)]:
        with contextlib.suppress(OSError, StopIteration):
            lines = Path(f"/proc/{each}/status").read_text().splitlines()
            total += int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) * 1024
    return total


def processor(pid: int) -> float:
    """Seconds of processor time the threads of a process have taken, without its children."""
    return sum(int(each.read_text().split()[0]) for each in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def _children(pid: int) -> list[int]:
    return [int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()]


def memory(letters: int = BIG) -> dict[str, float]:
    """MB the server and its workers grow by, at most, while `letters` big ones come at once; all must get their 250."""
    with (
        tempfile.TemporaryDirectory(prefix="pasokh-bench-") as name,
        serving("full", Path(name), pinned=False) as (
            port,
            pid,
        ),
    ):
        _hand_over(port, [b"From: a@b.ir\r\n\r\nwarm\r\n"])
        before = resident(pid)
        top, done = before, threading.Event()

        def watch() -> None:
            nonlocal top
            while not done.wait(0.02):
                top = max(top, resident(pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        begun = time.perf_counter()
        _hand_over(port, [big_letter(n) for n in range(letters)])
        seconds = time.perf_counter() - begun
        done.set()
        watcher.join()
        return {
            "before": before / 1e6,
            "growth": (top - before) / 1e6,
            "after": (resident(pid) - before) / 1e6,
            "seconds": seconds,
        }


def _hand_over(port: int, letters: list[bytes]) -> None:
    def one(letter: bytes) -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=300) as client:
            client.sendmail("sara@mailbox.example", [TO], letter)

    with ThreadPoolExecutor(len(letters)) as threads:
        list(threads.map(one, letters))


def figures(size: Size) -> list[Figure]:
    """The rows of the table."""
    if find("smtp-source") is None or find("smtp-sink") is None:
        return [Figure("mail acknowledged", "not measured", "", "install postfix (Debian)")]
    rounds, big = size.rounds(ROUNDS), size.of(BIG, 1)
    found = run(size.of(LETTERS, 50), rounds, size.of(LONG, 4))
    say(f"mail: {big} letters of 25 MB")
    grown = memory(big)
    spent = ", ".join(f"{kind} {found[f'{kind}_cpu']}" for kind in GOALS if kind != "full") + " µs of CPU a letter"
    note = f"smtp-sink {found['sink']:.0f}/s, letters of 4 KiB, {SESSIONS} connections, {rounds} rounds"
    return [
        Figure(
            f"mail, {WHAT[kind]} ÷ smtp-sink",
            f"{found[f'{kind}_ratio']:.2f} ({found[kind]:.0f}/s)",
            f"≥ {goal:.2f}" if goal else "",
            note,
        )
        for kind, goal in GOALS.items()
    ] + [
        Figure(
            "mail, letters of 5 MB, nothing kept ÷ smtp-sink", f"{found['long_ratio']:.2f}", "≥ 0.5", "4 connections"
        ),
        Figure(
            "mail, durable ÷ aiosmtpd with the same commit", f"{found['to_aiosmtpd']:.2f}", "≥ 2", f"{note}; {spent}"
        ),
        Figure(
            f"mail, memory more for {big} letters of 25 MB at once (with workers)",
            f"{grown['growth']:.0f} MB",
            f"< {GROWTH} MB",
            f"{grown['seconds']:.0f} s; {grown['before']:.0f} MB before, {grown['after']:.0f} MB more afterwards",
        ),
    ]


# ---------------------------------------------------------------- the server


class _Stub:
    """In place of the workers: one letter read beforehand stands for all."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    full = False

    async def read(self, raw: bytes, charset: str, ours: tuple[str, ...] = (), null: bool = False) -> Any:
        from gateway.mail.mime import Mail

        return Mail(sender="sara@mailbox.example", senders=1, subject="bench", text="x" * 2000, new="x" * 2000)


async def system(kind: str, folder: Path, parts: Any) -> Any:
    """The mail channel of a whole program with one line and the unit `bench@example.ir`; stop `parts` in the end."""
    from gateway import loop, wiring
    from gateway.mail import channel as mail

    loop.guest(asyncio.get_running_loop())

    if kind != "full":
        mail.Pool = lambda workers: _Stub()  # type: ignore[assignment,misc]
    mail.MailChannel.can_send = False  # receipts are put in the outbox with each ticket; sending them is another matter
    site = wiring.site(None)
    settings = replace(
        site.settings,
        loopback_exempt=True,
        second_factor="optional",
        web=replace(site.settings.web, bind="127.0.0.1", port=0),
    )
    line = {"kind": "smtp", "domain": "example.ir", "port": 0, "relay_port": 1, "mails": 1_000_000, "disk_free": 0.0}
    site = replace(site, settings=settings, lines={"mail": {"line": {"main": line}}})
    started_up = await wiring.start(site, folder, None, parts)
    opened: Any = started_up.channels["mail"]
    book = opened._books["main"]
    book.units["bench"] = next(iter(book.units.values()))
    return opened


async def _serve(kind: str, folder: Path) -> None:
    from gateway import supervise

    parts = supervise.Parts()
    opened = await system(kind, folder, parts)
    if kind == "protocol":
        opened._listeners["main"].deliver = _forget
    print(await _aiosmtpd(opened) if kind == "aiosmtpd" else opened.port(), flush=True)
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await told.wait()
    await parts.stop(1)


async def _aiosmtpd(opened: Any) -> int:
    """Its port: aiosmtpd in front of what takes our own listener's letters."""
    from aiosmtpd.smtp import SMTP

    from gateway.mail.letter import Content, Letter
    from gateway.mail.smtp import Envelope, Rcpt

    class Hand:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            content = Content(opened._gear.folder)
            content.add(envelope.content)
            to = tuple(Rcpt(*address.split("@")) for address in envelope.rcpt_tos)
            said = Envelope(session.host_name, envelope.mail_from or "", to, False, False)
            return (await opened._take("main", Letter(said, "127.0.0.1", content))).line().decode().rstrip()

    running = asyncio.get_running_loop()
    server = await running.create_server(lambda: SMTP(Hand(), loop=running), "127.0.0.1", 0, backlog=512)
    return int(server.sockets[0].getsockname()[1])


async def _forget(letter: Any) -> Any:
    from gateway.mail import smtp

    return smtp.OK


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", choices=list(GOALS))
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--pinned", action="store_true")
    parser.add_argument("--memory", action="store_true", help="only what big letters add to the memory")
    parser.add_argument("--letters", type=int, default=LETTERS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    if options.memory:
        print(json.dumps(memory()))
        return
    if options.serve is None:
        print(json.dumps(run(options.letters, options.rounds)))
        return
    from gateway import loop

    options.dir.mkdir(parents=True, exist_ok=True)
    if options.pinned:
        os.sched_setaffinity(0, {0})
    with asyncio.Runner(loop_factory=loop.new) as runner:
        runner.run(_serve(options.serve, options.dir))


if __name__ == "__main__":
    main()
