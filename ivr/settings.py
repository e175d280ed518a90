"""The phone channel's settings as data: one `[phone.line.NAME]` and its peers, read by `config.shape`."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Peer:
    """Someone whose packets are answered: a trunk, a PBX."""

    name: str
    allow: tuple[str, ...] = ()  #: networks it may speak from, as CIDR; everyone else meets silence
    asserts_identity: bool = False  #: its P-Asserted-Identity is proof of the caller's number
    user: str | None = None  #: for calls out, when it challenges us
    password_file: str | None = None

    def networks(self) -> list[Network]:
        """Raises ValueError on what is no network."""
        return [ipaddress.ip_network(text, strict=False) for text in self.allow]


@dataclass(frozen=True, slots=True)
class Line:
    """One SIP line of ours."""

    kind: str = "sip"
    bind: tuple[str, ...] = ("udp:0.0.0.0:5060",)
    public_address: str | None = None  #: what SDP and Contact name; None = the address the peer reached us at
    rtp: str = "20000-20999"  #: port range, even ports are used
    max_calls: int = 200
    per_second: int = 50  #: new calls a second, from one source and in all
    burst: int = 100
    max_call: int = 600  #: seconds a call may last
    country: str = "98"  #: how national numbers become international ones
    numbers: Mapping[str, str] = field(default_factory=lambda: {"*": "main"})  #: dialled number → menu; * = any
    peer: tuple[Peer, ...] = ()

    def address(self) -> tuple[str, int]:
        """Host and port of the UDP binding. Raises ValueError on anything else than `udp:HOST:PORT`."""
        kind, _, rest = self.bind[0].partition(":")
        host, _, port = rest.rpartition(":")
        if kind != "udp" or not host or not port.isdigit():
            raise ValueError(f"bind: {self.bind[0]!r} is not udp:HOST:PORT")
        return host.strip("[]"), int(port)

    def rtp_range(self) -> range:
        """Even ports only; the odd one above each is left for RTCP. `0-0` = any free ones."""
        first, _, last = self.rtp.partition("-")
        return range(int(first) + int(first) % 2, int(last or first) + 1, 2)

    def menu(self, dialled: str) -> str | None:
        return self.numbers.get(dialled) or self.numbers.get("*")
