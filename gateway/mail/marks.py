"""The words of mail programs and robots (marks.toml) as checked data."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from core import text

_BIDI = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


@dataclass(frozen=True, slots=True)
class Marks:
    """All languages together: a citizen's program need not speak the citizen's language."""

    attribution: re.Pattern[str]
    original: re.Pattern[str]
    forwarded: re.Pattern[str]
    signature: re.Pattern[str]  #: lines that a program or a telephone adds of itself
    fields: frozenset[str]  #: labels of quoted header lines, plain
    subjects: tuple[str, ...]  #: of automatic mail, plain
    alone: re.Pattern[str]  #: an attribution without its verb, which holds as a paragraph of its own only
    forwards: tuple[str, ...] = ()  #: beginnings of the subject of what is handed on, plain


def plain(line: str) -> str:
    """A line as marks are matched on: bidi marks off, ASCII digits, Persian letters, one blank between words, lower."""
    return " ".join(text.digits(text.clean(_BIDI.sub("", line))).replace("\u200c", " ").split())


SHIPPED = Path(__file__).with_name("marks.toml")


@cache
def read(path: Path = SHIPPED) -> Marks:
    """Raises ValueError (with the file's name) for a pattern that does not compile."""
    languages = tomllib.loads(path.read_text("utf-8")).values()

    def patterns(name: str) -> re.Pattern[str]:
        each = [_checked(p, path) for language in languages for p in language.get(name, ())]
        return re.compile("|".join(f"(?:{p})" for p in each), re.IGNORECASE)

    def words(name: str) -> list[str]:
        return [plain(w).lower() for language in languages for w in language.get(name, ())]

    return Marks(
        patterns("attribution"), patterns("original"), patterns("forwarded"), patterns("signature"),
        frozenset(words("fields")), tuple(words("subjects")), patterns("alone"),
        tuple(words("forwards")),
    )  # fmt: skip


def _checked(pattern: str, path: Path) -> str:
    try:
        re.compile(plain(pattern))
    except re.error as error:
        raise ValueError(f"{path.name}: {pattern}: {error}") from None
    return plain(pattern)
