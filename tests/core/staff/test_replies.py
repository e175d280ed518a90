"""Answers: which way they go, what an unproven point is told, ten seconds to take one back, no answer twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core import asking, codes, office, outbox, replies, schema
from core.channels import Asker
from core.errors import Guarded, Locked, NotAllowed, Stale, WrongInput, WrongState
from core.model import Contact, ContactKind
from tests.core.staff.conftest import World, mail, mobile


async def sent(world: World) -> list:
    return await world.rows(schema.outbox)


async def test_an_answer_goes_the_way_the_message_came_after_ten_seconds(world: World):
    boss, ticket = await world.who("services"), await world.plant()
    message = await replies.reply(world.store, boss, ticket, 1, "  لوله ترمیم شد  ")
    (row,) = await sent(world)
    assert (row["channel"], row["text"], row["message"], row["purpose"]) == ("sms", "لوله ترمیم شد", message, "answer")
    assert row["due_at"] == world.clock.now() + 10_000
    about = await world.row(schema.ticket, ticket)
    assert (about["state"], about["clock"], about["answered_at"]) == ("answered", "stopped", world.clock.now())
    assert about["lapse_at"] > world.clock.now()


@pytest.mark.parametrize("channel", ["web", "desk", "phone", "letter"])
async def test_what_is_read_with_the_code_needs_no_row(world: World, channel):
    boss, ticket = await world.who("services"), await world.plant(channel=channel, contacts=[mobile(proven=False)])
    message = await replies.reply(world.store, boss, ticket, 1, "رسیدگی شد")
    assert await sent(world) == []
    assert (await world.row(schema.message, message))["channel"] == channel


async def test_an_unproven_point_is_told_only_that_there_is_an_answer(world: World):
    boss = await world.who("services")
    ticket = await world.plant(channel="web", answer_by="sms", contacts=[mobile(proven=False)])
    await replies.reply(world.store, boss, ticket, 1, "محرمانه")
    (row,) = await sent(world)
    assert (row["key"], row["text"], row["files"]) == ("answer_ready", "", [])


async def test_the_hour_of_the_call_goes_with_an_answer_by_telephone_only(world: World):
    here = office.of(world.store)
    lines = {**here.config.lines, "phone": {**here.config.lines.get("phone", {}), "callback": {}}}
    office.bind(world.store, replace(here, config=replace(here.config, lines=lines)))
    boss, called, texted = await world.who("services"), await world.plant(channel="phone"), await world.plant()
    for ticket in (called, texted):
        await replies.reply(world.store, boss, ticket, 1, "لوله ترمیم شد", hour=17)
    facts = {row["ticket"]: (row["channel"], row["facts"]) for row in await sent(world)}
    assert facts == {called: ("phone", {"hour": 17}), texted: ("sms", {})}
    with pytest.raises(WrongInput):
        await replies.reply(world.store, boss, called, None, "بار دیگر", hour=24)


async def test_a_proven_point_goes_before_an_unproven_one(world: World):
    boss = await world.who("services")
    points = [mail("a@example.ir", False), mail("b@example.ir"), mobile()]
    ticket = await world.plant(channel="mail", contacts=points)
    await replies.reply(world.store, boss, ticket, 1, "پاسخ")
    (row,) = await sent(world)
    (claimed,) = await world.store.write(outbox.claim, "mail", 5, row["due_at"], "w")
    assert claimed.open(world.ring).to == "b@example.ir"


async def test_without_a_point_of_that_kind_another_proven_one_is_used(world: World):
    boss, ticket = await world.who("services"), await world.plant(channel="mail", contacts=[mobile()])
    message = await replies.reply(world.store, boss, ticket, 1, "پاسخ")
    assert [row["channel"] for row in await sent(world)] == ["sms"]
    assert (await world.row(schema.message, message))["channel"] == "sms"


async def test_nobody_to_reach_is_marked_and_read_with_the_code(world: World):
    boss, ticket = await world.who("services"), await world.plant(channel="sms", contacts=[])
    message = await replies.reply(world.store, boss, ticket, 1, "پاسخ")
    kept = await world.row(schema.message, message)
    assert (kept["channel"], kept["marks"]) == ("web", ["unreached"])
    assert await sent(world) == []
    with pytest.raises(WrongInput):
        await replies.reply(world.store, boss, ticket, None, "پاسخ", channel="mail")


async def test_the_same_answer_twice_is_sent_once(world: World):
    boss, ticket = await world.who("services"), await world.plant()
    first = await replies.reply(world.store, boss, ticket, 1, "پاسخ", ref="form-1")
    assert await replies.reply(world.store, boss, ticket, 1, "پاسخ", ref="form-1") == first
    assert len(await sent(world)) == 1
    with pytest.raises(Stale):
        await replies.reply(world.store, boss, ticket, 1, "پاسخ دیگر", ref="form-1")
    other = await replies.reply(world.store, boss, ticket, None, "پاسخ دیگر", ref="form-1")
    assert (await world.row(schema.message, other))["marks"] == ["same_id"]


async def test_twenty_presses_at_once_are_one_answer(world: World):
    boss, ticket = await world.who("services"), await world.plant()
    made = await asyncio.gather(
        *(replies.reply(world.store, boss, ticket, 1, "پاسخ", ref="x") for _ in range(20)), return_exceptions=True
    )
    assert len(set(made)) == 1, made
    assert len(await sent(world)) == 1


async def test_an_answer_taken_back_leaves_the_ticket_as_it_was(world: World):
    boss, ticket = await world.who("services"), await world.plant()
    before = await world.row(schema.ticket, ticket)
    message = await replies.reply(world.store, boss, ticket, 1, "اشتباه")
    world.clock.advance(9)
    await replies.unsend(world.store, boss, ticket, message)
    after = await world.row(schema.ticket, ticket)
    for column in ("state", "clock", "due_at", "answered_at", "lapse_at", "due_steps"):
        assert after[column] == before[column], column
    assert after["version"] == 3
    assert await sent(world) == []
    assert (await world.row(schema.message, message))["withdrawn_at"] == world.clock.now()
    kinds = [row["kind"] for row in await world.rows(schema.event, schema.event.c.ticket == ticket)]
    assert kinds == ["taken", "reply", "unsend"]
    with pytest.raises((WrongState, Guarded)):
        await replies.unsend(world.store, boss, ticket, message)


async def test_an_answer_taken_back_rings_no_rung_of_the_ladder_again(world: World):
    boss, later = await world.who("services"), world.clock.now() + 86_400_000
    ticket = await world.plant(rung=2, rung_at=later, tags=["undelivered"])
    message = await replies.reply(world.store, boss, ticket, 1, "اشتباه")
    await replies.unsend(world.store, boss, ticket, message)
    after = await world.row(schema.ticket, ticket)
    assert (after["rung"], after["rung_at"], after["tags"]) == (2, later, ["undelivered"])


async def test_an_answer_cannot_be_taken_back_late_or_once_claimed_or_by_another(world: World):
    boss, ticket = await world.who("services"), await world.plant()
    message = await replies.reply(world.store, boss, ticket, 1, "پاسخ")
    with pytest.raises(NotAllowed):
        await replies.unsend(world.store, await world.who("subscribers"), ticket, message)
    await world.store.write(outbox.claim, "sms", 1, world.clock.now() + 10_000, "w")
    with pytest.raises(Guarded):
        await replies.unsend(world.store, boss, ticket, message)
    assert len(await sent(world)) == 1
    late, at_web = await world.plant(channel="web"), world.clock
    message = await replies.reply(world.store, boss, late, 1, "پاسخ")
    at_web.advance(10)
    with pytest.raises(Guarded):
        await replies.unsend(world.store, boss, late, message)


@pytest.mark.parametrize(
    ("text", "then"), [("", "answered"), (" \n", "answered"), ("ب" * 10_001, "answered"), ("پاسخ", "gone")]
)
async def test_what_cannot_be_said_is_wrong_input(world: World, text, then):
    boss, ticket = await world.who("services"), await world.plant()
    with pytest.raises(WrongInput):
        await replies.reply(world.store, boss, ticket, 1, text, then=then)
    assert (await world.row(schema.ticket, ticket))["version"] == 1


# ---------------------------------------------------------------- asking


async def code_of(world: World, ticket: int) -> str:
    (row,) = await world.rows(schema.code, schema.code.c.ticket == ticket)
    return row["value"]


def asker(channel="web", key="192.0.2.7", contact: Contact | None = None, proof: str | None = None) -> Asker:
    return Asker(channel, key, contact, proof)


def pin_of(world: World, ticket: int) -> str:
    from core.cipher import pin

    return pin(world.ring, 1, ticket)


async def test_the_code_tells_the_state_and_proof_the_words(world: World):
    boss, ticket = await world.who("services"), await world.plant(channel="web", contacts=[mobile(proven=False)])
    await replies.reply(world.store, boss, ticket, 1, "لوله ترمیم شد")
    code = await code_of(world, ticket)
    bare = await asking.answer_for(world.store, code, asker())
    assert bare is not None
    assert (bare.state, bare.proven, bare.words, bare.reply, bare.can) == ("answered", False, (), None, frozenset())
    for proof in (pin_of(world, ticket), "۰۹۱۲ ۰۰۰ ۰۰۰۰".replace(" ", ""), "+989120000000"):
        told = await asking.answer_for(world.store, code, asker(proof=proof))
        assert told is not None
        assert told.proven
        assert told.reply is not None
        assert told.reply.text == "لوله ترمیم شد"
        assert [one.text for one in told.words] == ["آب محله ما قطع است", "لوله ترمیم شد"]
        assert told.can == {"add", "accept", "object", "withdraw"}


async def test_notes_and_withdrawn_answers_are_not_the_citizen_s(world: World):
    from core import desk

    boss, ticket = await world.who("services"), await world.plant(channel="web")
    await desk.note(world.store, boss, ticket, None, "یادداشت داخلی")
    message = await replies.reply(world.store, boss, ticket, None, "اشتباه")
    await replies.unsend(world.store, boss, ticket, message)
    told = await asking.answer_for(world.store, await code_of(world, ticket), asker(proof=pin_of(world, ticket)))
    assert told is not None
    assert [one.text for one in told.words] == ["آب محله ما قطع است"]
    assert told.reply is None


async def test_ten_misses_shut_the_way_by_pin_but_never_for_its_own_contact(world: World):
    ticket = await world.plant()
    code, right = await code_of(world, ticket), pin_of(world, ticket)
    wrong = "0000" if right != "0000" else "1111"
    for n in range(10):
        told = await asking.answer_for(world.store, code, asker("sms", f"+98912999{n:04}", proof=wrong))
        assert told is not None
        assert not told.proven
    with pytest.raises(Locked) as shut:
        await asking.answer_for(world.store, code, asker("sms", "+989129999999", proof=right))
    assert shut.value.after > 80_000
    own = Contact(ContactKind.PHONE, "+989120000000", True)
    told = await asking.answer_for(world.store, code, asker("sms", own.value, own, proof=wrong))
    assert told is not None
    assert told.proven
    claimed = Contact(ContactKind.PHONE, "+989120000000", False)
    told = await asking.answer_for(world.store, code, asker("phone", "+989120000000", claimed))
    assert told is not None
    assert not told.proven


async def test_guessing_codes_shuts_out_the_guesser_and_slips_cost_nothing(world: World):
    real = await code_of(world, await world.plant())
    slip = real[:-1] + str((int(real[-1]) + 1) % 10)
    for _ in range(30):
        assert await asking.answer_for(world.store, slip, asker("phone", "+989127777777")) is None
    for _ in range(10):
        assert await asking.answer_for(world.store, codes.new(), asker("phone", "+989127777777")) is None
    with pytest.raises(Locked):
        await asking.answer_for(world.store, codes.new(), asker("phone", "+989127777777"))
    assert await asking.answer_for(world.store, real, asker("phone", "+989128888888")) is not None


async def test_units_services_and_one_s_own_tickets_are_looked_up(world: World):
    ticket = await world.plant()
    units = world.office.config.units
    permits = units["permits"]
    for key in ("permits", permits.extension, units.address("permits")):
        found = await asking.look_up(world.store, "unit", key)
        assert found is not None
        assert found.rows[0]["slug"] == "permits"
        assert found.rows[0]["name"] == permits.name["fa"]
    assert await asking.look_up(world.store, "unit", "99999") is None
    slug = next(iter(world.office.config.services))
    service = await asking.look_up(world.store, "service", slug)
    assert service is not None
    assert service.rows[0]["slug"] == slug
    own = Contact(ContactKind.PHONE, "+989120000000", True)
    mine = await asking.look_up(world.store, "mine", own.value, asker("sms", own.value, own))
    assert mine is not None
    assert [row["ticket"] for row in mine.rows] == [ticket]
    other = Contact(ContactKind.PHONE, "+989120000000", False)
    assert await asking.look_up(world.store, "mine", own.value, asker("sms", own.value, other)) is None
