"""What can go wrong between us and a made-up provider over HTTP: hangs, drips, resets, answers without sense."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

HANG = 60.0  # seconds
DROP = 0.5  # seconds between two octets of a drip
LATE = 0.3  # seconds after which what was accepted late is accepted

BEFORE = ("hang", "reset_before", "late", "hang_late")  #: nothing was accepted (yet) when they strike
AFTER = (
    "hang_after", "reset_after", "drip_headers", "drip_body", "cut", "empty", "html", "bare", "null", "dict", "list",
    "early",
)  # fmt: skip
ALL = (*BEFORE, *AFTER)


async def before(fault: str, request: web.Request, accept: Callable[[], Any], later: Callable[[Any], None]) -> None:
    """Faults that strike before the deed; those that end the connection never return."""
    if fault == "hang":
        await asyncio.sleep(HANG)
    if fault in ("late", "hang_late"):

        async def afterwards() -> None:
            await asyncio.sleep(LATE)
            accept()

        later(afterwards())
    if fault == "hang_late":
        await asyncio.sleep(HANG)
    if fault in BEFORE:
        reset(request)


async def after(fault: str, request: web.Request, body: dict[str, Any], status: int = 200) -> web.StreamResponse:
    """The answer, as a fault lets it be."""
    text = json.dumps(body, ensure_ascii=False)
    match fault:
        case "hang_after":
            await asyncio.sleep(HANG)
            reset(request)
        case "reset_after":
            reset(request)
        case "drip_headers":
            return await _drip(request, b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 4000)
        case "drip_body":
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(text.encode())}\r\n\r\n"
            return await _drip(request, text.encode(), head.encode())
        case "cut":
            return web.Response(body=text.encode()[: len(text) // 2], content_type="application/json")
        case "empty":
            return web.Response(body=b"")
        case "html":
            return web.Response(text="<h1>502 Bad Gateway</h1>", status=502, content_type="text/html")
        case "bare":
            return web.json_response({})
        case "null":
            return web.json_response({**body, "entries": None}, status=status)
        case "dict":
            entries = body.get("entries")
            one = entries[0] if isinstance(entries, list) and entries else {}
            return web.json_response({**body, "entries": one}, status=status)
        case "list":
            return web.json_response([1, 2, 3])
    return web.json_response(body, status=status)


def reset(request: web.Request) -> None:
    """Cut the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError


async def _drip(request: web.Request, octets: bytes, at_once: bytes = b"") -> web.StreamResponse:
    """One octet at a time: no time-out between two reads ever ends it."""
    transport = request.transport
    if transport is not None:
        transport.write(at_once)
        for octet in octets:
            if transport.is_closing():
                break
            transport.write(bytes([octet]))
            await asyncio.sleep(DROP)
        transport.abort()
    raise ConnectionResetError
