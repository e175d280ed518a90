"""The look through all logs finds what it must, nothing else, and fails a run in one process and in several."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import leaks

ROOT = Path(__file__).resolve().parents[2]
KEY = "a key that nobody uses"
WRITTEN = (
    "to 09120000000",
    "to ۰۹۱۲۰۰۰۰۰۰۰",
    "to ٠٩١٢٠٠٠٠٠٠٠",
    "+989120000000",
    "tel:+989120000000;x",
    "00989120000000",
    "'to': '989120000000'",
    "?from=%2B989120000000&x",
    "b'from=09120000000'",
    "\\n09120000000\\r",
    "0912 000 0000",
    "0912-000-0000",
    "+98 912 000 0000",
)
OTHERS = (
    "code 72940518364",
    "729-4051-8364",
    "row 1048577",
    "key 5629499534213121",
    "at 1723620600000",
    "took 0.09120000000 s",
    "0a09120000000b",
    "sha 9b0989120000000ff1",
    "3000123409120000000",
    "2026-11-25 01:44:39,120",
    "port 30983, 127.0.0.1:41989",
)
RUN = '''
"""Written for one run."""
import logging, subprocess, sys
from pathlib import Path

log = logging.getLogger("pasokh.somewhere")

def test_nothing_is_said_aloud():
    log.info("a text goes", extra={"outbox": 1048577, "code": "72940518364"})

def test_a_number_is_an_extra():
    log.debug("a text goes", extra={"to": "+989120000000"})

def test_a_traceback_tells_it():
    try:
        raise ValueError("09120000000")
    except ValueError:
        log.exception("a text did not go")

def test_a_child_writes_it(tmp_path: Path):
    line = "2026-11-25 01:44:39,120 DEBUG pasokh.child a text goes: ۰۹۱۲۰۰۰۰۰۰۰"
    with (tmp_path / "child.log").open("a") as file:
        subprocess.Popen([sys.executable, "-c", f"import sys; print({line!r}, file=sys.stderr)"], stderr=file).wait()

def test_a_child_writes_it_to_our_own_errors():
    subprocess.run([sys.executable, "-c", "import os; os.write(2, b'00989120000000')"])

def test_a_child_hands_it_back():
    subprocess.run([sys.executable, "-c", "import os; os.write(2, b'09120000000')"], capture_output=True)
'''


@pytest.mark.parametrize("text", WRITTEN)
def test_a_whole_number_is_found_however_it_is_written(text):
    assert [what for what, _ in leaks.found_in(text)] == ["whole number"]


@pytest.mark.parametrize("text", OTHERS)
def test_codes_rows_times_and_digests_are_no_numbers(text):
    assert list(leaks.found_in(text)) == []


def test_a_key_is_found_and_one_too_short_cannot_be_hidden(monkeypatch):
    monkeypatch.setattr(leaks, "_hidden", {KEY})
    assert list(leaks.found_in(f"https://h/v1/{KEY}/sms")) == [("key", 13)]
    with pytest.raises(AssertionError, match="too short"):
        leaks.hide("secret")


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_that_writes_numbers_down_fails_and_says_where(tmp_path: Path, workers):
    (tmp_path / "test_written.py").write_text(RUN)
    words = [sys.executable, "-m", "pytest", "-q", "-n", workers, "-p", "tests.leaks", "-p", "no:cacheprovider"]
    words += ["-c", "/dev/null", "--rootdir", str(tmp_path), str(tmp_path / "test_written.py")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "6 passed" in done.stdout
    found = [line for line in done.stdout.splitlines() if line.startswith("a whole number in the log of")]
    assert sorted(line.split(" during ")[0].removeprefix("a whole number in the log of ") for line in found) == [
        "a child that was heard to its end ('no line of ours')",
        "child.log: pasokh.child ('a text goes')",
        "pasokh.somewhere ('a text did not go')",
        "pasokh.somewhere ('a text goes')",
        "standard error ('no line of ours')",
    ]
    assert "test_a_number_is_an_extra" in done.stdout
    assert "test_nothing_is_said_aloud" not in done.stdout
