"""The parser workers: child processes that read letters, with a deadline; a letter that kills them is kept unread."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import signal
import struct
import sys
from pathlib import Path
from typing import TypeVar

import msgspec

from core import children
from core.errors import Busy
from gateway.mail import mime
from gateway.mail.mime import Mail
from gateway.mail.worker import Job, Words, packed

log = logging.getLogger("pasokh.mail.pool")

WALL = 10.0  # seconds a letter may take
DEATHS = 3  # of workers by one letter
QUEUE = 200  # letters waiting for a worker
PIECE = 65_536  # octets written to a worker, or read from it, at once
UNREADABLE = "unreadable"
T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]


class _Gone(Exception):
    """The worker died; `overrun` when by a limit."""

    def __init__(self, overrun: bool, so_far: Mail | None) -> None:
        super().__init__("worker gone")
        self.overrun = overrun
        self.so_far = so_far


class Pool:
    """Start it from the main thread: a parent-death signal fires when the forking thread ends."""

    def __init__(self, workers: int, wall: float = WALL) -> None:
        self._size, self._wall = workers, wall
        self._idle: asyncio.Queue[asyncio.subprocess.Process | None] = asyncio.Queue()
        self._all: set[asyncio.subprocess.Process] = set()
        self._waiting = 0
        self.deaths = 0

    async def start(self) -> None:
        for process in await asyncio.gather(*(self._spawn() for _ in range(self._size))):
            self._idle.put_nowait(process)

    async def stop(self) -> None:
        for process in list(self._all):
            await self._end(process)

    def pids(self) -> list[int]:
        return [process.pid for process in self._all]

    @property
    def full(self) -> bool:
        """Do so many letters wait that no other is taken?"""
        return self._waiting >= QUEUE

    @property
    def waiting(self) -> int:
        """Letters that are being read or wait for it."""
        return self._waiting

    async def read(self, raw: bytes, charset: str, ours: tuple[str, ...] = (), null: bool = False) -> Mail:
        """What the letter says. Never raises for a letter: one that beats the workers has the defect `unreadable`.

        Raises Busy when too many letters wait already.
        """
        if self.full:
            raise Busy(5)
        self._waiting += 1
        try:
            return await self._read(Job(raw, charset, ours, null))
        finally:
            self._waiting -= 1

    async def _read(self, job: Job) -> Mail:
        for _ in range(DEATHS):
            try:
                return await self._once(job)
            except _Gone as gone:
                self.deaths += 1
                log.warning("a parser worker died", extra={"overrun": gone.overrun, "size": len(job.raw)})
                if gone.so_far is not None:
                    return _with(gone.so_far, "html_unread")
                if gone.overrun:
                    break
        return _with(mime.headers_only(job.raw, job.charset), UNREADABLE)

    async def _once(self, job: Job) -> Mail:
        process = await self._idle.get()
        try:
            if process is None or process.returncode is not None:
                process = await self._spawn()
            return await self._ask(process, job)
        except BaseException:
            if process is not None:
                await self._end(process)
            process = None
            raise
        finally:
            self._idle.put_nowait(process)

    async def _ask(self, process: asyncio.subprocess.Process, job: Job) -> Mail:
        mail: Mail | None = None
        try:
            async with asyncio.timeout(self._wall):
                await _send(process, job)
                read, tails = await _receive(process, Mail)
                files = zip(read.files, tails, strict=True)
                mail = dataclasses.replace(read, files=tuple(dataclasses.replace(f, data=d) for f, d in files))
                words, _ = await _receive(process, Words)
        except TimeoutError:
            raise _Gone(True, mail) from None
        except (OSError, EOFError, msgspec.MsgspecError):
            code = await process.wait() if process.returncode is None and await _dying(process) else process.returncode
            raise _Gone(code == -signal.SIGXCPU, mail) from None
        return _merged(mail, words)

    async def _spawn(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.mail.worker", str(os.getpid()),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        self._all.add(process)
        return process

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        self._all.discard(process)
        await children.end(process)


async def _dying(process: asyncio.subprocess.Process) -> bool:
    try:
        await asyncio.wait_for(process.wait(), 2)
    except TimeoutError:
        return False
    return True


async def _send(process: asyncio.subprocess.Process, job: Job) -> None:
    """In pieces: the pipe would keep what it cannot take at once as a second letter in memory."""
    assert process.stdin is not None
    process.stdin.write(packed(msgspec.structs.replace(job, raw=b""), [job.raw]))
    for at in range(0, len(job.raw), PIECE):
        process.stdin.write(job.raw[at : at + PIECE])
        await process.stdin.drain()
    await process.stdin.drain()


async def _receive(process: asyncio.subprocess.Process, kind: type[T]) -> tuple[T, list[bytes]]:
    """A value and what follows it."""
    assert process.stdout is not None
    size: int = struct.unpack("!I", await process.stdout.readexactly(4))[0]
    value, sizes = msgspec.msgpack.decode(await process.stdout.readexactly(size), type=tuple[kind, list[int]])  # type: ignore[valid-type]
    return value, [await _tail(process.stdout, size) for size in sizes]


async def _tail(out: asyncio.StreamReader, size: int) -> bytes:
    pieces = []
    while size:
        piece = await out.read(min(size, PIECE))
        if not piece:
            raise EOFError
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _merged(mail: Mail, words: Words) -> Mail:
    if words.defect:
        return _with(mail, words.defect)
    if not words.text:
        return mail
    return dataclasses.replace(mail, text=words.text, new=words.new, quoted=words.quoted, echo=words.echo)


def _with(mail: Mail, defect: str) -> Mail:
    return dataclasses.replace(mail, defects=(*mail.defects, defect))
