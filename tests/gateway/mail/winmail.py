"""Writes winmail.dat (MS-OXTNEF) as old programs did, for tests."""

from __future__ import annotations

import struct
from collections.abc import Sequence

MESSAGE, ATTACHMENT = 1, 2  # levels


def winmail(files: Sequence[tuple[bytes, bytes]], body: bytes = b"") -> bytes:
    """`files` are (name, content), names in the writer's code page."""
    out = struct.pack("<IH", 0x223E9F78, 1) + _attribute(MESSAGE, 8, 0x9006, struct.pack("<I", 0x10000))
    if body:
        out += _attribute(MESSAGE, 2, 0x800C, body)
    for name, content in files:
        out += _attribute(ATTACHMENT, 6, 0x9002, bytes(14)) + _attribute(ATTACHMENT, 1, 0x8010, name + b"\0")
        out += _attribute(ATTACHMENT, 6, 0x800F, content)
    return out


def _attribute(level: int, kind: int, name: int, data: bytes) -> bytes:
    return struct.pack("<BHHI", level, name, kind, len(data)) + data + struct.pack("<H", sum(data) & 0xFFFF)
