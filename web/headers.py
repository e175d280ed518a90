"""The headers every answer carries: nothing inline, nothing foreign, nothing sniffed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; media-src 'self' blob:; worker-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; report-uri /csp"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), geolocation=(self), camera=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}
HSTS = "max-age=31536000"


@web.middleware
async def headers(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Put the house's headers on whatever goes out, redirects and errors too."""
    try:
        response = await handler(request)
    except web.HTTPException as raised:
        dress(raised, request.scheme)
        raise
    if not response.prepared:
        dress(response, request.scheme)
    return response


def dress(response: web.StreamResponse, scheme: str = "") -> None:
    """Add what the answer has not set itself. A streamed answer is dressed before its first octet."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if scheme == "https":
        response.headers.setdefault("Strict-Transport-Security", HSTS)
