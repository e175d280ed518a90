"""The environment of smpp.twisted3, which `make test` sets up below .peers/."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PYTHON = Path(__file__).resolve().parents[3] / ".peers" / "smpp-twisted3" / "bin" / "python"


def needed() -> None:
    """Skip without it, unless peers must be there."""
    if not PYTHON.exists():
        (pytest.fail if os.environ.get("PASOKH_MUST_PEERS") else pytest.skip)("no .peers/smpp-twisted3: make test")


@contextmanager
def server(*words: str) -> Iterator[int]:
    """Its server as a process; yields the port."""
    script = Path(__file__).with_name("peer_server.py")
    process = subprocess.Popen([str(PYTHON), str(script), *words], stdout=subprocess.PIPE, stderr=sys.stderr, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(5)
        assert process.stdout is not None
        process.stdout.close()
