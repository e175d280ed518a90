"""Asking clamd whether a file holds a virus, by its own protocol (clamd(8), INSTREAM); and its settings."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

from config.shape import Bad, Range


def address(value: Any) -> None:
    """Narrows a text to unix:/path or tcp:host:port. Raises Bad."""
    kind, _, rest = value.partition(":")
    if not (kind == "unix" and rest.startswith("/")) and not (kind == "tcp" and rest.rpartition(":")[2].isdigit()):
        raise Bad("bad-address", f"give unix:/path/of/clamd.ctl or tcp:127.0.0.1:3310, not {value!r}")


@dataclass(frozen=True, slots=True)
class Scanner:
    """`[mail.scan]`: where clamd listens. Its StreamMaxLength must be as big as the biggest file."""

    address: Annotated[str, address]  #: unix:/path or tcp:host:port
    timeout_s: Annotated[float, Range(1, 600)] = 60.0  #: for one file
    again_s: Annotated[float, Range(0.1, 86400)] = 300.0  #: before files it did not answer for are asked about again


class NoAnswer(Exception):
    """The scanner is down, or says that it cannot tell. `str()` says why."""


@dataclass(frozen=True, slots=True)
class Clamd:
    """One connection a file."""

    settings: Scanner

    async def virus(self, data: AsyncIterator[bytes]) -> str | None:
        """The name of what it found; None when the file is clean. Raises NoAnswer."""
        try:
            async with asyncio.timeout(self.settings.timeout_s):
                return _verdict(await self._ask(data))
        except TimeoutError:
            raise NoAnswer("no answer in time") from None
        except (OSError, EOFError) as error:
            raise NoAnswer(type(error).__name__) from None

    async def _ask(self, data: AsyncIterator[bytes]) -> bytes:
        kind, _, rest = self.settings.address.partition(":")
        host, _, port = rest.rpartition(":")
        opened = asyncio.open_unix_connection(rest) if kind == "unix" else asyncio.open_connection(host, int(port))
        reader, writer = await opened
        try:
            await _pour(writer, data)
            return await reader.readuntil(b"\0")
        finally:
            writer.close()


async def _pour(writer: asyncio.StreamWriter, data: AsyncIterator[bytes]) -> None:
    """Each piece behind its length; an empty one ends. A scanner that has heard enough hangs up: it has answered."""
    writer.write(b"zINSTREAM\0")
    with suppress(ConnectionError):
        async for piece in data:
            if piece:
                writer.write(struct.pack("!I", len(piece)) + piece)
                await writer.drain()
        writer.write(struct.pack("!I", 0))
        await writer.drain()


def _verdict(said: bytes) -> str | None:
    """`stream: OK`, `stream: Name FOUND`, or anything else."""
    words = said.rstrip(b"\0").decode("utf-8", "replace").removeprefix("stream: ").strip()
    if words == "OK":
        return None
    if words.endswith(" FOUND"):
        return words.removesuffix(" FOUND")
    raise NoAnswer(words[:100] or "nothing said")
