"""Telephone numbers: what people write, as E.164, and back. Iran's shapes; foreign numbers pass as they are. Pure."""

from __future__ import annotations

import re
from enum import StrEnum

from core.text import digits, persian

_MARKS = re.compile(r"[\s\-‐-―−./()_\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")
_MOBILE = re.compile(r"9[0-9]{9}\Z")
_LANDLINE = re.compile(r"[1-8][0-9]{9}\Z")
_FOREIGN = re.compile(r"\+(?!98)[1-9][0-9]{7,14}\Z")
_SHORT = re.compile(r"[1-9][0-9]{2,13}\Z")


class Shape(StrEnum):
    """What kind of number an E.164 number is."""

    MOBILE = "mobile"
    LANDLINE = "landline"
    FOREIGN = "foreign"


def parse(text: str, area: str | None = None) -> str | None:
    """E.164 (`+98…`) of `09…` `9…` `98…` `+98…` `0098…`, area + 8 digits, or 8 digits with the line's `area` (`24`).

    None when it is no telephone number. Digits may be Persian, Arabic or ASCII, marked by `/-(). `.
    """
    bare = _MARKS.sub("", digits(text))
    if bare.startswith("00"):
        bare = "+" + bare[2:]
    if _FOREIGN.match(bare):
        return bare
    national = _national(bare, (area or "").lstrip("0"))
    return "+98" + national if national else None


def shape(number: str) -> Shape | None:
    """The shape of an E.164 number; None for a short code or name."""
    if number.startswith("+98"):
        if _MOBILE.match(number[3:]):
            return Shape.MOBILE
        return Shape.LANDLINE if _LANDLINE.match(number[3:]) else None
    return Shape.FOREIGN if _FOREIGN.match(number) else None


def mobile(number: str) -> bool:
    """Is this E.164 number an Iranian mobile, the only kind texts are sent to?"""
    return shape(number) is Shape.MOBILE


def short(text: str) -> str | None:
    """A short code or line number (3 to 14 digits, no leading 0 or +) in ASCII digits: `1888`, `30001234`."""
    bare = _MARKS.sub("", digits(text))
    return bare if _SHORT.match(bare) else None


def show(number: str, lang: str = "fa") -> str:
    """As it is read at home: `+989120000000` → `۰۹۱۲ ۰۰۰ ۰۰۰۰`; foreign numbers and short codes stay whole."""
    text = number
    if number.startswith("+98") and len(number) == 13:
        rest = number[3:]
        cut = 3 if rest.startswith("9") else 2
        text = f"0{rest[:cut]} {rest[cut:-4]} {rest[-4:]}"
    return persian(text) if lang == "fa" else text


def _national(bare: str, area: str) -> str | None:
    for prefix in ("+98", "98", "0", ""):
        rest = bare.removeprefix(prefix).removeprefix("0" if prefix == "+98" else "")
        if bare.startswith(prefix) and (_MOBILE.match(rest) or _LANDLINE.match(rest)):
            return rest
    if area and re.match(r"[1-9][0-9]{7}\Z", bare) and _LANDLINE.match(area + bare):
        return area + bare
    return None
