"""The console's first page: what is mine, due, breached, disputed, and what could not be sent. Who reads no tickets
finds there where their own work is."""

from __future__ import annotations

from aiohttp import web

from core import desk
from core import out as failed
from core.permissions import Permission
from web.console import queue
from web.visit import Visit

VIEWS = ("mine", "new", "due", "breached", "told", "approvals", "disputed")
SHOWN = 5  # rows of each list


async def show(visit: Visit) -> web.StreamResponse:
    """Short lists, each with a way to the whole."""
    store, who = visit.parts.store, visit.actor
    if not visit.may(Permission.READ):
        return visit.page("console/home.html", lists=[], views=(), counts={}, dead=[])
    lists = [(view, await desk.queue(store, who, view, limit=SHOWN)) for view in VIEWS]
    return visit.page(
        "console/home.html",
        lists=lists,
        views=queue.VIEWS,
        counts=await desk.counts(store, who),
        dead=await failed.dead(store, who),
    )
