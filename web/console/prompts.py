"""The listening page: every sentence callers hear, which are synthetic, and the permit to speak one by phone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from aiohttp import web

from web import forms
from web.console.phone import telephone
from web.forms import Bad, Word
from web.visit import Visit


@dataclass(frozen=True, slots=True)
class Sentence:
    """Which sentence."""

    key: Annotated[str, Word(100)]
    lang: Annotated[str, Word(5)]
    unit: Annotated[str | None, Word(40)] = None  #: a unit's own of it


async def show(visit: Visit) -> web.StreamResponse:
    """All sentences of one language."""
    return _page(visit, _language(visit, visit.request.query.get("in", visit.lang)))


async def permit(visit: Visit) -> web.StreamResponse:
    """Eight digits for speaking a sentence by phone, shown once."""
    asked = _asked(visit)
    digits = telephone(visit).permit(asked.key, asked.lang, visit.actor.name, asked.unit or "")
    if digits is None:
        raise web.HTTPNotFound
    return _page(visit, asked.lang, asked.key, digits)


async def withdraw(visit: Visit) -> web.StreamResponse:
    """Back from a recording by phone to what was there before it."""
    asked = _asked(visit)
    if not await telephone(visit).withdraw(asked.key, asked.lang):
        raise web.HTTPNotFound
    raise web.HTTPSeeOther(f"/console/phone/prompts?in={asked.lang}#{asked.key}")


async def sound(visit: Visit) -> web.StreamResponse:
    """A sentence as a caller hears it, as WAV."""
    match = visit.request.match_info
    data = await telephone(visit).sound(match["key"], _language(visit, match["lang"]))
    if data is None:
        raise web.HTTPNotFound
    return web.Response(body=data, content_type="audio/x-wav", headers={"Cache-Control": "private, no-store"})


def _page(visit: Visit, lang: str, key: str = "", digits: str = "") -> web.Response:
    panel = telephone(visit)
    rows = panel.prompts(lang)
    return visit.page(
        "console/prompts.html",
        rows=rows, spoken=lang, langs=visit.site.agency.languages, key=key, code=digits,
        units=visit.site.agency.offices(visit.lang),
        unit_name=lambda slug: visit.parts.config.units.name(slug, visit.lang),
        numbers=panel.staff_numbers(), synthetic=sum(not row.recorded for row in rows),
    )  # fmt: skip


def _asked(visit: Visit) -> Sentence:
    read = forms.read(Sentence, visit.form)
    if isinstance(read, Bad):
        raise web.HTTPBadRequest
    _language(visit, read.lang)
    return read


def _language(visit: Visit, lang: str) -> str:
    if lang not in visit.site.agency.languages:
        raise web.HTTPNotFound
    return lang
