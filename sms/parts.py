"""How many parts a text takes on the air, before anybody sends it. Pure.

GSM 03.38 packs 160 characters alone or 153 a part; anything outside its alphabet makes the whole text UCS-2:
70 alone or 67 a part (3GPP TS 23.038, 23.040 s 9.2.3.24).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import regex

from core.channels import Measure
from sms.alphabet import BASIC as ORDERED
from sms.alphabet import ESCAPE
from sms.alphabet import EXTENDED as DOUBLED

BASIC = set(ORDERED) - {chr(ESCAPE)}
EXTENDED = set(DOUBLED.values())  # an escape and a septet: two units
KNOWN = BASIC | EXTENDED
_DOUBLE = re.compile(f"[{re.escape(''.join(sorted(EXTENDED)))}]")
_MARKS = re.compile(r"[\u200c\u0640\u064b-\u0652\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_CLUSTER = regex.compile(r"\X")
SIZES = {"gsm7": (160, 153), "ucs2": (70, 67)}  # units alone; a part of several with an 8-bit reference
WIDE = 1  # units a part has less with a 16-bit reference


def measure(text: str) -> Measure:
    """Coding, units, parts and what is left in the last part."""
    coding = _coding(text)
    alone, each = SIZES[coding]
    units = _units(text, coding)
    if units <= alone:
        return Measure(coding, units, 1, alone - units)
    fill = [size for _, size in _pieces(text, coding, each)]
    return Measure(coding, units, len(fill), each - fill[-1])


def split(text: str, ref16: bool = False, coding: str | None = None) -> list[str]:
    """The text of each part, the whole text where it fits alone.

    `ref16`: parts numbered by a 16-bit reference; `coding`: `ucs2` where the way out knows nothing better.
    """
    coding = coding or _coding(text)
    alone, each = SIZES[coding]
    if _units(text, coding) <= alone:
        return [text]
    return [piece for piece, _ in _pieces(text, coding, each - WIDE if ref16 else each)]


def _coding(text: str) -> str:
    return "gsm7" if KNOWN.issuperset(text) else "ucs2"


def _units(text: str, coding: str) -> int:
    """Septets, or 16-bit units; a surrogate alone is one."""
    if coding == "gsm7":
        return len(text) + len(_DOUBLE.findall(text))
    return len(text.encode("utf-16-be", "surrogatepass")) // 2


def _pieces(text: str, coding: str, each: int) -> list[tuple[str, int]]:
    """Text and units of each part; a cluster (surrogates, ZWNJ, harakat) or an escape pair is never cut."""
    pieces, piece, used = [], "", 0
    for cluster in _clusters(text, coding, each):
        size = _units(cluster, coding)
        if used + size > each:
            pieces.append((piece, used))
            piece, used = "", 0
        piece, used = piece + cluster, used + size
    return [*pieces, (piece, used)]


def _clusters(text: str, coding: str, each: int) -> Iterator[str]:
    if coding == "gsm7":
        yield from text
        return
    for cluster in _CLUSTER.findall(text):
        yield from [cluster] if _units(cluster, coding) <= each else cluster


def compact(text: str) -> str:
    """Without ZWNJ, tatweel, harakat and bidi marks, but only where that saves a part."""
    short = _MARKS.sub("", text)
    return short if short != text and measure(short).parts < measure(text).parts else text
