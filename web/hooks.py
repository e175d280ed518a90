"""Call-backs of providers: bytes in, the channel's answer out. The secret in the path is the channel's to judge."""

from __future__ import annotations

from aiohttp import web

from core.channels import RawRequest
from web import auth
from web.routes import Route
from web.uploads import octets
from web.visit import Visit


async def sms(visit: Visit) -> web.StreamResponse:
    """`GET|POST /hooks/sms/{line}/{secret}`: hand the request to the SMS channel; 404 where there is none."""
    hooked = visit.parts.hooks.get("sms")
    if hooked is None:
        raise web.HTTPNotFound
    request = visit.request
    raw = RawRequest(
        method=request.method,
        query=dict(request.query),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=await octets(request),
        peer=visit.peer,
    )
    reply = await hooked.hook(request.match_info["line"], request.match_info["secret"], raw)
    return web.Response(status=reply.status, body=reply.body, headers=dict(reply.headers))


ROUTES = [Route(method, "/hooks/sms/{line}/{secret}", sms, auth.SECRET) for method in ("GET", "POST")]
