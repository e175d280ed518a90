"""RTP packets (RFC 3550 s 5.1) as values and as rows of the plane's matrix. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from ivr.leg import FRAME

VERSION = 0x80  # version 2, no padding, extension or CSRC
MARKER = 0x80
HEAD = struct.Struct("!BBHII")
_FIELDS: list[tuple[str, str]] = [("v", "u1"), ("type", "u1"), ("seq", ">u2"), ("ts", ">u4"), ("ssrc", ">u4")]
HEADS = np.dtype(_FIELDS)  # the fixed header
PACKET = np.dtype([*_FIELDS, ("payload", "u1", FRAME)])  # with 20 ms of G.711
RTCP_FIRST, RTCP_LAST = 72, 76  # payload types that control packets seem to have, RFC 5761 s 4


@dataclass(frozen=True, slots=True)
class Packet:
    """What the plane reads of a packet; `body` is the payload alone."""

    type: int
    seq: int
    timestamp: int
    ssrc: int
    body: bytes

    @property
    def is_rtcp(self) -> bool:
        """A control packet on the same port, RFC 5761 s 4."""
        return RTCP_FIRST <= self.type <= RTCP_LAST


def read(data: bytes) -> Packet | None:
    """None for what is no RTP. The body is empty where CSRCs, extension and padding do not add up."""
    if len(data) < HEAD.size or data[0] >> 6 != 2:
        return None
    _, second, seq, timestamp, ssrc = HEAD.unpack_from(data)
    return Packet(second & 0x7F, seq, timestamp, ssrc, _body(data))


def write(kind: int, marker: bool, seq: int, timestamp: int, ssrc: int, body: bytes) -> bytes:
    """One packet; numbers wrap as the fields do."""
    return HEAD.pack(VERSION, kind | MARKER * marker, seq & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + body


def _body(data: bytes) -> bytes:
    start, end = HEAD.size + 4 * (data[0] & 15), len(data)
    if data[0] & 0x10:
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    if data[0] & 0x20:
        end -= data[-1]
    return data[start:end] if start < end else b""
