"""What is decided about short texts, once: repeats, texts without id, budgets on disk, floods, loops, questions."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core import office
from core.channels import Act, Asks, Contact, ContactKind, Heard, Inbound, Note
from core.intake import Desk
from core.store import Store

WHO = Contact(ContactKind.PHONE, "+989120000000", proven=True)


def heard(ref: str = "p:main:1", body: str = "0912 3000 آب", **more) -> Heard:
    rules = more.pop("rules", lambda asked: [("sms_auto_hour", WHO.value)])
    return Heard("sms", ref, "main", WHO, body, rules, **more)


def text(ref: str, **more) -> Inbound:
    return Inbound("sms", ref, "آب کوچه قطع است", contact=WHO, line="main", **more)


async def test_a_repeat_gets_the_first_verdict_and_spends_nothing(desk: Desk):
    first = await desk.judge(heard())
    for _ in range(10):
        again = await desk.judge(heard())
        assert (again.first, replace(again, first=True)) == (False, first)
    assert [(await desk.judge(heard(f"p:main:{n}"))).quiet for n in range(2, 7)] == ["", "", "", "", "sms_auto_hour"]


async def test_budgets_outlive_a_restart(desk: Desk, store: Store):
    for n in range(5):
        assert (await desk.judge(heard(f"{n}"))).quiet == ""
    bound = office.of(store)
    throttle = type(bound.throttle)(bound.config.settings.limits, bound.clock)
    again = Desk(store, bound.config, bound.keyring, desk._files, bound.clock, throttle)
    assert (await again.judge(heard("later"))).quiet == "sms_auto_hour"


async def test_the_same_words_without_an_id_are_one_text_for_ten_minutes(desk: Desk, clock):
    first = await desk.judge(heard(""))
    clock.advance(590)
    assert await desk.judge(heard("")) == replace(first, first=False)
    clock.advance(20)
    assert (await desk.judge(heard(""))).first


async def test_the_same_words_without_an_id_in_one_batch_are_one_text(desk: Desk):
    first, *twins = await asyncio.gather(*(desk.judge(heard("")) for _ in range(5)), desk.judge(heard("", "0912 دیگر")))
    other = twins.pop()
    assert first.first and [twin.first for twin in twins] == [False] * 4
    assert {twin.ref for twin in twins} == {first.ref} and other.first and other.ref != first.ref


async def test_a_poll_brings_with_an_id_what_a_push_brought_without_once(desk: Desk, clock):
    pushed = await desk.judge(heard(""))
    clock.advance(47 * 3600)
    assert await desk.judge(heard("m:main:9", polled=True)) == replace(pushed, first=False)
    assert not (await desk.judge(heard("m:main:9", polled=True))).first
    assert (await desk.judge(heard("m:main:10", polled=True))).first


async def test_the_same_id_with_other_words_is_another_text(desk: Desk):
    assert (await desk.judge(heard())).first
    assert (await desk.judge(heard(body="0912 3000 برق"))).first


async def test_too_many_texts_join_the_last_ticket_of_the_number(desk: Desk):
    receipt = await desk.take(text("1"))
    verdicts = [await desk.judge(heard(f"{n}", rules=lambda asked: [])) for n in range(22)]
    assert [verdict.joins for verdict in verdicts] == [None] * 20 + [receipt.ticket] * 2
    assert [verdict.quiet for verdict in verdicts[19:]] == ["", "flood", "flood"]


async def test_the_third_alike_is_a_loop_and_silence_lasts_a_day(desk: Desk, clock):
    alike = [await desk.judge(heard(f"{n}", mask="m", rules=lambda asked: [])) for n in range(3)]
    assert [verdict.quiet for verdict in alike] == ["", "", "loop"]
    clock.advance(23 * 3600)
    assert (await desk.judge(heard("next", mask="other", rules=lambda asked: []))).quiet == "silent"
    clock.advance(2 * 3600)
    assert (await desk.judge(heard("after", mask="other", rules=lambda asked: []))).quiet == ""


async def test_our_own_sentence_coming_back_is_a_loop(desk: Desk):
    assert (await desk.judge(heard(echo=True))).quiet == "loop"


async def test_a_question_opens_with_a_sentence_and_closes_with_its_answer(desk: Desk, clock):
    receipt = await desk.take(text("1"))
    note = Note("sms", "tell 1", WHO.value, "which", line="main", ticket=receipt.ticket, asks=Asks("choice", {"n": 2}))
    assert await desk.tell(note)
    asked = (await desk.judge(heard("a"))).question
    assert (asked.kind, asked.ticket, asked.code, asked.data) == ("choice", receipt.ticket, receipt.code, {"n": 2})
    await desk.take(text("2", act=Act.ADD, code=receipt.code, answers=asked.id, asks=Asks("why")))
    assert (await desk.judge(heard("b"))).question.kind == "why"
    clock.advance(25 * 3600)
    assert (await desk.judge(heard("c"))).question is None
    assert (await desk.judge(heard("b"))).question.kind == "why"


async def test_a_sentence_told_once_is_not_told_again_for_its_span(desk: Desk, clock):
    notes = [Note("sms", f"tell {n}", WHO.value, "help", line="main", once="sms_sentence") for n in range(3)]
    assert [await desk.tell(notes[0]), await desk.tell(notes[1])] == [True, False]
    clock.advance(601)
    assert await desk.tell(notes[2])


async def test_an_opt_out_is_of_one_line_and_can_be_taken_back(desk: Desk):
    await desk.opt("sms", "main", WHO, True, "word")
    await desk.opt("sms", "main", WHO, True, "again")
    assert [await desk.opted_out("sms", line, WHO) for line in ("main", "bulk")] == [True, False]
    await desk.opt("sms", "main", WHO, False)
    assert not await desk.opted_out("sms", "main", WHO)


async def test_raw_bytes_of_a_repeat_are_kept_once(desk: Desk):
    first = await desk.raw("sms", "r", b"one", "refused")
    assert await desk.raw("sms", "r", b"one", "refused") == first
    assert await desk.raw("sms", "r", b"two", "refused") != first


@pytest.mark.parametrize("rule", ["sms_auto_day", "miss_web"])
async def test_a_budget_is_spent_wherever_it_lies(desk: Desk, rule: str):
    taken = [await desk.spend(rule, "k") for _ in range(21)]
    assert taken == [True] * desk._throttle.rules[rule].limit + [False] * (21 - desk._throttle.rules[rule].limit)
