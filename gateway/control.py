"""A socket in the data folder by which commands reach the running program: one line of JSON there, one back.

Only who may read the data folder can speak to it (0600), so it asks for no password.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from core.errors import PasokhError

log = logging.getLogger("pasokh.control")

NAME = "control"
LONGEST = 100  # octets of a path the system takes for a socket
MOST = 1 << 20  # octets of a line
PATIENCE = 120.0  # seconds a command may take

Deed = Callable[[Mapping[str, Any]], Awaitable[Any]]


class NotRunning(Exception):
    """No program runs on this folder."""


class Control:
    """Listens in `folder`. `deeds` by name get the fields of a command and return what JSON can hold."""

    def __init__(self, folder: Path, deeds: Mapping[str, Deed]) -> None:
        self._path, self._deeds = folder / NAME, deeds
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen, unless the folder's path is too long for a socket: then commands cannot reach us."""
        if len(os.fsencode(self._path)) > LONGEST:
            log.warning("the data folder's path is too long for a control socket")
            return
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, str(self._path), limit=MOST)
        finally:
            os.umask(before)

    async def stop(self, drain: float) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            told = await self._answer(await reader.readline())
            writer.write(json.dumps(told, ensure_ascii=False).encode() + b"\n")
            await writer.drain()
        except (ConnectionError, ValueError):
            log.info("a command was not whole")
            writer.transport.abort()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            asked = json.loads(line)
            return {"told": await self._deeds[str(asked["deed"])](asked)}
        except (ValueError, KeyError, TypeError):
            return {"fault": "no such command"}
        except PasokhError as error:
            return {"fault": str(error) or error.word}
        except Exception as error:
            log.exception("a command failed")
            return {"fault": type(error).__name__}


async def ask(folder: Path, deed: str, **fields: Any) -> Any:
    """What the running program says. Raises NotRunning, RuntimeError with its reason."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(folder / NAME), limit=MOST)
    except OSError:
        raise NotRunning(f"no pasokh runs on {folder}") from None
    try:
        writer.write(json.dumps({"deed": deed, **fields}).encode() + b"\n")
        answer = json.loads(await asyncio.wait_for(reader.readline(), PATIENCE))
    finally:
        writer.close()
    if "fault" in answer:
        raise RuntimeError(answer["fault"])
    return answer["told"]
