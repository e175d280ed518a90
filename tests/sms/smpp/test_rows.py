"""The table of keywords again, row by row, with every text coming in by SMPP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from core.channels import RawReply
from tests.sms.house import House
from tests.sms.house import house as open_house
from tests.sms.smpp.conftest import Build, until
from tests.sms.smpp.conftest import House as Net
from tests.sms.test_incoming import (  # noqa: F401  # they run here once more
    test_free_words_while_a_verdict_is_open_are_a_new_ticket,
    test_row_2_eleven_is_a_choice_where_eleven_are_offered,
    test_row_7_a_slip_and_an_unknown_code,
    test_row_7_eleven_digits_that_begin_with_0_are_a_phone_and_a_message,
    test_row_8_my_newest_three_that_are_open,
    test_row_9_accepting_needs_the_number_or_the_pin,
    test_row_9_an_objection_with_words_goes_up_and_its_words_are_kept,
    test_row_10_a_code_amid_words_adds_to_ones_own_ticket_only,
    test_row_10_words_with_a_code_are_added,
    test_row_11_no_with_words_is_a_whole_objection,
    test_row_15_the_one_answered_ticket_is_meant_and_none_has_no_question,
    test_row_18_stray_digits_are_kept_and_told_once_a_day,
    test_row_19_anything_else_is_a_ticket_with_its_code,
    test_rows_3_and_4_start_and_help,
    test_rows_14_and_15_of_several_answered_tickets_one_is_chosen,
)

pytestmark = pytest.mark.slow
ME = "09120000001"


class ByWire(House):
    """Texts come by deliver_sm and count once they are answered."""

    net: Net

    async def text(self, sender: str, words: str, number: str | None = None, line: str = "main") -> RawReply:
        before = len(self.net.centre.taken.rows)
        await self.net.network.text(sender, "30001234", words)
        await until(lambda: not self.net.centre.waiting)
        assert len(self.net.centre.taken.rows) > before
        return RawReply(200)


@pytest_asyncio.fixture(loop_scope="session")
async def home(house: Build, tmp_path: Path, reactor: Any) -> AsyncIterator[House]:
    net = await house()
    (net.folder / "password").write_text(net.centre.ways.password)
    provider = {
        "kind": "smpp", "host": "127.0.0.1", "port": net.port.getHost().port, "system_id": "pasokh",
        "password_file": str(net.folder / "password"),
    }  # fmt: skip
    lines = {"line": {"main": {"number": "30001234", "providers": ["op"]}}, "provider": {"op": provider}}
    async with open_house(tmp_path, lines, reactor) as made:
        by_wire = ByWire(made.store, made.desk, made.channel, made.clock, made.ring)
        by_wire.net = net
        await until(lambda: net.centre._clients)
        yield by_wire


@pytest.mark.parametrize("text", ["", "  ", "😀👍", "!!!"])
async def test_row_1_nothing_in_it_is_kept_and_helped(home: House, text: str):
    await home.text(ME, text)
    assert (await home.keys(), await home.tickets(), len(await home.kept())) == (["help"], [], 1)


@pytest.mark.parametrize("text", ["لغو", "لغو۱۱", "STOP", "ل‌غو"])
async def test_row_2_stop(home: House, text: str):
    await home.text(ME, text)
    assert await home.keys() == ["stopped"]


@pytest.mark.parametrize("text", ["تخلف کارمندی را دیدم", "محرمانه\nرئیس اداره"])
async def test_row_5_a_confidential_text_is_no_ticket(home: House, text: str):
    for _ in range(2):
        await home.text(ME, text)
    assert (await home.tickets(), await home.keys()) == ([], ["misconduct"])
    assert await home.kept() == [("confidential", text.encode())]


@pytest.mark.parametrize("text", ["م ۱۲ متن", "موافق", "نظر ۳ ۵"])
async def test_rows_16_and_17_are_kept_and_helped_for_now(home: House, text: str):
    await home.text(ME, text)
    assert (await home.keys(), await home.tickets()) == (["help"], [])


async def test_a_long_text_in_parts_is_one_ticket(home: House):
    words = "آب کوچهٔ نمونه از دیروز قطع است و کسی پاسخ نمی‌دهد؛ " * 4
    await home.text(ME, words)
    assert (await home.keys(), await home.texts()) == (["received"], [words.strip()])


async def test_a_code_tells_the_state(home: House):
    await home.text(ME, "آب کوچه قطع است")
    await home.text("09350000002", await home.code())
    assert (await home.keys())[-1] == "state"


async def test_a_text_delivered_again_after_a_lost_answer_is_one_ticket(home: House):
    for _ in range(3):
        await home.text(ME, "آب کوچه قطع است")
    assert (await home.keys(), len(await home.tickets())) == (["received"], 1)
