"""Queues: the tickets of one view, 50 a page by key, and the box that leads to a code."""

from __future__ import annotations

from aiohttp import web

from core import codes, desk
from core.views import Page
from web.visit import Visit

VIEWS = ("mine", "new", "due", "breached", "told", "asked", "outside", "disputed", "approvals", "held", "open", "all")
PAGE = 50  # rows


async def show(visit: Visit) -> web.StreamResponse:
    """One view."""
    query = visit.request.query
    view = query.get("view", "new")
    if view not in VIEWS:
        raise web.HTTPNotFound
    q = query.get("q", "").strip()[:100]
    page = await desk.queue(visit.parts.store, visit.actor, view, q, query.get("after"), PAGE)
    return await _page(visit, view, page, q)


async def find(visit: Visit) -> web.StreamResponse:
    """A tracking code leads to its ticket, anything else to the queue of all with it."""
    q = visit.request.query.get("q", "").strip()[:100]
    code = codes.parse(q)
    page = await desk.queue(visit.parts.store, visit.actor, "all", code or q, None, PAGE)
    if code and len(page.rows) == 1:
        raise web.HTTPSeeOther(f"/console/t/{page.rows[0].ticket}")
    return await _page(visit, "all", page, q)


async def _page(visit: Visit, view: str, page: Page, q: str) -> web.Response:
    counts = await desk.counts(visit.parts.store, visit.actor)
    return visit.page("console/queue.html", view=view, views=VIEWS, page=page, q=q, counts=counts)
