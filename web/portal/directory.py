"""People, units and services of the agency, as the configuration publishes them."""

from __future__ import annotations

from aiohttp import web

from core import text
from web.portal.home import public
from web.visit import Visit


async def people(visit: Visit) -> web.StreamResponse:
    """Managers and their addresses; `q` and `unit` narrow the list."""
    q, unit_slug = visit.request.query.get("q", "")[:100], visit.request.query.get("unit", "")
    rows = [
        one
        for one in visit.site.agency.people(visit.lang)
        if (not unit_slug or one.unit == unit_slug) and _matches(q, one.name, one.post, one.unit_name)
    ]
    return public(visit, "portal/people.html", rows=rows, q=q, unit_slug=unit_slug,
                  units=visit.site.agency.units(visit.lang))  # fmt: skip


async def units(visit: Visit) -> web.StreamResponse:
    """All units, as a tree."""
    return public(visit, "portal/units.html", rows=visit.site.agency.units(visit.lang))


async def unit(visit: Visit) -> web.StreamResponse:
    """One unit: what it does, where it is, who and what belongs to it."""
    agency, slug = visit.site.agency, visit.request.match_info["slug"]
    found = next((one for one in agency.units(visit.lang) if one.slug == slug), None)
    if found is None:
        raise web.HTTPNotFound
    return public(
        visit,
        "portal/unit.html",
        unit=found,
        people=[one for one in agency.people(visit.lang) if one.unit == slug],
        services=[one for one in agency.services(visit.lang) if one.unit == slug],
    )


async def services(visit: Visit) -> web.StreamResponse:
    """The catalogue; `q` narrows it."""
    q = visit.request.query.get("q", "")[:100]
    rows = [one for one in visit.site.agency.services(visit.lang) if _matches(q, one.title, one.about, one.unit_name)]
    return public(visit, "portal/services.html", rows=rows, q=q)


async def service(visit: Visit) -> web.StreamResponse:
    """A service's identity card."""
    slug = visit.request.match_info["slug"]
    found = next((one for one in visit.site.agency.services(visit.lang) if one.slug == slug), None)
    if found is None:
        raise web.HTTPNotFound
    return public(visit, "portal/service.html", service=found)


def _matches(q: str, *words: str) -> bool:
    wanted = text.words(q)
    held = " ".join(text.fold(word) for word in words)
    return all(word in held for word in wanted)
