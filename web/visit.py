"""One request with all a view needs: the site's parts, language, form, session; views take a Visit, give a response."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from core import permissions
from core.views import Actor, Session
from web import auth
from web.agency import Agency
from web.guard import Guard
from web.page import Pages
from web.ports import Parts
from web.settings import Web
from web.sign import Signer
from web.uploads import Received

HOUR = 3600 * 1000  # ms; within one the same token is given, so that a page keeps its ETag
CSRF_LIFE = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Site:
    """What all requests share."""

    parts: Parts
    settings: Web
    agency: Agency
    pages: Pages
    signer: Signer
    guard: Guard


SITE = web.AppKey("site", Site)


@dataclass(slots=True)
class Visit:
    """One request."""

    request: web.Request
    site: Site
    lang: str
    form: Received
    session: Session | None = None

    @property
    def parts(self) -> Parts:
        """What wiring handed in."""
        return self.site.parts

    @property
    def actor(self) -> Actor:
        """Who is signed in; only for routes that ask a session."""
        if self.session is None:
            raise web.HTTPUnauthorized
        return self.session.actor

    @property
    def peer(self) -> str:
        """The caller's address."""
        return auth.peer(self.request, self.site.settings.proxies)

    def now(self) -> int:
        """Now, ms UTC."""
        return self.parts.clock.now()

    def may(self, permission: str) -> bool:
        """Does the signed-in person hold it anywhere, be it for assigned tickets only?"""
        if self.session is None:
            return False
        rights = self.site.agency.rights
        return bool(permissions.units_of(self.actor, permission, rights, assigned=True, now=self.now()))

    def t(self, key: str, **facts: Any) -> str:
        """A sentence in the page's language."""
        return self.parts.say(key, self.lang, **facts)

    def defects(self, words: Sequence[str]) -> str:
        """What was odd about a message, as one line; a word nobody has worded stands for itself."""
        return self.t("console.comma").join(self._defect(word) for word in words)

    def _defect(self, word: str) -> str:
        try:
            return self.t(f"console.defect.{word}")
        except LookupError:
            return word

    def url(self, path: str) -> str:
        """An address on this site in the page's language."""
        return self.site.agency.path(path, self.lang)

    def csrf(self) -> str:
        """The token a form of this page carries."""
        return self.session.csrf if self.session else self.site.signer.sign("csrf", "", self.now() // HOUR * HOUR)

    def page(self, name: str, status: int = 200, **facts: Any) -> web.Response:
        """Render a page of the portal or the console."""
        return self.site.pages.response(name, self.lang, status, {**shared(self), **facts})


def shared(visit: Visit) -> dict[str, Any]:
    """What every template may use besides its own facts."""
    site = visit.site
    return {
        "agency": site.agency.facts(visit.lang),
        "csrf": visit.csrf(),
        "url": visit.url,
        "now": visit.now(),
        "labels": labels(visit),
        "path": visit.request.path,
        "here": site.agency.bare(visit.request.path),
        "others": site.agency.others(visit.request.path, visit.lang),
        "actor": visit.session.actor if visit.session else None,
        "may": visit.may,
        "defects": visit.defects,
    }


FIELDS = (
    "kind", "text", "service", "unit", "manager", "place", "files", "name", "phone", "mail", "answer_by",
    "code", "proof", "arrived", "channel",
)  # fmt: skip


def labels(visit: Visit) -> dict[str, str]:
    """The names of fields, for summaries of faults."""
    return {name: visit.t("portal.field." + name) for name in FIELDS}


VISIT = web.RequestKey("visit", Visit)
View = Callable[[Visit], Awaitable[web.StreamResponse]]
