"""How a body's mail lines stand, and a trial of one: for the page of staff who look after them."""

from __future__ import annotations

import asyncio
import contextlib

from core.channels import Trial, WayIn
from gateway.mail.imap import Down, Session, Unfit
from gateway.mail.listen import Listener
from gateway.mail.settings import LineSettings
from gateway.mail.watch import Watch

PATIENCE = 10.0  # seconds for each half of a trial
UNKNOWN_PEER = b"PROXY UNKNOWN\r\n"  # what a proxy says of its own checks


def listening(name: str, listener: Listener) -> WayIn:
    """A port or socket: open connections, letters that await their verdict."""
    line = listener.line
    place = line.socket or f"{line.bind}:{listener.port}"
    facts = {"connections": len(listener.links), "letters": len(listener.tasks)}
    return WayIn(name, line.kind, place, "up", "", facts)


def watched(name: str, line: LineSettings, watch: Watch) -> WayIn:
    """A mailbox: letters that could not be had, taken or marked so far."""
    assert line.imap is not None
    place = f"{line.imap.user}@{line.imap.host}:{line.imap.port}/{line.imap.folder}"
    return WayIn(name, line.kind, place, watch.state(), watch.trouble, {"stuck": watch.stuck()})


async def trial(line: LineSettings, port: int) -> list[Trial]:
    """Is the way in open, and does the relay answer? Nothing is sent."""
    inward = _mailbox(line) if line.kind == "imap" else _port(line, port)
    return [Trial("in", await _why(inward)), Trial("out", await _why(_greeted(line.relay_host, line.relay_port)))]


async def _why(check: asyncio.Future[None] | object) -> str:
    """'' when it went well."""
    try:
        async with asyncio.timeout(PATIENCE):
            await check  # type: ignore[misc]
    except TimeoutError:
        return "no answer in time"
    except (*Down, Unfit) as error:
        return f"{type(error).__name__}: {error}"[:200]
    return ""


async def _mailbox(line: LineSettings) -> None:
    assert line.imap is not None
    session = await asyncio.to_thread(Session, line.imap)
    await asyncio.to_thread(session.close)


async def _port(line: LineSettings, port: int) -> None:
    host = line.bind if line.bind not in ("0.0.0.0", "::") else "127.0.0.1"
    if line.socket:
        await _talk(*await asyncio.open_unix_connection(line.socket))
    else:
        reader, writer = await asyncio.open_connection(host, port)
        await _talk(reader, writer, UNKNOWN_PEER if any(n.startswith("127.") for n in line.proxy) else b"")


async def _greeted(host: str, port: int) -> None:
    await _talk(*await asyncio.open_connection(host, port))


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes = b"") -> None:
    """The greeting must be 220; then goodbye."""
    try:
        writer.write(first)
        said = await reader.readline()
        if not said.startswith(b"220"):
            raise Unfit(said[:100].decode("ascii", "replace").strip() or "hung up")
        writer.write(b"QUIT\r\n")
        await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
