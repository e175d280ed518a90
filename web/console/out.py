"""What could not be sent: parked and failed rows, to be sent again or told by hand."""

from __future__ import annotations

from aiohttp import web

from core import out
from web.visit import Visit


async def show(visit: Visit) -> web.StreamResponse:
    """The list, newest first."""
    return visit.page("console/out.html", rows=await out.dead_with_tickets(visit.parts.store, visit.actor))


async def resend(visit: Visit) -> web.StreamResponse:
    """Put a row back into the outbox."""
    await out.resend(visit.parts.store, visit.actor, int(visit.request.match_info["row"]))
    raise web.HTTPSeeOther("/console/out")


async def by_hand(visit: Visit) -> web.StreamResponse:
    """An operator told the citizen otherwise; the row is done."""
    await out.by_hand(visit.parts.store, visit.actor, int(visit.request.match_info["row"]))
    raise web.HTTPSeeOther("/console/out")
