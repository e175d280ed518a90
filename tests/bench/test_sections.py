"""Every benchmark still runs: tiny ones, whose figures mean nothing. However it ends, no process of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench.__main__ import NAMES, Section

pytestmark = [pytest.mark.slow, pytest.mark.peer]
MUST = os.environ.get("PASOKH_MUST_PEERS") == "1"


@pytest.fixture(scope="module")
def tiny() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """All sections side by side: they wait more than they work."""
    with ExitStack() as stack:
        running = {}
        for name in NAMES:
            words = [sys.executable, "-m", "tests.bench", name, "--tiny"]
            process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            running[name] = stack.enter_context(process)
            stack.callback(process.terminate)
        yield running


@pytest.mark.parametrize("name", NAMES)
def test_a_tiny_run_gives_rows(tiny: dict[str, subprocess.Popen[str]], name: str) -> None:
    out, errors = tiny[name].communicate(timeout=120)
    assert tiny[name].returncode == 0, errors
    rows = [row for row in out.splitlines() if row.startswith("| ")][1:]
    assert rows
    assert not MUST or "not measured" not in out


def test_after_ctrl_c_nothing_of_it_runs() -> None:
    words = [sys.executable, "-m", "tests.bench", "http"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        section = _until(lambda: _children(process.pid))[0]
        _until(lambda: _children(section))
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out.splitlines()[-1] == "|---|---|---|---|"
    assert not _alive(section)


def test_a_section_that_takes_too_long_is_ended_and_told(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "SECTIONS", [Section("http", 0.5)])
    assert bench.main(["http"]) == 1
    assert "http: not over after 0 s" in capfd.readouterr().err


def _until(ask):  # type: ignore[no-untyped-def]
    ends = time.monotonic() + 30
    while not (found := ask()):
        assert time.monotonic() < ends
        time.sleep(0.02)
    return found


def _children(pid: int) -> list[int]:
    return [int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()]


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
