"""Is a text one of our own sentences coming back? Two machines that answer each other must fall silent. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from core import text as words_of

LEAST = 12  # letters a sentence needs, so that nobody says it by chance
_HOLE, _DIGIT, _LETTER = re.compile(r"\{\w+\}"), re.compile(r"\d"), re.compile(r"[^\W\d]")


def mask(text: str) -> str:
    """The folded words with every digit alike; '' for a text of digits alone: a bare code is no loop."""
    masked = _DIGIT.sub("0", " ".join(words_of.fold(text).split()))
    return masked if _LETTER.search(masked) else ""


def skeletons(sentences: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Our sentences as what stands between their {facts}, those long enough to be known again."""
    found = (tuple(filter(None, (mask(piece) for piece in _HOLE.split(each)))) for each in sentences)
    return tuple(pieces for pieces in found if sum(len(_LETTER.findall(piece)) for piece in pieces) >= LEAST)


def holds(masked: str, known: Iterable[tuple[str, ...]]) -> bool:
    """Does a masked text hold all pieces of one of our sentences, in their order?"""
    return any(_in_order(masked, pieces) for pieces in known)


def _in_order(text: str, pieces: tuple[str, ...]) -> bool:
    at = 0
    for piece in pieces:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return True
