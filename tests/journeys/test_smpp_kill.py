"""kill -9 over SMPP, texts in and codes out at full speed: none is lost, none is twice that is not shown as a doubt."""

from __future__ import annotations

import contextlib
import json
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import requests

from config.read import SEEDS
from tests.journeys.running import ROOT, until
from tests.leaks import hide

WINDOW, PASSWORD = 10, "made-key"
hide(PASSWORD)
DOUBTS = ("sending", "unknown", "parked")
LINES = """
[sms.line.main]
number = "30001234"
providers = ["op"]
rate = 10000
daily_parts = 0
poll_s = 0

[sms.provider.op]
kind = "smpp"
host = "127.0.0.1"
port = {port}
system_id = "pasokh"
password_file = "{folder}/password"
window = {window}
"""


class Centre:
    """The made-up message centre as a process that nobody kills."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        words = [
            sys.executable,
            "-m",
            "tests.worlds.smsc",
            "--dir",
            str(folder),
            "--port",
            "0",
            "--world",
            "0",
            "--password",
            PASSWORD,
        ]
        self._process = subprocess.Popen([*words, "--with-parent"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.facts: dict[str, Any] = json.loads(self._process.stdout.readline())

    def rows(self, name: str) -> list[dict[str, Any]]:
        path = self.folder / "sms" / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(10) == 0
        assert self._process.stdout is not None
        self._process.stdout.close()


class Program:
    """`pasokh serve` with a line over SMPP and nothing else."""

    def __init__(self, folder: Path, port: int) -> None:
        self.data, site = folder / "data", folder / "site"
        site.mkdir(parents=True)
        self.data.mkdir()
        (site / "password").write_text(PASSWORD)
        (site / "lines.toml").write_text(LINES.format(port=port, folder=site, window=WINDOW))
        settings = (SEEDS / "settings.toml").read_text().replace("port = 8080", f"port = {_free()}", 1)
        settings = settings.replace('second_factor = "required"', 'second_factor = "optional"')
        (site / "settings.toml").write_text(settings.replace("loopback_exempt = false", "loopback_exempt = true"))
        self._words = [sys.executable, "-m", "gateway", "serve", "--config", str(site), "--data", str(self.data)]
        self._log = folder / "serve.log"

    def start(self) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(self._words, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), self._log.read_text()[-3000:]

    def kill(self) -> None:
        self._process.kill()
        self._gone()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        assert self._gone() == 0

    def _gone(self) -> int:
        status = self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return status

    def ask(self, what: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(f"file:{self.data / 'pasokh.db'}?mode=ro", uri=True)) as s:
            return s.execute(what).fetchall()


class Writers:
    """Citizens who text, each from a number of their own."""

    def __init__(self, centre: Centre, name: int) -> None:
        self._url, self._stop = f"{centre.facts['handset']}/send.json", threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(name, n)) for n in range(2)]

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *gone: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    def _run(self, name: int, number: int) -> None:
        with requests.Session() as session:
            for n in range(10_000):
                if self._stop.is_set():
                    return
                sender = f"09{10 + name % 10}{number}{name // 10:02}{n:04}"
                body = {"from": sender, "to": "30001234", "text": f"نشان x{name}x{number}x{n}y چراغ کوچه خاموش است"}
                session.post(self._url, json=body, timeout=10).raise_for_status()


def rounds(folder: Path, count: int, seed: int) -> None:
    """`count` times: texts at full speed, kill, start again; then the ledgers are the judge."""
    chance = random.Random(seed)
    centre = Centre(folder / "world")
    program = Program(folder, int(centre.facts["smpp"].rpartition(":")[2]))
    try:
        program.start()
        for n in range(count):
            with Writers(centre, n):
                time.sleep(chance.uniform(0.2, 0.6))
                if n % 2 == 0:  # with texts on their way out for certain
                    until(lambda: program.ask("SELECT id FROM outbox WHERE state = 'sending' LIMIT 1"))
                program.kill()
            program.start()
        until(lambda: len(centre.rows("smpp-taken")) >= len(centre.rows("inbox")), 120)
        until(lambda: not program.ask("SELECT id FROM outbox WHERE state = 'waiting'"), 120)
        until(lambda: len(program.ask("SELECT id FROM outbox WHERE state = 'sending'")) <= _stale(program), 30)
        until(lambda: not program.ask("SELECT id FROM outbox WHERE state = 'accepted'"), 120)  # its receipt is in
        judge(program, centre, count)
        program.stop()
    finally:
        with contextlib.suppress(AssertionError, AttributeError, ValueError):
            program.kill()
        centre.stop()


def _stale(program: Program) -> int:
    """Rows that a killed process had claimed: in doubt, and shown once their lease has run out."""
    now = int(time.time() * 1000)
    old = f"SELECT id FROM outbox WHERE state = 'sending' AND due_at > {now} AND due_at < {now + 298_000}"
    return len(program.ask(old))


def judge(program: Program, centre: Centre, kills: int) -> None:
    """Every text is on one ticket; every ticket's code is on its telephone once, or its row stands in doubt."""
    written = [re.findall(r"x\d+x\d+x\d+y", row["message"])[0] for row in centre.rows("inbox")]
    kept = Counter(
        re.findall(r"x\d+x\d+x\d+y", text)[0] for (text,) in program.ask("SELECT text FROM message WHERE way = 'in'")
    )
    assert len(written) > 20 * kills
    assert {token: kept[token] for token in written if kept[token] != 1} == {}
    states = Counter(state for (state,) in program.ask("SELECT state FROM outbox"))
    assert sum(states.values()) == len(written)
    got = Counter(row["receptor"] for row in centre.rows("sent"))
    twice = [number for number, count in got.items() if count > 1]
    assert len(twice) <= WINDOW * kills
    doubts = sum(states[state] for state in DOUBTS)
    assert len(twice) <= doubts
    assert len(written) - len(got) <= doubts, (len(written), len(got), states)
    print(f"{len(written)} in, {len(got)} out, {doubts} in doubt, {len(twice)} twice, {kills} kills")


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.slow
def test_three_kills_over_smpp_lose_nothing_and_doubts_are_shown(tmp_path: Path):
    rounds(tmp_path, 3, 1)
    shutil.rmtree(tmp_path / "data")


@pytest.mark.long
def test_two_hundred_kills_over_smpp_lose_nothing_and_doubts_are_shown(tmp_path: Path):
    rounds(tmp_path, 200, 2)
