"""The reminder of what we asked: once, halfway, the way the question went, on both stores."""

from __future__ import annotations

import asyncio

import pytest

from core import automatic, desk, events, lapses, outbox, outcomes, reminders, replies, schema
from core.model import Purpose, State
from core.turn import lock, turn
from tests.core.staff.conftest import World, mail, mobile

HOUR, DAY = 3600, 86_400  # seconds
NIGHT = 12 * HOUR


async def asked(world: World, **more) -> int:
    ticket, boss = await world.plant(**more), await world.who("services")
    await desk.ask(world.store, boss, ticket, None, "نشانی دقیق را بفرمایید")
    return ticket


async def to_reminder(world: World, ticket: int) -> None:
    at = (await world.row(schema.ticket, ticket))["remind_at"]
    world.clock.advance((at - world.clock.now()) / 1000 + 60)


async def sent(world: World, ticket: int) -> list:
    return await world.rows(schema.outbox, schema.outbox.c.ticket == ticket, schema.outbox.c.key == reminders.KEY)


async def logged(world: World, ticket: int) -> list:
    return await world.rows(schema.event, schema.event.c.ticket == ticket, schema.event.c.kind == "reminder")


async def test_who_was_asked_is_reminded_once_on_the_fifth_working_day(world: World):
    ticket = await asked(world)
    world.clock.advance(4 * DAY)
    assert await reminders.remind(world.store) == 0
    await to_reminder(world, ticket)
    assert await reminders.remind(world.store) == 1
    assert await reminders.remind(world.store) == 0, "told twice"
    (row,), (event,) = await sent(world, ticket), await logged(world, ticket)
    about = await world.row(schema.ticket, ticket)
    assert (row["channel"], row["contact"], row["lang"], row["text"]) == ("sms", about["contact"], "fa", "")
    assert row["facts"]["until"].endswith("۱۴۰۴"), "the day it closes, as it is read"
    assert (event["data"]["channel"], event["data"]["outbox"]) == ("sms", row["id"])
    assert (about["state"], about["remind_at"]) == (State.ASKED, None)
    world.clock.advance(12 * DAY)
    await lapses.fire(world.store)
    assert (await world.row(schema.ticket, ticket))["state"] == State.CLOSED
    assert await reminders.remind(world.store) == 0


async def test_who_looks_at_the_same_time_tells_it_once(world: World):
    ticket = await asked(world)
    await to_reminder(world, ticket)
    others = [world.store] if world.store.dialect == "sqlite" else [world.store, await world.again()]
    told = await asyncio.gather(*(reminders.remind(store) for store in others * 4))
    assert sum(told) == 1
    assert len(await sent(world, ticket)) == len(await logged(world, ticket)) == 1


async def test_a_crash_before_the_commit_leaves_nothing_and_it_is_told_after(world: World, monkeypatch):
    ticket = await asked(world)
    await to_reminder(world, ticket)
    real = events.add

    def die(*args, **more):
        raise ValueError("power cut")

    monkeypatch.setattr(events, "add", die)
    assert await reminders.remind(world.store) == 0
    assert await sent(world, ticket) == []
    monkeypatch.setattr(events, "add", real)
    assert await reminders.remind(world.store) == 1
    assert len(await sent(world, ticket)) == 1


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)  # no question to the store of its own
async def test_who_has_answered_is_not_reminded(world: World):
    ticket = await asked(world)
    assert (await world.row(schema.ticket, ticket))["remind_at"] is not None

    def hear(s):
        row = lock(s, ticket)
        turn(s, row, "hear", "citizen", world.clock.now(), world.office.calendar(row["unit"]))

    await world.store.write(hear)
    assert (await world.row(schema.ticket, ticket))["remind_at"] is None
    world.clock.advance(8 * DAY)
    assert await reminders.remind(world.store) == 0


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)  # no question to the store of its own
async def test_at_night_it_waits_for_the_morning(world: World):
    ticket = await asked(world)
    await to_reminder(world, ticket)
    world.clock.advance(NIGHT)
    assert await reminders.remind(world.store) == 0
    for _ in range(24 * 4):  # a weekend may lie between
        world.clock.advance(HOUR)
        if await reminders.remind(world.store):
            break
    assert len(await sent(world, ticket)) == 1


async def test_an_address_that_had_its_automatic_letter_is_tried_again_the_day_after(world: World):
    ticket = await asked(world, channel="mail", contacts=[mail()])
    await to_reminder(world, ticket)
    about = await world.row(schema.ticket, ticket)
    blind = (await world.row(schema.contact, about["contact"]))["blind"]
    wish = automatic.Wish(1, automatic.OTHER, blind, automatic.domain_of("zahra@example.ir"), ticket)
    assert await world.store.write(automatic.grant, [wish], world.clock.now())
    assert await reminders.remind(world.store) == 0
    assert await sent(world, ticket) == []
    tried = 0
    while not await reminders.remind(world.store):
        world.clock.advance(DAY)
        tried += 1
        assert tried < 5
    (row,) = await sent(world, ticket)
    assert (row["channel"], row["purpose"]) == ("mail", Purpose.STATE)


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)  # no question to the store of its own
async def test_a_question_on_the_portal_goes_to_a_proven_point_or_is_only_logged(world: World):
    known = await asked(world, channel="web", contacts=[mobile()])
    nobody = await asked(world, channel="web", contacts=[])
    await to_reminder(world, known)
    assert await reminders.remind(world.store) == 2
    assert [row["channel"] for row in await sent(world, known)] == ["sms"]
    assert await sent(world, nobody) == []
    assert [one["data"]["outbox"] for one in await logged(world, nobody)] == [None]


async def test_a_question_that_reached_nobody_is_not_reminded_of(world: World):
    ticket = await asked(world)
    (row,) = await world.rows(schema.outbox, schema.outbox.c.ticket == ticket)
    world.clock.advance(11)
    await world.store.write(_lost, row["id"], world.clock.now())
    await to_reminder(world, ticket)
    assert await reminders.remind(world.store) == 0
    await lapses.fire(world.store)
    assert (await world.row(schema.ticket, ticket))["state"] == State.OPEN


def _lost(s, row: int, now: int) -> None:
    from core.channels import Refused

    (claimed,) = [one for one in outbox.claim(s, "sms", 5, now, "w") if one.id == row]
    outcomes.record(s, [outcomes.Result(row, claimed.fence, Refused("no such number"))], now)


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)  # no question to the store of its own
async def test_a_question_taken_back_leaves_the_earlier_wait_and_its_reminder(world: World):
    ticket, boss = await asked(world), await world.who("services")
    before = (await world.row(schema.ticket, ticket))["remind_at"]
    message = await replies.reply(world.store, boss, ticket, None, "پاسخ")
    assert (await world.row(schema.ticket, ticket))["remind_at"] is None
    await replies.unsend(world.store, boss, ticket, message)
    after = await world.row(schema.ticket, ticket)
    assert (after["state"], after["remind_at"]) == (State.ASKED, before)


async def test_what_we_ask_asks_for_no_verdict_and_an_answer_does(world: World):
    asks, answers = await asked(world), await world.plant()
    await replies.reply(world.store, await world.who("services"), answers, None, "رسیدگی شد")
    world.clock.advance(11)
    await world.store.write(outbox.claim, "sms", 5, world.clock.now(), "w")
    assert [row["ticket"] for row in await world.rows(schema.question)] == [answers]
    (row,) = await world.rows(schema.outbox, schema.outbox.c.ticket == asks)
    assert row["facts"] == {"asks": True}


@pytest.mark.parametrize("lang", ["fa", "en"])
def test_every_channel_has_its_sentence(lang):
    import config

    say = config.read().texts
    for area in ("sms", "mail"):
        told = say(f"{area}.reminder", lang, unit="آب", until="شنبه", code="729-4051-8364")
        assert "729-4051-8364" in told
        assert "شنبه" in told
