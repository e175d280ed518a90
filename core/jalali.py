"""Days and times as Iranians read them: Jalali dates, Persian digits, the agency's time zone. Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo

from persiantools.digits import to_word
from persiantools.jdatetime import JalaliDate

from core.errors import WrongInput
from core.text import digits, persian

ZONE = "Asia/Tehran"
DAYS = ("شنبه", "یکشنبه", "دوشنبه", "سه‌شنبه", "چهارشنبه", "پنجشنبه", "جمعه")
MONTHS = (
    "فروردین", "اردیبهشت", "خرداد", "تیر", "مرداد", "شهریور", "مهر", "آبان", "آذر", "دی", "بهمن", "اسفند",
)  # fmt: skip
_MARKS = re.compile(r"[\s\u200c-\u200f\u202a-\u202e\u2066-\u2069]+")
_DATE = re.compile(r"([0-9]{4})([/\-.])([0-9]{1,2})\2([0-9]{1,2})\Z")
_ORDINALS = {1: "اول", 3: "سوم", 23: "بیست و سوم", 30: "سی‌ام"}


def local(ms: int, zone: str = ZONE) -> datetime:
    """The moment in `zone`, aware."""
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone(ZoneInfo(zone))


def at(day: date, clock: time, zone: str = ZONE) -> int:
    """Milliseconds UTC of a local day and time."""
    return round(datetime.combine(day, clock, ZoneInfo(zone)).timestamp() * 1000)


@lru_cache(maxsize=4096)
def jalali(day: date) -> tuple[int, int, int]:
    """Year, month, day of the Jalali calendar."""
    there = JalaliDate.to_jalali(day)  # type: ignore[no-untyped-call]
    return there.year, there.month, there.day


def gregorian(year: int, month: int, day: int) -> date:
    """The day of a Jalali date. Raises ValueError where there is no such day."""
    found: date = JalaliDate(year, month, day).to_gregorian()  # type: ignore[no-untyped-call]
    return found


def numerals(day: date, lang: str = "fa") -> str:
    """`۱۴۰۵/۰۹/۰۳`; in other languages `2026-11-24`."""
    if lang != "fa":
        return day.isoformat()
    year, month, number = jalali(day)
    return persian(f"{year}/{month:02}/{number:02}")


def words(day: date, lang: str = "fa") -> str:
    """`سه‌شنبه ۳ آذر ۱۴۰۵`; in other languages `Tuesday 24 November 2026`."""
    if lang != "fa":
        return f"{day:%A} {day.day} {day:%B %Y}"
    year, month, number = jalali(day)
    return f"{weekday(day)} {persian(number)} {MONTHS[month - 1]} {persian(year)}"


def spoken(day: date) -> str:
    """`سه‌شنبه سوم آذر هزار و چهارصد و پنج`, for the ear."""
    year, month, number = jalali(day)
    return f"{weekday(day)} {ordinal(number)} {MONTHS[month - 1]} {to_word(year).removeprefix('یک ')}"


def ordinal(number: int) -> str:
    """`سوم`: an ordinal in words."""
    if number in _ORDINALS:
        return _ORDINALS[number]
    word: str = to_word(number)
    return word.removesuffix("سه") + "سوم" if word.endswith("سه") else word + ("‌ام" if word.endswith("ی") else "م")


def weekday(day: date) -> str:
    """Its name in Persian."""
    return DAYS[(day.weekday() + 2) % 7]


def clock(ms: int, lang: str = "fa", zone: str = ZONE) -> str:
    """`۱۴:۳۰`, local."""
    text = f"{local(ms, zone):%H:%M}"
    return persian(text) if lang == "fa" else text


def moment(ms: int, lang: str = "fa", zone: str = ZONE) -> str:
    """Day and time for tables: `۱۴۰۵/۰۹/۰۳ ۱۴:۳۰`."""
    return f"{numerals(local(ms, zone).date(), lang)} {clock(ms, lang, zone)}"


def parse(text: str, field: str = "date") -> date:
    """The day of `1405/9/1`, `۱۴۰۵-۰۹-۰۱`; a year past 1700 is Gregorian.

    Raises WrongInput(field, "shape" | "no_such_day").
    """
    match = _DATE.match(_MARKS.sub("", digits(text)))
    if not match:
        raise WrongInput(field, "shape")
    year, month, day = int(match[1]), int(match[3]), int(match[4])
    try:
        return date(year, month, day) if year > 1700 else gregorian(year, month, day)
    except ValueError:
        raise WrongInput(field, "no_such_day") from None
