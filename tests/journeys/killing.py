"""What the rounds of kill -9 over SMS are made of: the program alone with its lines, the made-up world nobody kills,
telephones that text, and a word of how far it is."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from config.read import SEEDS
from tests.journeys.running import ROOT
from tests.leaks import hide

KEY, PASSWORD, SECRET = "made-up-key", "made-key", "secret-of-the-hook-" + "k" * 45
hide(KEY, PASSWORD, SECRET)
STUCK = 60.0  # seconds after which an unanswered text is a failure
PATIENCE = 90.0  # seconds a start may take
FEW = 2  # faults that wait at a time
EACH = 10  # kills between two words of how far it is


class World:
    """The made-up outside world as a process: Kavenegar, a message centre, handsets. It outlives every kill."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        words = [sys.executable, "-m", "tests.worlds", "--dir", str(folder), "--key", KEY, "--with-parent"]
        words += [f"--{name}=0" for name in ("sms", "smpp", "world", "smtp")] + ["--smpp-number", "30001234"]
        folder.mkdir(parents=True)
        with (folder / "world.log").open("a") as log:
            self._process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self._process.stdout is not None
        self.facts: dict[str, Any] = json.loads(self._process.stdout.readline())

    @property
    def pages(self) -> str:
        return str(self.facts["handset"]).rpartition("/")[0]

    def rows(self, name: str) -> list[dict[str, Any]]:
        """A ledger: `sent` (what handsets got), `inbox` (what they wrote), `smpp-taken`."""
        path = self.folder / "sms" / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]

    def fault(self, method: str, fault: str) -> None:
        """One more, unless some still wait for their turn."""
        if len(self._faults(method, fault, 0)) < FEW:
            self._faults(method, fault, 1)

    def _faults(self, method: str, fault: str, count: int) -> list[str]:
        wanted = {"method": method, "fault": fault, "count": count}
        return list(requests.post(f"{self.pages}/faults.json", json=wanted, timeout=30).json()["waiting"])

    def rich(self, rial: int = 10_000_000_000) -> None:
        """Credit for as many texts as there will be."""
        answer = requests.post(f"{self.pages}/provider", data={"credit": str(rial), "ahead": "0"}, timeout=30)
        answer.raise_for_status()

    def reports_to(self, hook: str) -> None:
        """Where delivery reports are pushed to."""
        requests.post(f"{self.pages}/target.json", json={"hook": hook, "smtp": "127.0.0.1:1"}, timeout=30)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()


class Program:
    """`pasokh serve` with SMS lines and nothing else: `lines` is its lines.toml."""

    def __init__(self, folder: Path, lines: str) -> None:
        self.data, site, port = folder / "data", folder / "site", free()
        site.mkdir(parents=True)
        self.data.mkdir()
        (site / "key").write_text(KEY)
        (site / "password").write_text(PASSWORD)
        (site / "lines.toml").write_text(lines.replace("{site}", str(site)))
        settings = (SEEDS / "settings.toml").read_text().replace("port = 8080", f"port = {port}", 1)
        settings = settings.replace('second_factor = "required"', 'second_factor = "optional"')
        settings = settings.replace("drain_seconds = 120", "drain_seconds = 5")
        (site / "settings.toml").write_text(settings.replace("loopback_exempt = false", "loopback_exempt = true"))
        self._words = [sys.executable, "-m", "gateway", "--log", "info", "serve"]
        self._words += ["--config", str(site), "--data", str(self.data)]
        self.hook = f"http://127.0.0.1:{port}/hooks/sms/main/{SECRET}"
        self.log = folder / "serve.log"

    def begin(self) -> None:
        """Start, and do not wait."""
        with self.log.open("a") as log:
            self._process = subprocess.Popen(self._words, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)

    def start(self) -> float:
        """Up and ready; how many seconds that took."""
        began = time.monotonic()
        self.begin()
        assert self._process.stdout is not None
        waits = threading.Timer(PATIENCE, self.where)
        waits.start()
        try:
            assert self._process.stdout.readline(), self.log.read_text()[-3000:]
        finally:
            waits.cancel()
        return time.monotonic() - began

    def where(self) -> None:
        """Let it write where each thread and task stands into its log, and end it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGUSR1)
        time.sleep(1)
        self._process.kill()

    def kill(self) -> None:
        self._process.kill()
        self._gone()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        assert self._gone() == 0

    def end(self) -> None:
        """Whatever the story came to: it runs no longer."""
        if hasattr(self, "_process") and self._process.poll() is None:
            self.kill()

    def _gone(self) -> int:
        status = self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return status

    def ask(self, what: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(f"file:{self.data / 'pasokh.db'}?mode=ro", uri=True)) as s:
            return s.execute(what).fetchall()

    def hurry(self) -> None:
        """Doubts are looked up after a minute and more; it is stopped, so their clock can be moved."""
        with contextlib.closing(sqlite3.connect(self.data / "pasokh.db")) as s:
            s.execute("UPDATE outbox SET due_at = 0 WHERE state IN ('waiting', 'unknown')")
            s.commit()


class Telephones:
    """Telephones that text once each, each until its push is acknowledged; `acknowledged` holds those that were."""

    def __init__(self, program: Program, first: int, count: int, writers: int) -> None:
        self.acknowledged: set[str] = set()
        self.stuck: list[str] = []  #: what happened to those that were not
        self._program = program
        self._left = [f"09{10 + n // 10_000_000}{n % 10_000_000:07d}" for n in range(first, first + count)]
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(writers)]

    def __enter__(self) -> Telephones:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *gone: object) -> None:
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while (phone := self._next()) is not None:
                ends = time.monotonic() + STUCK
                while (told := self._push(session, phone)) != "200":
                    if time.monotonic() > ends:
                        self.stuck.append(told)
                        self._program.where()
                        return
                    time.sleep(0.05)
                self.acknowledged.add(phone)

    def _next(self) -> str | None:
        with self._lock:
            return self._left.pop() if self._left and not self.stuck else None

    def _push(self, session: requests.Session, phone: str) -> str:
        fields = {"messageid": phone[1:], "from": phone, "to": "30001234", "message": f"چراغ خاموش است {phone}"}
        try:
            return str(session.post(self._program.hook, data=fields, timeout=10).status_code)
        except requests.RequestException as fault:
            return type(fault).__name__


def kill_somewhere(program: Program, chance: random.Random, ready: float) -> float:
    """Kill at any moment: while it runs, and in one of four rounds while it starts as well. Then start for good;
    returns how long that took. `ready`: seconds a start takes."""
    program.kill()
    if chance.random() < 0.25:
        program.begin()
        time.sleep(chance.uniform(0.1, ready))
        program.kill()
    return program.start()


def progress(kills: int, done: int, began: float, tell: Callable[[str], None]) -> None:
    """Every ten kills a word of how far it is."""
    if done and done % EACH == 0:
        left = (time.monotonic() - began) / done * (kills - done)
        tell(f"{done} of {kills} kills, about {left / 60:.1f} minutes left")


def free() -> int:
    """A port below those that the system gives to who connects: one of the telephones that knock while nobody listens
    would else get it by chance, and be connected to itself."""
    for port in random.sample(range(21_000, 32_000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")
