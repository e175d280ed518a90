"""A known incident: what callers are told first, till when, and the word to those who asked, once it is mended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from aiohttp import web

from web import forms
from web.console.phone import telephone
from web.forms import Bad, Text, Whole
from web.visit import Visit

HOUR = 3_600_000  # ms
LONGEST = 300  # characters a caller is told


@dataclass(frozen=True, slots=True)
class Announced:
    """What callers hear, in the body's own language, and for how many hours."""

    text: Annotated[str, Text(LONGEST)]
    hours: Annotated[int, Whole(1, 72)]


@dataclass(frozen=True, slots=True)
class Mended:
    """What those who asked are told by SMS."""

    text: Annotated[str, Text(LONGEST)]


async def show(visit: Visit) -> web.StreamResponse:
    """What is told now."""
    return _page(visit)


async def announce(visit: Visit) -> web.StreamResponse:
    """Tell every caller from now on."""
    read = forms.read(Announced, visit.form)
    if isinstance(read, Bad):
        return _page(visit, 422, read.errors)
    await telephone(visit).announce({visit.site.agency.languages[0]: read.text}, visit.now() + read.hours * HOUR)
    raise web.HTTPSeeOther("/console/phone/notice")


async def mended(visit: Visit) -> web.StreamResponse:
    """It is over."""
    read = forms.read(Mended, visit.form)
    if isinstance(read, Bad):
        return _page(visit, 422, read.errors)
    told = await telephone(visit).mended({visit.site.agency.languages[0]: read.text})
    raise web.HTTPSeeOther(f"/console/phone/notice?told={told}")


def _page(visit: Visit, status: int = 200, errors: Mapping[str, str] | None = None) -> web.Response:
    told = visit.request.query.get("told", "")
    return visit.page(
        "console/notice.html",
        status,
        notice=telephone(visit).notice(),
        errors=errors or {},
        typed={name: visit.form.get(name) for name in ("text", "hours")},
        told=told if told.isdecimal() and len(told) < 7 else "",
        longest=LONGEST,
    )
