"""The route table and the application: every route names its Access, every answer carries the headers."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from web import api, assets, auth, csrf, errors, guard, health, hooks, page, settings
from web.agency import Agency
from web.auth import Access, By
from web.console import signin
from web.console.routes import ROUTES as CONSOLE
from web.headers import headers
from web.page import Pages
from web.portal.routes import routes as portal
from web.ports import Parts
from web.routes import Route
from web.sign import Signer
from web.uploads import FIELDS, Received, receive
from web.visit import SITE, VISIT, Site, Visit

KEEPALIVE = 10.0  # seconds; slow headers are cut by it alone


def make(parts: Parts) -> web.Application:
    """The application for `web.AppRunner(app, keepalive_timeout=KEEPALIVE)`."""
    site = build_site(parts)
    app = web.Application(middlewares=[headers, errors.faults], client_max_size=FIELDS)
    app[SITE] = site
    for route in table(site):
        mount(app, route)
    return app


def build_site(parts: Parts) -> Site:
    """All that requests share, from what wiring hands in."""
    chosen = settings.of(parts.config)
    agency = Agency(parts.config)
    pages = Pages(page.environment(), parts.say, assets.load(), parts.clock, agency.zone)
    signer = Signer(parts.keyring.key("web"))
    return Site(parts, chosen, agency, pages, signer, guard.make(signer, chosen, parts.clock))


def table(site: Site) -> list[Route]:
    """Every route there is: portal pages once per language, the console, the API, hooks, files."""
    pages = [route for lang in site.agency.languages for route in portal(site.agency.prefix(lang))]
    return [*pages, *CONSOLE, *api.routes(), *hooks.ROUTES, *health.ROUTES, *_static(site)]


def _static(site: Site) -> list[Route]:
    async def static(visit: Visit) -> web.StreamResponse:
        return await site.pages.assets.serve(visit.request)

    return [Route("GET", "/static/{name}", static, auth.PUBLIC)]


def mount(app: web.Application, route: Route) -> None:
    """Put one route into the application; one without an Access stops the start."""
    if not isinstance(route.access, Access):
        raise TypeError(f"{route.method} {route.path} names no Access")

    async def handle(request: web.Request) -> web.StreamResponse:
        return await _serve(request, route)

    handle.__name__ = getattr(route.view, "__name__", "view")
    app.router.add_route(route.method, route.path, handle)
    if route.method == "GET":
        app.router.add_route("HEAD", route.path, handle)


def _may_keep(visit: Visit, route: Route) -> Callable[[], bool]:
    """Staff keep files as they need; strangers within their address's budget."""
    if route.access.by is By.SESSION:
        return lambda: True
    return lambda: visit.site.guard.file(visit.peer) is None


async def _serve(request: web.Request, route: Route) -> web.StreamResponse:
    visit = Visit(request, request.app[SITE], request.app[SITE].agency.language(request.path), Received())
    request[VISIT] = visit
    if route.access.by is By.SESSION:
        await signin.admit(visit, route.access)
    if route.form is not None:
        csrf.check_origin(visit)  # before anything of it is kept
        visit.form = await receive(request, visit.parts.door, route.form, _may_keep(visit, route))
        csrf.check(visit)
    return await route.view(visit)
