"""`GET /health`: how the parts are, for a load balancer and a person in a hurry."""

from __future__ import annotations

import msgspec
from aiohttp import web

from web.auth import PUBLIC
from web.routes import Route
from web.visit import Visit


async def health(visit: Visit) -> web.StreamResponse:
    """200 while all parts are up, 503 when one is not; the parts by name."""
    told = visit.parts.health() if visit.parts.health is not None else {}
    parts = {str(name): str(state) for name, state in told.items()}
    bad = any(state in ("down", "failed", "red", "False") for state in parts.values())
    body = {"ok": not bad, "parts": parts}
    return web.Response(body=msgspec.json.encode(body), status=503 if bad else 200, content_type="application/json")


ROUTES = [Route("GET", "/health", health, PUBLIC)]
