"""kill -9 while texts come in and go out: the handsets' ledger says whether any was lost or came twice.

Sizes by environment: PASOKH_SMS_KILLS rounds and PASOKH_SMS_TEXTS texts in all (each makes one text out).
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.journeys.killing import SECRET, Program, Telephones, World, kill_somewhere, progress
from tests.journeys.running import until

WRITERS = 8
FAULTS = ("reset_after", "reset_before", "late", "empty", "429", "500")  # what the provider does meanwhile
TEXT = Callable[[str], None]
LINES = f"""
[sms.line.main]
number = "30001234"
providers = ["kavenegar"]
hook_secret = "{SECRET}"
rate = 10000
daily_parts = 0
poll_s = 5

[sms.provider.kavenegar]
kind = "kavenegar"
key_file = "{{site}}/key"
host = "HOST"
ca_file = "CA"
"""


def unfinished(program: Program) -> int:
    ask = "SELECT count(*) FROM outbox WHERE state IN ('waiting', 'sending', 'unknown')"
    return int(program.ask(ask)[0][0])


def rounds(folder: Path, kills: int, texts: int, seed: int, tell: TEXT = print) -> None:
    """`kills` times: telephones text, the provider fails now and then, kill, start; then the ledgers are the judge."""
    chance = random.Random(seed)
    world = World(folder / "world")
    lines = LINES.replace("HOST", world.facts["kavenegar"]).replace("CA", world.facts["ca"])
    program = Program(folder, lines)
    world.rich()
    world.reports_to(program.hook)
    everybody: set[str] = set()
    share, began = -(-texts // (kills + 1)), time.monotonic()
    try:
        ready = program.start()
        for n in range(kills + 1):
            for fault in chance.sample(FAULTS, 3):
                world.fault("sendarray", fault)
            with Telephones(program, n * share, share, WRITERS) as crowd:
                if n < kills:
                    time.sleep(chance.uniform(0.0, 0.5))
                    ready = kill_somewhere(program, chance, ready)
            assert crowd.stuck == [], program.log.read_text()[-5000:]
            everybody |= crowd.acknowledged
            progress(kills, n, began, tell)
        judge(program, world, everybody, texts, tell)
        program.stop()
    finally:
        program.end()
        world.stop()


def judge(program: Program, world: World, everybody: set[str], texts: int, tell: TEXT) -> None:
    """Every acknowledged text is one ticket; every one of them got one code on its handset, nobody two."""
    assert len(everybody) >= texts
    for _ in range(20):
        with contextlib.suppress(AssertionError):
            until(lambda: unfinished(program) == 0, 10)
            break
        program.stop()
        program.hurry()
        program.start()
    kept = Counter(text.rsplit(" ", 1)[-1] for (text,) in program.ask("SELECT text FROM message WHERE way = 'in'"))
    got = Counter(row["receptor"] for row in world.rows("sent"))
    assert {phone: kept[phone] for phone in everybody if kept[phone] != 1} == {}
    assert {phone: n for phone, n in got.items() if n > 1} == {}, "came twice"
    assert everybody - got.keys() == set(), "never came"
    tell(f"{len(everybody)} in, {sum(got.values())} out, none lost, none twice")


@pytest.mark.slow
def test_three_kills_lose_and_double_no_text(tmp_path: Path):
    rounds(tmp_path, 3, 240, 1)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_many_kills_lose_and_double_no_text(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    def tell(words: str) -> None:
        with capfd.disabled():
            print(words, flush=True)

    kills, texts = os.environ.get("PASOKH_SMS_KILLS", "200"), os.environ.get("PASOKH_SMS_TEXTS", "10000")
    rounds(tmp_path, int(kills), int(texts), 2, tell)
