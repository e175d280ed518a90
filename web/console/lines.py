"""The lines of text messages: how each way stands, what today cost, and a hand to pause and resume them."""

from __future__ import annotations

from aiohttp import web

from core.channels import Lined, LineView
from core.errors import NotFound
from web.visit import Visit

WHY = 200  # characters of a reason


async def show(visit: Visit) -> web.StreamResponse:
    """All lines of all channels that have such."""
    found: list[tuple[str, LineView]] = []
    for name, channel in visit.parts.channels.items():
        if isinstance(channel, Lined):
            found += [(name, line) for line in await channel.lines()]
    return visit.page("console/lines.html", lines=found)


async def pause(visit: Visit) -> web.StreamResponse:
    """Send nothing by a line; texts wait in the outbox."""
    why = visit.form.get("why").strip()[:WHY] or visit.t("console.lines.by_hand")
    await _deed(visit).pause(visit.request.match_info["line"], f"{why} ({visit.actor.name})")
    raise web.HTTPSeeOther("/console/lines")


async def resume(visit: Visit) -> web.StreamResponse:
    """Send again."""
    await _deed(visit).resume(visit.request.match_info["line"])
    raise web.HTTPSeeOther("/console/lines")


def _deed(visit: Visit) -> Lined:
    """The channel of the address. Raises NotFound."""
    channel = visit.parts.channels.get(visit.request.match_info["channel"])
    if not isinstance(channel, Lined):
        raise NotFound("no such channel")
    return channel
