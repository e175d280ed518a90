"""One-time codes: so many for a number, whoever asks; the budget lies on disk, and many asks are an alarm."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from pathlib import Path

import pytest

from core.channels import Outbound, Outcome, Purpose, Refused, Sent
from tests.sms.house import House, house, outbound

OVER = Refused("budget of one-time codes")


def code(number: str = "+989120000001", row: int = 5, attempt: int = 1) -> Outbound:
    return outbound(id=row, to=number, purpose=Purpose.OTP, key="otp", text="", facts={"otp": "12345"}, attempt=attempt)


async def asked(here: House, row: int, after: float = 0.0) -> Outcome:
    here.clock.advance(after)
    return await here.channel.send(code(row=row))


async def test_a_minute_apart_three_an_hour_and_a_restart_refills_none(tmp_path: Path):
    async with house(tmp_path) as here:
        assert isinstance(await asked(here, 1), Sent)
        assert await asked(here, 2, after=30) == OVER
        assert [type(await asked(here, n, after=61)) for n in (3, 4)] == [Sent, Sent]
        spent = here.clock.now()
    async with house(tmp_path) as here:
        here.clock.advance((spent - here.clock.now()) / 1000 + 61)
        assert await asked(here, 5) == OVER
        assert isinstance(await here.channel.send(code("+989350000002", 6)), Sent)


async def test_the_same_code_tried_again_spends_nothing(tmp_path: Path):
    async with house(tmp_path) as here:
        assert isinstance(await here.channel.send(code()), Sent)
        assert isinstance(await here.channel.send(code(attempt=2)), Sent)


async def test_an_answer_is_no_one_time_code(tmp_path: Path):
    async with house(tmp_path) as here:
        assert [type(await here.channel.send(outbound(id=n))) for n in range(1, 6)] == [Sent] * 5


async def crowd(folder: Path, asks: int, numbers: int, caplog: pytest.LogCaptureFixture) -> None:
    """Each number asked for over and over within an hour, with a look a minute apart."""
    async with house(folder, daily_parts=0, rate=10_000) as here:
        for turn in range(asks // numbers):
            sends = (here.channel.send(code(f"+98912{n:07}", turn * numbers + n)) for n in range(numbers))
            await asyncio.gather(*sends)
            here.clock.advance(61)
        got = Counter(text.to for text in here.paper().printed)
    assert len(got) == numbers
    assert max(got.values()) <= 3 + asks // numbers * 61 // 1200  # what an hour has, and what came back meanwhile
    alarms = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage() for record in alarms] == ["one-time codes are asked for too often"]


@pytest.mark.slow
async def test_a_crowd_of_machines_gets_no_more_codes_than_the_budget_and_an_alarm_is_raised(tmp_path, caplog):
    await crowd(tmp_path, 300, 30, caplog)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_ten_thousand_asks_for_five_thousand_numbers(tmp_path, caplog):
    asks = int(os.environ.get("PASOKH_SMS_TEXTS", "10000"))
    async with house(tmp_path, daily_parts=0, rate=10_000) as here:
        for start in range(0, asks, 400):
            sends = (here.channel.send(code(f"+98912{n % (asks // 2):07}", n)) for n in range(start, start + 400))
            await asyncio.gather(*sends)
        got = Counter(text.to for text in here.paper().printed)
    assert (len(got), max(got.values())) == (asks // 2, 1)
    assert "one-time codes are asked for too often" in caplog.text
