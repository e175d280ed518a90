"""Who may speak to a line and how often, and which address of ours they reach. The load rules, no SIP in it."""

from __future__ import annotations

import ipaddress
import socket

from ivr.settings import Line, Network, Peer

MAX_SOURCES = 1000  # buckets kept; sources beyond share the common bucket only


class Bucket:
    """Tokens that come back at a rate; `take` is False when there is none."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst = rate, burst
        self._left, self._at = burst, now

    def take(self, now: float) -> bool:
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Gate:
    """The peers of a line and the new calls a second that it takes, from one source and in all."""

    def __init__(self, settings: Line, now: float) -> None:
        self._settings = settings
        self._peers: list[tuple[Network, Peer]] = [(net, peer) for peer in settings.peer for net in peer.networks()]
        self._sources: dict[str, Bucket] = {}
        self._all = Bucket(settings.per_second, settings.burst, now)

    def peer(self, host: str) -> Peer | None:
        """The peer that `host` belongs to; None = a stranger, who meets silence."""
        address = plain(host)
        return next((peer for net, peer in self._peers if address in net), None)

    def admits(self, host: str, now: float) -> bool:
        """Take one new call of `host` from its bucket and from the common one."""
        settings = self._settings
        if host not in self._sources and len(self._sources) < MAX_SOURCES:
            self._sources[host] = Bucket(settings.per_second, settings.burst, now)
        own = self._sources.get(host)
        return (own is None or own.take(now)) and self._all.take(now)


def plain(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address of a source; one of IPv4 mapped into IPv6 counts as IPv4."""
    address = ipaddress.ip_address(host.partition("%")[0])
    return address.ipv4_mapped or address if isinstance(address, ipaddress.IPv6Address) else address


def facing(peer: str) -> str:
    """The address of ours that packets to `peer` leave from. Sends nothing."""
    with socket.socket(socket.AF_INET6 if ":" in peer else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((peer, 9))
        return str(probe.getsockname()[0])


def bracketed(host: str) -> str:
    """`host` as it stands in a URI."""
    return f"[{host}]" if ":" in host else host
