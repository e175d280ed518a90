"""A peer says late that it has what was in doubt: the row is accepted, and what was reported meanwhile holds."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from core import late, outbox, outcomes, schema
from core.channels import DeliveryState, Outcome, Refused, Sent, Unknown
from tests.core.staff.conftest import World

DOUBT, PARKED = Unknown("no answer in time"), Unknown("nobody knows", park=True)


async def doubtful(world: World, outcome: Outcome | None) -> int:
    """A row that was claimed; `outcome` None: it still is."""
    row = await world.put(await world.plant())
    (claimed,) = await world.store.write(outbox.claim, "sms", 10, world.clock.now(), "w1")
    if outcome is not None:
        result = outcomes.Result(claimed.id, claimed.fence, outcome)
        await world.store.write(outcomes.record, [result], world.clock.now())
    return row


async def say(world: World, row: int, more: int = 0) -> dict[str, object]:
    ask = sa.select(schema.meta.c.value).where(schema.meta.c.key == "epoch")
    epoch = int(await world.store.read(lambda s: s.execute(ask).scalar_one()))
    await world.store.write(late.sent, epoch + more, row, Sent("op:7", found=True, parts=1), world.clock.now())
    return dict(await world.row(schema.outbox, row))


@pytest.mark.parametrize("outcome", [None, DOUBT, PARKED])
async def test_what_was_in_doubt_is_accepted_and_no_longer_looked_up(world: World, outcome):
    row = await say(world, await doubtful(world, outcome))
    assert (row["state"], row["ref"], row["doubt_at"]) == ("accepted", "op:7", None)
    world.clock.advance(3600)
    assert await world.store.write(outbox.claim, "sms", 10, world.clock.now(), "w2") == []


async def test_a_report_that_came_before_holds(world: World):
    number = await doubtful(world, DOUBT)
    await world.store.write(outbox.reported, "sms", "op:7", DeliveryState.DELIVERED, "", world.clock.now())
    assert (await say(world, number))["state"] == "delivered"


async def test_what_is_over_and_what_another_epoch_sent_stays(world: World):
    refused = await doubtful(world, Refused("blocked"))
    assert (await say(world, refused))["state"] == "failed"
    doubt = await doubtful(world, DOUBT)
    assert (await say(world, doubt, more=1))["state"] == "unknown"
    assert (await say(world, doubt))["state"] == "accepted"


async def test_a_result_that_comes_after_it_changes_nothing(world: World):
    row = await world.put(await world.plant())
    (claimed,) = await world.store.write(outbox.claim, "sms", 10, world.clock.now(), "w1")
    await say(world, row)
    await world.store.write(outcomes.record, [outcomes.Result(row, claimed.fence, DOUBT)], world.clock.now())
    assert (await world.row(schema.outbox, row))["state"] == "accepted"
