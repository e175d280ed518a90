"""Due dates against a slow day-by-day oracle, pauses, and the explanation."""

from __future__ import annotations

import random
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import calendar
from core.calendar import Calendar, DayOff, Pause, Period, Why

TEHRAN = ZoneInfo("Asia/Tehran")
DAY_MS = 86_400_000


def _dated(*days: str) -> dict[date, DayOff]:
    return {date.fromisoformat(day): DayOff({"fa": "عید", "en": "feast"}) for day in days}


OFFICE = Calendar(
    {day: (Period(7 * 60, 14 * 60 + 30),) for day in range(5)},
    {(1, 1): DayOff({"fa": "نوروز", "en": "Nowruz"}), (1, 2): DayOff({"fa": "نوروز", "en": "Nowruz"})},
    _dated("2026-05-27", "2026-06-24", "2026-06-25")
    | {date(2026, 12, 1): DayOff({"fa": "آلودگی هوا", "en": "dust"}, Why.CLOSURE)},
)


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=TEHRAN).timestamp() * 1000)


def when(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1000, TEHRAN).strftime("%Y-%m-%d %H:%M")


def said(key: str, lang: str, /, **facts: object) -> str:
    return " ".join([key, *(f"{name}={value}" for name, value in facts.items())])


@pytest.mark.parametrize(
    ("start", "budget", "due"),
    [
        ("2026-11-24 09:00", "1wd", "2026-11-25 14:30"),  # Tuesday to Wednesday
        ("2026-11-24 23:59", "1wd", "2026-11-25 14:30"),
        ("2026-11-25 09:00", "1wd", "2026-11-28 14:30"),  # over Thursday and Friday
        ("2026-11-26 09:00", "1wd", "2026-11-28 14:30"),  # received on a day off
        ("2026-11-24 09:00", "10wd", "2026-12-09 14:30"),  # a closure on 1 December
        ("2026-05-26 09:00", "1wd", "2026-05-30 14:30"),  # a feast, then the weekend
        ("2026-11-24 09:00", "4wh", "2026-11-24 13:00"),
        ("2026-11-24 13:00", "4wh", "2026-11-25 09:30"),
        ("2026-11-25 14:00", "1wh", "2026-11-28 07:30"),
        ("2026-11-24 20:00", "1wh", "2026-11-25 08:00"),
        ("2026-11-24 09:00", "1d", "2026-11-25 14:30"),
        ("2026-11-24 09:00", "2d", "2026-11-28 14:30"),  # the second day is a Thursday
    ],
)
def test_budgets(start, budget, due):
    assert when(calendar.due(ms(start), budget, OFFICE).at) == due


@pytest.mark.parametrize("budget", ["", "10", "0wd", "-1wd", "1w", "1.5wd", "۱۰wd"])
def test_what_is_no_budget(budget):
    with pytest.raises(ValueError, match="no budget"):
        calendar.due(0, budget, OFFICE)


@pytest.mark.parametrize("budget", ["1wd", "1wh", "1d"])
def test_a_calendar_that_never_opens_is_refused(budget):
    with pytest.raises(calendar.NoWorkingDay):
        calendar.due(0, budget, Calendar({}))


def test_several_periods_a_day():
    split = Calendar({day: (Period(480, 720), Period(960, 1080)) for day in range(7)})
    assert when(calendar.due(ms("2026-11-24 11:00"), "2wh", split).at) == "2026-11-24 17:00"
    assert when(calendar.due(ms("2026-11-24 11:00"), "1wd", split).at) == "2026-11-25 18:00"
    assert split.open_at(ms("2026-11-24 16:30"))
    assert not split.open_at(ms("2026-11-24 13:00"))


def test_a_pause_keeps_what_was_left():
    start = ms("2026-11-21 09:00")  # Saturday
    pause = Pause(ms("2026-11-23 09:00"), ms("2026-12-05 10:00"))  # two of five days are used up, three are left
    assert when(calendar.due(start, "5wd", OFFICE).at) == "2026-11-28 14:30"
    assert when(calendar.due(start, "5wd", OFFICE, [pause]).at) == "2026-12-08 14:30"


def test_a_pause_on_the_last_day_leaves_one():
    start = ms("2026-11-21 09:00")
    pause = Pause(ms("2026-11-22 14:00"), ms("2026-11-24 10:00"))
    assert when(calendar.due(start, "1wd", OFFICE).at) == "2026-11-22 14:30"
    assert when(calendar.due(start, "1wd", OFFICE, [pause]).at) == "2026-11-25 14:30"


def test_what_was_overdue_stays_overdue():
    start = ms("2026-11-21 09:00")
    late = Pause(ms("2026-11-23 09:00"), ms("2026-12-23 09:00"))
    assert calendar.due(start, "1wd", OFFICE, [late]).at == ms("2026-11-22 14:30")


def test_a_told_date_is_never_shortened():
    assert calendar.later(None, 5) == 5
    assert calendar.later(7, 5) == 7
    assert calendar.later(5, 7) == 7


def test_the_explanation_names_each_skipped_day_and_why():
    due = calendar.due(ms("2026-11-25 09:00"), "3wd", OFFICE, [Pause(ms("2026-11-28 09:00"), ms("2026-11-29 09:00"))])
    assert [(step["day"], step["why"]) for step in due.json()] == [
        ("2026-11-26", "weekend"),
        ("2026-11-27", "weekend"),
        ("2026-11-28", "pause"),
        ("2026-12-01", "closure"),
    ]
    told = calendar.explain(due, said, "fa")
    assert told.startswith("core.due.on day=چهارشنبه ۱۱ آذر ۱۴۰۵ time=۱۴:۳۰ core.due.skipped")
    assert "core.due.closure day=سه‌شنبه ۱۰ آذر ۱۴۰۵ name=آلودگی هوا" in told
    assert "core.due.pause day=شنبه ۷ آذر ۱۴۰۵ until=یکشنبه ۸ آذر ۱۴۰۵" in told
    assert "Thursday 26 November 2026" in calendar.explain(due, said, "en")


def test_a_due_date_without_skipped_days_is_one_sentence():
    assert "skipped" not in calendar.explain(calendar.due(ms("2026-11-21 09:00"), "2wd", OFFICE), said, "fa")


# ---------------------------------------------------------------- properties

weeks = st.lists(st.integers(0, 6), min_size=1, max_size=7, unique=True)
offs = st.sets(st.dates(date(2026, 1, 1), date(2026, 4, 1)), max_size=40)
starts = st.integers(ms("2026-01-01 00:00"), ms("2026-03-20 23:00"))


def _calendar(week: list[int], off: set[date]) -> Calendar:
    return Calendar({d: (Period(480, 840),) for d in week}, {}, {d: DayOff({}) for d in off})


def _works(cal: Calendar, day: date) -> bool:
    return (day.weekday() + 2) % 7 in cal.week and day not in cal.days


def _oracle(start: int, n: int, cal: Calendar) -> int:
    """The n-th working day after, counted on the fingers."""
    day = datetime.fromtimestamp(start / 1000, TEHRAN).date()
    while n:
        day += timedelta(days=1)
        n -= _works(cal, day)
    return round(datetime.combine(day, time(14), TEHRAN).timestamp() * 1000)


def _minutes_oracle(start: int, minutes: int, cal: Calendar) -> int:
    here = datetime.fromtimestamp(start / 1000, TEHRAN).replace(second=0, microsecond=0)
    while minutes:
        if not _works(cal, here.date()) or here.hour >= 14:
            here = datetime.combine(here.date() + timedelta(days=1), time(8), TEHRAN)
        elif here.hour < 8:
            here = here.replace(hour=8, minute=0)
        else:
            here, minutes = here + timedelta(minutes=1), minutes - 1
    return round(here.timestamp() * 1000)


@settings(max_examples=400)
@given(starts, st.integers(1, 30), weeks, offs)
def test_working_days_equal_the_oracle(start, n, week, off):
    cal = _calendar(week, off)
    due = calendar.due(start, f"{n}wd", cal)
    assert due.at == _oracle(start, n, cal)
    first, last = cal.local(start)[0], cal.local(due.at)[0]
    skipped = {
        first + timedelta(days=i) for i in range(1, (last - first).days) if not _works(cal, first + timedelta(days=i))
    }
    assert {step.day for step in due.steps} == skipped


@settings(max_examples=100)
@given(starts, st.integers(1, 20), weeks, offs)
def test_open_hours_equal_the_oracle(start, n, week, off):
    cal = _calendar(week, off)
    assert calendar.due(start, f"{n}wh", cal).at == _minutes_oracle(start, n * 60, cal)


@settings(max_examples=300)
@given(
    starts,
    st.integers(1, 15),
    st.sampled_from(["wd", "wh", "d"]),
    weeks,
    offs,
    st.lists(st.tuples(st.integers(0, 20 * DAY_MS), st.integers(1, 20 * DAY_MS)), max_size=3),
)
def test_a_pause_never_brings_a_date_forward_nor_breaches_it(start, n, unit, week, off, gaps):
    cal = _calendar(week, off)
    pauses, at = [], start
    for wait, length in gaps:
        pauses.append(Pause(at + wait, at + wait + length))
        at += wait + length
    told = calendar.due(start, f"{n}{unit}", cal).at
    for end in range(1, len(pauses) + 1):
        now = calendar.due(start, f"{n}{unit}", cal, pauses[:end]).at
        pause = pauses[end - 1]
        assert now >= told
        if pause.start > told:
            assert now == told  # overdue stays overdue
        else:
            assert now > pause.end  # no resume breaches at once
        told = now


@settings(max_examples=200)
@given(starts, st.integers(1, 20), weeks, offs, offs)
def test_more_days_off_never_make_it_earlier(start, n, week, off, more):
    one = calendar.due(start, f"{n}wd", _calendar(week, off)).at
    assert calendar.due(start, f"{n}wd", _calendar(week, off | more)).at >= one


@pytest.mark.long
def test_a_hundred_thousand_due_dates_equal_the_oracle():
    rng = random.Random(1405)
    first, last = ms("2026-01-01 00:00"), ms("2026-03-20 23:00")
    for _ in range(100_000):
        week = rng.sample(range(7), rng.randint(1, 7))
        off = {date(2026, 1, 1) + timedelta(days=rng.randrange(90)) for _ in range(rng.randrange(20))}
        cal, start, n = _calendar(week, off), rng.randint(first, last), rng.randint(1, 30)
        assert calendar.due(start, f"{n}wd", cal).at == _oracle(start, n, cal), (week, off, start, n)
