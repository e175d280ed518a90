"""Parts of long texts that came in, put together in any order, with holes, repeats and equal references. Pure.

All parts under one key (provider, line, sender, reference, its width, total) lie in one box of named slots; a second
text under the same reference is a second generation in the same box. What a box holds says all there is to know.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sms import alphabet
from sms.providers.base import Coding, Part

MOST = 255  # parts of a text: what their header can count, GSM 03.40 s 9.2.3.24.1
STALE = 600_000  # ms after its first part a set takes no new numbers: those are another text's
SHUT = 86_400_000  # ms a whole set still knows its repeats
RELEASE = 300_000  # ms a set waits for its missing parts
HOLE = "\ufffc"  # stands for a missing part until it is worded


@dataclass(slots=True)
class Set:
    """One generation: digests and, until it was taken, octets by number."""

    number: int
    first_at: int
    digests: dict[int, str] = field(default_factory=dict)
    octets: dict[int, bytes] = field(default_factory=dict)
    coding: Coding = Coding.UCS2
    total: int = 0
    done: bool = False  #: taken whole
    told: str = ""  #: taken with holes: the ticket it became, 0 for none
    known: int = 0  #: parts there were when it was told last

    @property
    def whole(self) -> bool:
        return len(self.octets) == self.total


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part goes: slot and bytes. `repeat`: it is there already."""

    set: int
    slot: str
    data: bytes
    repeat: bool = False


def good(part: Part) -> bool:
    """Numbers that can be; others are kept raw."""
    return 2 <= part.total <= MOST and 1 <= part.number <= part.total


def key(provider: str, line: str, part: Part) -> str:
    """The box of a part."""
    whole = (provider, line, part.sender, str(part.ref), str(part.width), str(part.total))
    return "sms:set:" + hashlib.sha256("\x00".join(whole).encode()).hexdigest()[:32]


def sets(slots: Mapping[str, bytes]) -> dict[int, Set]:
    """The generations of a box."""
    found: dict[int, Set] = {}
    for slot, data in slots.items():
        number, _, what = slot.partition(".")
        at, coding, total, digest, octets = _read(data)
        mine = found.setdefault(int(number), Set(int(number), at, total=total))
        mine.first_at = min(mine.first_at, at)
        if what == "done":
            mine.done = True
            mine.digests |= {n: text for n, text in enumerate(octets.decode().split(","), 1) if text}
        elif what == "told":
            mine.told, _, known = octets.decode().partition(" ")
            mine.known = int(known)
        else:
            mine.coding = coding
            mine.digests[int(what)] = digest
            mine.octets[int(what)] = octets
    return found


def place(slots: Mapping[str, bytes], part: Part, now: int) -> Place:
    """Where `part` belongs among what the box holds."""
    known = sets(slots)
    digest = _digest(part.data)
    for mine in known.values():
        if mine.digests.get(part.number) == digest and now - mine.first_at < SHUT:
            return Place(mine.number, f"{mine.number}.{part.number}", b"", repeat=True)
    for mine in known.values():
        if not mine.done and part.number not in mine.digests and now - mine.first_at <= STALE:
            return _new(mine.number, part, now)
    return _new(max(known, default=-1) + 1, part, now)


def _new(number: int, part: Part, now: int) -> Place:
    return Place(number, f"{number}.{part.number}", _write(now, part.coding, part.total, _digest(part.data), part.data))


def join(mine: Set) -> tuple[str, tuple[str, ...]]:
    """The text (HOLE for each missing part) and words for what was odd. Octets are joined before they are decoded."""
    runs: list[bytes | None] = [mine.octets.get(n) for n in range(1, mine.total + 1)]
    text, run = "", b""
    odd: list[str] = []
    for each in [*runs, None]:
        if each is not None:
            run += each
            continue
        if run:
            piece, defects = alphabet.text(run, mine.coding)
            text, run = text + piece, b""
            odd += defects
        text += HOLE
    return text[:-1], tuple(dict.fromkeys(odd))


def gaps(missing: Sequence[int]) -> list[tuple[int, int]]:
    """First and last of each run of missing numbers."""
    runs: list[tuple[int, int]] = []
    for number in missing:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def taken(mine: Set) -> dict[str, bytes | None]:
    """The changes of the box once the whole text was taken: digests stay a day, words go."""
    digests = ",".join(mine.digests.get(n, "") for n in range(1, mine.total + 1)).encode()
    gone: dict[str, bytes | None] = {f"{mine.number}.{n}": None for n in mine.octets}
    gone[f"{mine.number}.told"] = None
    return {**gone, f"{mine.number}.done": _write(mine.first_at, mine.coding, mine.total, "", digests)}


def released(mine: Set, ticket: str) -> dict[str, bytes | None]:
    """The change once a text with holes became `ticket`."""
    told = f"{ticket or 0} {len(mine.octets)}".encode()
    return {f"{mine.number}.told": _write(mine.first_at, mine.coding, mine.total, "", told)}


def due(slots: Mapping[str, bytes], now: int, early: bool = False) -> list[Set]:
    """Generations that must be taken now: whole ones that a crash left, and those that waited long enough."""
    return [mine for mine in sets(slots).values() if mine.octets and not mine.done and _due(mine, now, early)]


def _due(mine: Set, now: int, early: bool) -> bool:
    """Whole, or more than was told of it (a crash lay between), or it waited long enough."""
    if mine.whole or (mine.told and len(mine.octets) > mine.known):
        return True
    return not mine.told and (early or now - mine.first_at >= RELEASE)


def settled(slots: Mapping[str, bytes], now: int) -> bool:
    """May the box be forgotten? All taken, and repeats no longer to be expected."""
    return all((mine.done or mine.told) and now - mine.first_at >= SHUT for mine in sets(slots).values())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _write(at: int, coding: Coding, total: int, digest: str, data: bytes) -> bytes:
    return f"{at} {coding} {total} {digest}\n".encode() + data


def _read(data: bytes) -> tuple[int, Coding, int, str, bytes]:
    head, _, rest = data.partition(b"\n")
    at, coding, total, digest = head.decode().split(" ")
    return int(at), Coding(coding), int(total), digest, rest
