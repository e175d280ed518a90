"""What a citizen's text asks for: the first row of the table that fits. Pure; the words are data.

Matching is on the folded text only; what is kept is what was written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from core import codes
from core import text as words_of
from core.channels import Act


class Wish(StrEnum):
    """Rows of the table."""

    EMPTY = "empty"
    STOP = "stop"
    START = "start"
    HELP = "help"
    CONFIDENTIAL = "confidential"
    STATE = "state"
    BAD_CODE = "bad_code"
    MINE = "mine"
    ACT = "act"
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


Vocabulary = Mapping[str, frozenset[str]]  #: stop start help confidential state accept object → folded words

ELEVEN = re.compile(r"(?<!\d)\d(?:[ \-./]?\d){10}(?!\d)")
STRAY = re.compile(r"\d{1,6}")
WORDLESS = re.compile(r"[^\w?]", re.UNICODE)


def vocabulary(rows: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Words as the texts hold them (`a|b c|d`) → folded sets."""
    return {name: frozenset(_plain(word) for word in row.split("|") if word.strip()) for name, row in rows.items()}


def read(text: str, words: Vocabulary) -> Reading:
    """The first row that fits; never raises."""
    plain = _plain(text)
    return (
        _empty(text, plain)
        or _single(plain, words)
        or _confidential(plain, words)
        or _coded(text, words)
        or _stray(plain)
        or Reading(Wish.NEW, rest=text)
    )


def _plain(text: str) -> str:
    return " ".join(words_of.fold(text).replace("؟", "?").strip(" .,!:;،؛«»\"'()-").split())


def _empty(text: str, plain: str) -> Reading | None:
    if "?" in plain or WORDLESS.sub("", plain):
        return None
    return Reading(Wish.EMPTY, rest=text)


def _single(plain: str, words: Vocabulary) -> Reading | None:
    for wish, name in ((Wish.STOP, "stop"), (Wish.START, "start"), (Wish.HELP, "help"), (Wish.MINE, "state")):
        if plain in words[name]:
            return Reading(wish)
    return None


def _confidential(plain: str, words: Vocabulary) -> Reading | None:
    hit = any(plain == word or plain.startswith(word + " ") for word in words["confidential"])
    return Reading(Wish.CONFIDENTIAL) if hit else None


def _stray(plain: str) -> Reading | None:
    return Reading(Wish.STRAY) if STRAY.fullmatch(plain) else None


def _coded(text: str, words: Vocabulary) -> Reading | None:
    """Rows with eleven digits: state, accept, object, addition."""
    line = words_of.digits(text)
    found = ELEVEN.search(line)
    if found is None:
        return None
    digits = re.sub(r"\D", "", found.group())
    before, after = line[: found.start()].strip(), line[found.end() :].strip()
    alone = not after and (not before or _plain(before) in words["state"])
    code = digits
    if not codes.ok(code):
        return Reading(Wish.BAD_CODE) if alone and not digits.startswith("0") else None
    if alone:
        return Reading(Wish.STATE, code=code)
    return _act(code, before, after, words)


def _act(code: str, before: str, after: str, words: Vocabulary) -> Reading | None:
    proof, after = _proof(after)
    if not after and not before:
        return Reading(Wish.STATE, code=code, proof=proof)
    head, _, tail = after.partition(" ")
    word = _plain(head)
    if not before and word in words["accept"] and not tail:
        return Reading(Wish.ACT, Act.ACCEPT, code, proof)
    if not before and word in words["object"]:
        return Reading(Wish.ACT, Act.OBJECT, code, proof, tail.strip())
    if before and after:
        return None
    return Reading(Wish.ACT, Act.ADD, code, proof, after or before)


def _proof(after: str) -> tuple[str | None, str]:
    head, _, tail = after.partition(" ")
    return (head, tail.strip()) if re.fullmatch(r"\d{4}", head) else (None, after)
