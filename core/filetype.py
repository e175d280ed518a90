"""What bytes are, told from the first of them, never from a name. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import PurePosixPath

import puremagic

HEAD = 4096  #: octets that are looked at
TEXTS = {"message/rfc822": ".eml", "text/calendar": ".ics", "text/csv": ".csv"}  #: hints believed of readable text
_KNOWN = {
    "image/jpeg": ".jpg", "image/png": ".png", "image/gif": ".gif", "image/webp": ".webp",
    "application/pdf": ".pdf", "application/zip": ".zip", "audio/mpeg": ".mp3", "audio/ogg": ".ogg",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """A media type, the suffix a made-up name gets, and the length of sound."""

    type: str
    suffix: str
    seconds: float | None = None


def of(head: bytes, size: int, hint: str = "") -> Found:
    """The type of a file of `size` octets that begins with `head`; `hint` is a name or media type."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return Found("audio/x-wav", ".wav", _wav_seconds(head, size))
    kind = _magic(head)
    if kind is not None:
        return Found(kind, _KNOWN.get(kind, ".bin"))
    if _is_text(head):
        believed = hint if hint in TEXTS else next((t for t, end in TEXTS.items() if hint.lower().endswith(end)), None)
        return Found(believed, TEXTS[believed]) if believed else Found("text/plain", ".txt")
    return Found("application/octet-stream", PurePosixPath(hint).suffix[:8] or ".bin")


def _magic(head: bytes) -> str | None:
    """Only types that are shown or played are worth telling; puremagic's guesses at text are not."""
    signs = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"%PDF-", "application/pdf"))
    for sign, kind in signs:
        if head.startswith(sign):
            return kind
    if _is_text(head):
        return None
    try:
        found = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return None
    best = next((one.mime_type for one in found if one.mime_type), None)
    return best if best and best.split("/")[0] in ("image", "audio", "video", "application") else None


def _is_text(head: bytes) -> bool:
    if not head:
        return True
    try:
        words = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4 or len(head) < HEAD:
            return False
        words = head[: error.start].decode()
    return not any(c < " " and c not in "\t\r\n\f\x1b" for c in words)


def _wav_seconds(head: bytes, size: int) -> float | None:
    """Length by the header: linear, A-law and µ-law alike; a header that promises more than there is gets no more."""
    place, rate = 12, 0
    while place + 8 <= len(head):
        name, length = head[place : place + 4], struct.unpack("<I", head[place + 4 : place + 8])[0]
        if name == b"fmt " and place + 20 <= len(head):
            rate = struct.unpack("<I", head[place + 16 : place + 20])[0]
        if name == b"data":
            return min(length, size - place - 8) / rate if rate else None
        place += 8 + length + length % 2
    return None
