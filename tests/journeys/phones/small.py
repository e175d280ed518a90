"""`pasokh call` as people use it: a program of its own, told by its words, watched by what it prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType

from tests.journeys.running import ROOT


class Small:
    """A running `pasokh call`; `say` and `hear` are files. Leaving ends it."""

    def __init__(
        self, uri: str, keys: str, *, say: Path | None = None, hear: Path | None = None, caller: str = "09120000000"
    ) -> None:
        words = [sys.executable, "-m", "gateway", "call", uri, "--keys", keys, "--caller", caller]
        words += ["--say", str(say)] if say else []
        words += ["--hear", str(hear)] if hear else []
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1,
            env={"PYTHONUNBUFFERED": "1", "PATH": "/usr/bin:/bin"},
        )  # fmt: skip

    def __enter__(self) -> Small:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def until(self, words: str) -> None:
        """Read on until a line has these words."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if words in line:
                return
        raise AssertionError(f"never said {words!r}: {self.lines}")

    def end(self) -> int:
        """Its exit status, once it is through."""
        assert self.process.stdout is not None
        self.lines += [line.strip() for line in self.process.stdout]
        return self.process.wait(10)
