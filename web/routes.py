"""A route: method, path, view, who may use it, and for forms how big their files may be."""

from __future__ import annotations

from dataclasses import dataclass

from web.auth import Access
from web.uploads import Limits
from web.visit import View

NO_FILES = Limits(many=0)


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the route table."""

    method: str
    path: str
    view: View
    access: Access
    form: Limits | None = None  #: read the body as a form within these limits, and check where it came from


def get(path: str, view: View, access: Access) -> Route:
    """A page."""
    return Route("GET", path, view, access)


def post(path: str, view: View, access: Access, limits: Limits = NO_FILES) -> Route:
    """A deed, sent by a form of ours."""
    return Route("POST", path, view, access, limits)
