"""The phone channel's settings as data: one `[phone.line.NAME]` and its peers, read by `config.shape`."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from config.shape import Bad, Match, Range

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def network(text: str) -> None:
    """Narrows a text to a network; raises Bad."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise Bad("bad-value", f"give a network such as 192.0.2.0/24, not {text!r}") from None


def host(text: str) -> None:
    """Narrows a text to an address in numbers; raises Bad."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise Bad("bad-value", f"give an address such as 192.0.2.1, not {text!r}") from None


Cidr = Annotated[str, network]
Bind = Annotated[str, Match(r"udp:(\[[0-9A-Fa-f:.]+\]|[0-9.]+):[0-9]{1,5}", "udp:ADDRESS:PORT")]
Ports = Annotated[str, Match(r"0|[0-9]{4,5}-[0-9]{4,5}", "a range of ports such as 20000-20999, or 0 for any")]


@dataclass(frozen=True, slots=True)
class Peer:
    """Someone whose packets are answered: a trunk, a PBX."""

    name: str
    allow: tuple[Cidr, ...] = ()  #: networks it may speak from, as CIDR; everyone else meets silence
    asserts_identity: bool = False  #: its P-Asserted-Identity is proof of the caller's number
    user: str | None = None  #: for calls out, when it challenges us
    password_file: str | None = None

    def networks(self) -> list[Network]:
        """Raises ValueError on what is no network."""
        return [ipaddress.ip_network(text, strict=False) for text in self.allow]


@dataclass(frozen=True, slots=True)
class Line:
    """One SIP line of ours."""

    kind: Literal["sip"] = "sip"
    bind: Annotated[tuple[Bind, ...], Range(1, 1)] = ("udp:0.0.0.0:5060",)
    public_address: Annotated[str, host] | None = (
        None  #: what SDP and Contact name; None = the address the peer reached us at
    )
    rtp: Ports = "20000-20999"  #: even ports of this range are used; 0 = any free ones
    max_calls: Annotated[int, Range(1, 10_000)] = 200
    per_second: Annotated[int, Range(1, 10_000)] = 50  #: new calls a second, from one source and in all
    burst: Annotated[int, Range(1, 10_000)] = 100
    max_call: Annotated[int, Range(10, 86_400)] = 600  #: seconds a call may last
    country: Annotated[str, Match(r"[1-9][0-9]{0,2}", "a country code such as 98")] = (
        "98"  #: how national numbers become international ones
    )
    numbers: Mapping[str, str] = field(default_factory=lambda: {"*": "main"})  #: dialled number → menu; * = any
    peer: tuple[Peer, ...] = ()

    def address(self) -> tuple[str, int]:
        """Host and port of the UDP binding. Raises ValueError on anything else than `udp:HOST:PORT`."""
        kind, _, rest = self.bind[0].partition(":")
        host, _, port = rest.rpartition(":")
        if kind != "udp" or not host or not port.isdigit():
            raise ValueError(f"bind: {self.bind[0]!r} is not udp:HOST:PORT")
        return host.strip("[]"), int(port)

    def rtp_range(self) -> tuple[int, int]:
        """First and last port for `Plane`; (0, 0) = any free ones."""
        first, _, last = self.rtp.partition("-")
        return int(first), int(last or first)

    def menu(self, dialled: str) -> str | None:
        """The menu for a dialled number; None = not one of ours (404)."""
        return self.numbers.get(dialled) or self.numbers.get("*")
