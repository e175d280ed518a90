"""kill -9 of a sender between its claim, its sends and their record: the next one sends the rest, and nothing twice."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.core.staff.sender import POINTS, ROWS


def run(folder: Path, point: str) -> int:
    words = [sys.executable, "-m", "tests.core.staff.sender", str(folder), point]
    return subprocess.run(words, timeout=60, check=False).returncode


def states(folder: Path) -> Counter[str]:
    with closing(sqlite3.connect(folder / "pasokh.db")) as s:
        return Counter(state for (state,) in s.execute("SELECT state FROM outbox"))


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_sender_killed_at_any_point_loses_nothing_and_sends_nothing_twice(tmp_path: Path, point: str):
    assert run(tmp_path, point) == -signal.SIGKILL
    left = states(tmp_path)
    if point == "recorded":
        assert left["accepted"] >= 1, "on disk before anybody is told"
    else:
        assert left["accepted"] == 0, "no record of half a batch"
        assert left["sending"] >= 1, "what was claimed stands as claimed"
    assert run(tmp_path, "end") == 0
    assert states(tmp_path) == {"accepted": ROWS}
    sent = Counter((tmp_path / "ledger").read_text().split())
    assert len(sent) == ROWS and set(sent.values()) == {1}
