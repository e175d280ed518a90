"""Answers that wait for a second person: each with what the citizen said last, to be let go or sent back."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from core import asking, desk, drafts
from core.model import Way
from core.views import MessageView, TicketView
from web.visit import Visit

SHOWN = 20  # a page; the next come up as these are decided


@dataclass(frozen=True, slots=True)
class Draft:
    """A ticket, the draft on it, and the citizen's newest words."""

    ticket: TicketView
    draft: MessageView
    heard: MessageView | None


async def show(visit: Visit) -> web.StreamResponse:
    """What this person may decide about, the most urgent first."""
    store, who = visit.parts.store, visit.actor
    page = await desk.queue(store, who, "approvals", limit=SHOWN)
    found = [_draft(await desk.ticket(store, who, row.ticket)) for row in page.rows]
    return visit.page("console/approvals.html", drafts=[one for one in found if one is not None], more=page.after)


def _draft(ticket: TicketView) -> Draft | None:
    """None when it was decided meanwhile."""
    newest = list(reversed(ticket.messages))
    draft = next((one for one in newest if drafts.WAITS in one.marks), None)
    heard = next((one for one in newest if one.way == Way.IN and not asking.HIDDEN & set(one.marks)), None)
    return Draft(ticket, draft, heard) if draft is not None and "approve" in ticket.events_allowed else None
