"""Whether the sender is who From says: only by the word of our own judge in front (RFC 8601, 7489). Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import cache, lru_cache

import authres

from core.channels import Trust
from gateway.mail import headers
from gateway.mail.mime import Mail

PUBLIC = frozenset({
    "ir", "gov.ir", "co.ir", "ac.ir", "org.ir", "net.ir", "sch.ir", "id.ir", "com", "org", "net", "edu", "gov", "info",
    "biz", "io", "app", "dev",
})  # fmt: skip


def judge(mail: Mail, peer: str, authserv_id: str, allow: Sequence[str]) -> Trust:
    """By the topmost Authentication-Results of `authserv_id` from a listed peer; UNJUDGED without a judge."""
    if not authserv_id:
        return Trust.UNJUDGED
    if not listed(peer, allow) or mail.senders != 1:
        return Trust.NONE
    found = _topmost(mail, authserv_id)
    return _verdict(found, mail.sender.rpartition("@")[2].lower()) if found is not None else Trust.NONE


def listed(peer: str, allow: Sequence[str]) -> bool:
    """Is the peer's address in one of the networks (CIDR)?"""
    address = _address(peer)
    return address is not None and any(address in _network(network) for network in allow)


@lru_cache(1024)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """None for what is no address; whoever brings many letters is read once."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


@cache
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text, strict=False)


def aligned(domain: str, sender: str) -> bool:
    """Is `domain` the From's own or its parent, and not one under which everybody registers?"""
    domain = domain.lower().rstrip(".")
    return bool(domain) and domain not in PUBLIC and (sender == domain or sender.endswith("." + domain))


def _topmost(mail: Mail, authserv_id: str) -> authres.AuthenticationResultsHeader | None:
    for raw in mail.all("authentication-results"):
        said = headers.read(raw)
        try:
            found = authres.AuthenticationResultsHeader.parse(f"Authentication-Results: {said}")
        except (authres.AuthResError, ValueError, IndexError):
            if authserv_id.lower() in said.partition(";")[0].lower():
                return None  # our judge's own, though nobody can read it: what lies below may be forged
            continue
        if (found.authserv_id or "").lower() == authserv_id.lower():
            return found
    return None


def _verdict(found: authres.AuthenticationResultsHeader, sender: str) -> Trust:
    results = [(str(r.method).lower(), str(r.result).lower(), r) for r in found.results]
    dmarc = next((result for method, result, _ in results if method == "dmarc"), "none")
    if dmarc == "pass":
        return Trust.PASS
    if dmarc == "fail":
        return Trust.FAIL
    if dmarc not in ("none", ""):
        return Trust.NONE
    for method, result, detail in results:
        if result == "pass" and method in ("dkim", "spf") and aligned(_domain(method, detail), sender):
            return Trust.PASS
    return Trust.NONE


def _domain(method: str, result: object) -> str:
    if method == "dkim":
        return str(getattr(result, "header_d", None) or "")
    return str(getattr(result, "smtp_mailfrom", None) or "").rpartition("@")[2]
