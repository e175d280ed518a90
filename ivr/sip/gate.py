"""Who may speak to a line and how often, and which address of ours they reach. The load rules, no SIP in it."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

from ivr.settings import Line, Network, Peer
from ivr.sip.transaction import Peer as Address

MAX_SOURCES = 1000  # sources whose buckets are kept
IN_ALL = 2  # times what one source may is taken of all: nobody takes everything from the others
INVITES = 4  # INVITE packets read, of each new call that is allowed: repeats, holds, refusals
PACKETS = 40  # packets read, of each new call that is allowed
OTHERS, OTHERS_BURST = 10.0, 60.0  # OPTIONS, REGISTER, broken ones … answered, a second and at once


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
    """The peers of a line, and how much one source may ask of it: new calls, other requests, packets at all."""

    def __init__(self, settings: Line, now: float) -> None:
        self._settings = settings
        self._peers: list[tuple[Network, Peer]] = [(net, peer) for peer in settings.peer for net in peer.networks()]
        self._sources: dict[str, _Source] = {}
        self._all = Bucket(IN_ALL * settings.per_second, IN_ALL * settings.burst, now)

    def peer(self, source: Address) -> Peer | None:
        """The peer that speaks from there; None = a stranger, who meets silence."""
        address = plain(source.host)
        return next((peer for net, peer in self._peers if address in net and _by(peer, source.transport)), None)

    def dials(self, far: Address) -> bool:
        """Whether calls of ours may go there at all: to the very address of a peer, or what one without it allows."""
        return any(peer.dial and _reaches(peer, far) for peer in self._settings.peer)

    def admits(self, host: str, now: float) -> bool:
        """Take one new call of `host` from its bucket and from the common one."""
        return self._source(host, now).calls.take(now) and self._all.take(now)

    def hears(self, host: str, invite: bool, now: float) -> bool:
        """Whether a packet of `host` is read at all: nobody keeps the line from others by sheer numbers."""
        source = self._source(host, now)
        return (not invite or source.invites.take(now)) and source.packets.take(now)

    def asks(self, host: str, now: float) -> bool:
        """Whether a request of `host` outside any call, or a broken message, gets an answer: scanners do not."""
        return self._source(host, now).others.take(now)

    def _source(self, host: str, now: float) -> _Source:
        found = self._sources.get(host)
        if found is None:
            if len(self._sources) >= MAX_SOURCES:  # the one that was new longest ago
                del self._sources[next(iter(self._sources))]
            rate, burst = self._settings.per_second, self._settings.burst
            found = self._sources[host] = _Source(
                calls=Bucket(rate, burst, now),
                invites=Bucket(INVITES * rate, INVITES * burst, now),
                others=Bucket(OTHERS, OTHERS_BURST, now),
                packets=Bucket(PACKETS * rate, PACKETS * burst, now),
            )
        return found


@dataclass(frozen=True, slots=True)
class _Source:
    calls: Bucket
    invites: Bucket
    others: Bucket
    packets: Bucket


def _reaches(peer: Peer, far: Address) -> bool:
    there = peer.far()
    if there is not None:
        return Address(*there) == far
    return _by(peer, far.transport) and any(plain(far.host) in net for net in peer.networks())


def _by(peer: Peer, transport: str) -> bool:
    return peer.transport is None or peer.transport == transport


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
