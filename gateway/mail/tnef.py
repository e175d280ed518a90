"""winmail.dat: what Outlook packs into one attachment, opened where tnefparse is installed (extra `tnef`).

Pure, but hostile data may make it slow: run it in the parser worker.
"""

from __future__ import annotations

import logging

from gateway.mail import charset

KINDS = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
NAMES = ("winmail.dat", "win.dat")
SIGNATURE = b"\x78\x9f\x3e\x22"

logging.getLogger("tnefparse").setLevel(logging.CRITICAL)  # it logs what is in letters


def is_one(kind: str, name: str, data: bytes) -> bool:
    """By its first octets, and what it calls itself."""
    return data.startswith(SIGNATURE) and (kind in KINDS or name.lower() in NAMES)


def opened(data: bytes) -> list[tuple[str, bytes]] | None:
    """(name, content) of what is inside, its text as `message.txt`; None when it cannot be opened."""
    try:
        from tnefparse import TNEF
    except ImportError:
        return None
    try:
        found = TNEF(data + b"\0", do_checksum=False)  # without it the library passes over a last object of one octet
        files = [(_name(one), bytes(one.data)) for one in found.attachments if one.data]
        body = found.body
    except Exception:  # noqa: BLE001  it raises what comes out of reading wrong lengths; the file is kept as it is then
        return None
    if body:
        text = charset.decode(body, None).text if isinstance(body, bytes) else str(body)
        files.append(("message.txt", text.strip("\0").encode("utf-8", "replace")))
    return files or None


def _name(one: object) -> str:
    """The long name where there is one. Old programs wrote names in the machine's code page: here cp1256."""
    try:
        said = one.long_filename()  # type: ignore[attr-defined]
    except UnicodeDecodeError:
        raw = one._name  # type: ignore[attr-defined]  # its own decoding has just failed
        said = raw.decode("cp1256", "replace") if isinstance(raw, bytes) else str(raw)
    return (said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)).strip("\x00 ")
