"""From bytes to text: what was declared if it is plausible, else UTF-8, else our own Persian and Arabic score. Pure."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

ALIASES = {
    "windows1256": "cp1256", "x-windows-1256": "cp1256", "x-cp1256": "cp1256", "ansi": "cp1256",
    "iso-8859-6-i": "iso8859-6", "iso-8859-6-e": "iso8859-6", "dos-720": "cp720", "x-mac-farsi": "mac-farsi",
    "cp-850": "cp850", "utf8mb4": "utf-8", "unicode-1-1-utf-8": "utf-8",
}  # fmt: skip
UNDECLARED = frozenset({"", "x-unknown", "unknown-8bit", "unknown", "default", "binary", "8bit"})
NOT_TEXT = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"})
ARABIC = ("cp1256", "iso8859-6", "cp720")
WESTERN = frozenset({"iso8859-1", "cp1252", "iso8859-15", "latin-1", "cp850", "mac-roman"})
SAMPLE = 65_536  # octets looked at when guessing
#: rounded shares, per thousand letters, of running Persian and Arabic; what is missing is rare
COMMON = {
    "ا": 145, "ي": 85, "ی": 85, "ر": 70, "ن": 65, "د": 62, "ه": 58, "م": 58, "و": 58, "ت": 52, "ل": 50, "ب": 40,
    "س": 38, "ش": 32, "ک": 28, "ك": 28, "ز": 24, "ع": 22, "ف": 18, "ق": 18, "خ": 14, "گ": 12, "ح": 12, "ج": 12,
    "پ": 10, "ص": 9, "آ": 12, "چ": 5, "ط": 8, "ض": 6, "غ": 4, "ذ": 4, "ظ": 3, "ث": 3, "ژ": 1, "ئ": 4, "أ": 9, "إ": 6,
    "ة": 12, "ى": 6, "ء": 4, "ؤ": 2, "\u200c": 15, "،": 10, "؟": 4, "؛": 2,
}  # fmt: skip
LIKELY = 20.0  # mean of COMMON over the 8-bit letters from which a guess stands
WORD = re.compile(r"[^\W\d_]+")
CONTROLS = re.compile("[\x80-\x9f]")  # what no Western letter holds, and Persian read as Latin-1 does
SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text, the charset it came from, and whether nothing had to be guessed or replaced."""

    text: str
    charset: str
    sure: bool


def decode(raw: bytes, declared: str | None, default: str = "cp1256") -> Decoded:
    """Never raises; no lone surrogate gets out. `default` is the line's charset, used with replacement at the end."""
    if raw.isascii() and b"\x1b" not in raw and not _is_odd(declared):
        return Decoded(raw.decode("ascii"), "ascii", True)
    name = known(declared)
    text = _strict(raw, name)
    if name is not None and text is not None and _plausible(raw, text, name):
        return Decoded(text, name, True)
    text = _strict(raw, "utf-8")
    if text is not None:
        return Decoded(text, "utf-8", True)
    return _guess(raw, default)


def known(declared: str | None) -> str | None:
    """Python's name for a declared charset, aliases resolved; None for none, an unknown one or no text encoding."""
    word = (declared or "").strip().strip("\"'").lower()
    if word in UNDECLARED or len(word) > 60 or not word.isascii():
        return None
    try:
        found = codecs.lookup(ALIASES.get(word, word))
    except (LookupError, ValueError):
        return None
    is_text = getattr(found, "_is_text_encoding", True) and found.name not in NOT_TEXT
    return found.name if is_text else None


def score(text: str) -> float:
    """How much the letters beyond ASCII look like running Persian or Arabic: about 50 if they are, below 15 if not."""
    beyond = [c for c in text if c > "\x7f"]
    return sum(COMMON.get(c, -30) for c in beyond) / len(beyond) if beyond else 0.0


def _is_odd(declared: str | None) -> bool:
    """Is it a charset in which ASCII octets mean something else (UTF-7, UTF-16, ISO-2022, HZ)?"""
    word = (declared or "").lower()
    return "utf-7" in word or "utf-16" in word or "utf-32" in word or "2022" in word or word.startswith("hz")


def _strict(raw: bytes, name: str | None) -> str | None:
    if name is None:
        return None
    try:
        text = raw.decode(name)
    except (UnicodeError, ValueError, LookupError):
        return None
    return None if SURROGATE.search(text) else text


def _plausible(raw: bytes, text: str, name: str) -> bool:
    if name in ("utf-8", "ascii") or _is_odd(name):
        return True
    sample = raw[:SAMPLE]
    if len(sample) - len(sample.decode("utf-8", "ignore").encode()) <= 3 and not sample.isascii():
        return _strict(raw, "utf-8") is None  # valid UTF-8 by chance is next to impossible
    if name not in WESTERN:
        return True
    words = [word for word in WORD.findall(text[:SAMPLE]) if not word.isascii()]
    strange = sum(sum(c > "\x7f" for c in word) * 3 > len(word) * 2 for word in words if len(word) > 1)
    return (strange * 2 < len(words) and not CONTROLS.search(text)) or _best(sample)[0] < LIKELY


def _best(sample: bytes) -> tuple[float, str]:
    return max((score(sample.decode(name, "replace")), name) for name in ARABIC)


def _guess(raw: bytes, default: str) -> Decoded:
    best, name = _best(raw[:SAMPLE])
    if best < LIKELY:
        name = _chardet(raw[:SAMPLE]) or known(default) or "cp1256"
    text = _strict(raw, name)
    if text is not None:
        return Decoded(text, name, best >= LIKELY)
    return Decoded(SURROGATE.sub("\ufffd", raw.decode(name, "replace")), name, False)


def _chardet(sample: bytes) -> str | None:
    import chardet  # late: its tables are only needed for what nobody else could read

    found = chardet.detect(sample)
    sure = (found.get("confidence") or 0) > 0.6
    return known(found.get("encoding")) if sure else None
