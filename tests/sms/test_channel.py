"""The SMS channel with the real door behind it and a provider that is one file of somebody's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
import sqlalchemy as sa

from core import codes
from core.channels import Outbound, RawRequest, Refused, Sent
from core.model import Purpose
from core.schema import outbox, raw
from core.sending import UNFINISHED
from core.text import digits
from gateway import supervise, wiring
from tests.sms.paper import PRINTED

SECRET = "s" * 64
LINES = {
    "sms": {
        "line": {"main": {"number": "30001234", "providers": ["paper"], "hook_secret": SECRET, "poll_s": 0}},
        "provider": {"paper": {"kind": "tests.sms.paper:make"}},
    }
}


@pytest_asyncio.fixture(loop_scope="session")
async def system(tmp_path: Path, reactor) -> AsyncIterator[wiring.System]:
    """Web, worker and the SMS line, wired as the program does it."""
    site = wiring.site(None)
    web = replace(site.settings.web, bind="127.0.0.1", port=0)
    parts = supervise.Parts()
    settings = replace(site.settings, web=web)
    running = await wiring.start(replace(site, settings=settings, lines=LINES), tmp_path, None, parts)
    yield running
    await parts.stop(1)


def push(sender: str, text: str, number: str, line: str = "30001234") -> RawRequest:
    return RawRequest("GET", {"from": sender, "text": text, "id": number, "to": line}, {}, b"", "127.0.0.1")


async def printed(count: int) -> list[str]:
    """The texts on paper once there are `count`."""
    for _ in range(400):
        if len(PRINTED) >= count:
            break
        await asyncio.sleep(0.01)
    assert len(PRINTED) == count, [text.text for text in PRINTED]
    return [digits(text.text) for text in PRINTED]


async def all_printed(system, count: int) -> list[str]:
    """The texts on paper once the outbox has nothing more to send: exactly `count`."""
    unfinished = sa.select(sa.func.count()).where(outbox.c.state.in_(list(UNFINISHED)))
    for _ in range(400):
        if not await system.store.read(lambda s: s.execute(unfinished).scalar_one()):
            break
        await asyncio.sleep(0.01)
    return await printed(count)


async def send(system, sender: str, text: str, number: str):
    return await system.channels["sms"].hook("main", SECRET, push(sender, text, number))


async def test_a_text_becomes_a_ticket_and_its_code_stands_on_a_line_of_its_own(system):
    assert (await send(system, "09120000001", "آب کوچه قطع است", "1")).status == 200
    (told,) = await printed(1)
    assert codes.find(told)
    assert codes.show(codes.find(told)[0]) in told.split("\n")
    assert PRINTED[0].to == "+989120000001"


async def test_the_same_push_fifty_times_at_once_is_one_ticket(system):
    answers = await asyncio.gather(*(send(system, "09120000002", "برق قطع است", "7") for _ in range(50)))
    assert {answer.status for answer in answers} == {200}
    await all_printed(system, 1)


async def test_code_returns_state_and_a_stranger_sees_no_more(system):
    await send(system, "09120000003", "پرونده‌ام گم شده", "1")
    code = codes.find((await printed(1))[0])[0]
    await send(system, "09120000004", code, "2")
    told = (await printed(2))[1]
    assert "وضعیت" in told
    assert "پرونده" not in told


async def test_code_and_words_from_the_same_number_join_the_ticket(system):
    await send(system, "09120000005", "چراغ خاموش است", "1")
    code = codes.find((await printed(1))[0])[0]
    await send(system, "09120000005", f"{code} سه چراغ است", "2")
    assert code in (await printed(2))[1].replace("-", "")


async def test_accepting_before_an_answer_is_told_to_be_impossible(system):
    await send(system, "09120000006", "چراغ خاموش است", "1")
    code = codes.find((await printed(1))[0])[0]
    await send(system, "09120000006", f"{code} ۳۱", "2")
    assert "ممکن نیست" in (await printed(2))[1]


async def test_confidential_words_make_no_ticket_and_no_code(system):
    await send(system, "09120000007", "تخلف یک کارمند را می‌خواهم بگویم", "1")
    (told,) = await printed(1)
    assert not codes.find(told)
    assert "محرمانه نیست" in told


@pytest.mark.parametrize("sender", ["30001234", "BANK", "02433000000"])
async def test_senders_that_cannot_be_answered_get_a_ticket_and_no_text(system, sender):
    assert (await send(system, sender, "پیام بی‌پاسخ", "1")).status == 200
    await send(system, "09120000008", "پیام دیگر", "2")
    await all_printed(system, 1)


async def test_past_five_receipts_an_hour_texts_are_taken_in_silence(system):
    for n, what in enumerate(("آب", "برق", "گاز", "چراغ", "آسفالت", "جدول", "درخت")):
        assert (await send(system, "09120000009", f"پیام دربارهٔ {what}", str(n))).status == 200
    await send(system, "09120000010", "پیام دیگر", "9")
    await all_printed(system, 6)


async def test_a_sentence_is_told_once_in_ten_minutes_and_another_all_the_same(system):
    for n, text in enumerate(("راهنما", "کمک", "لغو", "راهنما")):
        await send(system, "09120000011", text, str(n))
    told = await all_printed(system, 2)
    assert told[0] != told[1]
    await send(system, "09120000012", "راهنما", "5")
    assert set(await all_printed(system, 3)) == set(told), "another is told the same"


async def test_the_third_text_that_differs_by_its_digits_alone_is_a_loop_and_silence_follows(system):
    for n in range(4):
        await send(system, "09120000013", f"سفارش شمارهٔ {n} رسید، سپاس.", str(n))
    await send(system, "09120000013", "سفارش من نرسیده است", "5")
    told = await all_printed(system, 2)
    assert len({code for text in told for code in codes.find(text)}) == 2


async def test_bare_codes_are_no_loop(system):
    for n, what in enumerate(("آب", "برق", "گاز")):
        await send(system, "09120000014", f"پیام دربارهٔ {what}", str(n))
    for n, code in enumerate([codes.find(text)[0] for text in await all_printed(system, 3)]):
        await send(system, "09120000014", code, f"ask {n}")
    await all_printed(system, 6)


async def test_a_block_of_ten_thousand_numbers_gets_a_hundred_texts_a_day(system):
    for _ in range(98):
        assert await system.door.spend("sms_block_day", "+98913000")
    for n in range(4):
        await send(system, f"0913000000{n}", "آب کوچه قطع است", f"block {n}")
    await send(system, "09130010000", "آب کوچه قطع است", "next block")
    told = await all_printed(system, 3)
    assert {text.to for text in PRINTED} == {"+989130000000", "+989130000001", "+989130010000"}
    assert all(codes.find(text) for text in told)


async def test_a_repeated_push_spends_nothing_more(system):
    for _ in range(10):
        await send(system, "09120000015", "برق کوچه رفته است", "the same")
    await send(system, "09120000015", "آب کوچه هم رفته است", "another")
    assert len({codes.find(text)[0] for text in await all_printed(system, 2)}) == 2


async def test_an_objection_without_proof_is_told_so_and_its_words_are_kept(system):
    await send(system, "09120000016", "پرونده‌ام گم شده", "1")
    code = codes.find((await printed(1))[0])[0]
    await send(system, "09120000017", f"{code} اعتراض پاسخ درست نیست", "2")
    await printed(2)
    kept = await system.store.read(lambda s: s.execute(sa.select(raw.c.why, raw.c.bytes)).all())
    assert ("refused", f"{code} اعتراض پاسخ درست نیست".encode()) in [tuple(row) for row in kept]


async def test_a_wrong_secret_is_404_and_a_push_without_sender_is_kept(system):
    hook = system.channels["sms"].hook
    assert (await hook("main", "x" * 64, push("09120000001", "سلام", "1"))).status == 404
    assert (await hook("other", SECRET, push("09120000001", "سلام", "1"))).status == 404
    assert (await hook("main", SECRET, push("", "سلام", "1"))).status == 200


def outbound(**more) -> Outbound:
    row = {"id": 5, "channel": "sms", "to": "+989120000001", "purpose": Purpose.ANSWER, "ticket": 1, "message": 1}
    return Outbound(**{**row, "text": "پاسخ", "facts": {"code": "72940518364", "unit": "دبیرخانه"}, **more})


async def test_a_send_in_doubt_is_looked_up_and_not_repeated(system):
    channel = system.channels["sms"]
    first = await channel.send(outbound())
    again = await channel.send(outbound(in_doubt=True))
    assert again == replace(first, found=True)
    assert len(PRINTED) == 1


async def test_a_send_in_doubt_that_never_arrived_goes_with_the_same_number(system):
    sent = await system.channels["sms"].send(outbound(in_doubt=True, epoch=3))
    assert isinstance(sent, Sent)
    assert sent.ref == f"paper:sheet-{3 << 36 | 5}"


async def test_a_landline_gets_no_text(system):
    assert isinstance(await system.channels["sms"].send(outbound(to="+982433000000")), Refused)


async def test_a_long_answer_is_cut_at_a_word_and_fits(system):
    await system.channels["sms"].send(outbound(text="پاسخ " * 400))
    text = PRINTED[0].text
    assert system.channels["sms"].measure(text).parts <= 6
    assert text.endswith("درگاه")
