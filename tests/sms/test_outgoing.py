"""Texts out: which way, after what, at what hour, for how much; and what a doubt comes to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from core import outbox, outcomes, spending
from core.channels import Contact, ContactKind, DeliveryState, Purpose, Refused, Sent, TryLater, Unknown
from core.outcomes import Result
from sms.providers import base
from sms.providers.base import Accepted, Doubt, Rejected
from tests.sms.house import LINE, PAPER, House, house, outbound

HOUR = 3600


def two(**second: Any) -> dict[str, Any]:
    """A line with two providers."""
    line = {**LINE, "providers": ["first", "second"]}
    return {"line": {"main": line}, "provider": {"first": {**PAPER, **second}, "second": PAPER}}


@pytest_asyncio.fixture(loop_scope="session")
async def pair(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path, two()) as made:
        yield made


@pytest.mark.parametrize(
    "error",
    [base.ProviderDown("x"), base.Throttled("x"), base.NoCredit("x"), base.BadContent("x"), base.Bug("x")],
    ids=lambda error: type(error).__name__,
)
async def test_what_was_certainly_not_sent_goes_by_the_next_provider(pair: House, error):
    pair.paper("first").next = [Rejected(error)]
    sent = await pair.channel.send(outbound())
    assert isinstance(sent, Sent)
    assert sent.ref == "second:sheet-5"


@pytest.mark.parametrize("error", [base.Blocked("x"), base.BadRecipient("x")], ids=lambda error: type(error).__name__)
async def test_who_refuses_texts_is_not_tried_by_another_provider(pair: House, error):
    pair.paper("first").next = [Rejected(error)]
    assert isinstance(await pair.channel.send(outbound()), Refused)
    assert pair.paper("second").printed == []


async def test_blocked_at_the_provider_is_an_opt_out(pair: House):
    pair.paper("first").next = [Rejected(base.Blocked("x"))]
    await pair.channel.send(outbound())
    assert await pair.desk.opted_out("sms", "main", Contact(ContactKind.PHONE, "+989120000001"))


async def test_after_a_doubt_no_other_provider_has_it_and_a_look_up_comes_first(pair: House):
    pair.paper("first").next = [Doubt(base.Ambiguous("x"))]
    assert isinstance(await pair.channel.send(outbound()), Unknown)
    assert pair.paper("second").printed == []
    again = await pair.channel.send(outbound(in_doubt=True, doubt_at=pair.clock.now()))
    assert isinstance(again, Sent)
    assert (again.ref, again.found) == ("first:sheet-5", False)
    assert (await pair.channel.send(outbound(in_doubt=True))).found


async def test_a_doubt_at_the_second_provider_is_looked_up_there_even_after_a_restart(tmp_path: Path):
    async with house(tmp_path, two(keyed=False)) as made:
        made.paper("first").next = [Rejected(base.ProviderDown("x"))]
        made.paper("second").next = [Doubt(base.Ambiguous("x"))]
        assert isinstance(await made.channel.send(outbound()), Unknown)
    async with house(tmp_path, two(keyed=False)) as made:
        again = await made.channel.send(outbound(in_doubt=True, doubt_at=made.clock.now()))
        assert isinstance(again, Sent)


async def test_a_provider_that_cannot_be_asked_parks_the_text_after_a_quarter_of_an_hour(tmp_path: Path):
    async with house(tmp_path, two(keyed=False)) as made:
        since = made.clock.now()
        made.clock.advance(60)
        waits = await made.channel.send(outbound(in_doubt=True, doubt_at=since))
        assert isinstance(waits, Unknown)
        assert (waits.park, waits.after) == (False, 840)
        made.clock.advance(840)
        parked = await made.channel.send(outbound(in_doubt=True, doubt_at=since))
        assert isinstance(parked, Unknown)
        assert parked.park
        assert made.paper("first").printed == []


async def test_resend_once_repeats_it_once_and_then_parks(tmp_path: Path):
    lines = two(keyed=False)
    lines["line"]["main"]["on_unknown"] = "resend_once"
    async with house(tmp_path, lines) as made:
        since = made.clock.now() - 1_000_000
        assert isinstance(await made.channel.send(outbound(in_doubt=True, doubt_at=since)), Sent)
        assert isinstance(await made.channel.send(outbound(in_doubt=True, doubt_at=since)), Unknown)


async def test_past_the_horizon_of_its_local_ids_a_person_decides(tmp_path: Path):
    async with house(tmp_path, two(find_for=12 * HOUR)) as made:
        since = made.clock.now()
        made.clock.advance(11 * HOUR - 1)
        made.paper("first").next = [Doubt(base.Ambiguous("x"))]
        still = await made.channel.send(outbound(in_doubt=True, doubt_at=since))
        assert isinstance(still, Unknown)
        assert not still.park
        made.clock.advance(1)
        parked = await made.channel.send(outbound(in_doubt=True, doubt_at=since))
        assert isinstance(parked, Unknown)
        assert parked.park


async def test_five_failures_open_the_breaker_and_one_probe_closes_it(tmp_path: Path):
    async with house(tmp_path) as made:
        made.paper().next = [Rejected(base.ProviderDown("x")) for _ in range(5)]
        for _ in range(6):
            assert isinstance(await made.channel.send(outbound()), TryLater)
        assert made.paper().printed == []
        assert (await made.channel.lines())[0].ways[0]["open_for"] == 30
        made.clock.advance(30)
        assert isinstance(await made.channel.send(outbound()), Sent)
        assert (await made.channel.lines())[0].ways[0]["open_for"] == 0


async def test_no_credit_pauses_the_line_with_its_reason_and_five_minutes_later_it_is_tried(tmp_path: Path):
    async with house(tmp_path) as made:
        made.paper().next = [Rejected(base.NoCredit("no credit", 418))]
        first = await made.channel.send(outbound())
        assert isinstance(await made.channel.send(outbound()), TryLater)
        assert isinstance(first, TryLater)
        way = (await made.channel.lines())[0].ways[0]
        assert (way["why"], way["paused_for"]) == ("no credit 418", 300)
        made.clock.advance(301)
        assert isinstance(await made.channel.send(outbound()), Sent)


async def test_a_line_paused_by_hand_stays_so_over_a_restart_until_it_is_resumed(tmp_path: Path):
    async with house(tmp_path) as made:
        await made.channel.pause("main", "number changes")
        assert isinstance(await made.channel.send(outbound()), TryLater)
    async with house(tmp_path) as made:
        assert isinstance(await made.channel.send(outbound()), TryLater)
        assert (await made.channel.lines())[0].paused == "number changes"
        await made.channel.resume("main")
        assert isinstance(await made.channel.send(outbound()), Sent)


async def test_a_purpose_may_go_by_providers_of_its_own(tmp_path: Path):
    lines = two()
    lines["line"]["main"]["via"] = {"notice": ["second"]}
    async with house(tmp_path, lines) as made:
        assert isinstance(await made.channel.send(outbound(purpose=Purpose.NOTICE)), Sent)
        assert len(made.paper("second").printed) == 1


async def test_notices_wait_for_the_morning_and_answers_do_not(tmp_path: Path):
    async with house(tmp_path) as made:
        made.clock.advance(12 * HOUR)  # 23:00
        waits = await made.channel.send(outbound(purpose=Purpose.NOTICE))
        assert isinstance(waits, TryLater)
        assert waits.after is not None
        assert 10 * HOUR <= waits.after <= 10 * HOUR + 600
        assert isinstance(await made.channel.send(outbound()), Sent)


async def test_a_doubt_is_looked_up_at_any_hour(tmp_path: Path):
    async with house(tmp_path) as made:
        await made.channel.send(outbound(purpose=Purpose.NOTICE))
        made.clock.advance(12 * HOUR)
        found = await made.channel.send(outbound(purpose=Purpose.NOTICE, in_doubt=True))
        assert isinstance(found, Sent)
        assert found.found


async def test_opting_out_stops_notices_and_neither_states_nor_answers(tmp_path: Path):
    async with house(tmp_path) as made:
        await made.text("09120000001", "لغو")
        assert await made.keys() == ["stopped"]
        for purpose, kind in ((Purpose.NOTICE, Refused), (Purpose.SURVEY, Refused), (Purpose.ANSWER, Sent)):
            assert isinstance(await made.channel.send(outbound(purpose=purpose)), kind)
        await made.text("09120000001", "وصل")
        assert isinstance(await made.channel.send(outbound(purpose=Purpose.NOTICE)), Sent)


async def spend(made: House, parts: int, auto: bool = False) -> None:
    """As results of sends do it."""
    sent = Sent("r", 1200 * parts, parts=parts, line="sms:main", auto=auto)
    await made.store.write(spending.count, [sent], made.clock.now())
    made.clock.advance(3)


async def test_the_days_budget_stops_automatic_texts_first_then_notices_then_answers(tmp_path: Path):
    async with house(tmp_path, daily_parts=100) as made:
        await spend(made, 50, auto=True)
        assert isinstance(await made.channel.send(outbound(purpose=Purpose.STATE)), Refused)
        assert isinstance(await made.channel.send(outbound(purpose=Purpose.NOTICE)), Sent)
        await spend(made, 50)
        waits = await made.channel.send(outbound(purpose=Purpose.NOTICE))
        assert isinstance(waits, TryLater)
        assert waits.after is not None
        assert waits.after > 12 * HOUR
        assert isinstance(await made.channel.send(outbound()), Sent)
        await spend(made, 50)
        assert isinstance(await made.channel.send(outbound()), TryLater)
        made.clock.advance(13 * HOUR)
        assert isinstance(await made.channel.send(outbound()), Sent)


async def test_what_was_sent_counts_once_with_its_result(tmp_path: Path):
    async with house(tmp_path) as made:
        await made.text("09120000001", "آب کوچه قطع است")
        (claim,) = await made.store.write(outbox.claim, "sms", 5, made.clock.now(), "w")
        sent = await made.channel.send(claim.open(made.ring))
        for _ in range(2):
            await made.store.write(outcomes.record, [Result(claim.id, claim.fence, sent)], made.clock.now())
        today = await made.store.read(spending.of_day, "sms", "main", made.clock.now())
        assert today == {"parts": 1, "rial": 0, "auto_parts": 1, "auto_rial": 0}


async def lost(made: House, sent: object) -> int:
    """The only row of the outbox, claimed and recorded with `sent`."""
    (claim,) = await made.store.write(outbox.claim, "sms", 5, made.clock.now(), "w")
    await made.store.write(outcomes.record, [Result(claim.id, claim.fence, sent)], made.clock.now())
    return claim.id


async def test_resending_takes_a_new_number_and_reaches_the_same_handset(tmp_path: Path):
    async with house(tmp_path) as made:
        await made.text("09120000001", "راهنما")
        row = await lost(made, Unknown("x", park=True))
        number = await made.store.write(outbox.resend, row, made.clock.now(), made.ring)
        assert number != row
        (claim,) = await made.store.write(outbox.claim, "sms", 5, made.clock.now(), "w")
        sent = await made.channel.send(claim.open(made.ring))
        assert isinstance(sent, Sent)
        (text,) = made.paper().printed
        assert (text.to, text.key & (1 << 36) - 1) == ("+989120000001", number)


async def test_a_report_of_a_blocked_number_is_an_opt_out(tmp_path: Path):
    async with house(tmp_path) as made:
        await made.text("09120000001", "آب کوچه قطع است")
        await lost(made, Sent("paper:1"))
        await made.desk.delivered("sms", "paper:1", DeliveryState.BLOCKED)
        assert await made.desk.opted_out("sms", "main", Contact(ContactKind.PHONE, "+989120000001"))


async def test_states_nobody_pushed_are_asked_for_and_what_stays_silent_expires(tmp_path: Path):
    async with house(tmp_path) as made:
        await made.text("09120000001", "آب کوچه قطع است")
        await lost(made, Sent("paper:1"))
        watch, paper = made.channel._watch, made.paper()
        asked: list[str] = []

        async def status(refs: Any) -> list[base.Report]:
            asked.extend(refs)
            return []

        paper.caps = replace(paper.caps, status_for=1, status_batch=10)
        paper.status = status
        await watch.look_at_states(made.desk)
        for hours in (0.17, 1, 5, 18, 23, 2):
            made.clock.advance(hours * HOUR)
            await watch.look_at_states(made.desk)
        assert asked == ["1"] * 5
        state = "SELECT state FROM outbox"
        assert await made.store.read(lambda s: s.exec_driver_sql(state).scalar_one()) == "expired"


async def test_reports_of_parts_come_before_and_after_and_the_whole_is_delivered_once_all_are(tmp_path: Path):
    async with house(tmp_path) as made:
        await made.text("09120000001", "آب کوچه قطع است")
        made.paper().next = [Accepted("a,b,c", 3)]
        (claim,) = await made.store.write(outbox.claim, "sms", 5, made.clock.now(), "w")
        sent = await made.channel.send(claim.open(made.ring))
        await made.paper().sink.reported(base.Report("b", DeliveryState.DELIVERED))
        await made.store.write(outcomes.record, [Result(claim.id, claim.fence, sent)], made.clock.now())
        state = "SELECT state FROM outbox"
        for ref, whole in (("a", "sent"), ("c", "delivered"), ("c", "delivered")):
            await made.paper().sink.reported(base.Report("0", DeliveryState.DELIVERED, also=("x", ref)))
            assert await made.store.read(lambda s: s.exec_driver_sql(state).scalar_one()) == whole


async def test_a_provider_that_breaks_while_sending_leaves_a_doubt_and_no_wait_for_ever(pair: House, monkeypatch):
    async def broken(batch: Any) -> Any:
        raise ValueError("an answer nobody thought of")

    monkeypatch.setattr(pair.paper("first"), "send", broken)
    async with asyncio.timeout(5):
        outcome = await pair.channel.send(outbound())
    assert isinstance(outcome, Unknown)


async def test_texts_turned_away_for_the_pace_take_nobodys_turn(tmp_path: Path):
    async with house(tmp_path) as made:
        bucket = made.channel._ways.all_of("main")[0].bucket
        bucket.rate = 1.0
        now = made.clock.monotonic()
        for _ in range(60):
            bucket.take(now)  # a minute's worth waits in front
        turned = [await made.channel.send(outbound(id=100 + n)) for n in range(200)]
        assert all(isinstance(outcome, TryLater) and (outcome.after or 0) > 20 for outcome in turned)
        made.clock.advance(60)
        assert bucket.take(made.clock.monotonic()) == 0


async def test_a_probe_that_was_not_made_leaves_the_breaker_ready_for_the_next(tmp_path: Path):
    async with house(tmp_path) as made:
        made.paper().next = [Rejected(base.ProviderDown("x")) for _ in range(5)]
        for _ in range(5):
            await made.channel.send(outbound())
        made.clock.advance(30)
        bucket = made.channel._ways.all_of("main")[0].bucket
        for _ in range(50 * round(bucket.rate)):
            bucket.take(made.clock.monotonic())
        assert isinstance(await made.channel.send(outbound()), TryLater)  # let through, and turned away for the pace
        made.clock.advance(60)
        assert isinstance(await made.channel.send(outbound()), Sent)


async def test_a_later_try_by_the_first_provider_is_looked_up_there(pair: House):
    first, second = pair.paper("first"), pair.paper("second")
    first.next, second.next = [Rejected(base.ProviderDown("x"))], [Doubt(base.Ambiguous("x"))]
    assert isinstance(await pair.channel.send(outbound()), Unknown)
    first.next = [Doubt(base.Ambiguous("x"))]  # the second never had it, so it goes by the first, whose answer is lost
    assert isinstance(await pair.channel.send(outbound(in_doubt=True, attempt=2, doubt_at=pair.clock.now())), Unknown)
    first.printed.append(base.Text(5, "+989120000001", "30001234", "پاسخ", "answer"))
    found = await pair.channel.send(outbound(in_doubt=True, attempt=3, doubt_at=pair.clock.now()))
    assert isinstance(found, Sent)
    assert found.found
    assert len(first.printed) == 1
