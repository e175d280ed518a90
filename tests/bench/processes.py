"""The processes a benchmark starts: none outlives it, however it ends."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

PATIENCE = 20.0  # seconds a process gets to end by itself


@contextmanager
def started(words: Sequence[str], **more: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that talks by lines on its output; afterwards told to end, and ended if it does not."""
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, **more)
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[str]) -> None:
    """Told by SIGTERM, then made to; its pipes are shut."""
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def line(pipe: IO[str] | None) -> str:
    """The next line of a process. Raises RuntimeError when it has ended instead."""
    assert pipe is not None
    said = pipe.readline()
    if not said:
        raise RuntimeError("a process of the benchmark ended before it was ready")
    return said
