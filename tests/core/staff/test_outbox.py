"""The outbox on both stores: order, leases, doubt, late results, reports, the next contact point."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa
from sqlalchemy.util import await_only

from core import cipher, claims, ids, lapses, outbox, outcomes, replies, schema
from core.channels import DeliveryState, Refused, Sent, TryLater, Unknown
from core.errors import WrongState
from core.model import Purpose
from core.sending import DEAD, LEASE, OUTBOX_MOVES, Fact, Stage, move, wait
from tests.core.staff.conftest import World, mail, mobile


async def claim(world: World, n: int = 10, channel: str = "sms", worker: str = "w1") -> list[outbox.Claimed]:
    return await world.store.write(outbox.claim, channel, n, world.clock.now(), worker)


async def done(world: World, claimed: outbox.Claimed, outcome) -> Stage | None:
    result = outcomes.Result(claimed.id, claimed.fence, outcome)
    return (await world.store.write(outcomes.record, [result], world.clock.now()))[0]


async def stage(world: World, row: int) -> str:
    return (await world.row(schema.outbox, row))["state"]


@pytest.mark.parametrize("fact", list(Fact))
@pytest.mark.parametrize("stage", list(Stage))
def test_every_pair_is_a_move_or_an_error(stage, fact):
    if (stage, fact) in OUTBOX_MOVES:
        assert move(stage, fact) is OUTBOX_MOVES[stage, fact]
    else:
        with pytest.raises(WrongState):
            move(stage, fact)


def test_our_waits_grow_and_spread_and_the_channel_s_own_win():
    assert [wait(n, None, 0.5) for n in (1, 2, 3, 4, 5, 6, 99)] == [
        10_000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000, 3_600_000,
    ]  # fmt: skip
    assert wait(1, None, 0) == 8000
    assert wait(1, None, 0.9999) < 12_001
    assert wait(5, 1.5, 0) == 1500


async def test_a_claimed_row_is_opened_with_address_code_and_pin(world: World):
    ticket = await world.plant(contacts=[mobile("+989121111111")])
    await world.put(ticket, purpose=Purpose.RECEIPT, key="received", text="")
    (claimed,) = await claim(world)
    message = claimed.open(world.ring)
    assert message.to == "+989121111111"
    assert message.facts["unit"] == "امور مشترکین" or message.facts["unit"]
    assert len(message.facts["pin"]) == 4
    assert len(message.facts["code"]) == 11
    assert message.attempt == 1
    assert not message.in_doubt
    assert 0 < message.epoch < 1 << 17


async def test_rows_of_one_ticket_and_channel_go_out_in_order(world: World):
    ticket = await world.plant()
    second = await world.put(ticket, seq=3, text="دوم")
    first = await world.put(ticket, seq=2, text="اول")
    got = await claim(world)
    assert [one.id for one in got] == [first]
    assert await claim(world) == []
    await done(world, got[0], Sent("ref-1"))
    assert [one.id for one in await claim(world)] == [second]


async def test_a_receipt_neither_waits_nor_holds_up(world: World):
    ticket = await world.plant()
    receipt = await world.put(ticket, seq=1, purpose=Purpose.RECEIPT, key="received", text="")
    answer = await world.put(ticket, seq=2)
    assert {one.id for one in await claim(world)} == {receipt, answer}


async def test_lanes_go_first(world: World):
    notice = await world.put(await world.plant(), purpose=Purpose.NOTICE)
    answer = await world.put(await world.plant())
    receipt = await world.put(await world.plant(), purpose=Purpose.RECEIPT, key="received", text="")
    taken = [(await claim(world, 1))[0].id for _ in range(3)]
    assert taken == [receipt, answer, notice]


async def test_a_row_past_its_worth_fails_as_too_late(world: World):
    row = await world.put(await world.plant())
    world.clock.advance(72 * 3600 + 1)
    assert await claim(world) == []
    kept = await world.row(schema.outbox, row)
    assert (kept["state"], kept["why"]) == ("failed", "too_late")


async def test_a_lease_that_ran_out_is_looked_up_and_found(world: World):
    row = await world.put(await world.plant())
    (lost,) = await claim(world, worker="killed")
    assert await claim(world) == []
    world.clock.advance(LEASE + 1)
    (again,) = await claim(world, worker="other")
    assert again.id == row
    assert again.open(world.ring).in_doubt
    assert again.message.attempt == 2
    assert await done(world, again, Sent("ref", found=True)) is Stage.ACCEPTED
    assert await done(world, lost, Refused("blocked")) is None
    assert await stage(world, row) == "accepted"


async def test_a_late_result_under_an_old_fence_counts_only_when_it_was_sent(world: World):
    row = await world.put(await world.plant())
    (old,) = await claim(world, worker="slow")
    world.clock.advance(LEASE + 1)
    (new,) = await claim(world, worker="other")
    assert await done(world, old, TryLater("busy")) is None
    assert await stage(world, row) == "unknown"
    assert await done(world, old, Sent("ref-late")) is Stage.ACCEPTED
    assert await done(world, new, Unknown("timeout")) is None
    kept = await world.row(schema.outbox, row)
    assert (kept["state"], kept["ref"]) == ("accepted", "ref-late")


async def test_a_late_sent_counts_for_a_row_that_waits_again(world: World):
    row = await world.put(await world.plant())
    (old,) = await claim(world)
    world.clock.advance(LEASE + 1)
    (new,) = await claim(world)
    await done(world, new, TryLater("not found", 60))
    assert await done(world, old, Sent("late")) is Stage.ACCEPTED
    assert await stage(world, row) == "accepted"


async def test_an_unknown_row_not_found_is_tried_again_and_parked_past_its_horizon(world: World):
    row = await world.put(await world.plant())
    (one,) = await claim(world)
    assert await done(world, one, Unknown("timeout")) is Stage.UNKNOWN
    world.clock.advance(60 * 1.3)
    (two,) = await claim(world)
    assert two.message.in_doubt
    assert await done(world, two, TryLater("not there", 5)) is Stage.WAITING
    world.clock.advance(6)
    (three,) = await claim(world)
    assert not three.message.in_doubt
    assert await done(world, three, Unknown("no answer", park=True)) is Stage.PARKED
    assert await claim(world) == []
    events = await world.rows(schema.event, schema.event.c.kind == "delivery")
    assert events[0]["data"]["outbox"] == row


async def test_try_later_waits_as_told(world: World):
    await world.put(await world.plant())
    (one,) = await claim(world)
    await done(world, one, TryLater("throttled", after=7))
    world.clock.advance(6.9)
    assert await claim(world) == []
    world.clock.advance(0.2)
    assert (await claim(world))[0].message.attempt == 2


async def test_a_refused_answer_goes_to_the_next_proven_point(world: World):
    ticket = await world.plant(contacts=[mobile(), mail("no@example.ir", False), mail("yes@example.ir")])
    row = await world.put(ticket)
    (one,) = await claim(world)
    assert await done(world, one, Refused("blacklist")) is Stage.FAILED
    (next_one,) = await claim(world, channel="mail")
    message = next_one.open(world.ring)
    assert message.to == "yes@example.ir"
    assert message.text == "کارشناس فردا می‌آید"
    assert message.thread["participant"] == 3
    assert (await world.row(schema.outbox, next_one.id))["after"] == row
    assert await done(world, next_one, Refused("no such user")) is Stage.FAILED
    assert await world.count(schema.outbox) == 2


async def test_reports_go_forward_only(world: World):
    await world.put(await world.plant())
    (one,) = await claim(world)
    await done(world, one, Sent("r1"))
    now = world.clock.now()
    tell = outbox.reported
    assert await world.store.write(tell, "sms", "r1", DeliveryState.DELIVERED, "", now) is Stage.DELIVERED
    assert await world.store.write(tell, "sms", "r1", DeliveryState.SENT, "", now) is Stage.DELIVERED
    assert await world.store.write(tell, "sms", "r1", DeliveryState.FAILED, "", now) is Stage.DELIVERED
    assert await world.store.write(tell, "sms", "r1", DeliveryState.DELIVERED, "", now) is Stage.DELIVERED
    assert await world.count(schema.delivery) == 3


async def test_a_report_before_its_send_waits_for_it(world: World):
    row = await world.put(await world.plant())
    (one,) = await claim(world)
    early = outbox.reported
    assert await world.store.write(early, "sms", "r9", DeliveryState.DELIVERED, "", world.clock.now()) is None
    assert await done(world, one, Sent("r9")) is Stage.DELIVERED
    assert await stage(world, row) == "delivered"


async def test_a_report_that_comes_while_its_send_is_recorded_is_not_lost(world: World):
    if world.store.dialect != "postgresql":
        pytest.skip("SQLite has one writer")
    row = await world.put(await world.plant())
    (one,) = await claim(world)
    told, go = asyncio.Event(), asyncio.Event()

    def report(s) -> None:
        outbox.reported(s, "sms", "r9", DeliveryState.DELIVERED, "", world.clock.now())
        told.set()
        await_only(go.wait())

    reporting = asyncio.create_task(world.store.write(report))
    await asyncio.wait_for(told.wait(), 5)
    recording = asyncio.create_task(done(world, one, Sent("r9")))
    waits = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    async with asyncio.timeout(5):
        while not await world.store.read(lambda s: s.execute(waits).scalar_one()):  # noqa: ASYNC110 another connection says when
            await asyncio.sleep(0.01)
    go.set()
    await reporting
    assert await recording is Stage.DELIVERED
    assert await stage(world, row) == "delivered"


async def test_a_report_nobody_sent_for_is_forgotten_after_three_days(world: World):
    await world.store.write(outbox.reported, "sms", "x", DeliveryState.SENT, "", world.clock.now())
    assert await world.store.write(outbox.forget_reports, world.clock.now()) == 0
    world.clock.advance(72 * 3600)
    assert await world.store.write(outbox.forget_reports, world.clock.now()) == 1


async def test_an_undelivered_answer_goes_to_the_next_proven_point(world: World):
    await world.put(await world.plant(contacts=[mobile(), mail()]))
    (one,) = await claim(world)
    await done(world, one, Sent("r2"))
    told = await world.store.write(outbox.reported, "sms", "r2", DeliveryState.UNDELIVERED, "off", world.clock.now())
    assert told is Stage.UNDELIVERED
    assert len(await claim(world, channel="mail")) == 1


async def test_claims_given_back_are_as_if_never_taken(world: World):
    row = await world.put(await world.plant())
    got = await claim(world)
    await world.store.write(outbox.give_back, got, world.clock.now())
    kept = await world.row(schema.outbox, row)
    assert (kept["state"], kept["attempt"]) == ("waiting", 0)
    assert (await claim(world))[0].message.attempt == 1


@pytest.mark.parametrize("dead", DEAD)
async def test_a_dead_row_is_sent_again_under_a_new_number(world: World, dead):
    row = await world.put(await world.plant())

    def die(s):
        s.execute(schema.outbox.update().where(schema.outbox.c.id == row).values(state=dead, ref="old"))

    await world.store.write(die)
    again = await world.store.write(outbox.resend, row, world.clock.now())
    assert again != row
    (one,) = await claim(world)
    assert one.id == again
    assert one.message.attempt == 1
    with pytest.raises(WrongState):
        await world.store.write(outbox.resend, again, world.clock.now())
    with pytest.raises(WrongState):
        await world.store.write(outbox.by_hand, row, world.clock.now())


async def test_many_workers_never_claim_a_row_twice(world: World):
    tickets = [await world.plant(contacts=[mobile(f"+98912000{n:04}")]) for n in range(30)]
    for ticket in tickets:
        await world.put(ticket, seq=2)
        await world.put(ticket, seq=3)
    taken: list[int] = []

    async def work(name: str) -> None:
        empty = 0
        while empty < 3:
            got = await claim(world, 4, worker=name)
            empty = 0 if got else empty + 1
            taken.extend(one.id for one in got)
            for one in got:
                await done(world, one, Sent(f"ref-{one.id}"))

    await asyncio.gather(*(work(f"w{n}") for n in range(8)))
    while rest := await claim(world):
        taken.extend(one.id for one in rest)
        for one in rest:
            await done(world, one, Sent(f"ref-{one.id}"))
    assert len(taken) == len(set(taken)) == 60
    sent = await world.rows(schema.outbox, schema.outbox.c.state == "accepted")
    assert len(sent) == 60


async def test_the_next_due_row_is_told_unless_it_waits_for_another(world: World):
    ticket = await world.plant()
    now = world.clock.now()
    assert await world.store.read(outbox.next_due, "sms", world.clock.now()) is None
    await world.put(ticket, seq=2, due_at=now + 5000)
    await world.put(ticket, seq=3, due_at=now)
    assert await world.store.read(outbox.next_due, "sms", world.clock.now()) == now + 5000


async def test_mail_rows_carry_their_thread(world: World):
    ticket = await world.plant(contacts=[mail()], channel="mail")

    def came(s):
        for n, value in enumerate(("<a@example.ir>", "<b@example.ir>")):
            s.execute(
                schema.mail_id.insert().values(
                    id=ids.new(s), at=world.clock.now() + n, hash=bytes([n]) * 16, value=value, ticket=ticket
                )
            )

    await world.store.write(came)
    await world.put(ticket, channel="mail", seq=2)
    (one,) = await claim(world, channel="mail")
    assert one.message.thread == {
        "in_reply_to": "<b@example.ir>", "references": ["<a@example.ir>", "<b@example.ir>"], "participant": 1,
    }  # fmt: skip
    world.clock.advance(10)
    await done(world, one, Sent("<ours@example.ir>"))
    await world.put(ticket, channel="mail", seq=3)
    (two,) = await claim(world, channel="mail")
    assert two.message.thread["references"] == ["<a@example.ir>", "<ours@example.ir>", "<b@example.ir>"]


async def test_a_sentence_without_a_ticket_is_sent_too(world: World):
    def put(s):
        number = ids.outbox(s)
        s.execute(
            schema.outbox.insert().values(
                id=number, at=world.clock.now(), seq=0, channel="sms", purpose="state", key="help", facts={"a": 1},
                due_at=world.clock.now(), to=cipher.seal(world.ring, "outbox", "to", number, "+989125555555"),
            )
        )  # fmt: skip

    await world.store.write(put)
    (one,) = await claim(world)
    message = one.open(world.ring)
    assert (message.to, message.ticket, message.key, message.facts) == ("+989125555555", 0, "help", {"a": 1})
    assert await done(world, one, Refused("blocked")) is Stage.FAILED


async def test_finished_rows_cost_a_claim_nothing(world: World):
    """Claims look only into the short indexes over unfinished rows, however many have been sent."""

    def plans(s):
        asks = [claims.due_rows("sms"), claims.ready_rows("sms", 5, 10)]
        words = "EXPLAIN QUERY PLAN " if world.store.dialect == "sqlite" else "EXPLAIN "
        if world.store.dialect == "postgresql":
            s.exec_driver_sql("SET LOCAL enable_seqscan = off")
        texts = [str(ask.compile(s.engine, compile_kwargs={"literal_binds": True})) for ask in asks]
        return ["\n".join(str(tuple(row)) for row in s.exec_driver_sql(words + text)) for text in texts]

    for plan in await world.store.write(plans):
        assert "ix_outbox_due" in plan or "ix_outbox_order" in plan
        assert "ix_outbox_ref" not in plan


async def test_an_answer_given_up_after_its_time_opens_its_ticket_again(world: World):
    number = await world.plant(contacts=[mail("sara@example.ir")], state="answered", channel="mail")
    row = await world.put(number, channel="mail", purpose=Purpose.ANSWER)
    world.clock.advance(73 * 3600)
    assert await world.store.write(outbox.claim, "mail", 10, world.clock.now(), "w") == []
    assert (await world.row(schema.outbox, row))["why"] == "too_late"
    assert (await world.row(schema.ticket, number))["tags"] == ["undelivered"]
    assert await lapses.fire(world.store) == 1
    assert (await world.row(schema.ticket, number))["state"] == "open"


async def test_an_answer_that_was_corrected_since_opens_nothing_when_it_is_lost(world: World):
    """Only what nobody got of the newest answer makes it none."""
    boss, number = await world.who("services"), await world.plant()
    for n, text in enumerate(("فردا می‌آییم", "پس‌فردا می‌آییم")):
        await replies.reply(world.store, boss, number, None, text)
        world.clock.advance(11)
        (claimed,) = await claim(world)
        assert await done(world, claimed, Sent(f"r{n}")) is Stage.ACCEPTED
    await world.store.write(outbox.reported, "sms", "r0", DeliveryState.UNDELIVERED, "", world.clock.now())
    about = await world.row(schema.ticket, number)
    assert (about["state"], about["tags"]) == ("answered", [])
    assert await lapses.fire(world.store) == 0
    await world.store.write(outbox.reported, "sms", "r1", DeliveryState.UNDELIVERED, "", world.clock.now())
    assert (await world.row(schema.ticket, number))["tags"] == ["undelivered"]
    assert await lapses.fire(world.store) == 1
