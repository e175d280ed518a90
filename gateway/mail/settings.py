"""The settings of mail lines, as lines.toml holds them under `[mail.line.NAME]`; each field describes itself."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from config.faults import Fault
from config.positions import Where
from config.shape import Bad, Range
from gateway.mail import dkim


def network(value: Any) -> None:
    """Narrows a text to a network like 10.0.0.0/8 or an address. Raises Bad."""
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise Bad("bad-network", f"give a network like 10.0.0.0/8 or one address, not {value!r}") from None


Network = Annotated[str, network]


@dataclass(frozen=True, slots=True)
class Mailbox:
    """`[mail.line.NAME.imap]`: a mailbox that is looked into, for a body that cannot route its mail to us."""

    host: str
    user: str
    password_file: str  #: its first line is the password, or with `login = "xoauth2"` the access token
    since: date  #: letters before this day are not ours; without it the first look would take in a decade
    port: Annotated[int, Range(1, 65535)] = 993
    tls: Literal["tls", "starttls", "none"] = "tls"  #: "none" on loopback only
    ca_file: str = ""  #: PEM of the authority behind the server's certificate; empty = the system's
    login: Literal["password", "xoauth2"] = "password"
    folder: str = "INBOX"
    processed: str = "Processed"  #: where letters go once they are tickets; "" = they stay and are marked
    to: str = ""  #: our address for letters whose fields name none of ours; empty = postmaster
    idle_s: Annotated[float, Range(1, 540)] = 300.0  #: a look at least this often where the server has IDLE
    poll_s: Annotated[float, Range(1, 3600)] = 60.0  #: where it has not
    down_s: Annotated[float, Range(1, 86400)] = 900.0  #: out of reach for so long is an alarm


@dataclass(frozen=True, slots=True)
class LineSettings:
    """One way in (a port, a UNIX socket or a mailbox) with its domain, and the relay its answers leave by."""

    domain: str  #: what stands behind the @ of our addresses
    kind: Literal["smtp", "lmtp", "imap"] = "smtp"
    bind: str = "127.0.0.1"
    port: Annotated[int, Range(0, 65535)] = 2525  #: 0 = any free one
    socket: str = ""  #: lmtp only: path of a UNIX socket instead of bind and port; its peer counts as 127.0.0.1
    socket_mode: Annotated[int, Range(0, 0o777)] = 0o660
    proxy: tuple[Network, ...] = ()  #: proxies in front: who comes from there says first whom it brings (PROXY v1, v2)
    imap: Mailbox | None = None
    host: str = ""  #: the name we greet with; empty = domain
    relay_host: str = "127.0.0.1"
    relay_port: Annotated[int, Range(1, 65535)] = 25
    relay_tls: Literal["none", "starttls", "tls"] = "none"
    relay_user: str = ""
    relay_password_file: str = ""
    dkim_key: str = ""  #: PEM file of an RSA key: letters are signed (RFC 6376), with `dkim_selector`
    dkim_selector: str = ""  #: the public half lies at `selector._domainkey.domain`
    certificate: str = ""  #: PEM file with chain; with `key` it offers STARTTLS, read again when it changes
    key: str = ""
    authserv_id: str = ""  #: whose Authentication-Results count; empty = nobody judges
    verify_dkim: bool = False  #: without a judge in front: look at signatures ourselves, by DNS
    peer_allow: tuple[Network, ...] = ("127.0.0.0/8", "::1/128")  #: listed peers: no caps, may judge; lmtp: no others
    lang: str = "fa"
    charset: str = "cp1256"  #: of letters that declare none and look like nothing
    delimiter: Literal["+", "-", "="] = "+"
    size: Annotated[int, Range(65536, 104857600)] = 26_214_400  #: octets of a letter
    connections: Annotated[int, Range(1, 10000)] = 200
    connections_a_peer: Annotated[int, Range(1, 10000)] = 20
    recipients: Annotated[int, Range(1, 1000)] = 100
    errors: Annotated[int, Range(1, 1000)] = 20
    mails: Annotated[int, Range(1, 1000000)] = 1000
    idle_s: Annotated[float, Range(1, 3600)] = 300.0  #: RFC 5321 s 4.5.3.2.7
    silence_s: Annotated[float, Range(1, 3600)] = 180.0  #: without an octet in DATA
    data_s: Annotated[float, Range(1, 86400)] = 1800.0  #: for the whole of DATA
    tls_s: Annotated[float, Range(1, 600)] = 30.0
    proxy_s: Annotated[float, Range(1, 60)] = 5.0  #: for the PROXY header
    workers: Annotated[int, Range(1, 32)] = 2  #: parser processes of the channel; the largest of all lines holds
    disk_free: Annotated[float, Range(0, 0.5)] = 0.03  #: below this share of the disk letters are put off
    send_connections: Annotated[int, Range(1, 64)] = 4
    files_limit: Annotated[int, Range(0, 104857600)] = 15_728_640  #: octets of files in an answer; above, a link


def faults(line: LineSettings, where: Where) -> list[Fault]:
    """What one field alone does not show."""
    found = []

    def fault(key: str, remedy: str) -> None:
        found.append((where / key).fault("bad-value", f"{where.name}.{key}: {remedy}"))

    if line.kind == "imap" and line.imap is None:
        found.append(where.fault("missing-key", f"{where.name} is of kind imap: add a table [{where.name}.imap]"))
    if line.kind != "imap" and line.imap is not None:
        fault("imap", 'belongs to kind = "imap"')
    if line.socket and line.kind != "lmtp":
        fault("socket", 'only a line of kind = "lmtp" listens on a UNIX socket')
    if line.key and not line.certificate:
        fault("key", "give the certificate too")
    if bool(line.dkim_key) is not bool(line.dkim_selector):
        fault("dkim_key", "dkim_key and dkim_selector go together")
    elif line.dkim_key:
        try:
            dkim.read(line.dkim_key, line.domain, line.dkim_selector)
        except (OSError, ValueError) as error:
            fault("dkim_key", str(error))
    if line.imap is not None and line.imap.tls == "none" and not _loopback(line.imap.host):
        fault("imap", f'tls = "none" would send the password in clear to {line.imap.host}')
    return found


def doubles(lines: dict[str, LineSettings], where: Where) -> list[Fault]:
    """Two lines that would listen at one place."""
    seen: dict[tuple[str, ...], str] = {}
    found = []
    for name, line in lines.items():
        place = (line.socket,) if line.socket else (line.bind, str(line.port))
        if line.kind == "imap" or place == (line.bind, "0"):
            continue
        if place in seen:
            at = where / name
            found.append(at.fault("taken", f"{at.name} listens where {(where / seen[place]).name} does"))
        seen.setdefault(place, name)
    return found


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
