"""kill -9 over SMPP, texts in and codes out at full speed: none is lost, none is twice that is not shown as a doubt.

Sizes by environment: PASOKH_SMPP_KILLS rounds and PASOKH_SMS_TEXTS texts in all (each makes one text out).
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.journeys.killing import Program, World, kill_somewhere, progress
from tests.journeys.running import until

WINDOW = 10
DOUBTS = ("sending", "unknown", "parked")
LINES = f"""
[sms.line.main]
number = "30001234"
providers = ["op"]
rate = 10000
daily_parts = 0
poll_s = 0

[sms.provider.op]
kind = "smpp"
host = "127.0.0.1"
port = PORT
system_id = "pasokh"
password_file = "{{site}}/password"
window = {WINDOW}
"""


class Writers:
    """Citizens who text, each from a number of their own: `most` texts, or until the kill is over."""

    def __init__(self, world: World, name: int, most: int) -> None:
        self._url, self._most, self._stop = f"{world.facts['handset']}/send.json", most, threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(name, n)) for n in range(2)]

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *gone: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self, name: int, number: int) -> None:
        with requests.Session() as session:
            for n in range(self._most // 2):
                if self._stop.is_set():
                    return
                sender = f"09{10 + name % 10}{number}{name // 10:02}{n:04}"
                body = {"from": sender, "to": "30001234", "text": f"نشان x{name}x{number}x{n}y چراغ کوچه خاموش است"}
                session.post(self._url, json=body, timeout=30).raise_for_status()


def rounds(folder: Path, kills: int, most: int, seed: int, tell: Callable[[str], None] = print) -> None:
    """`kills` times: texts at full speed, kill, start again; then the ledgers are the judge."""
    chance = random.Random(seed)
    world = World(folder / "world")
    program = Program(folder, LINES.replace("PORT", world.facts["smpp"].rpartition(":")[2]))
    began = time.monotonic()
    try:
        ready = program.start()
        for n in range(kills):
            with Writers(world, n, most):
                time.sleep(chance.uniform(0.1, 0.6))
                if n % 2 == 0:  # with texts on their way out for certain
                    with contextlib.suppress(AssertionError):
                        until(lambda: program.ask("SELECT id FROM outbox WHERE state = 'sending' LIMIT 1"), 5)
                ready = kill_somewhere(program, chance, ready)
            progress(kills, n, began, tell)
        settle(program, world)
        judge(program, world, kills, tell)
        program.stop()
    finally:
        program.end()
        world.stop()


def settle(program: Program, world: World) -> None:
    """What was written is in, what waited is out, and what went has its receipt."""
    until(lambda: len(world.rows("smpp-taken")) >= len(world.rows("inbox")), 120)
    until(lambda: not program.ask("SELECT id FROM outbox WHERE state IN ('waiting', 'sending')"), 120)
    until(lambda: not program.ask("SELECT id FROM outbox WHERE state IN ('accepted', 'sent')"), 120)
    with contextlib.suppress(AssertionError):  # judged below
        until(lambda: doubtful(program) == len(world.rows("inbox")) - len(world.rows("sent")), 30)


def doubtful(program: Program) -> int:
    states = ", ".join(f"'{state}'" for state in DOUBTS)
    return int(program.ask(f"SELECT count(*) FROM outbox WHERE state IN ({states})")[0][0])


def judge(program: Program, world: World, kills: int, tell: Callable[[str], None]) -> None:
    """Every text is on one ticket; every ticket's code is on its telephone once, or its row stands in doubt: then it
    never went, since the receipts of all that did have found their rows."""
    written = [re.findall(r"x\d+x\d+x\d+y", row["message"])[0] for row in world.rows("inbox")]
    kept = Counter(
        re.findall(r"x\d+x\d+x\d+y", text)[0] for (text,) in program.ask("SELECT text FROM message WHERE way = 'in'")
    )
    assert len(written) > 20 * kills
    assert {token: kept[token] for token in written if kept[token] != 1} == {}
    states = Counter(state for (state,) in program.ask("SELECT state FROM outbox"))
    assert sum(states.values()) == len(written)
    got = Counter(row["receptor"] for row in world.rows("sent"))
    twice = [number for number, count in got.items() if count > 1]
    doubts = doubtful(program)
    assert len(twice) <= min(doubts, WINDOW * kills)
    assert len(written) - len(got) == doubts, (len(written), len(got), states)  # receipts have found all that went
    tell(f"{len(written)} in, {len(got)} out, {doubts} in doubt, {len(twice)} twice, {kills} kills")


@pytest.mark.slow
def test_three_kills_over_smpp_lose_nothing_and_doubts_are_shown(tmp_path: Path):
    rounds(tmp_path, 3, 200, 1)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_two_hundred_kills_over_smpp_lose_nothing_and_doubts_are_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    def tell(words: str) -> None:
        with capfd.disabled():
            print(words, flush=True)

    kills, texts = int(os.environ.get("PASOKH_SMPP_KILLS", "200")), int(os.environ.get("PASOKH_SMS_TEXTS", "10000"))
    rounds(tmp_path, kills, -(-texts // kills), 2, tell)
