"""The alphabets of data_coding: GSM 03.38 with its extension, ASCII, Latin-1, UTF-16, octets. Pure.

3GPP TS 23.038 s 6.2.1 is the table; one septet an octet, as SMPP carries it.
"""

from __future__ import annotations

from sms.providers.base import Coding

ESCAPE = 0x1B
BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = {
    0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|", 0x65: "€",
}  # fmt: skip
_SPELT = {char: bytes((n,)) for n, char in enumerate(BASIC) if n != ESCAPE} | {
    char: bytes((ESCAPE, n)) for n, char in EXTENDED.items()
}
DCS = {1: Coding.ASCII, 2: Coding.BINARY, 3: Coding.LATIN1, 4: Coding.BINARY, 8: Coding.UCS2}


def coding(data_coding: int, link: Coding) -> Coding:
    """What a data_coding means (s 5.2.19): 0 is the link's own alphabet, what nobody knows is octets."""
    if data_coding == 0:
        return link
    if data_coding & 0xF0 == 0xF0:  # GSM message class: bit 2 tells octets from the default alphabet
        return Coding.BINARY if data_coding & 0x04 else Coding.GSM7
    return DCS.get(data_coding, Coding.BINARY)


def spell(text: str, alphabet: Coding) -> bytes:
    """The octets of `text`. Raises UnicodeEncodeError or KeyError for a character the alphabet has not."""
    if alphabet is Coding.GSM7:
        return b"".join([_SPELT[char] for char in text])
    return text.encode({Coding.UCS2: "utf-16-be", Coding.ASCII: "ascii"}.get(alphabet, "latin-1"), "surrogatepass")


def text(octets: bytes, alphabet: Coding) -> tuple[str, tuple[str, ...]]:
    """What octets spell, and words for what was odd. Octets of no alphabet give no text."""
    if alphabet is Coding.BINARY:
        return "", ("octets of no alphabet",)
    if alphabet is Coding.GSM7:
        return _septets(octets)
    if alphabet is Coding.UCS2:
        found = octets[: len(octets) & ~1].decode("utf-16-be", "replace")
        return found, ("odd number of octets",) if len(octets) & 1 else _odd(found)
    found = octets.decode("ascii" if alphabet is Coding.ASCII else "latin-1", "replace")
    return found, _odd(found)


def _odd(text: str) -> tuple[str, ...]:
    return ("characters unreadable",) if "\ufffd" in text else ()


def _septets(octets: bytes) -> tuple[str, tuple[str, ...]]:
    """An escape before a character that has no second meaning is read over (s 6.2.1.1)."""
    chars: list[str] = []
    escaped = False
    for octet in octets:
        if octet == ESCAPE and not escaped:
            escaped = True
            continue
        chars.append(_septet(octet, escaped))
        escaped = False
    found = "".join(chars)
    return found, _odd(found)


def _septet(octet: int, escaped: bool) -> str:
    if octet > 0x7F:
        return "\ufffd"
    if octet == ESCAPE:
        return " "
    return EXTENDED.get(octet, BASIC[octet]) if escaped else BASIC[octet]
