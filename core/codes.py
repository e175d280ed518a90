"""Tracking codes: ten random digits and a Verhoeff check digit, shown 3-4-4. Pure but for the random source given."""

from __future__ import annotations

import os
import re
from itertools import cycle
from typing import Protocol

from core.text import digits

LENGTH = 11
_P1 = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
_INVERSE = (0, 4, 3, 2, 1, 5, 6, 7, 8, 9)
_MARKS = re.compile(r"[\s\-‐-―−./_\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")
_SHAPE = re.compile(r"[1-9][0-9]{10}\Z")
_GROUP = re.compile(r"[0-9]+")
_GAP = re.compile(r"[ \u00a0\-‐-―−./]{1,3}\Z")
_BIDI = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")


class Random(Protocol):
    """Where random numbers come from; the operating system in production."""

    def randbelow(self, exclusive_upper_bound: int, /) -> int: ...


class System:
    """The operating system's randomness; drawn from 128 bits, so no number is likelier than another."""

    def randbelow(self, exclusive_upper_bound: int, /) -> int:
        """As `secrets.randbelow`, in half its time."""
        return int.from_bytes(os.urandom(16)) % exclusive_upper_bound


_SYSTEM = System()


def new(rng: Random = _SYSTEM) -> str:
    """A fresh code, 11 ASCII digits. It never begins with 0, so that no mobile number looks like one."""
    body = str(1_000_000_000 + rng.randbelow(9_000_000_000))
    return body + check(body)


def check(body: str) -> str:
    """The Verhoeff digit that goes behind `body` (ASCII digits)."""
    value = 0
    for turned, digit in zip(cycle(_TURNED), reversed(body), strict=False):
        value = _JOINED[value][turned[digit]]
    return str(_INVERSE[value])


def ok(code: str) -> bool:
    """Is it a well-formed code: 11 ASCII digits, the first 1-9, the check digit right?"""
    return bool(_SHAPE.match(code)) and check(code[:-1]) == code[-1]


def parse(text: str) -> str | None:
    """The 11 ASCII digits somebody typed, in Persian, Arabic or ASCII digits, however grouped; None for another shape.

    The check digit is not looked at: ask `ok`, so that a wrong one can be told as "one digit is wrong".
    """
    bare = _MARKS.sub("", digits(text))
    return bare if _SHAPE.match(bare) else None


def show(code: str) -> str:
    """`12345678901` as `123-4567-8901`."""
    return f"{code[:3]}-{code[3:7]}-{code[7:]}"


def find(text: str) -> list[str]:
    """Well-formed codes in free text, in order, each once.

    Groups may be parted by blanks, dashes, dots and slashes. 4-4-3 is tried backwards as well: a code shown 3-4-4
    and copied from a right-to-left line comes in that order.
    """
    found: dict[str, None] = {}
    for run in _runs(_BIDI.sub("", digits(text))):
        for first in range(len(run)):
            for last in range(first + 1, min(len(run), first + LENGTH) + 1):
                for code in _orders(run[first:last]):
                    found.setdefault(code)
    return list(found)


def _orders(groups: list[str]) -> list[str]:
    if sum(map(len, groups)) != LENGTH:
        return []
    orders = [groups, groups[::-1]] if [len(g) for g in groups] == [4, 4, 3] else [groups]
    return [code for code in map("".join, orders) if ok(code)]


def _runs(text: str) -> list[list[str]]:
    """Digit groups, those side by side together."""
    runs: list[list[str]] = []
    end = -1
    for match in _GROUP.finditer(text):
        if runs and _GAP.match(text[end : match.start()]):
            runs[-1].append(match.group())
        else:
            runs.append([match.group()])
        end = match.end()
    return runs


def _turn(place: int, digit: int) -> int:
    for _ in range(place % 8):
        digit = _P1[digit]
    return digit


def _join(j: int, k: int) -> int:
    """Multiplication in the dihedral group of ten, as Verhoeff's table has it."""
    if j < 5:
        return (j + k) % 5 if k < 5 else 5 + (j + k) % 5
    return 5 + (j - k) % 5 if k < 5 else (j - k) % 5


_TURNED = [{str(digit): _turn(place, digit) for digit in range(10)} for place in (1, 2, 3, 4, 5, 6, 7, 8)]
_JOINED = [[_join(j, k) for k in range(10)] for j in range(10)]
