"""The telephone in the console: menus with their pictures, a call without a telephone, calls in progress."""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web
from markupsafe import Markup

from web.visit import Visit

KEYS = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#")
DEEDS = ("r5", ".", "o", "n", "h")  # speaks, is silent, an operator comes, nobody comes, hangs up
WORD = re.compile(r"(r\d{1,3}|[0-9*#]|[.onh])\Z")
WORDY = ("calls", "says", "nobody", "hangs", "leaves", "answers")  # what follows them says no more
LONGEST = 120  # words of a rehearsed call


def telephone(visit: Visit) -> Any:
    """The phone's panel. Raises HTTPNotFound where there are no lines."""
    if visit.parts.telephone is None:
        raise web.HTTPNotFound
    return visit.parts.telephone


async def show(visit: Visit) -> web.StreamResponse:
    """Menus with their numbers, and what was wrong with the files at the last reload."""
    panel = telephone(visit)
    return visit.page(
        "console/phone.html",
        menus=panel.menus(),
        missed=panel.missed_numbers(),
        faults=panel.faults,
        done=visit.request.query.get("done") == "1",
    )


async def reload(visit: Visit) -> web.StreamResponse:
    """Read the files again; faulty ones are named and the old ones stay."""
    faults = await telephone(visit).reload()
    raise web.HTTPSeeOther("/console/phone" if faults else "/console/phone?done=1")


async def menu(visit: Visit) -> web.StreamResponse:
    """One menu as a picture."""
    name = visit.request.match_info["name"]
    picture = telephone(visit).picture(name, visit.lang)
    if picture is None:
        raise web.HTTPNotFound
    return visit.page("console/menu.html", menu=name, picture=Markup(picture))


async def simulator(visit: Visit) -> web.StreamResponse:
    """The very machine that callers meet, driven by buttons; the whole call stands in the address."""
    panel, query = telephone(visit), visit.request.query
    names = [menu.name for menu in panel.menus()]
    name, lang = query.get("menu", names[0]), query.get("in", visit.lang)
    words = _words(query.get("keys", ""), query.get("press", ""))
    known = {"open": "closed" not in query, "holiday": "holiday" in query, "asserted": "claimed" not in query}
    if name not in names or lang not in visit.site.agency.languages:
        raise web.HTTPNotFound
    view = panel.rehearse(name, lang, " ".join(words), _units(visit, lang), known)
    return visit.page(
        "console/simulator.html",
        names=names, menu=name, spoken=lang, langs=visit.site.agency.languages, words=words, known=known, view=view,
        keys=KEYS, acts=DEEDS, back=" ".join(words[:-1]), told=lambda word: _named(visit, "console.phone.act.", word),
        done=lambda words: _done(visit, words),
    )  # fmt: skip


async def calls(visit: Visit) -> web.StreamResponse:
    """Calls in progress."""
    panel = telephone(visit)
    return visit.page("console/calls.html", calls=panel.calls(), counts=panel.counts())


def _words(typed: str, pressed: str) -> list[str]:
    """What was pressed so far, and now; what is no word is left out."""
    found = [word for word in typed.split() if WORD.match(word)]
    if pressed == "undo":
        found = found[:-1]
    elif WORD.match(pressed):
        found.append(pressed)
    return found[:LONGEST]


def _units(visit: Visit, lang: str) -> dict[str, str]:
    units = visit.parts.config.units
    return {unit.extension: units.name(unit.slug, lang) for unit in units if unit.extension}


def _done(visit: Visit, words: str) -> str:
    """What somebody does in a rehearsed call, in the page's language: `presses 1`, `rings water`."""
    verb, _, rest = words.replace("hands over", "hands").replace("answers,", "answers").partition(" ")
    try:
        return f"{visit.t('console.phone.line.' + verb)} {rest if verb not in WORDY else ''}".strip()
    except LookupError:
        return words


def _named(visit: Visit, prefix: str, word: str) -> str:
    names = {"r5": "speak", ".": "silent", "o": "operator", "n": "nobody", "h": "hang_up"}
    return visit.t(prefix + names[word])
