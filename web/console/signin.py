"""Sign-in and sign-out of staff, and the check that somebody is signed in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from aiohttp import web

from core import factors, people
from core.people import Denied, Enrolled, NeedSecond
from core.permissions import Permission
from core.views import Session
from web import auth, forms
from web.auth import Access
from web.console import me
from web.forms import Bad, Line, Secret
from web.visit import Visit

HALF_WAY = 5 * 60_000  # ms between password and second factor
NEXT = re.compile(r"/console/[!-\[\]-~]*")  # printable, no backslash


@dataclass(frozen=True, slots=True)
class Login:
    """The sign-in form."""

    user: Annotated[str, Line(64)]
    password: Annotated[str, Secret(256)]


async def admit(visit: Visit, access: Access) -> None:
    """Find the session behind the cookie and its right to the route.

    Raises HTTPSeeOther to the sign-in page for a page, HTTPUnauthorized for a deed, HTTPForbidden without the right.
    """
    visit.session = await _session(visit)
    if visit.session is None:
        if visit.request.method in ("GET", "HEAD"):
            raise web.HTTPSeeOther(f"/console/login?next={quote(visit.request.rel_url.raw_path_qs, safe='/')}")
        raise web.HTTPUnauthorized
    if access.permission and not visit.may(access.permission):
        _elsewhere(visit)
        raise web.HTTPForbidden


def _elsewhere(visit: Visit) -> None:
    """Who may read no ticket begins where they may be."""
    places = {Permission.SETTINGS: "/console/phone", Permission.NOTICES: "/console/phone/notice"}
    if visit.request.path in ("/console", "/console/") and visit.parts.telephone is not None:
        for permission, place in places.items():
            if visit.may(permission):
                raise web.HTTPSeeOther(place)


async def show(visit: Visit) -> web.StreamResponse:
    """The sign-in form."""
    return _form(visit, "", "", 200)


async def enter(visit: Visit) -> web.StreamResponse:
    """Sign in. Any failure is one sentence, whatever was wrong."""
    read = forms.read(Login, visit.form)
    if isinstance(read, Bad):
        return _form(visit, "not_found", visit.form.get("user"), 422)
    found = await people.sign_in(visit.parts.store, read.user, read.password, auth.bucket(visit.peer))
    if isinstance(found, NeedSecond):
        return await _ask(visit, found.staff, "", 200)
    if isinstance(found, Denied):
        return _refused(visit, read.user, found.after)
    return await _let_in(visit, found, web.Response(status=303, headers={"Location": _next(visit)}))


async def second(visit: Visit) -> web.StreamResponse:
    """The second factor, within five minutes of the password; a first right code enrols and shows recovery codes."""
    signed = visit.site.signer.fresh("second", visit.form.get("pass"), visit.now(), HALF_WAY)
    if signed is None:
        return _form(visit, "expired", "", 422)
    number = int(signed.value)
    found = await people.second(visit.parts.store, number, visit.form.get("code"), auth.bucket(visit.peer))
    if isinstance(found, Denied):
        response = await _ask(visit, number, "locked" if found.after else "wrong_code", 429 if found.after else 422)
        if found.after:
            response.headers["Retry-After"] = str(round(found.after) + 1)
        return response
    if isinstance(found, Enrolled):
        page = visit.page("console/recovery.html", codes=found.recovery, next=_next(visit))
        return await _let_in(visit, found.session, page)
    return await _let_in(visit, found, web.Response(status=303, headers={"Location": _next(visit)}))


async def _let_in(visit: Visit, session: Session, response: web.Response) -> web.Response:
    """Whoever signs in anew leaves no older session behind."""
    if _token(visit):
        await people.sign_out(visit.parts.store, _token(visit))
    auth.set_cookie(visit.request, response, session.token)
    return response


async def _ask(visit: Visit, number: int, error: str, status: int) -> web.Response:
    """The form for a code; who has no factor yet is shown the secret to put into a telephone."""
    store = visit.parts.store
    confirmed = (await factors.standing(store, number)).confirmed_at is not None
    shown = {} if confirmed else await me.shown(visit, number)
    return visit.page(
        "console/second.html", status, error=error, enrols=not confirmed, next=_after(visit), **shown,
        half=visit.site.signer.sign("second", number, visit.now()),
    )  # fmt: skip


def _refused(visit: Visit, user: str, after: float) -> web.Response:
    if not after:
        return _form(visit, "not_found", user, 422)
    response = _form(visit, "locked", user, 429)
    response.headers["Retry-After"] = str(round(after) + 1)
    return response


async def leave(visit: Visit) -> web.StreamResponse:
    """Sign out: the session ends in the store, too."""
    await people.sign_out(visit.parts.store, _token(visit))
    response = web.Response(status=303, headers={"Location": "/console/login"})
    auth.set_cookie(visit.request, response, "")
    return response


async def _session(visit: Visit) -> Session | None:
    token = _token(visit)
    return await people.session_of(visit.parts.store, token) if token else None


def _token(visit: Visit) -> str:
    return visit.request.cookies.get(auth.cookie_name(visit.request), "")


def _next(visit: Visit) -> str:
    """Only a page of the console itself may come next."""
    wanted = visit.form.get("next")
    return wanted if NEXT.fullmatch(wanted) else "/console/"


def _form(visit: Visit, error: str, user: str, status: int) -> web.Response:
    return visit.page("console/login.html", status, error=error, user=user, next=_after(visit))


def _after(visit: Visit) -> str:
    return visit.form.get("next") or visit.request.query.get("next", "")
