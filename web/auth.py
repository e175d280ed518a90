"""Who may use a route: its Access, the staff session behind a cookie, the token behind a header, and CSRF."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from aiohttp import web

DAY = 24 * 3600 * 1000  # ms a portal form's token holds
COOKIE = "__Host-pasokh"
LOOPBACK_COOKIE = "pasokh"  # without Secure, plain HTTP on loopback only


class By(StrEnum):
    """How a route's caller is known."""

    PUBLIC = "public"
    SESSION = "session"
    TOKEN = "token"
    SECRET = "secret"  # a provider's secret in the path, judged by its channel


@dataclass(frozen=True, slots=True)
class Access:
    """What a route asks of its caller. A session's or token's owner must hold `permission` somewhere;
    whether it holds for the very thing is core's question. A token must also carry `scope`."""

    by: By
    permission: str = ""
    scope: str = ""


PUBLIC = Access(By.PUBLIC)
SECRET = Access(By.SECRET)
SIGNED_IN = Access(By.SESSION)


def session(permission: str) -> Access:
    """For a signed-in operator who holds `permission`."""
    return Access(By.SESSION, permission)


def token(scope: str, permission: str) -> Access:
    """For an API token with `scope` whose owner holds `permission`."""
    return Access(By.TOKEN, permission, scope)


class Origin(StrEnum):
    """Where an unsafe request came from, as far as the browser says."""

    OURS = "ours"
    FOREIGN = "foreign"
    UNSAID = "unsaid"  # then the form's signed token decides


def origin(request: web.Request, origins: Sequence[str]) -> Origin:
    """Sec-Fetch-Site, when present, alone decides; else Origin against our list; else nothing is said."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return Origin.OURS if site == "same-origin" else Origin.FOREIGN
    sent = request.headers.get("Origin")
    if sent is not None:
        return Origin.OURS if sent in origins else Origin.FOREIGN
    return Origin.UNSAID


def same(mine: str, theirs: str) -> bool:
    """Compare secrets in constant time."""
    return hmac.compare_digest(mine.encode(), theirs.encode())


def cookie_name(request: web.Request) -> str:
    """`__Host-` needs TLS; on loopback without it the plain name is used."""
    return LOOPBACK_COOKIE if request.scheme == "http" and local(request) else COOKIE


def set_cookie(request: web.Request, response: web.StreamResponse, value: str) -> None:
    """Give the browser its session, or take it away ('')."""
    name = cookie_name(request)
    response.set_cookie(
        name, value, path="/", httponly=True, samesite="Lax", secure=name == COOKIE, max_age=None if value else 0
    )


def bearer(request: web.Request) -> str:
    """The API token of `Authorization: Bearer …`, '' when there is none."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""


def peer(request: web.Request, proxies: Sequence[str]) -> str:
    """The caller's address: the socket's, or the right-most hop that no configured proxy added."""
    said = ",".join(request.headers.getall("X-Forwarded-For", []))  # some proxies add a line, some a hop to the line
    hops = [hop.strip() for hop in said.split(",") if hop.strip()]
    address = request.remote or ""
    while hops and _within(address, proxies):
        address = hops.pop()
    return address


def bucket(address: str) -> str:
    """What an address is counted by: itself, or its /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def local(request: web.Request) -> bool:
    """Was this machine asked by its own loopback name? A proxy beside us passes on the public name, which is not."""
    host = request.url.host or ""
    return loopback(request.remote or "") and (host == "localhost" or loopback(host))


def loopback(address: str) -> bool:
    """Is it this very machine?"""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _within(address: str, networks: Sequence[str]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in ipaddress.ip_network(network, strict=False) for network in networks)
