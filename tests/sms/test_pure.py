"""Breaker, bucket, hours, echoes, states of several parts: rules without a clock of their own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.channels import DeliveryState, Outbound
from core.model import Purpose
from sms import echo, hours
from sms.breaker import Breaker, Bucket
from sms.reports import together
from sms.wording import sentences, words

D = DeliveryState


def test_the_breaker_opens_at_the_fifth_failure_of_a_minute_and_doubles():
    breaker = Breaker()
    for second in (0, 1, 2, 3):
        breaker.failed(second)
    assert breaker.lets(4)
    breaker.failed(4)
    spans = []
    now = 4.0
    for _ in range(5):
        spans.append(breaker.open_until - now)
        assert not breaker.lets(breaker.open_until - 0.1)
        now = breaker.open_until
        assert breaker.lets(now)
        assert not breaker.lets(now)  # one probe
        breaker.failed(now)
    assert spans == [30, 60, 120, 240, 300]
    assert breaker.lets(breaker.open_until)
    breaker.worked()
    assert breaker.lets(breaker.open_until)


def test_five_failures_in_more_than_a_minute_open_nothing():
    breaker = Breaker()
    for second in (0, 20, 40, 60, 80):
        breaker.failed(second)
    assert breaker.lets(81)


@given(st.floats(0.5, 1000), st.lists(st.floats(0, 2), max_size=200))
def test_a_bucket_never_lets_more_through_than_its_rate_and_one_seconds_worth(rate: float, gaps: list[float]):
    bucket, now, leaves = Bucket(rate), 0.0, []
    for gap in gaps:
        now += gap
        leaves.append(now + bucket.take(now))
    for first, last in ((0, len(leaves) - 1), (len(leaves) // 2, len(leaves) - 1)):
        if last > first:
            assert last - first + 1 <= rate * (leaves[last] - leaves[first] + 1) + 1 + 1e-6


def test_a_line_told_to_slow_down_does_so_for_a_minute_then_two():
    bucket = Bucket(10)
    spans = [bucket.slow(now) for now in (0, 100, 300, 700)]
    assert spans == [60, 120, 240, 480]
    assert bucket.slow(5000) == 60


NOON = 1_723_620_600_000  # 11:00 in Tehran


@pytest.mark.parametrize(
    ("kind", "purpose", "hour", "waits"),
    [
        ("service", Purpose.ANSWER, 3, 0), ("service", Purpose.STATE, 23, 0), ("service", Purpose.SURVEY, 20, 0),
        ("service", Purpose.SURVEY, 21, 12), ("service", Purpose.NOTICE, 8, 1),
        ("advertising", Purpose.ANSWER, 6, 1), ("advertising", Purpose.ANSWER, 22, 9),
        ("advertising", Purpose.NOTICE, 7, 2), ("otp", Purpose.OTP, 2, 0),
    ],
)  # fmt: skip
def test_hours_by_kind_of_line(kind: str, purpose: Purpose, hour: int, waits: int):
    now = NOON + (hour - 11) * 3_600_000
    assert hours.wait(kind, purpose, now) == waits * 3600
    assert hours.wait(kind, purpose, now, exempt=True) == 0


@pytest.mark.parametrize(
    ("kind", "carried"),
    [("service", set(Purpose)), ("advertising", set(Purpose) - {Purpose.OTP}), ("otp", {Purpose.OTP, Purpose.RECEIPT})],
)
def test_what_a_kind_of_line_carries(kind: str, carried: set[Purpose]):
    assert {purpose for purpose in Purpose if hours.carries(kind, purpose)} == carried


def test_our_own_sentence_coming_back_is_known_whatever_facts_it_had(texts):
    ours = echo.skeletons(sentences(texts, "fa"))
    told = texts("sms.received", "fa", code="123-4567-8901", pin="1234")
    assert echo.holds(echo.mask(f"خودکار: {told}"), ours)
    assert echo.holds(echo.mask(texts("sms.help", "fa").replace("ی", "ي")), ours)
    for harmless in ("کد پیگیری من ۱۲۳ بود", "راهنما", "رمز ۱۲۳۴", "مهلت پاسخ گذشته است"):
        assert not echo.holds(echo.mask(harmless), ours)


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        ({}, None), ({"a": D.DELIVERED}, D.SENT), ({"a": D.DELIVERED, "b": D.DELIVERED}, D.DELIVERED),
        ({"a": D.DELIVERED, "b": D.SENT}, D.SENT), ({"a": D.DELIVERED, "b": D.FAILED}, D.FAILED),
        ({"b": D.UNDELIVERED}, D.UNDELIVERED),
    ],
)  # fmt: skip
def test_a_text_of_parts_is_delivered_once_all_are(states: dict[str, DeliveryState], whole: DeliveryState | None):
    assert together(["a", "b"], states) is whole


def test_what_we_ask_offers_no_digit_to_accept_or_object(texts):
    row = {"id": 1, "channel": "sms", "to": "+989120000000", "purpose": Purpose.ANSWER, "ticket": 1, "message": 1}
    facts = {"code": "72940518364", "unit": "دبیرخانه"}
    answer = words(Outbound(**row, text="لوله ترمیم شد", facts=facts), texts)
    asked = words(Outbound(**row, text="نشانی کجاست؟", facts=facts | {"asks": True}), texts)
    assert "پذیرش ۱" in answer
    assert "پذیرش" not in asked
    assert "نشانی کجاست؟" in asked
    assert "729-4051-8364" in asked
