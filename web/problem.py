"""Errors for programs: application/problem+json (RFC 9457) with a stable `code`."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from aiohttp import web

WORDS: Mapping[int, str] = {
    400: "shape",
    401: "unauthorized",
    403: "not_allowed",
    404: "not_found",
    405: "method",
    408: "timeout",
    409: "conflict",
    413: "too_big",
    415: "media_type",
    422: "rule",
    429: "too_many",
    500: "error",
    503: "busy",
}
TITLES: Mapping[int, str] = {
    400: "The body is not the JSON that was asked for",
    401: "A token is needed",
    403: "Not allowed",
    404: "No such thing",
    405: "No such method here",
    408: "The body took too long",
    409: "The ticket's state does not allow it",
    413: "The body is too big",
    415: "Another media type is asked for",
    422: "A field breaks a rule",
    429: "Too many requests",
    500: "A fault of ours",
    503: "Busy, come back later",
}


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One error. `code` never changes its meaning; `errors` names fields."""

    status: int
    code: str
    title: str
    type: str = "about:blank"
    detail: str = ""
    errors: dict[str, str] = {}


def response(
    status: int,
    code: str = "",
    *,
    detail: str = "",
    errors: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """The answer that carries it."""
    title = TITLES.get(status, "Error")
    body = Problem(status, code or WORDS.get(status, "error"), title, detail=detail, errors=dict(errors or {}))
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/problem+json", headers=headers
    )
