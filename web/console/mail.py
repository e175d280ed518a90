"""The lines of letters: how each way in stands, the workers and the virus scanner behind them, and a trial of each."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from core.channels import Trial, Tried
from core.errors import NotFound
from web.visit import Visit


async def show(visit: Visit) -> web.StreamResponse:
    """All lines, without a trial."""
    return _page(visit, "", ())


async def trial(visit: Visit) -> web.StreamResponse:
    """Try one line both ways and tell what came of it. Nothing is sent. Raises NotFound."""
    line = visit.request.match_info["line"]
    channel = _channel(visit)
    if channel is None:
        raise NotFound("no mail line")
    return _page(visit, line, await channel.trial(line))


def _page(visit: Visit, line: str, trials: Sequence[Trial]) -> web.Response:
    channel = _channel(visit)
    told = visit.parts.health() if visit.parts.health is not None else {}
    return visit.page(
        "console/mail.html",
        ways=channel.ways_in() if channel else (),
        hands=channel.hands() if channel else None,
        scanner=told.get("scanner"),
        tried=line,
        trials=trials,
    )


def _channel(visit: Visit) -> Tried | None:
    found = visit.parts.channels.get("mail")
    return found if isinstance(found, Tried) else None
