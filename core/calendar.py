"""Working days, and due dates that explain themselves. Pure: a calendar is a value, moments are ms UTC."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from enum import StrEnum
from typing import Any

from core import jalali
from core.channels import Say

MINUTE = 60_000  # ms
HORIZON = 4000  # days looked ahead before a calendar counts as closed for good
_BUDGET = re.compile(r"([1-9][0-9]{0,3})(wd|wh|d)\Z")
_DAY = timedelta(days=1)


class NoWorkingDay(ValueError):
    """The calendar never opens; no due date can be told."""


@dataclass(frozen=True, slots=True)
class Period:
    """Open from `start` to `end`, minutes of the local day."""

    start: int
    end: int


class Why(StrEnum):
    """Why a day does not count."""

    WEEKEND = "weekend"
    HOLIDAY = "holiday"
    CLOSURE = "closure"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class DayOff:
    """A named day off; `certainty` is fixed, expected, confirmed or moved (lunar days wait for the moon)."""

    names: Mapping[str, str]  #: by language
    why: Why = Why.HOLIDAY
    certainty: str = "fixed"


@dataclass(frozen=True, slots=True)
class Calendar:
    """When a unit works. `week`: 0 = Saturday … 6 = Friday; a day without periods is off."""

    week: Mapping[int, tuple[Period, ...]]
    fixed: Mapping[tuple[int, int], DayOff] = field(default_factory=dict)  #: (Jalali month, day), every year
    days: Mapping[date, DayOff] = field(default_factory=dict)  #: lunar holidays and closures, by day
    zone: str = jalali.ZONE

    def off(self, day: date) -> DayOff | None:
        """Why `day` is off, None for a working day."""
        if day in self.days:
            return self.days[day]
        _, month, number = jalali.jalali(day)
        named = self.fixed.get((month, number))
        if named is not None:
            return named
        return None if self.week.get(_weekday(day)) else _WEEKEND

    def periods(self, day: date) -> tuple[Period, ...]:
        """The open periods of `day`, in order; () on a day off."""
        return () if self.off(day) else self.week[_weekday(day)]

    def local(self, ms: int) -> tuple[date, int]:
        """Local day and the minute of it, of a moment."""
        there = jalali.local(ms, self.zone)
        return there.date(), there.hour * 60 + there.minute

    def at(self, day: date, minute: int) -> int:
        """The moment of a local day and minute, ms UTC."""
        if minute == 24 * 60:
            day, minute = day + _DAY, 0
        return jalali.at(day, time(minute // 60, minute % 60), self.zone)

    def open_at(self, ms: int) -> bool:
        """Is it working time?"""
        day, minute = self.local(ms)
        return any(p.start <= minute < p.end for p in self.periods(day))


@dataclass(frozen=True, slots=True)
class Pause:
    """The clock stood from `start` to `end` (ms UTC): we waited for the citizen or another body."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Step:
    """A day (or, for a pause, the days up to `until`) that does not count, and why."""

    day: date
    why: Why
    names: Mapping[str, str] = field(default_factory=dict)
    until: date | None = None

    def json(self) -> dict[str, Any]:
        """As it is stored with the ticket."""
        told: dict[str, Any] = {"day": self.day.isoformat(), "why": str(self.why)}
        if self.names:
            told["names"] = dict(self.names)
        if self.until:
            told["until"] = self.until.isoformat()
        return told


@dataclass(frozen=True, slots=True)
class Due:
    """When an answer is due (ms UTC) and each day skipped on the way."""

    at: int
    steps: Sequence[Step]
    zone: str = jalali.ZONE

    def json(self) -> list[dict[str, Any]]:
        """The steps as they are stored."""
        return [step.json() for step in self.steps]


def budget(text: str) -> tuple[int, str]:
    """`10wd` as (10, "wd"); units wd, wh, d. Raises ValueError for anything else."""
    match = _BUDGET.match(text)
    if not match:
        raise ValueError(f"{text!r} is no budget: a number and wd, wh or d, like 10wd")
    return int(match[1]), match[2]


def due(start: int, span: str, cal: Calendar, pauses: Sequence[Pause] = ()) -> Due:
    """When `span` from `start` runs out.

    `wd`: end of work on the n-th working day after the day of receipt; `wh`: n hours of open time; `d`: end of work on
    the n-th day, moved off days off. A pause keeps what was left when it began, at least 1, and counts it from its end;
    it never brings the date forward, and what was overdue when it began stays overdue.

    Raises ValueError for a bad budget, NoWorkingDay for a calendar that never opens.
    """
    amount, unit = budget(span)
    at = _forward(start, amount * 60 if unit == "wh" else amount, unit, cal)
    steps = {step.day: step for step in _skipped(start, at, cal)}
    for pause in sorted(pauses, key=lambda p: p.start):
        if pause.start > at or pause.end <= pause.start:
            continue
        at = max(at, _forward(pause.end, _left(pause.start, at, unit, cal), unit, cal))
        began, ended = cal.local(pause.start)[0], cal.local(pause.end)[0]
        steps = {day: step for day, step in steps.items() if day <= began}
        steps |= {step.day: step for step in _skipped(pause.end, at, cal)}
        steps[began] = Step(began, Why.PAUSE, until=ended)
    return Due(at, tuple(steps[day] for day in sorted(steps)), cal.zone)


def later(old: int | None, new: int) -> int:
    """The due date after the calendar changed: moved later, never earlier; a told date is never shortened."""
    return new if old is None else max(old, new)


def after_minutes(start: int, amount: int, cal: Calendar) -> int:
    """The moment when `amount` open minutes from `start` have passed. Raises NoWorkingDay."""
    first, minute = cal.local(start)
    for day in _days(first):
        for period in cal.periods(day):
            begin = max(period.start, minute) if day == first else period.start
            if begin + amount <= period.end:
                return cal.at(day, begin + amount)
            amount -= max(period.end - begin, 0)
    raise NoWorkingDay("no working time in the calendar's week")


def minutes(start: int, end: int, cal: Calendar) -> int:
    """Open minutes between two moments."""
    (day, minute), (last, until) = cal.local(start), cal.local(end)
    total = 0
    for d in _span(day, last):
        low, high = minute if d == day else 0, until if d == last else 24 * 60
        total += sum(max(min(p.end, high) - max(p.start, low), 0) for p in cal.periods(d))
    return total


def explain(what: Due, say: Say, lang: str) -> str:
    """The due date and each skipped day with its reason, as sentences (texts `core.due.*`)."""
    there = jalali.local(what.at, what.zone)
    told = say("core.due.on", lang, day=jalali.words(there.date(), lang), time=jalali.clock(what.at, lang, what.zone))
    if not what.steps:
        return told
    days = say("core.due.comma", lang).join(_told(step, say, lang) for step in what.steps)
    return f"{told} {say('core.due.skipped', lang, days=days)}"


def _told(step: Step, say: Say, lang: str) -> str:
    day = jalali.words(step.day, lang)
    name = step.names.get(lang) or next(iter(step.names.values()), "")
    if step.why is Why.PAUSE:
        return say("core.due.pause", lang, day=day, until=jalali.words(step.until or step.day, lang))
    if step.why is Why.WEEKEND:
        return say("core.due.weekend", lang, day=day)
    if step.why is Why.CLOSURE:
        return say("core.due.closure", lang, day=day, name=name)
    return say("core.due.holiday", lang, day=day, name=name)


def _forward(start: int, amount: int, unit: str, cal: Calendar) -> int:
    if unit == "wh":
        return after_minutes(start, amount, cal)
    received = cal.local(start)[0]
    for day in _days(received + (_DAY * amount if unit == "d" else _DAY)):
        periods = cal.periods(day)
        if not periods:
            continue
        amount = 1 if unit == "d" else amount
        amount -= 1
        if not amount:
            return cal.at(day, periods[-1].end)
    raise NoWorkingDay("no working day in the calendar's week")


def _left(at: int, end: int, unit: str, cal: Calendar) -> int:
    """What is left of a budget at `at`, in its own unit (wh: minutes), at least 1 (wh: an hour)."""
    day, last = cal.local(at)[0], cal.local(end)[0]
    if unit == "d":
        return max((last - day).days, 1)
    if unit == "wd":
        return max(sum(1 for d in _span(day + _DAY, last) if cal.periods(d)), 1)
    return max(minutes(at, end, cal), 60)


def _skipped(start: int, end: int, cal: Calendar) -> Iterator[Step]:
    for day in _span(cal.local(start)[0] + _DAY, cal.local(end)[0]):
        off = cal.off(day)
        if off:
            yield Step(day, off.why, off.names)


def _days(first: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in range(HORIZON))


def _span(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in range((last - first).days + 1))


def _weekday(day: date) -> int:
    return (day.weekday() + 2) % 7


_WEEKEND = DayOff({}, Why.WEEKEND)
