"""The PROXY protocol's header, versions 1 and 2: bytes in, the address of whom a proxy brings out. Pure.

https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

LINE = 107  # octets of a version 1 header with CRLF, s 2.1
SIGN = b"\r\n\r\n\0\r\nQUIT\n"
HEAD = 16  # octets of a version 2 header before its addresses
MOST = 2048  # octets behind it that we are ready to skip (TLVs), s 2.2
ADDRESS = {0x11: 4, 0x21: 16}  # family and protocol: octets of the source address


class BadHeader(Exception):
    """What came is no PROXY header: the connection must end without a word, s 2."""


@dataclass(frozen=True, slots=True)
class Header:
    """`host` is whom the proxy brings; None: nobody but itself (a health check) or nobody it knows."""

    host: str | None
    size: int  #: octets of the header


def read(data: bytes) -> Header | None:
    """The header `data` begins with; None while it is not whole. Raises BadHeader."""
    if data.startswith(SIGN[: len(data)]):
        return _second(data)
    if data.startswith(b"PROXY "[: len(data)]):
        return _first(data)
    raise BadHeader("neither version")


def _first(data: bytes) -> Header | None:
    end = data.find(b"\r\n", 0, LINE)
    if end < 0:
        if len(data) >= LINE:
            raise BadHeader("long line")
        return None
    words = data[:end].split(b" ")
    if words[1:2] == [b"UNKNOWN"]:
        return Header(None, end + 2)
    if len(words) != 6 or words[1] not in (b"TCP4", b"TCP6"):
        raise BadHeader("words")
    return Header(_host(words[2], 4 if words[1] == b"TCP4" else 6), end + 2)


def _host(word: bytes, version: int) -> str:
    try:
        address = ipaddress.ip_address(word.decode("ascii"))
    except ValueError:
        raise BadHeader("address") from None
    if address.version != version:
        raise BadHeader("family")
    return str(address)


def _second(data: bytes) -> Header | None:
    if len(data) < HEAD:
        return None
    version, command, kind = data[12] >> 4, data[12] & 15, data[13]
    length = int.from_bytes(data[14:16], "big")
    if version != 2 or command > 1 or length > MOST:
        raise BadHeader("version, command or length")
    if len(data) < HEAD + length:
        return None
    size = ADDRESS.get(kind, 0)
    if command == 0 or not size:
        return Header(None, HEAD + length)
    if length < size * 2 + 4:
        raise BadHeader("short addresses")
    return Header(str(ipaddress.ip_address(data[HEAD : HEAD + size])), HEAD + length)
