"""Kept files as answers: attachments for good, sound in place and by Range."""

from __future__ import annotations

import re
from contextlib import aclosing
from urllib.parse import quote

from aiohttp import web

from core.channels import KeptFile
from web.headers import dress
from web.visit import Visit

RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})\Z")
SANDBOX = "default-src 'none'; sandbox"


async def serve(visit: Visit, kept: KeptFile) -> web.StreamResponse:
    """The file as an attachment that runs nothing; sound in place. A single Range is heeded, RFC 9110 s 14.

    One that is not known to be free of viruses, where a scanner is asked, is nobody's to get: 403.
    """
    if kept.held:
        raise web.HTTPForbidden
    asked = _span(visit.request.headers.get("Range", ""), kept.size)
    if asked == (0, 0):
        raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{kept.size}"})
    start, end = asked or (0, kept.size)
    response = web.StreamResponse(status=206 if asked else 200, headers=_headers(kept))
    if asked:
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{kept.size}"
    response.content_length = end - start
    dress(response, visit.request.scheme)
    await response.prepare(visit.request)
    if visit.request.method != "HEAD":
        await _pour(visit, response, kept.key, start, end)
    await response.write_eof()
    return response


async def _pour(visit: Visit, response: web.StreamResponse, key: str, start: int, end: int) -> None:
    """Write the octets; what breaks off in the middle ends the connection, so that nobody takes it for the whole."""
    try:
        async with aclosing(visit.parts.files.stream(key, start, end)) as parts:  # who hangs up must not keep it open
            async for part in parts:
                await response.write(part)
    except Exception:
        if visit.request.transport is not None:
            visit.request.transport.abort()
        raise


def _headers(kept: KeptFile) -> dict[str, str]:
    way = "inline" if kept.type.startswith("audio/") else "attachment"
    return {
        "Content-Type": kept.type,
        "Content-Disposition": f"{way}; filename*=UTF-8''{quote(kept.name, safe='', errors='replace')}",
        "Content-Security-Policy": SANDBOX,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-store",
    }


def _span(asked: str, size: int) -> tuple[int, int] | None:
    """Octets (from, to exclusive) of a Range; None = the whole; (0, 0) = nothing there."""
    match = RANGE.match(asked.strip())
    if match is None or match[1] + match[2] == "":
        return None
    if not match[1]:
        return (max(size - int(match[2]), 0), size) if int(match[2]) and size else (0, 0)
    start = int(match[1])
    end = min(int(match[2]) + 1, size) if match[2] else size
    return (start, end) if start < end else (0, 0)
