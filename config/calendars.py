"""calendar.toml as a calendar: the week's hours, fixed days of the Jalali year, lunar days and closures by date."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any, Literal

from config import shape
from config.faults import Fault
from config.positions import Document, Where
from config.units import Names
from core import jalali
from core.calendar import Calendar, DayOff, Period, Why

WEEK = ("sat", "sun", "mon", "tue", "wed", "thu", "fri")
_HOURS = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])\Z")
_FIXED = re.compile(r"([0-9]{1,2})/([0-9]{1,2})\Z")
_DATE = re.compile(r"(1[34][0-9]{2})/([0-9]{1,2})/([0-9]{1,2})\Z")


@dataclass(frozen=True, slots=True)
class _Fixed:
    day: str
    name: Names


@dataclass(frozen=True, slots=True)
class _Dated:
    day: str
    name: Names
    certainty: Literal["expected", "confirmed", "moved"] = "expected"


@dataclass(frozen=True, slots=True)
class _File:
    week: Mapping[str, tuple[str, ...]]
    fixed: tuple[_Fixed, ...] = ()
    lunar: tuple[_Dated, ...] = ()
    closure: tuple[_Dated, ...] = ()


def read_calendar(document: Document, zone: str, faults: list[Fault]) -> Calendar | None:
    """The calendar of a document. Adds `bad-hours overlap unknown-key bad-day`; None where the file has no shape."""
    raw = shape.gather(_File, dict(document.data), document.at(), faults)
    if raw is None:
        return None
    week = dict(_week(raw.week, document.at("week"), faults))
    fixed: dict[tuple[int, int], DayOff] = {}
    for n, entry in enumerate(raw.fixed):
        found = _fixed(entry.day, document.at("fixed", n, "day"), faults)
        if found:
            fixed[found] = DayOff(entry.name)
    days = dict(_dated(raw.lunar, Why.HOLIDAY, document.at("lunar"), faults))
    days |= dict(_dated(raw.closure, Why.CLOSURE, document.at("closure"), faults))
    return Calendar(week, fixed, days, zone)


def _week(
    week: Mapping[str, tuple[str, ...]], where: Where, faults: list[Fault]
) -> Iterator[tuple[int, tuple[Period, ...]]]:
    for name, hours in week.items():
        if name not in WEEK:
            told = f"{name!r} is no day; the days are {', '.join(WEEK)}"
            faults.append((where / name).fault("unknown-key", told))
            continue
        periods = [p for p in (_period(one, where / name, faults) for one in hours) if p]
        if any(a.end > b.start for a, b in pairwise(periods)):
            faults.append((where / name).fault("overlap", "its hours overlap or are out of order; mend them"))
        yield WEEK.index(name), tuple(periods)


def _period(text: str, where: Where, faults: list[Fault]) -> Period | None:
    match = _HOURS.match(text)
    if match:
        first, last = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
        if first < last <= 24 * 60:
            return Period(first, last)
    faults.append(where.fault("bad-hours", f'{text!r}: write hours like "07:00-14:30", the end after the start'))
    return None


def _fixed(text: str, where: Where, faults: list[Fault]) -> tuple[int, int] | None:
    match = _FIXED.match(text)
    month, day = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (1 <= month <= 12 and 1 <= day <= (31 if month <= 6 else 30)):
        faults.append(where.fault("bad-day", f'{text!r}: write a day of the Jalali year like "1/13"'))
        return None
    return month, day


def _dated(entries: tuple[Any, ...], why: Why, where: Where, faults: list[Fault]) -> Iterator[tuple[date, DayOff]]:
    for n, entry in enumerate(entries):
        match = _DATE.match(entry.day)
        try:
            if not match:
                raise ValueError
            day = jalali.gregorian(int(match[1]), int(match[2]), int(match[3]))
        except ValueError:
            told = f'{entry.day!r}: write a Jalali date that there is, like "1405/4/4"'
            faults.append((where / n / "day").fault("bad-day", told))
            continue
        yield day, DayOff(entry.name, why, entry.certainty)
