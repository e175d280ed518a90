"""Telephone numbers, Jalali days, clocks."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import jalali, phones
from core.clock import HandClock, SystemClock
from core.errors import WrongInput


@pytest.mark.parametrize(
    "text",
    [
        "09120000000",
        "9120000000",
        "989120000000",
        "+989120000000",
        "00989120000000",
        "۰۹۱۲ ۰۰۰-۰۰۰۰",
        "+98 (0)912 000 0000",
    ],
)
def test_a_mobile_however_written(text):
    assert phones.parse(text) == "+989120000000"
    assert phones.mobile("+989120000000")


def test_landlines_with_and_without_their_area():
    assert phones.parse("024-33000100") == "+982433000100"
    assert phones.parse("2433000100") == "+982433000100"
    assert phones.parse("33000100") is None
    assert phones.parse("33000100", area="24") == "+982433000100"
    assert phones.parse("۳۳۰۰۰۱۰۰", area="024") == "+982433000100"
    assert phones.shape("+982433000100") is phones.Shape.LANDLINE


@pytest.mark.parametrize("text", ["", "سلام", "0912", "091200000001", "1888", "+98", "09120000a00", "+9812345"])
def test_what_is_no_number(text):
    assert phones.parse(text) is None


def test_foreign_numbers_and_short_codes():
    assert phones.parse("+1 202 555 0100") == "+12025550100"
    assert phones.shape("+12025550100") is phones.Shape.FOREIGN
    assert phones.shape("30001234") is None
    assert phones.short("۳۰۰۰ ۱۲۳۴") == "30001234"
    assert phones.short("+989120000000") is None


def test_numbers_are_shown_as_at_home():
    assert phones.show("+989120000000") == "۰۹۱۲ ۰۰۰ ۰۰۰۰"
    assert phones.show("+982433000100", "en") == "024 3300 0100"


@given(st.integers(0, 999_999_999))
def test_every_mobile_comes_back_from_how_it_is_shown(rest):
    number = f"+989{rest:09}"
    assert phones.parse(phones.show(number)) == number


@pytest.mark.parametrize(
    ("day", "numerals"),
    [(date(2026, 11, 24), "۱۴۰۵/۰۹/۰۳"), (date(2025, 3, 20), "۱۴۰۳/۱۲/۳۰"), (date(2025, 3, 21), "۱۴۰۴/۰۱/۰۱")],
)
def test_days_as_numerals(day, numerals):
    assert jalali.numerals(day) == numerals
    assert jalali.parse(numerals) == day


def test_days_as_words_for_eye_and_ear():
    day = date(2026, 11, 24)
    assert jalali.words(day) == "سه‌شنبه ۳ آذر ۱۴۰۵"
    assert jalali.spoken(day) == "سه‌شنبه سوم آذر هزار و چهارصد و پنج"
    assert jalali.words(day, "en") == "Tuesday 24 November 2026"
    assert [jalali.ordinal(n) for n in (1, 2, 3, 23, 30, 31)] == ["اول", "دوم", "سوم", "بیست و سوم", "سی‌ام", "سی و یکم"]


def test_the_zone_decides_the_day():
    late = 1_795_552_200_000 // 86_400_000 * 86_400_000 + 21 * 3_600_000  # 21:00 UTC, 00:30 in Tehran
    assert jalali.local(late).date() == jalali.local(late, "UTC").date() + timedelta(days=1)
    assert jalali.clock(late) == "۰۰:۳۰"
    assert jalali.clock(late, "en", "UTC") == "21:00"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("1405/13/1", "no_such_day"),
        ("1404/12/30", "no_such_day"),
        ("1405-9/1", "shape"),
        ("امروز", "shape"),
        ("", "shape"),
    ],
)
def test_a_wrong_day_says_what_is_wrong(text, word):
    with pytest.raises(WrongInput) as caught:
        jalali.parse(text, "born")
    assert (caught.value.field, caught.value.word) == ("born", word)


def test_a_year_past_1700_is_gregorian():
    assert jalali.parse("2026-11-24") == jalali.parse("۱۴۰۵/۹/۳") == date(2026, 11, 24)


@given(st.dates(date(1979, 1, 1), date(2080, 1, 1)))
def test_every_day_goes_there_and_back(day):
    assert jalali.gregorian(*jalali.jalali(day)) == day


def test_the_hand_clock_stands_until_told():
    clock = HandClock(1000)
    clock.advance(1.5)
    clock.jump(-3_600_000)
    assert (clock.now(), clock.monotonic()) == (2500 - 3_600_000, 1.5)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)


def test_the_system_clock_is_utc_in_ms():
    assert 1_700_000_000_000 < SystemClock().now() < 4_000_000_000_000
    assert SystemClock().monotonic() <= SystemClock().monotonic()
