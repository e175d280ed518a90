"""Every call leaves its record: over, missed, of ours, cut off by a crash, or of a store that was busy."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core import schema
from core.channels import CallRecord, Contact, ContactKind
from core.errors import Busy
from ivr import channel
from ivr.ledger import CRASH, OPEN, Ledger
from tests.ivr.site import ROOT
from tests.ivr.test_channel import gear, lines, until
from tests.ivr.test_services import rung_off

WHO = Contact(ContactKind.PHONE, "+989120000000", True)
BEGAN = 1_700_000_000_000
GOES_ON = CallRecord("a", "main", "1888", BEGAN, 0, OPEN, WHO, None, {"path": ["main"]})
OVER = replace(GOES_ON, seconds=65, way="caller", ticket=7)


class Book:
    """The door for records alone; `busy`: how often it is too busy first."""

    def __init__(self, busy: int = 0) -> None:
        self.busy = busy
        self.records: list[CallRecord] = []

    async def call_over(self, record: CallRecord) -> None:
        if self.busy:
            self.busy -= 1
            raise Busy(1)
        self.records.append(record)


def rows(s, table=schema.call):
    return s.execute(sa.select(table)).mappings().all()


async def test_a_call_that_is_over_is_entered_and_its_file_is_gone(tmp_path):
    ledger, book = Ledger(tmp_path), Book()
    ledger.begin(GOES_ON)
    [path] = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    await ledger.over(book, OVER)
    assert (book.records, list(tmp_path.iterdir())) == ([OVER], [])


async def test_a_call_that_a_crash_cut_off_is_entered_at_the_next_start_with_the_time_it_was_last_seen(tmp_path):
    Ledger(tmp_path).begin(GOES_ON)
    os.utime(tmp_path / "a.json", (BEGAN / 1000 + 42, BEGAN / 1000 + 42))
    book = Book()
    await Ledger(tmp_path).settle(book)
    assert book.records == [replace(GOES_ON, seconds=42, way=CRASH)]
    assert list(tmp_path.iterdir()) == []


async def test_a_call_that_goes_on_is_left_alone(tmp_path):
    ledger, book = Ledger(tmp_path), Book()
    ledger.begin(GOES_ON)
    await ledger.settle(book)
    assert (book.records, len(list(tmp_path.iterdir()))) == ([], 1)


async def test_a_record_that_finds_the_store_busy_is_entered_later_whole(tmp_path):
    ledger, book = Ledger(tmp_path), Book(busy=2)
    await ledger.over(book, OVER)
    await ledger.settle(book)
    assert book.records == []
    await ledger.settle(book)
    assert book.records == [OVER]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"ref": "a"}', '{"contact": {"kind": "pigeon"}}'])
async def test_a_file_cut_in_the_middle_is_put_aside_and_hurts_nobody(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    ledger, book = Ledger(tmp_path), Book()
    ledger.begin(replace(GOES_ON, ref="b"))
    await ledger.over(book, replace(OVER, ref="b"))
    await ledger.settle(book)
    assert [record.ref for record in book.records] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.bad"]


async def test_a_missed_call_is_in_the_history_of_its_number(opened, reactor, tmp_path):
    made, _, door = opened
    ours = channel.make(gear(tmp_path / "phone", reactor, lines(numbers={"1887": "missed", "*": "main"})))
    await ours.start(door)
    try:
        await asyncio.to_thread(rung_off, f"sip:1887@127.0.0.1:{ours.ports['main']}", "09120000000")
        [row] = await until(lambda: made.read(rows))
        assert (row["way"], row["called"], row["proven"]) == ("missed", "1887", True)
        assert row["facts"]["path"] == ["missed"]
    finally:
        await ours.stop(0)


@contextmanager
def program(folder: Path):  # type: ignore[no-untyped-def]
    """The whole program with a phone line in a process of its own; what it told, and the process."""
    words = [sys.executable, "-m", "tests.bench.line", "--dir", str(folder), "--calls", "10"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline()), process
        finally:
            process.kill()


@pytest.mark.slow
def test_calls_cut_off_by_kill_9_are_on_record_after_the_next_start(tmp_path):
    with program(tmp_path) as (up, process):
        words = [sys.executable, "-m", "tests.bench.callers", f"127.0.0.1:{up['sip']}", "--calls", "3"]
        with subprocess.Popen([*words, "--seconds", "60"], cwd=ROOT, stdout=subprocess.DEVNULL) as callers:
            try:
                _wait(lambda: len(list(tmp_path.rglob("calls/*.json"))) == 3)
                process.kill()
                process.wait()
            finally:
                callers.kill()
    with program(tmp_path) as (_, process):
        _wait(lambda: not list(tmp_path.rglob("calls/*.json")))
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["records"] == 3
    path = next(tmp_path.glob("*.sqlite*"), None) or next(tmp_path.glob("*.db"))
    with closing(sqlite3.connect(path)) as store:
        found = store.execute("SELECT way, blind IS NOT NULL FROM call").fetchall()
    assert found == [(CRASH, 1)] * 3


def _wait(true: Any) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)
