"""Errors as answers: pages with the numbers to call for people, problem+json for programs."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from core.errors import Busy, Guarded, Locked, NotAllowed, NotFound, PasokhError, Stale, WrongInput, WrongState
from web import problem
from web.uploads import Received
from web.visit import SITE, VISIT, Visit

log = logging.getLogger(__name__)
KNOWN = frozenset({400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 500, 503})
STATUS: tuple[tuple[type[PasokhError], int], ...] = (
    (NotFound, 404),
    (NotAllowed, 403),
    (Stale, 409),
    (WrongState, 409),
    (Guarded, 409),
    (Locked, 429),
    (Busy, 503),
    (WrongInput, 422),
)


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, as HTTP: status, the stable word, headers that must go along."""

    status: int
    word: str
    headers: dict[str, str]


def of(error: PasokhError) -> Failure:
    """The HTTP side of one of core's errors."""
    status = next((code for kind, code in STATUS if isinstance(error, kind)), 500)
    wait = {"Retry-After": str(math.ceil(error.after))} if isinstance(error, Busy | Locked) else {}
    return Failure(status, error.word, wait)


@web.middleware
async def faults(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Every error leaves as a page or a problem; a fault of ours as 500, told to the log without a word of the form."""
    try:
        return await handler(request)
    except web.HTTPException as raised:
        if raised.status < 400:
            raise
        kept = {name: raised.headers[name] for name in ("Allow", "Retry-After") if name in raised.headers}
        failure = Failure(raised.status, problem.WORDS.get(raised.status, "error"), kept)
    except PasokhError as error:
        failure = of(error)
    except Exception as error:
        if _gone(request):
            raise
        log.exception("a view failed", extra={"route": _route(request)})
        away = isinstance(error, ConnectionError | TimeoutError)  # the store's, since the asker is still there
        failure = Failure(503, "busy", {"Retry-After": "5"}) if away else Failure(500, "error", {})
    return answer(request, failure)


def answer(request: web.Request, failure: Failure) -> web.Response:
    """The failure in the asker's own form."""
    if request.path.startswith("/api/"):
        return problem.response(failure.status, failure.word, headers=failure.headers)
    return page(_visit(request), failure)


def page(visit: Visit, failure: Failure) -> web.Response:
    """An error page; it needs no store."""
    shown = failure.status if failure.status in KNOWN else (400 if failure.status < 500 else 500)
    name = "console/error.html" if visit.request.path.startswith("/console") else "portal/error.html"
    title = visit.t(f"portal.error.{shown}.title")
    response = visit.page(
        name, failure.status, title=title, text=visit.t(f"portal.error.{shown}.text"),
        words=visit.form.get("text"),
    )  # fmt: skip
    response.headers.update(failure.headers)
    response.headers["Cache-Control"] = "no-store"
    return response


def _gone(request: web.Request) -> bool:
    """Has the asker hung up?"""
    return request.transport is None or request.transport.is_closing()


def _visit(request: web.Request) -> Visit:
    found: Visit | None = request.get(VISIT)
    if found is not None:
        return found
    site = request.app[SITE]
    return Visit(request, site, site.agency.language(request.path), Received())


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else ""
