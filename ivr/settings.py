"""The phone channel's settings as data: one `[phone.line.NAME]` and its peers, read by `config.shape`."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from config.faults import Fault
from config.positions import Where
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
ADDRESS = r"(\[[0-9A-Fa-f:.]+\]|[0-9.]+)"
Bind = Annotated[str, Match(rf"(udp|tcp|tls):{ADDRESS}:[0-9]{{1,5}}", "udp:ADDRESS:PORT, tcp:… or tls:…")]
Address = Annotated[str, Match(rf"{ADDRESS}(:[0-9]{{1,5}})?", "an address such as 192.0.2.1 or 192.0.2.1:5060")]
Ports = Annotated[str, Match(r"0|[0-9]{4,5}-[0-9]{4,5}", "a range of ports such as 20000-20999, or 0 for any")]
Transport = Literal["udp", "tcp", "tls"]
Name = Annotated[str, Match(r"[A-Za-z0-9.!%*_+`'~-]{1,80}", "letters, digits and .-_ only")]


@dataclass(frozen=True, slots=True)
class Peer:
    """Someone whose packets are answered: a trunk, a PBX."""

    name: str
    allow: tuple[Cidr, ...] = ()  #: networks it may speak from, as CIDR; everyone else meets silence
    asserts_identity: bool = False  #: its P-Asserted-Identity is proof of the caller's number
    user: Name | None = None  #: for its challenges, and what is registered
    password_file: str | None = None  #: its first line is the password
    transport: Transport | None = None  #: it speaks by this alone; None = by any, and is spoken to by UDP
    address: Address | None = None  #: where it is registered with, dialled and asked every 30 s whether it lives
    domain: Name | None = None  #: what stands behind the @; None = its address
    register: bool = False  #: be registered there as `user`
    dial: bool = False  #: calls of ours may go by it
    ping: bool = True  #: it is asked every 30 s whether it lives
    nat: bool = False  #: its sound comes from elsewhere than it says
    behind_pbx: bool = False  #: callers come by the office's own exchange, which keeps their numbers
    ca_file: str | None = None  #: whom its TLS certificate must be signed by; None = the system's authorities

    def networks(self) -> list[Network]:
        """Where it may speak from: `allow`, and its own address. Raises ValueError on what is no network."""
        far = self.far()
        return [ipaddress.ip_network(text, strict=False) for text in (*self.allow, *([far[0]] if far else []))]

    @property
    def home(self) -> str:
        """Its domain in URIs."""
        return self.domain or (self.address or "").rpartition(":")[0] or self.address or self.name

    def far(self) -> tuple[str, int, Transport] | None:
        """Host, port and transport of `address`."""
        if self.address is None:
            return None
        transport = self.transport or "udp"
        bare, _, port = self.address.rpartition(":") if not self.address.endswith("]") else (self.address, "", "")
        if not bare:
            bare, port = self.address, ""
        return bare.strip("[]"), int(port or (5061 if transport == "tls" else 5060)), transport

    def password(self) -> str | None:
        """The first line of `password_file`. Raises OSError naming it."""
        if self.password_file is None:
            return None
        try:
            return Path(self.password_file).read_text(encoding="utf-8").split("\n")[0].rstrip("\r")
        except (OSError, ValueError) as fault:
            raise OSError(f"peer {self.name}: password_file {self.password_file} cannot be read: {fault}") from None


class Binding(NamedTuple):
    """One socket that a line listens on."""

    transport: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Line:
    """One SIP line of ours."""

    kind: Literal["sip"] = "sip"
    bind: Annotated[tuple[Bind, ...], Range(1, 3)] = ("udp:0.0.0.0:5060",)
    cert: str | None = None  #: PEM file with the certificate (and chain) of tls
    key: str | None = None  #: PEM file with its key
    public_address: Annotated[str, host] | None = (
        None  #: what SDP and Contact name; None = the address the peer reached us at
    )
    rtp: Ports = "20000-20999"  #: even ports of this range are used; 0 = any free ones
    max_calls: Annotated[int, Range(1, 10_000)] = 200
    per_second: Annotated[int, Range(1, 10_000)] = 50  #: new calls a second from one source; twice that in all
    burst: Annotated[int, Range(1, 10_000)] = 100
    max_call: Annotated[int, Range(10, 86_400)] = 600  #: seconds a call may last
    country: Annotated[str, Match(r"[1-9][0-9]{0,2}", "a country code such as 98")] = (
        "98"  #: how national numbers become international ones
    )
    numbers: Mapping[str, str] = field(default_factory=lambda: {"*": "main"})  #: dialled number → menu; * = any
    refer_to: tuple[Name, ...] = ()  #: extensions and queues that an operator's telephone may pass its caller on to
    peer: tuple[Peer, ...] = ()

    def bindings(self) -> list[Binding]:
        """Every socket to open."""
        return [_binding(text) for text in self.bind]

    def address(self) -> tuple[str, int]:
        """Host and port of the first binding: where the media plane listens too."""
        return self.bindings()[0][1:]

    def rtp_range(self) -> tuple[int, int]:
        """First and last port for `Plane`; (0, 0) = any free ones."""
        first, _, last = self.rtp.partition("-")
        return int(first), int(last or first)

    def menu(self, dialled: str) -> str | None:
        """The menu for a dialled number; None = not one of ours (404)."""
        return self.numbers.get(dialled) or self.numbers.get("*")

    def faults(self, where: Where) -> list[Fault]:
        """What fits the types but not each other; `where` is the line's table."""
        found = [fault for n, peer in enumerate(self.peer) for fault in _peer_faults(self, peer, where / "peer" / n)]
        kinds = [binding.transport for binding in self.bindings()]
        if len(set(kinds)) < len(kinds):
            found.append((where / "bind").fault("bind-twice", "give one address for each of udp, tcp and tls"))
        names = [peer.name for peer in self.peer]
        found += [
            (where / "peer" / n / "name").fault("peer-twice", f"there is a peer {name!r} already; name it otherwise")
            for n, name in enumerate(names) if name in names[:n]
        ]  # fmt: skip
        if any(text.startswith("tls:") for text in self.bind) and not (self.cert and self.key):
            found.append((where / "bind").fault("no-certificate", "tls needs cert = and key =, two PEM files"))
        found += _missing(where, "cert", self.cert) + _missing(where, "key", self.key)
        first, last = self.rtp_range()
        if last > 65_535 or (first and last - first < 1):
            found.append((where / "rtp").fault("bad-range", f"{self.rtp} holds no even port up to 65535"))
        return found


@dataclass(frozen=True, slots=True)
class Media:
    """`[phone.media]`: where the sound of all calls is moved."""

    apart: bool = False  #: in a process of its own, which nothing that computes in ours can hold up; 40 MB more


@dataclass(frozen=True, slots=True)
class Extension:
    """A line that is one extension of an office's exchange, by pyVoIP: trusted network, 50 calls at most."""

    server: Address  #: the exchange
    user: Name  #: our extension there
    kind: Literal["pyvoip"] = "pyvoip"
    password_file: str | None = None  #: its first line is the password
    domain: Name | None = None  #: what stands behind the @; None = the server's address
    bind: Annotated[tuple[Bind, ...], Range(1, 1)] = ("udp:0.0.0.0:5062",)
    public_address: Annotated[str, host] | None = None  #: what SDP and Contact name; None = what the exchange reaches
    rtp: Ports = "20000-20999"
    max_calls: Annotated[int, Range(1, 50)] = 50
    max_call: Annotated[int, Range(10, 86_400)] = 600  #: seconds a call may last
    country: Annotated[str, Match(r"[1-9][0-9]{0,2}", "a country code such as 98")] = "98"
    asserts_identity: bool = False  #: the caller's number it names is proof
    numbers: Mapping[str, str] = field(default_factory=lambda: {"*": "main"})

    def address(self) -> tuple[str, int]:
        """Host and port of the binding."""
        return _binding(self.bind[0])[1:]

    def rtp_range(self) -> tuple[int, int]:
        """First and last port for `Plane`; (0, 0) = any free ones."""
        first, _, last = self.rtp.partition("-")
        return int(first), int(last or first)

    def menu(self, dialled: str) -> str | None:
        """The menu for a dialled number; None = not one of ours (404)."""
        return self.numbers.get(dialled) or self.numbers.get("*")

    @property
    def peer(self) -> tuple[Peer, ...]:
        """Nobody is dialled by an extension."""
        return ()

    def exchange(self) -> Peer:
        """The exchange as a peer that we are registered with."""
        return Peer(
            "exchange", address=self.server, domain=self.domain, user=self.user, password_file=self.password_file,
            register=True, asserts_identity=self.asserts_identity, behind_pbx=True,
        )  # fmt: skip

    def faults(self, where: Where) -> list[Fault]:
        """What fits the types but not each other."""
        if not self.bind[0].startswith("udp:"):
            return [(where / "bind").fault("bad-value", "an extension speaks by udp: alone")]
        return _missing(where, "password_file", self.password_file)


AnyLine = Line | Extension


def _peer_faults(line: Line, peer: Peer, where: Where) -> list[Fault]:
    found = []
    if (peer.register or peer.dial) and peer.address is None:
        found.append(where.fault("no-address", "register and dial need address = where it is"))
    if peer.register and not peer.user:
        found.append((where / "register").fault("no-user", "add user = the name to be registered"))
    if peer.user and peer.address and not peer.password_file:
        found.append((where / "user").fault("no-password", "add password_file = a file whose first line it is"))
    found += _missing(where, "password_file", peer.password_file) + _missing(where, "ca_file", peer.ca_file)
    if not peer.allow and not peer.address:
        found.append(where.fault("no-source", "add allow = the networks it speaks from, or address"))
    spoken = peer.transport or "udp"
    if peer.address and not any(text.startswith(f"{spoken}:") for text in line.bind):
        found.append((where / "address").fault("no-bind", f"it is spoken to by {spoken}, but bind has no {spoken}:"))
    return found


def _missing(where: Where, key: str, path: str | None) -> list[Fault]:
    if path is None or Path(path).is_file():
        return []
    return [(where / key).fault("missing-file", f"there is no file {path}; put it there")]


def _binding(text: str) -> Binding:
    transport, _, rest = text.partition(":")
    host, _, port = rest.rpartition(":")
    return Binding(transport, host.strip("[]"), int(port))
