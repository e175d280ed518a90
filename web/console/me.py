"""One's own account: the second factor, its enrolment and recovery codes."""

from __future__ import annotations

from typing import Any

import segno
from aiohttp import web
from markupsafe import Markup

from core import factors, people
from core.errors import WrongState
from core.people import Denied
from web import auth
from web.visit import Visit


async def show(visit: Visit) -> web.StreamResponse:
    """How one stands."""
    return await _page(visit)


async def begin(visit: Visit) -> web.StreamResponse:
    """The secret to put into a telephone; a right code then makes it count."""
    try:
        return await _page(visit, **await shown(visit, visit.actor.staff))
    except WrongState:
        return await _page(visit, 409, error="wrong_state")


async def confirm(visit: Visit) -> web.StreamResponse:
    """A right code: the factor counts from now on, or recovery codes are made anew. They are shown this once."""
    found = await people.prove(visit.parts.store, visit.actor, visit.form.get("code"), auth.bucket(visit.peer))
    if not isinstance(found, Denied):
        return visit.page("console/recovery.html", codes=found, next="/console/me")
    unfinished = (await factors.standing(visit.parts.store, visit.actor.staff)).confirmed_at is None
    more = await shown(visit, visit.actor.staff) if unfinished else {}
    response = await _page(visit, 429 if found.after else 422, "locked" if found.after else "wrong_code", **more)
    if found.after:
        response.headers["Retry-After"] = str(round(found.after) + 1)
    return response


async def shown(visit: Visit, number: int) -> dict[str, Any]:
    """A secret that is not confirmed yet, as picture and in groups of four letters. Raises WrongState."""
    secret = await factors.begin(visit.parts.store, number)
    login = next((one.login for one in await people.colleagues(visit.parts.store) if one.staff == number), "")
    agency = visit.parts.config.agency
    address = factors.address(secret, login, agency.short.get("en") or next(iter(agency.short.values())))
    drawn = segno.make(address, error="m").svg_inline(
        scale=5, border=2, dark="#16211f", light="#ffffff", omitsize=True, title=visit.t("console.factor.qr")
    )
    letters = factors.spelled(secret)
    groups = " ".join(letters[n : n + 4] for n in range(0, len(letters), 4))
    return {"qr": Markup(drawn.replace("<svg ", '<svg role="img" ', 1)), "secret": groups}


async def _page(visit: Visit, status: int = 200, error: str = "", **more: Any) -> web.Response:
    standing = await factors.standing(visit.parts.store, visit.actor.staff)
    return visit.page("console/me.html", status, standing=standing, error=error, **{"qr": "", "secret": "", **more})
