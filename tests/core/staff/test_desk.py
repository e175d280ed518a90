"""What staff do with tickets: every pair of the table, rights, versions, units, clocks."""

from __future__ import annotations

import base64

import pytest

from core import approvals, desk, replies, schema
from core.errors import Guarded, NotAllowed, NotFound, Stale, WrongInput, WrongState
from core.model import State
from core.states import MOVES
from tests.core.staff.conftest import World

DAY = 86_400  # seconds
DEEDS = {  # event of the table → the deed that fires it
    "assign": lambda w, who, t: desk.take(w.store, who, t, None),
    "route": lambda w, who, t: desk.route(w.store, who, t, None, "permits", "مربوط به پروانه است"),
    "release": lambda w, who, t: desk.release(w.store, who, t, None),
    "ask": lambda w, who, t: desk.ask(w.store, who, t, None, "نشانی دقیق را بفرمایید"),
    "outside": lambda w, who, t: desk.outside(w.store, who, t, None, w.clock.now() + DAY * 5000, "از شهرداری پرسیدیم"),
    "resume": lambda w, who, t: desk.resume(w.store, who, t, None),
    "reply": lambda w, who, t: replies.reply(w.store, who, t, None, "رسیدگی شد"),
    "close": lambda w, who, t: desk.close(w.store, who, t, None, "duplicate"),
    "reopen": lambda w, who, t: desk.reopen(w.store, who, t, None),
    "junk": lambda w, who, t: desk.junk(w.store, who, t, None, "تبلیغ"),
    "note": lambda w, who, t: desk.note(w.store, who, t, None, "تلفن زدم"),
}


async def test_every_state_takes_exactly_the_deeds_of_the_table(world: World):
    boss = await world.who("services")
    for state in State:
        for event, deed in DEEDS.items():
            ticket = await world.plant(state=state)
            target = MOVES.get((state, event))
            if target is None:
                with pytest.raises((WrongState, NotAllowed)):
                    await deed(world, boss, ticket)
                left = await world.row(schema.ticket, ticket)
                assert (left["state"], left["version"], left["events"]) == (state, 1, 1), (state, event)
            else:
                await deed(world, boss, ticket)
                left = await world.row(schema.ticket, ticket)
                assert (left["state"], left["version"], left["events"]) == (target, 2, 2), (state, event)


async def test_another_unit_s_ticket_is_not_found(world: World):
    ticket = await world.plant(unit="permits")
    nargess = await world.who("subscribers")
    for event, deed in DEEDS.items():
        with pytest.raises(NotFound):
            await deed(world, nargess, ticket)
        assert event
    with pytest.raises(NotFound):
        await desk.ticket(world.store, nargess, ticket)
    assert (await desk.queue(world.store, nargess, "all")).rows == []
    assert (await world.row(schema.ticket, ticket))["version"] == 1


async def test_two_operators_and_the_second_is_stale(world: World):
    ticket = await world.plant()
    first, second = await world.who("subscribers"), await world.who("services")
    assert await desk.take(world.store, first, ticket, 1) == 2
    with pytest.raises(Stale) as told:
        await desk.close(world.store, second, ticket, 1, "duplicate")
    assert (told.value.mine, told.value.theirs) == (1, 2)
    with pytest.raises(Stale):
        await replies.reply(world.store, second, ticket, 1, "پاسخ دیر")
    assert (await world.row(schema.ticket, ticket))["state"] == "open"


async def test_an_operator_does_not_assign_but_a_lead_does(world: World):
    ticket = await world.plant()
    operator, lead = await world.who("subscribers"), await world.who("services")
    with pytest.raises(NotAllowed):
        await desk.assign(world.store, operator, ticket, None, lead.staff)
    with pytest.raises(WrongInput):
        await desk.assign(world.store, lead, ticket, None, (await world.who("permits")).staff)
    await desk.assign(world.store, lead, ticket, None, operator.staff)
    assert (await world.row(schema.ticket, ticket))["assignee"] == operator.staff
    assert [row.ticket for row in (await desk.queue(world.store, operator, "mine")).rows] == [ticket]


async def test_a_pause_keeps_what_was_left_of_the_time(world: World):
    boss, ticket = await world.who("services"), await world.plant()
    before = (await world.row(schema.ticket, ticket))["due_at"]
    await desk.ask(world.store, boss, ticket, None, "کدام کوچه؟")
    paused = await world.row(schema.ticket, ticket)
    assert (paused["clock"], paused["due_at"], paused["paused_at"]) == ("paused", before, world.clock.now())
    assert paused["lapse_at"] > world.clock.now()
    world.clock.advance(30 * DAY)
    await desk.resume(world.store, boss, ticket, None)
    after = await world.row(schema.ticket, ticket)
    assert (after["clock"], after["paused_at"], after["lapse_at"]) == ("runs", None, None)
    assert after["due_at"] > before + 25 * DAY * 1000
    assert any(step["why"] == "pause" for step in after["due_steps"])
    assert len(after["pauses"]) == 1


async def test_what_was_overdue_when_it_paused_stays_overdue(world: World):
    boss, ticket = await world.who("services"), await world.plant()
    before = (await world.row(schema.ticket, ticket))["due_at"]
    world.clock.advance(40 * DAY)
    await desk.ask(world.store, boss, ticket, None, "هنوز قطع است؟")
    world.clock.advance(3 * DAY)
    await desk.resume(world.store, boss, ticket, None)
    assert (await world.row(schema.ticket, ticket))["due_at"] == before


async def test_reopened_it_has_a_fresh_clock_but_not_after_thirty_days(world: World):
    boss, ticket = await world.who("services"), await world.plant(state="closed")
    world.clock.advance(29 * DAY)
    await desk.reopen(world.store, boss, ticket, None)
    row = await world.row(schema.ticket, ticket)
    assert (row["state"], row["clock"], row["due_from"]) == ("open", "runs", world.clock.now())
    assert row["due_at"] > world.clock.now()
    late = await world.plant(state="closed")
    world.clock.advance(31 * DAY)
    with pytest.raises(Guarded) as told:
        await desk.reopen(world.store, boss, late, None)
    assert told.value.word == "too_late"


async def test_the_third_routing_goes_to_the_common_head(world: World):
    boss, ticket = await world.who("director"), await world.plant()
    for unit in ("permits", "subscribers", "permits"):
        await desk.route(world.store, boss, ticket, None, unit, "مربوط به ما نیست")
    row = await world.row(schema.ticket, ticket)
    assert row["unit"] == "services"
    assert "ping_pong" in row["tags"]
    with pytest.raises(WrongInput):
        await desk.route(world.store, boss, ticket, None, "services", "همان")
    with pytest.raises(WrongInput):
        await desk.route(world.store, boss, ticket, None, "ناشناخته", "واحدی که نیست")


async def test_an_objection_is_for_another_person(world: World):
    boss = await world.who("services")
    ticket = await world.plant()
    await replies.reply(world.store, boss, ticket, None, "رسیدگی شد")

    def object_to(s):
        s.execute(schema.ticket.update().where(schema.ticket.c.id == ticket).values(state="disputed", level=1))

    await world.store.write(object_to)
    with pytest.raises(Guarded) as told:
        await desk.take(world.store, boss, ticket, None)
    assert told.value.word == "same_person"
    await desk.take(world.store, await world.who("subscribers"), ticket, None)


async def test_an_objection_is_answered_by_another_person_whoever_has_it(world: World):
    boss, other = await world.who("services"), await world.who("subscribers")
    ticket = await world.plant()
    await replies.reply(world.store, boss, ticket, None, "رسیدگی شد")
    world.clock.advance(60)

    def object_to(s):
        values = {"state": "disputed", "level": 1, "objected_at": world.clock.now()}
        s.execute(schema.ticket.update().where(schema.ticket.c.id == ticket).values(values))

    await world.store.write(object_to)
    world.clock.advance(60)
    for answer in (replies.reply, approvals.submit):
        with pytest.raises(Guarded) as told:
            await answer(world.store, boss, ticket, None, "همان پاسخ")
        assert told.value.word == "same_person"
    await desk.ask(world.store, other, ticket, None, "از کدام روز؟")
    await desk.resume(world.store, other, ticket, None)
    with pytest.raises(Guarded):  # open again by now, still an objection
        await replies.reply(world.store, boss, ticket, None, "همان پاسخ")
    await approvals.submit(world.store, other, ticket, None, "لوله عوض شد")
    with pytest.raises(Guarded):
        await approvals.approve(world.store, boss, ticket, None)
    await approvals.take_back(world.store, other, ticket, None)
    await replies.reply(world.store, other, ticket, None, "لوله عوض شد")
    await replies.reply(world.store, other, ticket, None, "لوله دیروز عوض شد")


async def test_closing_needs_a_listed_reason(world: World):
    with pytest.raises(WrongInput):
        await desk.close(world.store, await world.who("services"), await world.plant(), None, "حوصله ندارم")
    for bad in ("", " ", "ب" * 201):
        with pytest.raises(WrongInput):
            await desk.junk(world.store, await world.who("services"), await world.plant(), None, bad)


async def test_a_wait_for_another_body_has_a_date_within_thirty_days(world: World):
    boss, ticket = await world.who("services"), await world.plant()
    for until in (0, world.clock.now(), world.clock.now() + 31 * DAY * 1000):
        with pytest.raises(WrongInput):
            await desk.outside(world.store, boss, ticket, None, until, "از شهرداری")
    until = world.clock.now() + 10 * DAY * 1000
    await desk.outside(world.store, boss, ticket, None, until, "از شهرداری")
    assert (await world.row(schema.ticket, ticket))["lapse_at"] == until


async def test_the_ticket_page_shows_thread_log_and_what_may_be_done(world: World):
    boss, ticket = await world.who("services"), await world.plant()
    await desk.take(world.store, boss, ticket, 1)
    await desk.note(world.store, boss, ticket, 2, "با مشترک صحبت شد")
    await replies.reply(world.store, boss, ticket, 3, "لوله ترمیم شد")
    view = await desk.ticket(world.store, boss, ticket)
    assert (view.state, view.version, view.person) == (State.ANSWERED, 4, "زهرا محمدی")
    assert [(one.seq, one.way, one.text) for one in view.messages] == [
        (1, "in", "آب محله ما قطع است"), (2, "note", "با مشترک صحبت شد"), (3, "out", "لوله ترمیم شد"),
    ]  # fmt: skip
    assert [one.kind for one in view.events] == ["taken", "take", "note", "reply"]
    assert view.events[1].actor == view.messages[2].author == boss.name
    (sent,) = view.messages[2].deliveries
    assert (sent.channel, sent.to, sent.state) == ("sms", "+989120000000", "waiting")
    assert view.contact is not None
    assert view.contact.proven
    assert "reply" in view.events_allowed
    assert "take" not in view.events_allowed
    assert view.events_allowed <= {event for _, event in MOVES} | {"take"}


async def test_queues_are_paged_in_order_without_gaps(world: World):
    boss = await world.who("services")
    made = []
    for n in range(7):
        made.append(await world.plant())
        world.clock.advance(DAY if n % 2 else 0)
    for view, order in (("new", made), ("all", None)):
        seen, after = [], None
        while True:
            page = await desk.queue(world.store, boss, view, after=after, limit=2)
            seen += [row.ticket for row in page.rows]
            after = page.after
            if after is None:
                break
        assert sorted(seen) == sorted(made)
        assert seen == order or order is None
    newest = [row.at for row in (await desk.queue(world.store, boss, "all")).rows]
    assert newest == sorted(newest, reverse=True)
    with pytest.raises(WrongInput):
        await desk.queue(world.store, boss, "nothing")
    with pytest.raises(WrongInput):
        await desk.queue(world.store, boss, "new", after="???")
    for key in (f"{10**30}:1", f"1:{10**30}", "-1:1", f"{'9' * 5000}:1"):
        with pytest.raises(WrongInput):
            await desk.queue(world.store, boss, "new", after=base64.urlsafe_b64encode(key.encode()).decode())


async def test_a_queue_is_searched_by_code_phone_and_subject(world: World):
    boss, ticket = await world.who("services"), await world.plant()
    await world.plant(subject="موضوع دیگر", contacts=[])
    code = (await desk.ticket(world.store, boss, ticket)).code
    for q in (code, "۰۹۱۲۰۰۰۰۰۰۰", "قطع"):
        found = (await desk.queue(world.store, boss, "all", q)).rows
        assert [row.ticket for row in found] == [ticket], q
        assert found[0].person == "زهرا محمدی"
    assert (await desk.counts(world.store, boss))["new"] == 2


async def test_due_and_breached_by_the_clock(world: World):
    boss, ticket = await world.who("services"), await world.plant()
    assert (await desk.counts(world.store, boss))["breached"] == 0
    due = (await world.row(schema.ticket, ticket))["due_at"]
    world.clock.advance((due - world.clock.now()) / 1000 - 60)
    counts = await desk.counts(world.store, boss)
    assert (counts["due"], counts["breached"]) == (1, 0)
    world.clock.advance(61)
    counts = await desk.counts(world.store, boss)
    assert (counts["due"], counts["breached"]) == (0, 1)
