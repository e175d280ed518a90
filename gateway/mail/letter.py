"""A letter on its way in: kept in memory while it is small, in a nameless file of the spool folder beyond."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from gateway.mail.events import Envelope

IN_MEMORY = 1_048_576  # octets of a letter kept in memory; beyond, it is spooled


@dataclass(slots=True)
class Content:
    """What came of a letter so far. `close` it in the end: the file has no name and is gone with it."""

    folder: str
    size: int = 0
    _held: bytearray = field(default_factory=bytearray)
    _file: BinaryIO | None = None

    def add(self, data: bytes) -> None:
        """Raises OSError when the disk takes no more."""
        self.size += len(data)
        if self._file is not None:
            self._file.write(data)
            return
        self._held += data
        if len(self._held) > IN_MEMORY:
            self.spool()

    def spool(self) -> None:
        """Put it on disk, if it is not there. Raises OSError."""
        if self._file is None:
            file = tempfile.TemporaryFile(dir=self.folder, prefix="letter-")  # noqa: SIM115  lives as long as we do
            try:
                file.write(self._held)
            except OSError:
                file.close()
                raise
            self._file = file
            self._held = bytearray()

    @property
    def held(self) -> int:
        """Octets in memory."""
        return len(self._held)

    @property
    def spooled(self) -> bool:
        return self._file is not None

    def read(self) -> bytes:
        if self._file is None:
            return bytes(self._held)
        self._file.seek(0)
        return self._file.read()

    def close(self) -> None:
        self._held = bytearray()
        if self._file is not None:
            self._file.close()
            self._file = None


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter that was handed over whole."""

    envelope: Envelope
    peer: str  #: address of whoever handed it over
    content: Content

    @property
    def size(self) -> int:
        return self.content.size

    @property
    def spooled(self) -> bool:
        return self.content.spooled

    def read(self) -> bytes:
        return self.content.read()


class Space:
    """Octets of spooled letters that may be in memory at once; one letter always may. First come, first served."""

    def __init__(self, octets: int) -> None:
        self._octets = octets
        self._taken = 0
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def of(self, size: int) -> AsyncIterator[None]:
        async with self._turn:
            while self._taken and self._taken + size > self._octets:
                self._freed.clear()
                await self._freed.wait()
            self._taken += size
        try:
            yield
        finally:
            self._taken -= size
            self._freed.set()
