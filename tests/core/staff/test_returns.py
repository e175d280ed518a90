"""Reports on letters of ours, on both stores: once, on their ticket, whatever the row's state is by then."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from core import lapses, outbox, outcomes, returns, schema
from core.channels import Returned, Sent, Unknown
from core.model import Purpose
from tests.core.staff.conftest import World, mail, mobile

SENT = "<aaaaaaaaaaaaa.baaaaaaaaaaaaaaaa@example.ir>"


def report(row: int, said: str = "hard", ref: str = "r1", sent: str = SENT) -> Returned:
    return Returned("mail", ref, row, sent, said, "5.1.1 no such person", b"Subject: failed\r\n\r\n")


async def back(world: World, one: Returned) -> int | None:
    return await world.store.write(returns.returned, one, world.clock.now())


async def answered(world: World, *more: object) -> tuple[int, int]:
    """(ticket, outbox row) of an answer that waits to be sent."""
    ticket = await world.plant(contacts=[mail("sara@example.ir"), *more], state="answered", channel="mail")
    return ticket, await world.put(ticket, channel="mail", purpose=Purpose.ANSWER)


async def claim(world: World) -> outbox.Claimed:
    (found,) = await world.store.write(outbox.claim, "mail", 1, world.clock.now(), "w")
    return found


async def finish(world: World, claimed: outbox.Claimed, outcome: object) -> None:
    await world.store.write(outcomes.record, [outcomes.Result(claimed.id, claimed.fence, outcome)], world.clock.now())


async def stage(world: World, row: int) -> str:
    return str((await world.row(schema.outbox, row))["state"])


async def events(world: World, ticket: int) -> list[str]:
    ask = sa.select(schema.event.c.kind).where(schema.event.c.ticket == ticket).order_by(schema.event.c.seq)
    return await world.store.read(lambda s: list(s.execute(ask).scalars()))


async def test_a_hard_bounce_flags_opens_and_tries_the_next_way(world: World):
    ticket, row = await answered(world, mobile("+989121111111"))
    await finish(world, await claim(world), Sent(SENT))
    first = await back(world, report(row))
    assert first is not None and await back(world, report(row)) == first, "noted once"
    assert await stage(world, row) == "undelivered"
    assert (await world.row(schema.ticket, ticket))["tags"] == ["undelivered"]
    assert await lapses.fire(world.store) == 1
    assert (await world.row(schema.ticket, ticket))["state"] == "open"
    assert [one for one in await events(world, ticket) if one == "bounce"] == ["bounce"]
    ask = sa.select(schema.outbox.c.channel).where(schema.outbox.c.after == row)
    assert await world.store.read(lambda s: s.execute(ask).scalar()) == "sms"


@pytest.mark.parametrize("said", ["soft", "delayed", "noted"])
async def test_what_is_not_lost_changes_nothing(world: World, said):
    ticket, row = await answered(world)
    await finish(world, await claim(world), Sent(SENT))
    assert await back(world, report(row, said)) is not None
    assert await stage(world, row) == "accepted"
    assert (await world.row(schema.ticket, ticket))["tags"] == []


async def test_a_report_settles_a_letter_that_was_in_doubt(world: World):
    _, row = await answered(world)
    await finish(world, await claim(world), Unknown("connection lost after the dot", 900.0))
    await back(world, report(row))
    assert await stage(world, row) == "undelivered", "it is not sent a second time"


async def test_a_report_that_is_faster_than_our_own_record_waits_for_it(world: World):
    ticket, row = await answered(world)
    claimed = await claim(world)
    await back(world, report(row))
    assert await stage(world, row) == "sending"
    await finish(world, claimed, Sent(SENT))
    assert await stage(world, row) == "undelivered"
    assert (await world.row(schema.ticket, ticket))["tags"] == ["undelivered"]


async def test_orphans_are_told_apart(world: World):
    _, row = await answered(world)
    await finish(world, await claim(world), Sent(SENT))
    assert await back(world, report(row + 1)) is None, "no such row"
    assert await back(world, report(row, sent="<other@example.ir>")) is None, "another letter of that number"
    world.clock.advance(31 * 86_400)
    assert await back(world, report(row)) is None, "too late"
    assert await stage(world, row) == "accepted"
