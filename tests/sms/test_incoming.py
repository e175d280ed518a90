"""The table of keywords, row by row, through the channel's own door into a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from core import codes
from core.channels import Asks, Contact, ContactKind, Note, RawRequest
from core.text import persian
from sms.providers.base import Arrival
from tests.sms.house import SECRET, House, house

ME, OTHER = "09120000001", "09350000002"


@pytest_asyncio.fixture(loop_scope="session")
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as made:
        yield made


async def asked(home: House, kind: str, data: dict[str, object] | None = None) -> None:
    """An answer went out by text, or another question was put, on the last ticket."""
    about = (await home.tickets())[-1]["id"]
    note = Note(
        "sms", f"q{kind}", "+989120000001", "state", {"q": kind}, "main", ticket=about, asks=Asks(kind, data or {})
    )
    await home.desk.tell(note)


async def states(home: House) -> list[str]:
    return [row["state"] for row in await home.tickets()]


@pytest.mark.parametrize("text", ["", "  ", "😀👍", "!!!"])
async def test_row_1_nothing_in_it_is_kept_and_helped_once_a_day(home: House, text: str):
    for n in range(2):
        assert (await home.text(ME, text, f"e{n}")).status == 200
    assert (await home.keys(), await home.tickets()) == (["help"], [])
    assert len(await home.kept()) == 2


@pytest.mark.parametrize("text", ["لغو", "لغو۱۱", "لغو ۱۱", "۱۱", "STOP", "off", "«لغو»", "ل‌غو", "لـغو"])
async def test_row_2_stop(home: House, text: str):
    await home.text(ME, text)
    assert await home.keys() == ["stopped"]
    assert await home.desk.opted_out("sms", "main", Contact(ContactKind.PHONE, "+989120000001"))


async def test_row_2_eleven_is_a_choice_where_eleven_are_offered(home: House):
    await home.text(ME, "آب کوچه قطع است")
    code = await home.code()
    await asked(home, "choice", {"codes": [code] * 11, "act": "accept", "text": ""})
    await home.text(ME, "۱۱")
    assert "stopped" not in await home.keys()


async def test_rows_3_and_4_start_and_help(home: House):
    for text in ("وصل", "راهنما", "؟"):
        await home.text(ME, text)
    assert await home.keys() == ["started", "help"]


@pytest.mark.parametrize("text", ["تخلف کارمندی را دیدم", "گزارش تخلف: رشوه", "محرمانه", "محرمانه\nرئیس اداره"])
async def test_row_5_a_confidential_text_is_no_ticket_and_readable_by_no_role(home: House, text: str):
    for _ in range(2):
        await home.text(ME, text, "the same")
    assert (await home.tickets(), await home.keys()) == ([], ["misconduct"])
    assert await home.kept() == [("confidential", text.encode())]


@pytest.mark.parametrize(
    "shape", ["{code}", "{shown}", "{fa}", "کد {code}", "پیگیری {shown}", "وضعیت {fa}", "{turned}"]
)
async def test_row_6_a_code_tells_the_state(home: House, shape: str):
    await home.text(ME, "آب کوچه قطع است")
    code = await home.code()
    turned = f"{code[7:]}-{code[3:7]}-{code[:3]}"
    await home.text(OTHER, shape.format(code=code, shown=codes.show(code), fa=persian(codes.show(code)), turned=turned))
    key, facts = (await home.told())[1]
    assert (key, facts["code"], facts["answer"]) == ("state", code, "")


async def test_row_7_a_slip_and_an_unknown_code(home: House):
    unknown = "7294051836" + codes.check("7294051836")
    await home.text(ME, unknown[:-1] + str((int(unknown[-1]) + 1) % 10))
    await home.text(OTHER, unknown)
    assert await home.keys() == ["code_digit", "code_wrong"]


async def test_row_7_eleven_digits_that_begin_with_0_are_a_phone_and_a_message(home: House):
    await home.text(ME, "09120000009")
    assert await home.keys() == ["received"]


async def test_row_8_my_newest_three_that_are_open(home: House):
    for what in ("آب", "برق", "گاز", "جدول"):
        await home.text(ME, f"مشکل {what} داریم")
    await home.text(ME, "پیگیری")
    key, facts = (await home.told())[-1]
    assert (key, facts["codes"].count("\n")) == ("mine", 2)
    await home.text(OTHER, "وضعیت")
    assert (await home.keys())[-1] == "mine_none"


async def test_row_9_accepting_needs_the_number_or_the_pin(home: House):
    await home.text(ME, "آب کوچه قطع است")
    await home.answered()
    code = await home.code()
    await home.text(OTHER, f"{code} ۳۱")
    assert (await home.keys())[-1] == "need_proof"
    await home.text(ME, f"{code} موافقم")
    assert ((await home.keys())[-1], await states(home)) == ("accepted", ["closed"])


async def test_row_9_an_objection_with_words_goes_up_and_its_words_are_kept(home: House):
    await home.text(ME, "آب کوچه قطع است")
    await home.answered()
    await home.text(ME, f"{await home.code()} اعتراض هنوز قطع است")
    assert ((await home.keys())[-1], await states(home)) == ("objected", ["disputed"])
    assert (await home.texts())[-1] == "هنوز قطع است"


@pytest.mark.parametrize("shape", ["{code} سه روز است", "سه روز است {code}", "کد {code} سه روز است"])
async def test_row_10_words_with_a_code_are_added(home: House, shape: str):
    await home.text(ME, "آب کوچه قطع است")
    await home.text(ME, shape.format(code=await home.code()))
    assert ((await home.keys())[-1], await home.texts()) == ("added", ["آب کوچه قطع است", "سه روز است"])


async def test_row_10_a_code_amid_words_adds_to_ones_own_ticket_only(home: House):
    await home.text(ME, "آب کوچه قطع است")
    code = await home.code()
    await home.text(ME, f"دربارهٔ {code} کسی نیامد")
    await home.text(OTHER, f"دربارهٔ {code} من هم هستم")
    rows = await home.tickets()
    assert len(rows) == 2
    assert rows[1]["related"] == rows[0]["id"]


@pytest.mark.parametrize("yes", ["۱", "31", "بله", "قبول", "موافقم", "بله."])
async def test_row_11_yes_to_an_answer(home: House, yes: str):
    await home.text(ME, "آب کوچه قطع است")
    await home.answered()
    await asked(home, "verdict")
    for _ in range(2):
        await home.text(ME, yes, "yes")
    assert ((await home.keys())[2:], await states(home)) == (["accepted"], ["closed"])


@pytest.mark.parametrize("no", ["۲", "۳۳", "نه", "خیر", "اعتراض"])
async def test_rows_11_and_12_no_asks_why_and_any_text_is_the_reason(home: House, no: str):
    await home.text(ME, "آب کوچه قطع است")
    await home.answered()
    await asked(home, "verdict")
    await home.text(ME, no)
    assert ((await home.keys())[-1], await states(home)) == ("why", ["disputed"])
    await home.text(ME, "۱۲ روز گذشت")
    assert ((await home.keys())[-1], (await home.texts())[-1]) == ("objected", "۱۲ روز گذشت")
    await home.text(ME, "۱۲")
    assert (await home.keys())[-1] == "no_question"


async def test_row_11_no_with_words_is_a_whole_objection(home: House):
    await home.text(ME, "آب کوچه قطع است")
    await home.answered()
    await asked(home, "verdict")
    await home.text(ME, "۲ هنوز قطع است")
    assert ((await home.keys())[-1], (await home.texts())[-1]) == ("objected", "هنوز قطع است")


async def test_row_12_the_reason_may_come_within_a_day(home: House):
    await home.text(ME, "آب کوچه قطع است")
    await home.answered()
    await asked(home, "verdict")
    await home.text(ME, "نه")
    home.clock.advance(25 * 3600)
    await home.text(ME, "دیر شد")
    assert len(await home.tickets()) == 2


async def test_free_words_while_a_verdict_is_open_are_a_new_ticket(home: House):
    await home.text(ME, "آب کوچه قطع است")
    await home.answered()
    await asked(home, "verdict")
    await home.text(ME, "چراغ کوچه هم خاموش است")
    assert len(await home.tickets()) == 2


async def test_rows_14_and_15_of_several_answered_tickets_one_is_chosen(home: House):
    for what in ("آب", "برق"):
        await home.text(ME, f"مشکل {what} داریم")
        await home.answered()
        home.clock.advance(1)
    await home.text(ME, "اعتراض هنوز مشکل هست")
    key, facts = (await home.told())[-1]
    assert (key, facts["choices"].count(")")) == ("which", 2)
    await home.text(ME, "۷")
    assert (await home.keys())[-1] == "choice_bad"
    await home.text(ME, "۲")
    assert ((await home.keys())[-1], await states(home)) == ("objected", ["disputed", "answered"])
    assert (await home.texts())[-1] == "هنوز مشکل هست"


async def test_row_15_the_one_answered_ticket_is_meant_and_none_has_no_question(home: House):
    await home.text(ME, "۳۱")
    assert await home.keys() == ["no_question"]
    await home.text(ME, "آب کوچه قطع است")
    await home.answered()
    await home.text(ME, "۳۱")
    assert ((await home.keys())[-1], await states(home)) == ("accepted", ["closed"])


async def test_row_15_thirty_days_after_an_answer_it_is_over(home: House):
    await home.text(ME, "آب کوچه قطع است")
    await home.answered()
    home.clock.advance(31 * 86400)
    await home.text(ME, "۳۳")
    assert (await home.keys())[-1] == "no_question"


@pytest.mark.parametrize(
    "text", ["م ۱۲ متن", "م۱۲ متن", "ماده ۱۲ حذف شود", "M12 x", "م ۳-۱۲ متن", "موافق", "مخالف", "نظر ۳ ۵"]
)
async def test_rows_16_and_17_are_kept_and_helped_for_now(home: House, text: str):
    await home.text(ME, text)
    assert (await home.keys(), await home.tickets()) == (["help"], [])
    assert await home.kept() == [("later", text.encode())]


@pytest.mark.parametrize(
    "text", ["نظر من این است که پل خراب است", "مادهٔ غذایی فاسد می‌فروشند", "موافق نیستم با این کار"]
)
async def test_rows_16_and_17_take_nobodys_message(home: House, text: str):
    await home.text(ME, text)
    assert await home.keys() == ["received"]


async def test_row_18_stray_digits_are_kept_and_told_once_a_day(home: House):
    for n in range(2):
        await home.text(ME, "۱۲۳", f"s{n}")
    assert (await home.keys(), await home.tickets()) == (["no_question"], [])


async def test_row_19_anything_else_is_a_ticket_with_its_code(home: House):
    await home.text(ME, "آب کوچه قطع است")
    assert (await home.keys(), await home.texts()) == (["received"], ["آب کوچه قطع است"])


async def test_an_answer_by_text_opens_the_question_when_it_is_claimed(home: House):
    from core import outbox
    from core.model import Purpose

    await home.text(ME, "آب کوچه قطع است")
    about = await home.answered()
    contact = (await home.tickets())[0]["contact"]
    row = {"ticket": about, "seq": 2, "channel": "sms", "purpose": Purpose.ANSWER, "now": home.clock.now()}
    await home.store.write(lambda s: outbox.put(s, **row, contact=contact, line="main", text="وصل شد"))
    await home.store.write(outbox.claim, "sms", 9, home.clock.now(), "w")
    await home.text(ME, "۱")
    assert await states(home) == ["closed"]


async def test_past_twenty_an_hour_texts_join_the_last_ticket_in_silence(home: House):
    for n in range(24):
        await home.text(ME, f"پیام دربارهٔ {'آبپتسجحخدرزسشصضطظعغفقکگلم'[n]} است")
    assert len(await home.tickets()) == 20
    assert len(await home.texts()) == 24
    assert len(await home.keys()) == 5
    assert await states(home) == ["new"] * 20


async def test_a_flood_cannot_keep_anybody_from_opting_out(home: House):
    for n in range(21):
        await home.text(ME, f"پیام دربارهٔ {'آبپتسجحخدرزسشصضطظعغفقکگلم'[n]} است")
    await home.text(ME, "لغو")
    assert await home.desk.opted_out("sms", "main", Contact(ContactKind.PHONE, "+989120000001"))


async def test_old_texts_polled_again_after_a_restart_spend_nothing_and_say_nothing(tmp_path: Path):
    from sms.providers.base import Arrival

    async with house(tmp_path) as made:
        said = [Arrival(f"{n}", ME, "30001234", text) for n, text in enumerate(("آب قطع است", "راهنما", "۳۳", "تخلف"))]
        for arrival in said:
            await made.channel._polled("main", "paper", arrival)
        before = (await made.keys(), len(await made.texts()), await made.kept())
        made.clock.advance(47 * 3600)
        for _ in range(3):
            for arrival in said:
                await made.channel._polled("main", "paper", arrival)
        assert (await made.keys(), len(await made.texts()), await made.kept()) == before
        for n, what in enumerate(("برق", "گاز", "چراغ", "جدول", "درخت")):
            await made.text(ME, f"پیام دربارهٔ {what}", f"new{n}")
        assert (await made.keys()).count("received") == 6


async def test_two_houses_that_answer_each_other_fall_silent(tmp_path: Path, texts):
    """What one tells comes to the other as a text from a mobile."""
    from sms import wording
    from tests.sms.house import outbound

    sent = 0
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with house(tmp_path / "a") as one, house(tmp_path / "b") as two:
        await one.text(ME, "سلام")
        done = {id(one): 0, id(two): 0}
        for _ in range(30):
            for here, there in ((one, two), (two, one)):
                told = await here.told()
                for key, facts in told[done[id(here)] :]:
                    message = outbound(key=key, text="", facts={**facts, "code": "72940518364", "pin": "1234"})
                    sent += 1
                    await there.text(ME, wording.words(message, texts))
                done[id(here)] = len(told)
    assert sent <= 10


def push(**query: str) -> RawRequest:
    return RawRequest("GET", query, {}, b"", "203.0.113.9")


async def test_a_hook_takes_only_whom_its_line_allows_and_no_more_than_64_kib(tmp_path: Path):
    async with house(tmp_path, peer_allow=["203.0.113.0/24"]) as made:
        hook = made.channel.hook
        fine = {"from": ME, "text": "سلام", "id": "1"}
        assert (await hook("main", SECRET, push(**fine))).status == 200
        assert (await hook("main", SECRET, RawRequest("GET", fine, {}, b"", "198.51.100.1"))).status == 404
        large = RawRequest("POST", fine, {}, b"x" * (64 * 1024 + 1), "203.0.113.9")
        assert (await hook("main", SECRET, large)).status == 413


async def test_a_thousand_forged_hooks_make_nothing(home: House):
    for n in range(1000):
        secret = SECRET[:-1] + chr(97 + n % 18)
        assert (
            await home.channel.hook("main", secret, push(**{"from": ME, "text": "سلام", "id": str(n)}))
        ).status == 404
    assert await home.tickets() == []


async def test_no_text_goes_back_to_landlines_names_foreigners_and_our_own_lines(home: House):
    for sender in ("30001234", "BANK", "02433000000", "+491700000000", "1000", ""):
        await home.text(sender, "پیامی بی‌پاسخ")
    assert await home.keys() == []
    assert len(await home.tickets()) >= 5


@pytest.mark.parametrize("half", ["\ud83d", "\ude00"])
async def test_half_a_character_is_a_text_like_any_other_and_keeps_no_poll(home: House, half: str):
    home.paper().inbox = [
        Arrival("1", ME, "30001234", f"آب قطع است {half}", at=1),
        Arrival("2", OTHER, "30001234", "برق قطع است", at=2),
    ]
    assert await home.channel.fetch("main", 0) == 2
    assert await home.texts() == ["آب قطع است", "برق قطع است"]
    await home.text("09350000003", f"راهنما {half}")
    assert (await home.keys())[-1] == "help"
