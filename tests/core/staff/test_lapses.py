"""Time that runs out: each state's lapse, once, on both stores."""

from __future__ import annotations

import pytest

from core import desk, lapses, replies, schema
from core.model import State
from tests.core.staff.conftest import World

DAY = 86_400  # seconds


async def test_an_unanswered_question_closes_after_ten_working_days(world: World):
    ticket, boss = await world.plant(), await world.who("services")
    await desk.ask(world.store, boss, ticket, None, "نشانی دقیق را بفرمایید")
    world.clock.advance(9 * DAY)
    assert await lapses.fire(world.store) == 0
    world.clock.advance(12 * DAY)
    assert await lapses.fire(world.store) == 1
    left = await world.row(schema.ticket, ticket)
    assert (left["state"], left["closed_at"]) == (State.CLOSED, world.clock.now())
    assert await lapses.fire(world.store) == 0


async def test_an_answer_nobody_disputes_closes(world: World):
    ticket, boss = await world.plant(), await world.who("services")
    await replies.reply(world.store, boss, ticket, None, "رسیدگی شد")
    world.clock.advance(30 * DAY)
    await lapses.fire(world.store)
    assert (await world.row(schema.ticket, ticket))["state"] == State.CLOSED


@pytest.mark.parametrize(("state", "after"), [("held", "new"), ("outside", "open"), ("approval", "approval")])
async def test_the_state_after_a_lapse_is_the_tables_and_it_fires_once(world: World, state, after):
    ticket = await world.plant(state=State(state), lapse_at=world.clock.now() - 1)
    assert await lapses.fire(world.store) == 1
    assert (await world.row(schema.ticket, ticket))["state"] == after
    assert await lapses.fire(world.store) == 0
    log = await world.rows(schema.event, schema.event.c.ticket == ticket, schema.event.c.kind == "lapse")
    assert len(log) == 1


async def test_a_ticket_whose_lapse_fails_holds_up_no_other(world: World, monkeypatch):
    past = world.clock.now() - 10
    bad = await world.plant(state=State.HELD, lapse_at=past)
    good = await world.plant(state=State.HELD, lapse_at=past + 1)
    real = lapses.turn

    def turn(s, row, *args, **more):
        if row["id"] == bad:
            raise ValueError("poison")
        return real(s, row, *args, **more)

    monkeypatch.setattr(lapses, "turn", turn)
    assert await lapses.fire(world.store) == 1
    assert (await world.row(schema.ticket, good))["state"] == State.NEW
