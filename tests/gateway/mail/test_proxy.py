"""PROXY headers in both versions: read at any split, refused when they are none."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mail import proxy

V4 = bytes([203, 0, 113, 9])
V6 = ipaddress.ip_address("2001:db8::7").packed


def second(kind: int, addresses: bytes, command: int = 0x21) -> bytes:
    return proxy.SIGN + bytes([command, kind]) + struct.pack("!H", len(addresses)) + addresses


GOOD = [
    (b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 25\r\n", "203.0.113.9"),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 25\r\n", "2001:db8::7"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", None),
    (second(0x11, V4 + bytes(4) + b"\0\1\0\x19"), "203.0.113.9"),
    (second(0x21, V6 + bytes(16) + b"\0\1\0\x19"), "2001:db8::7"),
    (second(0x11, V4 + bytes(4) + b"\0\1\0\x19" + b"\x03\0\x04abcd"), "203.0.113.9"),
    (second(0x11, V4 + bytes(8), command=0x20), None),
    (second(0x00, b""), None),
    (second(0x31, bytes(216)), None),
]
BAD = [
    b"EHLO c\r\n",
    b"PROXY TCP4 2001:db8::7 192.0.2.1 1 25\r\n",
    b"PROXY TCP4 203.0.113.9\r\n",
    b"PROXY TCP5 203.0.113.9 192.0.2.1 1 25\r\n",
    b"PROXY TCP4 " + b"1" * 120,
    b"PROXY TCP4 203.0.113.9 192.0.2.1 1 25 \xff\r\n",
    second(0x11, V4),
    second(0x11, V4 + bytes(8), command=0x31),
    second(0x11, V4 + bytes(8), command=0x22),
    second(0x11, bytes(3000)),
]


@pytest.mark.parametrize("header,host", GOOD)
def test_a_header_is_read_whole_and_nothing_behind_it(header, host):
    assert proxy.read(header + b"EHLO c\r\n") == proxy.Header(host, len(header))
    assert [proxy.read(header[:n]) for n in range(len(header))] == [None] * len(header)


@pytest.mark.parametrize("data", BAD)
def test_what_is_no_header_is_refused(data):
    with pytest.raises(proxy.BadHeader):
        proxy.read(data)


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=60).map(proxy.SIGN.__add__)))
@settings(max_examples=300, deadline=None)
def test_whatever_comes_is_a_header_or_refused_or_waited_for(data):
    try:
        found = proxy.read(data)
    except proxy.BadHeader:
        return
    assert found is None or 0 < found.size <= len(data)
