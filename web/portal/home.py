"""The front page, the pages that only say something, and the place for policy reports."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

from aiohttp import web

from web.uploads import octets
from web.visit import Visit

log = logging.getLogger(__name__)
REPORT = 8 * 1024  # octets of a policy report
MINUTE = "public, max-age=60"


async def show(visit: Visit) -> web.StreamResponse:
    """The front page: code box, doors, numbers."""
    return public(visit, "portal/home.html")


async def help_(visit: Visit) -> web.StreamResponse:
    """How to speak up and follow."""
    return public(visit, "portal/help.html")


async def privacy(visit: Visit) -> web.StreamResponse:
    """What is kept of a message, and for how long."""
    return public(visit, "portal/privacy.html")


async def accessibility(visit: Visit) -> web.StreamResponse:
    """What works for whom, and whom to tell when it does not."""
    return public(visit, "portal/accessibility.html")


async def csp(visit: Visit) -> web.StreamResponse:
    """A browser's report of broken policy: counted by its kind alone, thrown away."""
    await octets(visit.request, REPORT)
    log.warning("a browser reported broken content policy")
    return web.Response(status=204)


def public(visit: Visit, name: str, **facts: Any) -> web.StreamResponse:
    """A page that is the same for everybody for a minute, with an ETag of its words.

    Its CSRF token is signed to the hour, so that the page stays the same within it.
    """
    response = visit.page(name, **facts)
    response.headers["Cache-Control"] = MINUTE
    body = response.body if isinstance(response.body, bytes) else b""
    etag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    response.headers["ETag"] = etag
    if visit.request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers={"ETag": etag, "Cache-Control": MINUTE})
    return response
