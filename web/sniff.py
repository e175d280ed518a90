"""What a file is by its first bytes, from the short list of types a citizen may attach. Pure."""

from __future__ import annotations

HEAD = 4096  # octets looked at

MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (8, b"WEBP", "image/webp"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypheix", "image/heic"),
    (4, b"ftypmif1", "image/heic"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (4, b"ftypM4A", "audio/mp4"),
    (8, b"WAVE", "audio/x-wav"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (4, b"ftyp", "video/mp4"),
)
OFFICE: tuple[tuple[bytes, str], ...] = (
    (b"word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (b"xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
)


def media_type(head: bytes) -> str | None:
    """The media type of a file that begins with `head` (up to HEAD octets), None when it is not on the list."""
    for at, mark, kind in MAGIC:
        if head[at : at + len(mark)] == mark:
            return kind
    if head.startswith(b"PK\x03\x04") and b"[Content_Types].xml" in head[:HEAD]:
        return next((kind for mark, kind in OFFICE if mark in head), OFFICE[0][1])
    return None
