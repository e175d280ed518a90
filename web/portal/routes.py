"""The portal's route table, once for each language's prefix."""

from __future__ import annotations

from web.auth import PUBLIC
from web.portal import directory, home, new, track
from web.routes import Route, get, post
from web.uploads import Limits


def routes(prefix: str) -> list[Route]:
    """All pages of the portal below `prefix` ('' or '/en')."""
    files = Limits()
    pages = [
        get(f"{prefix}/new", new.show, PUBLIC),
        post(f"{prefix}/new", new.send, PUBLIC, files),
        get(f"{prefix}/track", track.show, PUBLIC),
        post(f"{prefix}/track", track.look, PUBLIC),
        post(f"{prefix}/track/act", track.act, PUBLIC, files),
        post(f"{prefix}/track/file", track.file, PUBLIC),
        get(f"{prefix}/people", directory.people, PUBLIC),
        get(f"{prefix}/units", directory.units, PUBLIC),
        get(f"{prefix}/units/{{slug}}", directory.unit, PUBLIC),
        get(f"{prefix}/services", directory.services, PUBLIC),
        get(f"{prefix}/services/{{slug}}", directory.service, PUBLIC),
        get(f"{prefix}/help", home.help_, PUBLIC),
        get(f"{prefix}/privacy", home.privacy, PUBLIC),
        get(f"{prefix}/accessibility", home.accessibility, PUBLIC),
    ]
    if prefix:
        return [get(prefix, home.show, PUBLIC), get(f"{prefix}/", home.show, PUBLIC), *pages]
    return [get("/", home.show, PUBLIC), Route("POST", "/csp", home.csp, PUBLIC), *pages]
