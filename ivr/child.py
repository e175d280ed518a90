"""A model in a process of its own, asked over one pipe: speech from text, text from speech.

Both ways a line of JSON and as many octets as it names: `{"do": "say", "lang": "fa", "bytes": 12}` and the text, or
`{"do": "hear", …}` and a WAV file; back come `{"bytes": n}` and a WAV file or a text, or `{"bytes": 0, "error": "…"}`.
The child ends with us; one that is silent too long is killed and started anew, later each time.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from config.faults import Fault
from config.positions import Where
from config.shape import Range
from core import children

log = logging.getLogger(__name__)
PR_SET_PDEATHSIG = 1
LARGEST = 64 * 2**20  # octets of an answer
LINE = 4096  # octets of its first line
RESTS = (0.0, 1.0, 10.0, 60.0, 300.0)  # seconds before a start after so many failures in a row; the last one repeats


@dataclass(frozen=True, slots=True)
class Model:
    """A model by its path, and the program around it (left out: ours, which needs its extra)."""

    model: str  #: file or folder
    command: tuple[str, ...] = ()  #: the path is put behind it
    timeout: Annotated[int, Range(1, 600)] = 10  #: seconds of silence before it is killed

    def start(self, ours: str) -> Child:
        """The child, not running yet. `ours`: our program, a module."""
        command = self.command or (sys.executable, "-m", ours)
        return Child([*command, self.model], self.timeout)

    @property
    def name(self) -> str:
        """Changes with the model: path, size and time of change."""
        try:
            told = Path(self.model).stat()
        except OSError:
            return self.model
        return f"{self.model} {told.st_size} {told.st_mtime_ns}"

    def faults(self, where: Where) -> list[Fault]:
        """What is not there."""
        if Path(self.model).exists():
            return []
        return [(where / "model").fault("missing-model", f"there is no {self.model}; put the model there")]


class NoAnswer(RuntimeError):
    """The model cannot be asked now, or has no answer to this. The sentence says why."""


class Child:
    """One model. Questions are asked one after the other; the process starts with the first."""

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        self._command, self._timeout = list(command), timeout
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._failures = 0
        self._rests_until = 0.0  # monotonic

    async def ask(self, do: str, lang: str, data: bytes) -> bytes:
        """The model's answer. Raises NoAnswer; a child that is silent for `timeout` seconds is killed."""
        async with self._turn:
            try:
                async with asyncio.timeout(self._timeout):
                    answer = await self._ask(do, lang, data)
            except (TimeoutError, OSError, asyncio.IncompleteReadError, ValueError, KeyError) as fault:
                await self._failed(fault)
                raise NoAnswer(f"{self._command[0]}: {type(fault).__name__}") from fault
            except asyncio.CancelledError:
                await self.close()  # whatever it still says would be taken for the next answer
                raise
            self._failures = 0
            return answer

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            await children.end(process)

    async def _ask(self, do: str, lang: str, data: bytes) -> bytes:
        process = await self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        head = json.dumps({"do": do, "lang": lang, "bytes": len(data)})
        process.stdin.write(head.encode() + b"\n" + data)
        await process.stdin.drain()
        line = await process.stdout.readline()
        if not line:
            raise OSError("it has ended")
        told = json.loads(line)
        size = int(told["bytes"])
        if not 0 <= size <= LARGEST:
            raise ValueError("too much")
        answer = await process.stdout.readexactly(size)
        if told.get("error"):
            raise NoAnswer(str(told["error"])[:200])
        return answer

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        if time.monotonic() < self._rests_until:
            raise NoAnswer("it rests after a failure")
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LINE,
            preexec_fn=_end_with_us,
        )  # fmt: skip
        log.info("model started", extra={"pid": self._process.pid})
        return self._process

    async def _failed(self, fault: BaseException) -> None:
        self._rests_until = time.monotonic() + RESTS[min(self._failures, len(RESTS) - 1)]
        self._failures += 1
        log.warning("model failed", extra={"fault": type(fault).__name__, "failures": self._failures})
        await self.close()


def _end_with_us() -> None:
    """In the child: die when the parent does, whatever ends it; Ctrl-C is the parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
