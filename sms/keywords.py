"""What a citizen's text asks for: the first row of the table that fits. Pure; the words are data.

Matching is on the folded text only; what is kept is what was written. Rows 11 to 15 read the open question.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from core import codes
from core import text as words_of
from core.channels import Act


class Wish(StrEnum):
    """What a row does."""

    EMPTY = "empty"
    STOP = "stop"
    START = "start"
    HELP = "help"
    CONFIDENTIAL = "confidential"
    STATE = "state"
    BAD_CODE = "bad_code"
    MINE = "mine"
    ACT = "act"  #: on the ticket of `code`
    INSIDE = "inside"  #: a code in the midst of words: an addition if the ticket is the sender's own
    VERDICT = "verdict"  #: ۳۱, ۳۳ without a code: on the answered ticket
    REASON = "reason"  #: answers why
    CHOSEN = "chosen"  #: `choice` of an open choice
    CHOICE_BAD = "choice_bad"
    LATER = "later"  #: consultation, survey: not yet
    STRAY = "stray"  #: one to six digits that answer nothing
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Reading:
    """What was understood. `rest`: the citizen's words without code and keyword, as written."""

    wish: Wish
    act: Act = Act.NEW
    code: str | None = None
    proof: str | None = None
    rest: str = ""
    choice: int = 0
    other: str | None = None  #: the code as it stands, where it was read backwards and could be either


@dataclass(frozen=True, slots=True)
class Open:
    """The open question, as far as reading needs it. `offers`: how many may be chosen."""

    kind: str
    offers: int = 0


#: stop start help confidential state accept object yes no opinion clause vote → folded words
Vocabulary = Mapping[str, frozenset[str]]

ELEVEN = re.compile(r"(?<!\d)\d(?:[ \-./]?\d){10}(?!\d)")
BACKWARDS = re.compile(r"(?<!\d)(\d{4})[ \-./](\d{4})[ \-./](\d{3})(?!\d)")
STRAY = re.compile(r"\d{1,6}")
WORDLESS = re.compile(r"[^\w?]", re.UNICODE)
ELEVEN_STOP = "11"
EDGES = " .,!:;،؛«»\"'()-…*_"


def vocabulary(rows: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Words as the texts hold them (`a|b c|d`) → folded sets."""
    return {name: frozenset(_plain(word) for word in row.split("|") if word.strip()) for name, row in rows.items()}


def read(text: str, words: Vocabulary, asked: Open | None = None) -> Reading:
    """The first row that fits; never raises."""
    plain = _plain(text)
    return (
        _empty(text, plain)
        or _single(plain, words, asked)
        or _confidential(plain, words)
        or _coded(text, words)
        or _alone(plain, words)
        or _answer(text, plain, words, asked)
        or _bare_verdict(text, plain, words)
        or _later(plain, words)
        or _stray(plain)
        or Reading(Wish.NEW, rest=text)
    )


def _plain(text: str) -> str:
    return " ".join(words_of.fold(text).replace("؟", "?").strip(EDGES).split())


def _empty(text: str, plain: str) -> Reading | None:
    if "?" in plain or WORDLESS.sub("", plain):
        return None
    return Reading(Wish.EMPTY, rest=text)


def _single(plain: str, words: Vocabulary, asked: Open | None) -> Reading | None:
    """Rows 2 to 4."""
    if plain == ELEVEN_STOP and (asked is None or asked.offers < int(ELEVEN_STOP)):
        return Reading(Wish.STOP)
    for wish in (Wish.STOP, Wish.START, Wish.HELP):
        if plain in words[wish.value]:
            return Reading(wish)
    return None


def _confidential(plain: str, words: Vocabulary) -> Reading | None:
    return Reading(Wish.CONFIDENTIAL) if _begins(plain, words["confidential"]) else None


def _begins(plain: str, known: frozenset[str]) -> bool:
    return _pattern(r"(?:{})(?:[\s:،.؛,-]|\Z)", known).match(plain) is not None


@lru_cache
def _pattern(shape: str, known: frozenset[str]) -> re.Pattern[str]:
    """`shape` with any of the words in its place; without words it fits nothing."""
    return re.compile(shape.replace("{}", "|".join(map(re.escape, sorted(known))) or r"\b\B"))


def _alone(plain: str, words: Vocabulary) -> Reading | None:
    return Reading(Wish.MINE) if plain in words["state"] else None


def _stray(plain: str) -> Reading | None:
    return Reading(Wish.STRAY) if STRAY.fullmatch(plain) else None


# ---------------------------------------------------------------- rows 6, 7, 9, 10


def _coded(text: str, words: Vocabulary) -> Reading | None:
    line = words_of.digits(text)
    found = ELEVEN.search(line)
    if found is None:
        return None
    code, other = _code(found.group())
    before, after = line[: found.start()].strip(), line[found.end() :].strip()
    alone = not after.strip(EDGES) and (not before.strip(EDGES) or _plain(before) in words["state"])
    if code is None:
        phone = found.group().startswith("0")
        return Reading(Wish.BAD_CODE) if alone and not phone else None
    return Reading(Wish.STATE, code=code, other=other) if alone else _act(text, code, before, after, words)


def _code(written: str) -> tuple[str | None, str | None]:
    """The code; grouped 4-4-3 it is read backwards first: so letters from right to left show it. And the other
    reading, where that is a code too."""
    plain = re.sub(r"\D", "", written)
    turned = BACKWARDS.fullmatch(written)
    back = "".join(reversed(turned.groups())) if turned else ""
    found = [code for code in (back, plain) if codes.ok(code)]
    return (found[0] if found else None), (found[1] if len(found) > 1 else None)


def _act(text: str, code: str, before: str, after: str, words: Vocabulary) -> Reading:
    proof, after = _proof(after)
    if _plain(before) in words["state"]:
        before = ""
    if not after and not before:
        return Reading(Wish.STATE, code=code, proof=proof)
    word, tail = _head(after)
    if not before and word in words["accept"] and not tail:
        return Reading(Wish.ACT, Act.ACCEPT, code, proof)
    if not before and word in words["object"]:
        return Reading(Wish.ACT, Act.OBJECT, code, proof, tail)
    if before and after:
        return Reading(Wish.INSIDE, code=code, rest=text)
    return Reading(Wish.ACT, Act.ADD, code, proof, after or before)


def _head(text: str) -> tuple[str, str]:
    """The first word, folded, and the rest as written."""
    first, _, tail = text.strip().replace("\n", " ").partition(" ")
    return _plain(first), tail.strip()


def _proof(after: str) -> tuple[str | None, str]:
    head, _, tail = after.replace("\n", " ").partition(" ")
    return (head, tail.strip()) if re.fullmatch(r"\d{4}", head) else (None, after)


# ---------------------------------------------------------------- rows 11 to 17


def _answer(text: str, plain: str, words: Vocabulary, asked: Open | None) -> Reading | None:
    """What answers the open question."""
    if asked is None:
        return None
    if asked.kind == "verdict":
        return _verdict(text, plain, words["accept"] | words["yes"], words["object"] | words["no"])
    if asked.kind == "why":
        return Reading(Wish.REASON, Act.ADD, rest=text)
    if asked.kind == "choice" and STRAY.fullmatch(plain):
        good = 1 <= int(plain) <= asked.offers
        return Reading(Wish.CHOSEN, choice=int(plain)) if good else Reading(Wish.CHOICE_BAD)
    return None


def _bare_verdict(text: str, plain: str, words: Vocabulary) -> Reading | None:
    """Row 15: two digits or the word, with no question open."""
    return _verdict(text, plain, words["accept"], words["object"])


def _verdict(text: str, plain: str, accept: frozenset[str], refuse: frozenset[str]) -> Reading | None:
    if plain in accept:
        return Reading(Wish.VERDICT, Act.ACCEPT)
    word, tail = _head(words_of.digits(text))
    return Reading(Wish.VERDICT, Act.OBJECT, rest=tail) if word in refuse else None


def _later(plain: str, words: Vocabulary) -> Reading | None:
    """Clauses of a consultation, votes, walk-in surveys."""
    clause = _pattern(r"(?:{}) ?\d+(?:-\d+)?(?!\d)", words["clause"])
    opinion = _pattern(r"(?:{}) \S+ [1-5](?:\s|$)", words["opinion"])
    return Reading(Wish.LATER) if plain in words["vote"] or clause.match(plain) or opinion.match(plain) else None
