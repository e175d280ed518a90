"""The worker with the in-memory channel on both stores: nothing lost, nothing twice, whatever the channel does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from core import schema
from core.channels import Outbound, Purpose, Refused, Sent, TryLater, Unknown
from core.claims import Claimed
from core.memory_channel import Memory
from core.quiet import Quiet
from core.sending import LEASE
from gateway.worker import Worker
from tests.core.staff.conftest import World, mail, mobile


@asynccontextmanager
async def working(world: World, *channels: Memory, name: str = "w1") -> AsyncIterator[Worker]:
    worker = Worker(world.store, {one.name: one for one in channels}, world.ring, world.clock, name)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop(2)


async def in_state(world: World, *states: str) -> int:
    return await world.count(schema.outbox, schema.outbox.c.state.in_(states))


async def test_what_is_put_is_sent_at_once_and_recorded(world: World):
    sms, post = Memory("sms"), Memory("mail")
    async with working(world, sms, post):
        await world.put(await world.plant())
        await world.put(await world.plant(contacts=[mail()], channel="mail"), channel="mail")
        await world.until(lambda: in_state(world, "accepted"), 5)
        await world.until(lambda: sms.arrived and post.arrived)
    assert sms.arrived[0].to == "+989120000000"
    assert post.arrived[0].to == "zahra@example.ir"
    assert await in_state(world, "accepted") == 2


async def test_a_channel_that_cannot_send_is_given_nothing(world: World):
    async with working(world, Memory("sms")) as worker:
        quiet = Worker(world.store, {"web": Quiet("web")}, world.ring, world.clock)
        assert quiet.channels == {}
        assert list(worker.channels) == ["sms"]


async def test_many_are_sent_side_by_side_within_what_the_channel_bears(world: World):
    sms = Memory("sms")
    sms.at_once = 5
    for n in range(12):
        await world.put(await world.plant(contacts=[mobile(f"+98912111{n:04}")]))
    sms.hold()
    async with working(world, sms):
        await world.until(lambda: sms.running == 5)
        sms.gate.set()
        await world.until(lambda: len(sms.arrived) == 12)
    assert sms.most == 5
    assert await in_state(world, "accepted") == 12


@pytest.mark.slow
async def test_a_raising_channel_leaves_the_row_in_doubt_and_it_is_looked_up(world: World):
    sms = Memory("sms")
    sms.tell([ValueError("broken")])
    row = await world.put(await world.plant())
    async with working(world, sms):
        await world.until(lambda: in_state(world, "unknown"))
        sms.reach(sms.asked[0])
        world.clock.advance(80)
        await world.until(lambda: in_state(world, "accepted"))
    assert (await world.row(schema.outbox, row))["ref"] == f"sms-{row}"
    assert [one.in_doubt for one in sms.asked] == [False, True]
    assert len(sms.arrived) == 1


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)  # no question to the store of its own
@pytest.mark.parametrize(("in_doubt", "outcome"), [(False, TryLater), (True, Unknown)])
async def test_a_row_whose_address_does_not_open_stays_in_doubt_if_it_was(world: World, in_doubt, outcome):
    """Nothing was sent now, but perhaps before: it must still be looked up."""
    sms = Memory("sms")
    row = Outbound(1, "sms", "", Purpose.ANSWER, 1, None, in_doubt=in_doubt)
    worker = Worker(world.store, {"sms": sms}, world.ring, world.clock)
    found = await worker._try(sms, Claimed(1, 1, row, ("contact", "value", 1, b"sealed by a key that is gone"), None))
    assert isinstance(found, outcome)
    assert sms.asked == []


async def test_a_refused_row_goes_by_the_other_channel(world: World):
    sms, post = Memory("sms"), Memory("mail")
    sms.tell([Refused("blacklist")])
    await world.put(await world.plant(contacts=[mobile(), mail()]))
    async with working(world, sms, post):
        await world.until(lambda: post.arrived)
    assert await in_state(world, "accepted") == 1


@pytest.mark.slow
async def test_a_row_put_off_is_sent_when_its_time_comes(world: World):
    sms = Memory("sms")
    sms.tell([TryLater("throttled", 30)])
    await world.put(await world.plant())
    async with working(world, sms):
        await world.until(lambda: sms.asked)
        await world.until(lambda: in_state(world, "waiting"))
        world.clock.advance(31)
        await world.until(lambda: sms.arrived, 5)


async def test_a_killed_worker_s_row_is_looked_up_after_its_lease_not_sent_again(world: World):
    row = await world.put(await world.plant())
    dying = Memory("sms")
    dying.hold()
    killed = Worker(world.store, {"sms": dying}, world.ring, world.clock, "killed")
    await killed.start()
    await world.until(lambda: dying.running)
    outside = Memory("sms")
    outside.reach(dying.asked[0])
    for task in [*killed._serving, *killed._sending, killed._recorder]:  # as kill -9 leaves it: no result is written
        if task is not None:
            task.cancel()
    await asyncio.gather(*killed._serving, return_exceptions=True)
    async with working(world, outside, name="heir"):
        assert await in_state(world, "sending") == 1
        world.clock.advance(LEASE + 1)
        await world.until(lambda: in_state(world, "accepted"))
    assert [one.in_doubt for one in outside.asked] == [True]
    assert len(outside.arrived) == 1
    assert (await world.row(schema.outbox, row))["attempt"] == 2


async def test_stopping_waits_for_what_runs_and_records_it(world: World):
    sms = Memory("sms")
    sms.hold()
    await world.put(await world.plant())
    worker = Worker(world.store, {"sms": sms}, world.ring, world.clock)
    await worker.start()
    await world.until(lambda: sms.running)
    asyncio.get_running_loop().call_later(0.1, sms.gate.set)
    await worker.stop(5)
    assert await in_state(world, "accepted") == 1


async def test_what_does_not_end_in_time_is_recorded_as_unknown(world: World):
    sms = Memory("sms")
    sms.hold()
    row = await world.put(await world.plant())
    worker = Worker(world.store, {"sms": sms}, world.ring, world.clock)
    await worker.start()
    await world.until(lambda: sms.running)
    await worker.stop(0.05)
    kept = await world.row(schema.outbox, row)
    assert (kept["state"], kept["why"]) == ("unknown", "stopped while sending")


async def test_a_result_the_store_would_not_take_is_written_later(world: World, monkeypatch):
    from gateway import worker as module

    sms, real, fails = Memory("sms"), module.outcomes.record, [OSError("gone"), OSError("gone"), OSError("gone")]

    def record(s, results, now):
        if fails:
            raise fails.pop()
        return real(s, results, now)

    monkeypatch.setattr(module.outcomes, "record", record)
    monkeypatch.setattr(module, "HICCUP", 0.02)
    await world.put(await world.plant())
    async with working(world, sms):
        await world.until(lambda: in_state(world, "accepted"))
    assert len(sms.arrived) == 1
    assert not fails


async def test_one_ticket_s_rows_arrive_in_order_through_doubt_and_delay(world: World):
    sms = Memory("sms")
    sms.tell([TryLater("busy", 0), Unknown("timeout", 0), Sent("first")])
    ticket = await world.plant()
    for seq, text in ((2, "یک"), (3, "دو"), (4, "سه")):
        await world.put(ticket, seq=seq, text=text)
    async with working(world, sms):
        await world.until(lambda: len(sms.asked) >= 5)
        await world.until(lambda: in_state(world, "accepted"))
    assert [one.text for one in sms.asked] == ["یک", "یک", "یک", "دو", "سه"]


async def test_an_idle_worker_writes_nothing(world: World):
    sms, post = Memory("sms"), Memory("mail")
    async with working(world, sms, post):
        await world.until(lambda: world.store.doorbell._waiting and world.store.doorbell._later is None)
        rung = world.store.doorbell.count
        await asyncio.sleep(0.3)  # a spinning loop would ring dozens of times here
        assert world.store.doorbell.count == rung
