"""Persian text: cleaned at the door, folded for matching. Pure."""

from __future__ import annotations

import re
import unicodedata

ZWNJ = "\u200c"
_JOINT = "\x1f"  # stands for ZWNJ while folding, which drops it
_LETTERS = str.maketrans({"ي": "ی", "ى": "ی", "ك": "ک"})
_PRESENTED = re.compile(r"[\ufb50-\ufdff\ufe70-\ufefe]+")
_OUT = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]+"
)
_LINES = re.compile(r"\r\n?")
_UNCLEAN = re.compile(  # anything `clean` changes but what NFC does
    r"[\r\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufdd0-\ufdef\ufffe\uffff"
    r"\ud800-\udfff\ufb50-\ufdff\ufe70-\ufefeيىك]"
)
_EZAFE = re.compile(r"ه\u200cی(?![\w\u200c])")
_FOLDED = (  # one replacement after the other takes a tenth of the time of str.translate
    *zip("ئؤةۀەأإٱآيىك", "یوهههااااییک", strict=True),
    *zip("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "0123456789" * 2, strict=True),
    *((mark, "") for mark in "ءـ\u200c\u200d\u200e\u200f"),
)
_COMBINING = re.compile(  # of the scripts met here: Latin, Cyrillic, Hebrew, Arabic, symbols
    r"[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    r"\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u08ca-\u08e1\u08e3-\u08ff\u1ab0-\u1aff\u1dc0-\u1dff"
    r"\u20d0-\u20ff\ufe20-\ufe2f]+"
)
_BETWEEN = re.compile(r"[^\w\s]+")
_DIGITS = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "0123456789" * 2)
_PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
_SYNONYMS = (("مسیول", "مسوول"),)  # two spellings of one word that folding leaves apart
_KEPT, _SHORT = 256, 2000  # texts cleaned last, and the characters of the longest that is remembered
_known: dict[str, None] = {}  # clean texts: at the door, when stored and when matched it is the same one


def digits(text: str) -> str:
    """Persian and Arabic digits as ASCII ones; all else as it is."""
    return text if text.isascii() else text.translate(_DIGITS)


def persian(text: str | int) -> str:
    """ASCII digits as Persian ones, for the edge."""
    return str(text).translate(_PERSIAN)


def clean(text: str) -> str:
    """Text as it goes in: NFC, Persian ی and ک, plain letters for presentation forms, lines ended by LF.

    NUL, controls but tab and LF, bidi overrides and isolates, lone surrogates are dropped; ZWNJ stays.
    """
    if text in _known or (text.isascii() and text.isprintable()):
        return text
    text = _cleaned(text)
    if len(text) <= _SHORT:
        if len(_known) >= _KEPT:
            _known.clear()
        _known[text] = None
    return text


def _cleaned(text: str) -> str:
    if not _UNCLEAN.search(text) and unicodedata.is_normalized("NFC", text):
        return text  # almost always; four times faster
    text = _OUT.sub("", _LINES.sub("\n", text))
    text = _PRESENTED.sub(lambda m: unicodedata.normalize("NFKC", m.group()), text)
    return unicodedata.normalize("NFC", text).translate(_LETTERS)


def fold(text: str) -> str:
    """Text for matching: one spelling for what people spell in many ways; blanks stay, ZWNJ goes."""
    return _fold(_opened(text))


def words(text: str) -> list[str]:
    """Folded words, cut at blanks, punctuation and ZWNJ."""
    return _cut(_fold(_opened(text).replace(ZWNJ, " ")))


def readings(text: str) -> tuple[list[str], list[str]]:
    """Folded words with compounds joined at their ZWNJ, and with them cut there."""
    if ZWNJ not in text:
        whole = _cut(fold(text))
        return whole, whole
    parted = _BETWEEN.sub(" ", _fold(_opened(text).replace(ZWNJ, _JOINT)))  # the joint is a blank, too
    cut = parted.split()
    return (parted.replace(_JOINT, "").split(), cut) if _JOINT in parted else (cut, cut)


def _cut(text: str) -> list[str]:
    """The runs of letters and digits: what is neither that nor a blank is rare, and `split` is quick."""
    return _BETWEEN.sub(" ", text).split()


def _opened(text: str) -> str:
    """Cleaned, and the ی of خانه‌ی gone, while ZWNJ still shows where words join."""
    text = clean(text)
    return _EZAFE.sub("ه", text) if ZWNJ in text else text


def _fold(text: str) -> str:
    if text.isascii():  # nothing below changes it but `lower`
        return text.lower()
    bare = _COMBINING.sub("", unicodedata.normalize("NFKD", text))  # takes the hamza of ئ ؤ ۀ أ with it
    for one, other in _FOLDED:
        bare = bare.replace(one, other)
    text = unicodedata.normalize("NFC", bare).lower()
    for one, other in _SYNONYMS:
        text = text.replace(one, other)
    return text
