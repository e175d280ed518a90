"""Answers by two persons: submitted, approved or sent back, taken back; who may, once, and as it was read."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from config.values import Approval
from core import approvals, asking, desk, files, lapses, office, outbox, people, replies, schema
from core.channels import Asker, Contact
from core.errors import Guarded, NotAllowed, NotFound, Stale, WrongInput, WrongState
from core.model import ContactKind, State
from core.turn import lock, turn
from tests.core.staff.conftest import World
from tests.core.staff.test_replies import code_of, pin_of

TEXT = "لولهٔ کوچه ترمیم شد و آب وصل است"


async def submitted(world: World, **more) -> tuple[int, int]:
    ticket = await world.plant(**more)
    return ticket, await approvals.submit(world.store, await world.who("writer"), ticket, 1, TEXT)


async def log(world: World, ticket: int) -> list[str]:
    return [row["kind"] for row in await world.rows(schema.event, schema.event.c.ticket == ticket)]


async def marks(world: World, draft: int) -> list[str]:
    return (await world.row(schema.message, draft))["marks"]


async def sees(world: World, login: str) -> list[int]:
    return [row.ticket for row in (await desk.queue(world.store, await world.who(login), "approvals")).rows]


async def test_who_may_not_answer_submits_and_a_second_person_lets_it_go(world: World):
    writer, lead = await world.who("writer"), await world.who("services")
    ticket = await world.plant()
    with pytest.raises(NotAllowed):
        await replies.reply(world.store, writer, ticket, 1, TEXT)
    draft = await approvals.submit(world.store, writer, ticket, 1, TEXT)
    assert (await world.row(schema.ticket, ticket))["state"] == State.APPROVAL
    assert await world.count(schema.outbox) == 0, "nothing goes out before"
    told = await asking.answer_for(
        world.store, await code_of(world, ticket), Asker("web", "192.0.2.7", None, pin_of(world, ticket))
    )
    assert told is not None
    assert TEXT not in [one.text for one in told.words], "the citizen does not see a draft"
    assert await sees(world, "services") == [ticket]
    assert await sees(world, "writer") == []
    sent = await approvals.approve(world.store, lead, ticket, 2)
    answer, (row,) = await world.row(schema.message, sent), await world.rows(schema.outbox)
    assert (answer["text"], answer["author"], answer["meta"]["approved_by"]) == (TEXT, writer.staff, lead.staff)
    assert (row["text"], row["channel"], row["due_at"]) == (TEXT, "sms", world.clock.now() + 10_000)
    assert (await world.row(schema.ticket, ticket))["state"] == State.ANSWERED
    assert await marks(world, draft) == ["approved"]
    assert await sees(world, "services") == []
    assert await log(world, ticket) == ["taken", "submit", "reply"]
    (event,) = await world.rows(schema.event, schema.event.c.ticket == ticket, schema.event.c.kind == "reply")
    assert (event["actor"], event["data"]["author"]) == (f"staff:{lead.staff}", writer.staff)


async def test_an_approved_answer_can_be_taken_back_by_whoever_let_it_go_and_waits_again(world: World):
    lead, (ticket, draft) = await world.who("services"), await submitted(world)
    sent = await approvals.approve(world.store, lead, ticket, None)
    with pytest.raises(NotAllowed):
        await replies.unsend(world.store, await world.who("writer"), ticket, sent)
    await replies.unsend(world.store, lead, ticket, sent)
    assert (await world.row(schema.ticket, ticket))["state"] == State.APPROVAL
    assert await world.count(schema.outbox) == 0
    assert await marks(world, draft) == ["submitted"]
    await approvals.approve(world.store, lead, ticket, None)
    assert [row["text"] for row in await world.rows(schema.outbox)] == [TEXT]


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)  # no question to the store of its own
async def test_sent_back_with_a_note_it_is_the_writer_s_again(world: World):
    lead, writer, (ticket, draft) = await world.who("services"), await world.who("writer"), await submitted(world)
    await approvals.send_back(world.store, lead, ticket, 2, "تاریخ تعمیر را هم بنویسید")
    about = await world.row(schema.ticket, ticket)
    assert (about["state"], about["assignee"]) == (State.OPEN, writer.staff)
    assert await marks(world, draft) == ["returned"]
    view = await desk.ticket(world.store, writer, ticket)
    assert [one.text for one in view.messages if one.way == "note"] == [TEXT, "تاریخ تعمیر را هم بنویسید"]
    await approvals.submit(world.store, writer, ticket, view.version, TEXT + " (دیروز)")
    await approvals.approve(world.store, lead, ticket, None)
    assert [row["text"] for row in await world.rows(schema.outbox)] == [TEXT + " (دیروز)"]
    assert await log(world, ticket) == ["taken", "submit", "send_back", "submit", "reply"]


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)  # no question to the store of its own
async def test_the_writer_takes_it_back_and_nobody_else_does(world: World):
    writer, (ticket, draft) = await world.who("writer"), await submitted(world)
    with pytest.raises(NotAllowed):
        await approvals.take_back(world.store, await world.who("subscribers"), ticket, None)
    await approvals.take_back(world.store, writer, ticket, 2)
    assert (await world.row(schema.ticket, ticket))["state"] == State.OPEN
    assert await marks(world, draft) == ["taken_back"]
    with pytest.raises(WrongState):
        await approvals.approve(world.store, await world.who("services"), ticket, None)


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)  # no question to the store of its own
async def test_nobody_approves_their_own(world: World):
    lead, ticket = await world.who("services"), await world.plant()
    await approvals.submit(world.store, lead, ticket, 1, TEXT)
    for deed in (
        approvals.approve(world.store, lead, ticket, None),
        approvals.send_back(world.store, lead, ticket, None, "نه"),
        replies.reply(world.store, lead, ticket, None, "خودم"),
    ):
        with pytest.raises(Guarded) as no:
            await deed
        assert no.value.word == "same_person"
    assert await sees(world, "services") == []
    assert "take_back" in (await desk.ticket(world.store, lead, ticket)).events_allowed
    await approvals.approve(world.store, await world.who("director"), ticket, None)


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)  # no question to the store of its own
async def test_who_may_do_what_with_a_draft_is_offered_just_that(world: World):
    ticket, _ = await submitted(world)
    offered = {
        login: (await desk.ticket(world.store, await world.who(login), ticket)).events_allowed
        & {"approve", "send_back", "take_back", "reply", "resume", "submit"}
        for login in ("writer", "subscribers", "services", "director")
    }
    assert offered["writer"] == {"take_back"}
    assert offered["subscribers"] == frozenset(), "answers, but does not approve"
    assert offered["services"] == offered["director"] == {"approve", "send_back", "reply"}
    for deed in (
        approvals.approve(world.store, await world.who("subscribers"), ticket, None),
        approvals.send_back(world.store, await world.who("subscribers"), ticket, None, "نه"),
    ):
        with pytest.raises(NotAllowed):
            await deed
    with pytest.raises(NotFound):
        await approvals.approve(world.store, await world.who("roads"), ticket, None)


async def test_what_the_citizen_said_meanwhile_makes_an_approval_stale(world: World):
    ticket, _ = await submitted(world)

    def hear(s):
        row = lock(s, ticket)
        turn(s, row, "hear", "citizen", world.clock.now(), world.office.calendar(row["unit"]))

    await world.store.write(hear)
    assert (await world.row(schema.ticket, ticket))["state"] == State.APPROVAL
    with pytest.raises(Stale):
        await approvals.approve(world.store, await world.who("services"), ticket, 2)
    assert await world.count(schema.outbox) == 0


async def test_twenty_presses_at_once_send_one_answer(world: World):
    lead, (ticket, _) = await world.who("services"), await submitted(world)
    made = await asyncio.gather(
        *(approvals.approve(world.store, lead, ticket, None) for _ in range(20)), return_exceptions=True
    )
    assert len([one for one in made if isinstance(one, int)]) == 1
    assert {type(one) for one in made if not isinstance(one, int)} == {WrongState}
    assert await world.count(schema.outbox) == 1


async def test_the_same_draft_pressed_twice_is_one(world: World):
    writer, ticket = await world.who("writer"), await world.plant()
    first = await approvals.submit(world.store, writer, ticket, 1, TEXT, ref="form-1")
    assert await approvals.submit(world.store, writer, ticket, 1, TEXT, ref="form-1") == first
    assert await log(world, ticket) == ["taken", "submit"]


async def test_whoever_approves_may_answer_in_other_words_and_the_draft_is_replaced(world: World):
    lead, (ticket, draft) = await world.who("services"), await submitted(world)
    sent = await replies.reply(world.store, lead, ticket, 2, "پاسخ کوتاه‌تر")
    assert await marks(world, draft) == ["replaced"]
    assert [row["text"] for row in await world.rows(schema.outbox)] == ["پاسخ کوتاه‌تر"]
    await replies.unsend(world.store, lead, ticket, sent)
    assert await marks(world, draft) == ["submitted"]


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)  # no question to the store of its own
async def test_files_of_a_draft_go_out_with_it(world: World, tmp_path):
    store_of = files.Files(tmp_path / "files", world.ring, world.store)
    plan = await store_of.keep(b"plan", "plan.txt")
    ticket = await world.plant()
    await approvals.submit(world.store, await world.who("writer"), ticket, 1, TEXT, files=[plan])
    await approvals.approve(world.store, await world.who("services"), ticket, None)
    (row,) = await world.rows(schema.outbox)
    assert [one["key"] for one in row["files"]] == [plan.key]
    store_of.close()


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)  # no question to the store of its own
async def test_a_way_that_leads_nowhere_is_told_to_the_writer(world: World):
    ticket = await world.plant()
    with pytest.raises(WrongInput):
        await approvals.submit(world.store, await world.who("writer"), ticket, 1, TEXT, channel="mail")
    for text in ("", "ب" * 1001):
        with pytest.raises(WrongInput):
            await approvals.send_back(world.store, await world.who("services"), ticket, None, text)


async def test_after_a_working_day_the_superior_is_told(world: World):
    ticket, _ = await submitted(world)
    assert await lapses.fire(world.store) == 0
    world.clock.advance(3 * 86_400)
    assert await lapses.fire(world.store) == 1
    assert await lapses.fire(world.store) == 0
    names = {row["id"]: row["login"] for row in await world.rows(schema.staff)}
    rows = await world.rows(schema.told, schema.told.c.ticket == ticket)
    assert [names[row["staff"]] for row in rows] == ["director"], "services may approve; one up is the organization"
    view = await desk.queue(world.store, await world.who("director"), "told")
    assert [row.ticket for row in view.rows] == [ticket]
    await approvals.approve(world.store, await world.who("services"), ticket, None)
    assert (await desk.queue(world.store, await world.who("director"), "told")).rows == []


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)  # no question to the store of its own
async def test_a_unit_or_a_kind_may_ask_for_two_persons(world: World):
    clerk, lead = await world.who("subscribers"), await world.who("services")
    settings = replace(world.office.config.settings, approval=Approval(units=("services",)))
    office.bind(world.store, replace(world.office, config=replace(world.office.config, settings=settings)))
    ticket = await world.plant()
    assert "reply" not in (await desk.ticket(world.store, clerk, ticket)).events_allowed
    with pytest.raises(Guarded) as no:
        await replies.reply(world.store, clerk, ticket, 1, TEXT)
    assert no.value.word == "needs_approval"
    await desk.ask(world.store, clerk, ticket, 1, "نشانی را بفرمایید")  # a question needs none
    await approvals.submit(world.store, clerk, ticket, None, TEXT)
    await approvals.approve(world.store, lead, ticket, None)
    own = await world.plant()
    await replies.reply(world.store, lead, own, 1, "خودم پاسخ می‌دهم")
    kinds = replace(world.office.config.settings, approval=Approval(kinds=("complaint",)))
    office.bind(world.store, replace(world.office, config=replace(world.office.config, settings=kinds)))
    with pytest.raises(Guarded):
        await replies.reply(world.store, clerk, await world.plant(), 1, TEXT)


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)  # no question to the store of its own
async def test_an_objection_is_looked_at_by_neither_of_the_two(world: World):
    writer, (ticket, _) = await world.who("writer"), await submitted(world)
    await approvals.approve(world.store, await world.who("services"), ticket, None)
    await world.store.write(outbox.claim, "sms", 1, world.clock.now() + 10_000, "w")

    def dispute(s):
        row = lock(s, ticket)
        turn(s, row, "object", "citizen", world.clock.now(), world.office.calendar(row["unit"]))

    await world.store.write(dispute)
    for who in (writer, await world.who("services")):
        with pytest.raises(Guarded):
            await desk.assign(world.store, await world.who("director"), ticket, None, who.staff)


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)  # no question to the store of its own
async def test_a_token_of_programs_reaches_as_far_as_its_owner(world: World):
    token = await people.add_token(world.store, "writer", ["tickets.read", "tickets.write"])
    who = await people.token_actor(world.store, token)
    assert who is not None
    ticket = await world.plant(contacts=[Contact(ContactKind.PHONE, "+989120000000", True)])
    await approvals.submit(world.store, who, ticket, 1, TEXT)
    with pytest.raises((NotAllowed, Guarded)):
        await approvals.approve(world.store, who, ticket, None)
