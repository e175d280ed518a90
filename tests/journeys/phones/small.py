"""`pasokh call` and `pasokh answer` as people use them: programs of their own, watched by what they print."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.journeys.running import ROOT


class Program:
    """A running `pasokh` with these words. Leaving ends it."""

    def __init__(self, *words: str) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway", *words],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1,
            env={"PYTHONUNBUFFERED": "1", "PATH": "/usr/bin:/bin"},
        )  # fmt: skip

    def __enter__(self) -> Self:
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


class Small(Program):
    """A telephone that calls; `say` and `hear` are files."""

    def __init__(
        self, uri: str, keys: str, *, say: Path | None = None, hear: Path | None = None, caller: str = "09120000000"
    ) -> None:
        files = [*(["--say", str(say)] if say else []), *(["--hear", str(hear)] if hear else [])]
        super().__init__("call", uri, "--keys", keys, "--caller", caller, *files)


class Desk(Program):
    """A telephone that waits `at` HOST:PORT for one call to `extension`; entered, it is waiting."""

    def __init__(self, at: str, extension: str, keys: str, *, say: Path, hear: Path) -> None:
        files = ("--say", str(say), "--hear", str(hear))
        super().__init__("answer", "--at", at, "--calls", "1", "--extension", extension, "--keys", keys, *files)

    def __enter__(self) -> Self:
        self.until("waiting at")
        return self
