"""Letters that wait for a person: beside a ticket, unreadable, from machines, returned and about nothing."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from aiohttp import web

from core import automatic, doubtful
from core.channels import Inbound, Rereading
from core.errors import Busy, Guarded, NotAllowed
from web.headers import dress
from web.visit import Visit

MARKED = ("beside", "unreadable", "no_receipt")
VIEWS = (*MARKED, *doubtful.LOOSE)
BACK = "/console/letters"


async def show(visit: Visit) -> web.StreamResponse:
    """One list of the four (`?view=`)."""
    return await _page(visit, _view(visit))


async def unreadable(visit: Visit) -> web.StreamResponse:
    """The list of what could not be read, at an address of its own."""
    return await _page(visit, "unreadable")


async def raw(visit: Visit) -> web.StreamResponse:
    """The original of a message, to be kept, not shown."""
    data = await doubtful.handed_out(visit.parts.store, visit.parts.files, visit.actor, _number(visit))
    return _original(visit, data)


async def loose_raw(visit: Visit) -> web.StreamResponse:
    """The original of a letter without a ticket."""
    return _original(visit, await doubtful.loose_original(visit.parts.store, visit.actor, _number(visit)))


async def accept(visit: Visit) -> web.StreamResponse:
    """Into its ticket."""
    return await _do(visit, "beside", _accept)


async def split(visit: Visit) -> web.StreamResponse:
    """A ticket of its own."""
    return await _do(visit, "beside", _split)


async def retry(visit: Visit) -> web.StreamResponse:
    """Read it again."""
    return await _do(visit, "unreadable", _retry)


async def receipt(visit: Visit) -> web.StreamResponse:
    """Send the receipt that was held back."""
    return await _do(visit, "no_receipt", _receipt)


async def take_up(visit: Visit) -> web.StreamResponse:
    """A ticket of what was only listed."""
    return await _do(visit, "automatic", _take_up)


async def _accept(visit: Visit, number: int) -> int:
    return await doubtful.accept(visit.parts.store, visit.actor, number)


async def _split(visit: Visit, number: int) -> int:
    parts = visit.parts
    receipt = await doubtful.split(parts.store, parts.door, parts.files, visit.actor, number, _reread(visit))
    return receipt.ticket


async def _retry(visit: Visit, number: int) -> int:
    return await doubtful.retry(visit.parts.store, visit.parts.files, visit.actor, number, _reread(visit))


async def _receipt(visit: Visit, number: int) -> int:
    return await doubtful.send_receipt(visit.parts.store, visit.actor, number)


async def _take_up(visit: Visit, number: int) -> int:
    parts = visit.parts
    return (await doubtful.take_up(parts.store, parts.door, visit.actor, number, _reread(visit))).ticket


async def _do(visit: Visit, view: str, deed: Any) -> web.StreamResponse:
    """Do it and go to the ticket; a refusal shows the list with the reason."""
    try:
        ticket = await deed(visit, _number(visit))
    except (Guarded, NotAllowed, Busy) as no:
        return await _page(visit, view, 503 if isinstance(no, Busy) else 409, no.word)
    raise web.HTTPSeeOther(f"/console/t/{ticket}")


def _reread(visit: Visit) -> doubtful.Reread:
    channel = visit.parts.channels.get("mail")
    if not isinstance(channel, Rereading):
        raise web.HTTPNotFound  # without mail there is nobody who reads letters

    async def reread(line: str | None, data: bytes) -> Inbound:
        return await channel.reread(line, data)

    return reread


async def _page(visit: Visit, view: str, status: int = 200, refused: str = "") -> web.Response:
    store, who = visit.parts.store, visit.actor
    return visit.page(
        "console/letters.html",
        status,
        view=view,
        views=VIEWS,
        marked=await doubtful.marked(store, who, view) if view in MARKED else [],
        loose=await doubtful.loose(store, who, view) if view in doubtful.LOOSE else [],
        shut=await store.read(automatic.shut_since, visit.now()),
        refused=refused,
        may_reply=visit.may("reply"),
        may_split=visit.may("split"),
    )


def _view(visit: Visit) -> str:
    view = visit.request.query.get("view", VIEWS[0])
    if view not in VIEWS:
        raise web.HTTPNotFound
    return view


def _number(visit: Visit) -> int:
    return int(visit.request.match_info["id"])


def _original(visit: Visit, data: bytes) -> web.Response:
    """Always a download of octets: nothing of a stranger's letter runs or is shown here."""
    name = quote(f"letter-{visit.request.match_info['id']}.eml")
    response = web.Response(
        body=data,
        content_type="application/octet-stream",
        headers={
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "private, no-store",
        },
    )
    dress(response, visit.request.scheme)
    return response
