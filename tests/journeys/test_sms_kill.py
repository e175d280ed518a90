"""kill -9 while texts come in and go out: the handsets' ledger says whether any was lost or came twice.

Sizes by environment: PASOKH_SMS_KILLS rounds and PASOKH_SMS_TEXTS texts in all (each makes one text out).
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import requests

from tests.journeys.running import Demo, until

WRITERS = 8
FAULTS = ("reset_after", "reset_before", "late", "empty", "429", "500")  # what the provider does meanwhile


class Texters:
    """Phones that text once each, each until its push is acknowledged; `acknowledged` holds those that were."""

    def __init__(self, demo: Demo, first: int, count: int) -> None:
        self.demo, self.acknowledged = demo, set[str]()
        self._left = [f"0912{n:07d}" for n in range(first, first + count)]
        self._lock = threading.Lock()
        self._secret = (demo.folder / "hook.secret").read_text().strip()
        self._threads = [threading.Thread(target=self._run) for _ in range(WRITERS)]

    def start(self) -> Texters:
        for thread in self._threads:
            thread.start()
        return self

    def join(self) -> None:
        for thread in self._threads:
            thread.join(120)

    def _run(self) -> None:
        while (phone := self._next()) is not None:
            ends = time.monotonic() + 60
            while not self._push(phone):
                assert time.monotonic() < ends, "the hook did not come back"
                time.sleep(0.05)
            self.acknowledged.add(phone)

    def _next(self) -> str | None:
        with self._lock:
            return self._left.pop() if self._left else None

    def _push(self, phone: str) -> bool:
        fields = {"messageid": phone, "from": phone, "to": "30001234", "message": f"چراغ خاموش است {phone}"}
        hook = f"{self.demo.facts['web']}/hooks/sms/main/{self._secret}"
        with contextlib.suppress(requests.RequestException):
            return requests.post(hook, data=fields, timeout=10).status_code == 200
        return False


def ledger(demo: Demo) -> Counter[str]:
    """How many texts each handset got."""
    rows = requests.get(f"{demo.facts['handset']}/ledger.json", timeout=10).json()
    return Counter(row["to"] for row in rows)


def unfinished(demo: Demo) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{demo.folder / 'pasokh.db'}?mode=ro", uri=True)) as s:
        ask = "SELECT count(*) FROM outbox WHERE state IN ('waiting', 'sending', 'unknown')"
        return int(s.execute(ask).fetchone()[0])


def tickets(demo: Demo) -> Counter[str]:
    with contextlib.closing(sqlite3.connect(f"file:{demo.folder / 'pasokh.db'}?mode=ro", uri=True)) as s:
        return Counter(row[0].rsplit(" ", 1)[-1] for row in s.execute("SELECT text FROM message WHERE way = 'in'"))


def hurry(demo: Demo) -> None:
    """Doubtful rows are looked up after a minute and more; the demo is stopped, so their clock can be moved."""
    with contextlib.closing(sqlite3.connect(demo.folder / "pasokh.db")) as s:
        s.execute("UPDATE outbox SET due_at = 0 WHERE state IN ('waiting', 'unknown')")
        s.commit()


def rounds(folder: Path, kills: int, texts: int, seed: int) -> None:
    chance = random.Random(seed)
    demo = Demo(folder / "data").start()
    everybody: set[str] = set()
    share = -(-texts // (kills + 1))
    try:
        for n in range(kills + 1):
            for fault in chance.sample(FAULTS, 3):
                wanted = {"method": "sendarray", "fault": fault, "count": 1}
                requests.post(f"{demo.facts['handset'].rsplit('/', 1)[0]}/faults.json", json=wanted, timeout=10)
            crowd = Texters(demo, n * share, share).start()
            if n < kills:
                time.sleep(chance.uniform(0.05, 0.6))
                demo.kill()
                demo.start()
            crowd.join()
            everybody |= crowd.acknowledged
        judge(demo, everybody)
    finally:
        demo.end()


def judge(demo: Demo, everybody: set[str]) -> None:
    """Every acknowledged text is one ticket; every one of them got one code on its handset, nobody two."""
    for _ in range(20):
        with contextlib.suppress(AssertionError):
            until(lambda: unfinished(demo) == 0, 5)
            break
        assert demo.stop() == 0
        hurry(demo)
        demo.start()
    kept, got = tickets(demo), ledger(demo)
    assert {phone: kept[phone] for phone in everybody if kept[phone] != 1} == {}
    assert {phone: n for phone, n in got.items() if n > 1} == {}, "came twice"
    assert everybody - got.keys() == set(), "never came"


@pytest.mark.slow
def test_three_kills_lose_and_double_no_text(tmp_path: Path):
    rounds(tmp_path, 3, 240, 1)


@pytest.mark.long
def test_many_kills_lose_and_double_no_text(tmp_path: Path):
    rounds(
        tmp_path, int(os.environ.get("PASOKH_SMS_KILLS", "200")), int(os.environ.get("PASOKH_SMS_TEXTS", "10000")), 2
    )
