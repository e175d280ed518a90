"""Texts of several parts: as PDUs carry them out, and what a part that comes in says of itself. Pure.

Headers: 3GPP TS 23.040 s 9.2.3.24.1 (8-bit reference) and s 9.2.3.24.8 (16-bit); SAR and message_payload: SMPP v3.4
s 5.3.2.22 to 24, 5.3.2.32.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sms import alphabet, parts
from sms.providers.base import Coding
from sms.providers.smpp.pdu import Data, Message, Pdu, Tag, Tlvs

UDHI = 0x40  # bit of esm_class: the text begins with a header
REF8, REF16 = 0x00, 0x08  # information elements that number parts
SAR = (Tag.SAR_REF, Tag.SAR_TOTAL, Tag.SAR_NUMBER)
MOST_PARTS = 255


class Concat(StrEnum):
    """How a link carries a long text."""

    UDH8 = "udh8"
    UDH16 = "udh16"
    SAR = "sar"
    PAYLOAD = "payload"


@dataclass(frozen=True, slots=True)
class Piece:
    """What is the part's own in a submit_sm."""

    coding: int
    text: bytes
    esm_class: int = 0
    tlvs: Tlvs = ()


def pieces(text: str, link: Coding, concat: Concat, ref: int) -> list[Piece]:
    """The parts of a text. `ref` numbers it among the recipient's; what is too wide for the header is cut off.

    Raises ValueError beyond 255 parts.
    """
    coding, spelt = _choose(text, link)
    found = parts.split(text, concat is not Concat.UDH8, "ucs2" if coding else "gsm7")
    if len(found) == 1:
        return [Piece(coding, alphabet.spell(text, spelt))]
    if concat is Concat.PAYLOAD:
        return [Piece(coding, b"", 0, ((Tag.PAYLOAD, alphabet.spell(text, spelt)),))]
    if len(found) > MOST_PARTS:
        raise ValueError(f"{len(found)} parts")
    octets = [alphabet.spell(each, spelt) for each in found]
    return [_piece(coding, each, concat, ref, len(found), n) for n, each in enumerate(octets, 1)]


def _choose(text: str, link: Coding) -> tuple[int, Coding]:
    """data_coding and alphabet: the link's own where it has all characters and the air has them, else UCS-2."""
    if parts.measure(text).coding != "gsm7" or not _has(link, text):
        return 8, Coding.UCS2
    return 0, link


def _has(link: Coding, text: str) -> bool:
    if link is Coding.GSM7:
        return True
    return text.isascii() if link is Coding.ASCII else all(ord(char) < 256 for char in text)


def _piece(coding: int, octets: bytes, concat: Concat, ref: int, total: int, number: int) -> Piece:
    if concat is Concat.SAR:
        tags = zip(SAR, ((ref & 0xFFFF).to_bytes(2, "big"), bytes((total,)), bytes((number,))), strict=True)
        return Piece(coding, octets, 0, tuple(tags))
    if concat is Concat.UDH8:
        header = bytes((5, REF8, 3, ref & 0xFF, total, number))
    else:
        header = bytes((6, REF16, 4, *(ref & 0xFFFF).to_bytes(2, "big"), total, number))
    return Piece(coding, header + octets, UDHI)


# ---------------------------------------------------------------- in


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part belongs."""

    ref: int
    width: int  #: bits of `ref`
    total: int
    number: int  #: from 1


def content(pdu: Pdu) -> tuple[bytes, Place | None]:
    """The octets of a text without its header, and its place where it is one of several.

    Raises ValueError when header or numbers make no sense.
    """
    body = pdu.body
    if not isinstance(body, Message | Data):
        raise ValueError("no text in it")
    octets = (body.text if isinstance(body, Message) else b"") or pdu.tlv(Tag.PAYLOAD) or b""
    place = None
    if body.esm_class & UDHI:
        octets, place = _header(octets)
    place = place or _sar(pdu)
    if place is not None and not 1 <= place.number <= place.total:
        raise ValueError("numbers of a part make no sense")
    return octets, None if place is None or place.total == 1 else place


def _header(octets: bytes) -> tuple[bytes, Place | None]:
    if not octets or len(octets) <= octets[0]:
        raise ValueError("header longer than its text")
    end, at, place = octets[0] + 1, 1, None
    while at < end:
        if end - at < 2 or at + 2 + octets[at + 1] > end:
            raise ValueError("header without sense")
        place = _element(octets[at], octets[at + 2 : at + 2 + octets[at + 1]]) or place
        at += 2 + octets[at + 1]
    return octets[end:], place


def _element(what: int, value: bytes) -> Place | None:
    if what == REF8 and len(value) == 3:
        return Place(value[0], 8, value[1], value[2])
    if what == REF16 and len(value) == 4:
        return Place(int.from_bytes(value[:2], "big"), 16, value[2], value[3])
    return None


def _sar(pdu: Pdu) -> Place | None:
    found = [pdu.tlv(tag) for tag in SAR]
    ref, total, number = found
    if ref is None or total is None or number is None:
        return None
    if [len(ref), len(total), len(number)] != [2, 1, 1]:
        raise ValueError("numbers of a part of wrong length")
    return Place(int.from_bytes(ref, "big"), 16, total[0], number[0])
