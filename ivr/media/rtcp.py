"""RTCP (RFC 3550 s 6): what we report of a call, and what the other end says of us. Pure: values in, bytes out."""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass, field

SR, RR, SDES, BYE = 200, 201, 202, 203
CNAME = 1
EVERY = 5.0  # seconds between reports, half of it more or less (s 6.2)
UNIX = 2_208_988_800  # seconds from 1900 to 1970
_BLOCK = struct.Struct("!IIIIII")


@dataclass(frozen=True, slots=True)
class Block:
    """One reception report: how `ssrc` is heard."""

    ssrc: int
    fraction: int  #: of 256, lost since the last report
    lost: int  #: in all, signed 24 bits
    highest: int  #: sequence number with cycles
    jitter: int  #: timestamp units
    last: int = 0  #: middle 32 bits of the NTP time of the sender's last SR
    since: int = 0  #: 1/65536 s from that SR to this report


@dataclass(frozen=True, slots=True)
class Sender:
    """The sender's part of an SR."""

    at: float  #: seconds since 1970
    timestamp: int
    packets: int
    octets: int


@dataclass(frozen=True, slots=True)
class Said:
    """What a compound packet says that we note."""

    ssrc: int
    middle: int = 0  #: of the NTP time of its SR, 0 when it is none
    blocks: tuple[Block, ...] = ()
    bye: bool = False


@dataclass(slots=True)
class Far:
    """What a call knows from the other end's reports, and its own name in ours."""

    cname: str = field(default_factory=lambda: secrets.token_hex(8))
    block: Block | None = None  #: how they hear us
    middle: int = 0  #: of the NTP time of their last SR
    at: float = 0.0  #: when that came, seconds since 1970
    heard: int = 0  #: reports
    bye: bool = False

    def note(self, said: Said, ssrc: int, at: float) -> None:
        """A report of the other end; `ssrc` is ours."""
        self.heard += 1
        self.bye |= said.bye
        if said.middle:
            self.middle, self.at = said.middle, at
        self.block = next((block for block in said.blocks if block.ssrc == ssrc), self.block)


def write(ssrc: int, cname: str, sender: Sender | None, blocks: tuple[Block, ...], bye: bool = False) -> bytes:
    """A compound packet: SR or RR, SDES, and BYE at the end of a call (s 6.1)."""
    body = struct.pack("!I", ssrc)
    if sender is not None:
        whole, part = divmod(sender.at + UNIX, 1)
        ntp = struct.pack("!II", int(whole), int(part * (1 << 32)))
        stamps = (sender.timestamp & 0xFFFFFFFF, sender.packets & 0xFFFFFFFF, sender.octets & 0xFFFFFFFF)
        body += ntp + struct.pack("!III", *stamps)
    body += b"".join(_block(block) for block in blocks)
    told = _packet(SR if sender is not None else RR, len(blocks), body) + _packet(SDES, 1, _name(ssrc, cname))
    return told + (_packet(BYE, 1, struct.pack("!I", ssrc)) if bye else b"")


def read(data: bytes) -> Said | None:
    """None for what is no compound packet: a wrong version, a length beyond the end, no SR or RR first (A.2)."""
    said: Said | None = None
    while data:
        if len(data) < 8 or data[0] >> 6 != 2:
            return None
        size = 4 * int.from_bytes(data[2:4], "big") + 4
        if size > len(data) or size < 8 or (said is None and data[1] not in (SR, RR)):
            return None
        said, data = _more(said, data[1], data[0] & 31, data[4:size]), data[size:]
    return said


def middle(at: float) -> int:
    """The middle 32 bits of the NTP time, as reports name it."""
    return int((at + UNIX) * 65536) & 0xFFFFFFFF


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def _name(ssrc: int, cname: str) -> bytes:
    item = struct.pack("!IBB", ssrc, CNAME, len(cname)) + cname.encode("ascii")
    return item + bytes(4 - len(item) % 4)  # one zero at least ends the list


def _block(block: Block) -> bytes:
    lost = max(-0x800000, min(0x7FFFFF, block.lost)) & 0xFFFFFF
    return _BLOCK.pack(
        block.ssrc, block.fraction << 24 | lost, block.highest & 0xFFFFFFFF, block.jitter, block.last, block.since
    )


def _more(said: Said | None, kind: int, count: int, body: bytes) -> Said:
    ssrc = int.from_bytes(body[:4], "big")
    said = said or Said(ssrc)
    if kind == BYE:
        return Said(said.ssrc, said.middle, said.blocks, True)
    if kind not in (SR, RR):
        return said
    start = 24 if kind == SR else 4
    blocks = tuple(_unpack(body[at : at + 24]) for at in range(start, min(len(body) - 23, start + 24 * count), 24))
    stamp = int.from_bytes(body[6:10], "big") if kind == SR and len(body) >= 24 else said.middle
    return Said(ssrc, stamp, said.blocks + blocks, said.bye)


def _unpack(octets: bytes) -> Block:
    ssrc, losses, highest, jitter, last, since = _BLOCK.unpack(octets)
    lost = losses & 0xFFFFFF
    return Block(ssrc, losses >> 24, lost - (lost >> 23 << 24), highest, jitter, last, since)
