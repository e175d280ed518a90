"""The settings of mail lines, as lines.toml holds them under `[mail.line.NAME]`; each field describes itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from config.shape import Range


@dataclass(frozen=True, slots=True)
class LineSettings:
    """One listener with its domain, and the relay its answers leave by."""

    domain: str  #: what stands behind the @ of our addresses
    kind: Literal["smtp", "lmtp"] = "smtp"
    bind: str = "127.0.0.1"
    port: Annotated[int, Range(0, 65535)] = 2525  #: 0 = any free one
    host: str = ""  #: the name we greet with; empty = domain
    relay_host: str = "127.0.0.1"
    relay_port: Annotated[int, Range(1, 65535)] = 25
    relay_tls: Literal["none", "starttls", "tls"] = "none"
    relay_user: str = ""
    relay_password_file: str = ""
    certificate: str = ""  #: PEM file with chain; with `key` it offers STARTTLS, read again when it changes
    key: str = ""
    authserv_id: str = ""  #: whose Authentication-Results count; empty = nobody judges
    peer_allow: tuple[str, ...] = ("127.0.0.0/8", "::1/128")  #: networks that are listed: no caps, may judge
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
    workers: Annotated[int, Range(1, 32)] = 2  #: parser processes of the channel; the largest of all lines holds
    disk_free: Annotated[float, Range(0, 0.5)] = 0.03  #: below this share of the disk letters are put off
    send_connections: Annotated[int, Range(1, 64)] = 4
    files_limit: Annotated[int, Range(0, 104857600)] = 15_728_640  #: octets of files in an answer; above, a link
