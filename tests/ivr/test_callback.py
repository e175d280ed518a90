"""Calling back with the answer: when, how often, what is heard, and that it is never heard twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

import config as configuration
from config.faults import Faults
from core import office, people, replies
from core.channels import CallRecord, Outbound, Purpose, Refused, Sent, TryLater
from core.clock import HandClock, SystemClock
from core.schema import event, outbox, ticket
from gateway.worker import Worker
from ivr import callback, channel
from ivr.call import Call
from ivr.callback import Callback, CallBacks
from ivr.media.plane import Plane
from ivr.settings import Line, Peer
from ivr.sip.outgoing import NotReached, outcome
from tests.ivr.caller import CODE, NUMBER, MadeUpLeg, MemoryDoor, house
from tests.ivr.site import texts
from tests.ivr.test_call import answer
from tests.ivr.test_channel import gear, lines, until

TEHRAN = ZoneInfo("Asia/Tehran")
GREETING, SURE = ("ادامه عددِ یک", "1"), ("دوباره عددِ یک", "1")
ACCEPT = ("می‌پذیرید", "2")


def at(text: str) -> int:
    """ms UTC of a local time."""
    return round(datetime.fromisoformat(text).replace(tzinfo=TEHRAN).timestamp() * 1000)


MORNING = at("2026-11-24T10:00")


class Drawer:
    """Slots in memory, which outlive the channel."""

    def __init__(self) -> None:
        self.boxes: dict[str, dict[str, bytes]] = {}

    async def put(self, box: str, slot: str, data: bytes) -> dict[str, bytes]:
        self.boxes.setdefault(box, {})[slot] = data
        return self.boxes[box]

    async def get(self, box: str) -> dict[str, bytes]:
        return dict(self.boxes.get(box, {}))

    async def close(self, box: str, until: int | None = None) -> None:
        self.boxes.pop(box, None)


@dataclass
class Trunk:
    """A line that reaches whoever is next in `people`: a leg, or a status."""

    people: list[Any] = field(default_factory=list)
    dialled: list[str] = field(default_factory=list)

    async def dial(self, number: str, ring: float = 30.0) -> Any:
        self.dialled.append(number)
        found = self.people.pop(0)
        return NotReached(found, "", outcome(found)) if isinstance(found, int) else found


@dataclass
class World:
    """Call-backs with everything around them made up but the walk."""

    trunk: Trunk
    clock: HandClock
    drawer: Drawer
    calls: CallBacks
    records: list[CallRecord]


@pytest.fixture
def world(tmp_path) -> Callable[..., World]:
    def make(
        *people: Any, holiday: bool = False, now: int = MORNING, drawer: Drawer | None = None,
        mine: Sequence[Any] = (), **more: Any,
    ) -> World:  # fmt: skip
        door, clock, trunk = MemoryDoor(), HandClock(now), Trunk(list(people))
        door.drawer = drawer or Drawer()
        door.answer = answer()
        door.mine = mine
        home = replace(house(door, tmp_path), clock=clock)

        async def walk(leg, tree, values, watch):
            call = Call(leg, home, tree, values, watch)
            await asyncio.wait_for(call.run(), 10)
            return call.walk

        records: list[CallRecord] = []

        async def enter(record: CallRecord) -> None:
            records.append(record)

        made = CallBacks(
            Callback(**more), lambda: [trunk], door, clock, "Asia/Tehran", lambda ms: holiday, walk, enter
        )  # fmt: skip
        return World(trunk, clock, door.drawer, made, records)

    return make


def to(number: str = NUMBER, **more: Any) -> Outbound:
    row = Outbound(7, "phone", number, Purpose.ANSWER, 1, 70, text="لوله تعویض شد.", facts={"code": CODE})
    return replace(row, **more)


# ---------------------------------------------------------------- what is heard


async def test_a_person_who_presses_twice_hears_the_answer_to_its_end(world):
    leg = MadeUpLeg([GREETING, SURE, ("می‌پذیرید", "hang up")])
    made = world(leg)
    assert await made.calls.send(to()) == Sent(ref="phone.answer.70")
    assert "لوله تعویض شد." in leg.heard
    assert made.trunk.dialled == [NUMBER]


async def test_a_machine_hears_no_more_than_who_calls(world):
    leg = MadeUpLeg([("ادامه عددِ یک", "hang up")])  # it presses nothing, and its tape ends
    made = world(leg)
    got = await made.calls.send(to())
    assert got == TryLater("nobody pressed a key", 7200, tried=True)
    assert leg.heard == [texts()("ivr.menu.callback", "fa")]


async def test_one_key_is_not_enough(world):
    leg = MadeUpLeg([GREETING, ("دوباره عددِ یک", "hang up")])
    made = world(leg)
    assert await made.calls.send(to()) == TryLater("cut off", 7200, tried=True)
    assert "لوله تعویض شد." not in leg.heard


async def test_accepting_in_the_middle_of_the_reading_counts_as_heard(world):
    made = world(MadeUpLeg([GREETING, SURE, ("لوله تعویض شد.", "2")]))
    assert isinstance(await made.calls.send(to()), Sent)


async def test_hung_up_in_the_middle_is_once_more_and_then_the_turn_of_the_sms(world):
    cut = [GREETING, SURE, ("لوله تعویض شد.", "hang up")]
    made = world(MadeUpLeg(cut), MadeUpLeg(cut, speaks=[1]))
    assert await made.calls.send(to()) == TryLater("cut off", 7200, tried=True)
    made.clock.advance(7200)
    assert await made.calls.send(to()) == Refused("cut off")


# ---------------------------------------------------------------- how often


async def test_three_tries_two_hours_apart_then_the_next_channel(world):
    made = world(486, 480, 408)
    told = []
    for _ in range(3):
        told.append(await made.calls.send(to()))
        soon = await made.calls.send(to()) if isinstance(told[-1], TryLater) else None
        assert soon is None or (isinstance(soon, TryLater) and not soon.tried)
        made.clock.advance(7200)
    assert told == [TryLater("busy", 7200, tried=True), TryLater("unavailable", 7200, tried=True), Refused("no answer")]
    assert len(made.trunk.dialled) == 3
    tries = [(one.way, one.ticket, one.contact.value, one.facts["status"]) for one in made.records if one.contact]
    assert tries == [("not_reached", 1, NUMBER, status) for status in (486, 480, 408)]


LATER = ("ادامه عددِ یک", "2")  # another hour, please


async def test_whoever_asks_for_another_hour_is_called_then_and_it_costs_no_try(world):
    leg = MadeUpLeg([LATER, ("ساعتِ دلخواهِ", "17")])
    made = world(leg, MadeUpLeg([GREETING, SURE, ("می‌پذیرید", "hang up")], speaks=[1]))
    assert await made.calls.send(to()) == TryLater("another hour was asked for", 7 * 3600, tried=True)
    assert leg.heard[-1] == texts()("ivr.menu.hour_noted", "fa")
    made.clock.advance(6 * 3600)
    assert await made.calls.send(to()) == TryLater("another hour was asked for", 3600)
    made.clock.advance(3600)
    assert await made.calls.send(to()) == Sent(ref="phone.answer.70")
    assert len(made.trunk.dialled) == 2


async def test_an_hour_outside_of_the_window_is_asked_for_again(world):
    leg = MadeUpLeg([LATER, ("ساعتِ دلخواهِ", "23"), ("تماس نمی‌گیریم", "09")])
    made = world(leg, now=at("2026-11-24T09:55"))
    assert await made.calls.send(to()) == TryLater("another hour was asked for", 23 * 3600 + 300, tried=True)
    assert any("از نُه تا نوزده" in said for said in leg.heard)


async def test_an_hour_that_falls_on_a_holiday_waits_for_the_next_window(world):
    made = world(MadeUpLeg([LATER, ("ساعتِ دلخواهِ", "17")]), holiday=True, holidays=True)
    await made.calls.send(to())
    made.calls._settings = Callback()
    made.clock.advance(7 * 3600)
    held = await made.calls.send(to())
    assert (held.why, len(made.trunk.dialled)) == ("outside of the hours for calls", 1)


async def test_the_fourth_wish_for_another_hour_is_a_try_like_others(world):
    again = [MadeUpLeg([LATER, ("ساعتِ دلخواهِ", "17")], speaks=[n]) for n in range(5)]
    made = world(*again)
    made.drawer.boxes["phone.answer.70"] = {
        f"try-{n}": json.dumps({"at": 0, "how": "asked"}).encode() for n in range(1, 4)
    }
    assert await made.calls.send(to()) == TryLater("nobody pressed a key", 7200, tried=True)


async def test_the_hour_that_whoever_answered_set_is_the_first_calls(world):
    made = world(MadeUpLeg([GREETING, SURE, ("می‌پذیرید", "hang up")]))
    answer = to(facts={"code": CODE, "hour": 18})
    assert await made.calls.send(answer) == TryLater("another hour was asked for", 8 * 3600)
    made.clock.advance(8 * 3600)
    assert isinstance(await made.calls.send(answer), Sent)


@pytest.mark.parametrize("hour", [3, 20, "18", None])
async def test_an_hour_at_which_nobody_may_be_called_is_no_wish(world, hour):
    made = world(MadeUpLeg([GREETING, SURE, ("می‌پذیرید", "hang up")]))
    assert isinstance(await made.calls.send(to(facts={"code": CODE, "hour": hour})), Sent)


async def test_who_rang_a_number_that_is_never_answered_hears_how_their_tickets_stand(world):
    leg = MadeUpLeg([GREETING, SURE, ("شنیدنِ دوباره", "hang up")])
    made = world(leg, mine=[{"code": CODE, "kind": "complaint", "unit": "water", "state": "open", "at": MORNING}])
    row = to("+982188880000", text="", key="mine", facts={}, message=None, ticket=0)
    assert await made.calls.send(row) == Sent(ref="phone.answer.7")
    assert texts()("ivr.menu.callback_states", "fa") in leg.heard
    assert any("شکایت" in said for said in leg.heard)
    assert isinstance(await made.calls.send(row), Sent)  # found: not told again
    assert made.trunk.dialled == ["+982188880000"]


async def test_a_number_that_is_none_is_never_called_again(world):
    made = world(404)
    assert await made.calls.send(to()) == Refused("no such number")


async def test_a_line_that_may_not_call_passes_the_number_on_to_the_next(world):
    first, second = Trunk([403]), Trunk([486])
    made = world()
    made.calls._lines = lambda: [object(), first, second]
    assert await made.calls.send(to()) == TryLater("busy", 7200, tried=True)
    assert (first.dialled, second.dialled) == ([NUMBER], [NUMBER])


async def test_without_any_line_that_may_call_the_sms_has_its_turn(world):
    made = world()
    made.calls._lines = lambda: [object()]
    assert await made.calls.send(to()) == Refused("forbidden")


async def test_an_answer_that_was_heard_is_found_and_not_told_again(world):
    made = world(MadeUpLeg([GREETING, SURE, ("می‌پذیرید", "hang up")]))
    await made.calls.send(to())
    made.clock.advance(90_000)
    again = await made.calls.send(to(id=8, in_doubt=True))  # the crash came between the hearing and the record
    assert again == Sent(ref="phone.answer.70", found=True)
    assert len(made.trunk.dialled) == 1


async def test_a_crash_while_it_rings_costs_one_try_and_waits(world):
    drawer = Drawer()
    await drawer.put("phone.answer.70", "try-1", json.dumps({"at": MORNING, "how": "rings"}).encode())
    made = world(486, drawer=drawer)
    waits = await made.calls.send(to(in_doubt=True))
    assert isinstance(waits, TryLater)
    assert made.trunk.dialled == []
    made.clock.advance(7200)
    assert await made.calls.send(to()) == TryLater("busy", 7200, tried=True)
    assert len(drawer.boxes["phone.answer.70"]) == 2


async def test_hearing_is_on_disk_before_the_call_ends(world):
    seen = []
    leg = MadeUpLeg([GREETING, SURE, ("می‌پذیرید", "hang up")])
    made = world(leg)
    put = made.drawer.put

    async def watched(box, slot, data):
        seen.append((slot, leg.up))
        return await put(box, slot, data)

    made.drawer.put = watched  # type: ignore[method-assign]
    await made.calls.send(to())
    assert ("heard", True) in seen


# ---------------------------------------------------------------- when


@pytest.mark.parametrize(
    ("now", "holiday", "opens"),
    [
        ("2026-11-24T10:00", False, None),
        ("2026-11-24T03:00", False, "2026-11-24T08:30"),
        ("2026-11-24T08:29", False, "2026-11-24T08:30"),
        ("2026-11-24T19:59", False, None),
        ("2026-11-24T20:00", False, "2026-11-25T08:30"),
    ],
)
async def test_the_hours_in_which_a_telephone_may_ring(world, now, holiday, opens):
    made = world(486, now=at(now), holiday=holiday)
    got = await made.calls.send(to())
    assert made.trunk.dialled == ([NUMBER] if opens is None else [])
    if opens is not None:
        assert got == TryLater("outside of the hours for calls", (at(opens) - at(now)) / 1000)


async def test_no_telephone_rings_on_a_holiday(world):
    made = world(486, holiday=True)
    got = await made.calls.send(to())
    assert isinstance(got, TryLater)
    assert not got.tried
    assert made.trunk.dialled == []


@pytest.mark.parametrize("number", ["+14155550100", "1888", ""])
async def test_only_numbers_of_the_country_are_called(world, number):
    made = world()
    assert isinstance(await made.calls.send(to(number)), Refused)
    assert made.trunk.dialled == []


async def test_an_unproven_number_whose_answer_may_not_be_read_out_is_not_called(world):
    made = world()
    assert await made.calls.send(to(text="")) == Refused("nothing to read out")


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("table", "word"),
    [({"start": "8:30"}, "bad-value"), ({"tries": 0}, "out-of-range"), ({"colour": 1}, "unknown-key"), ({}, "no-dial")],
)
def test_faulty_settings_are_named(tmp_path, table, word):
    with pytest.raises(Faults) as raised:
        channel.make(gear(tmp_path, table={**lines(), "callback": table}))
    assert word in {fault.word for fault in raised.value.faults}


# ---------------------------------------------------------------- over SIP, from the reply to the hearing


@pytest.mark.slow
async def test_an_answer_goes_out_by_telephone_and_falls_back_to_sms(opened, reactor, tmp_path):
    """The citizen's telephone is a line of ours on another port: it answers the first call, the second is busy."""
    from ivr.sip.line import SipLine

    made, files, door = opened
    bind_office(made)
    legs: list[Any] = []
    plane = Plane("127.0.0.1", 0, 0)

    def ring(leg: Any) -> None:
        legs.append(leg)
        busy = len(legs) > 1
        if busy:
            leg.hang_up()
        else:
            tasks.append(asyncio.ensure_future(citizen(leg, door)))

    tasks: list[Any] = []
    phone = SipLine(
        reactor, "citizen", Line(bind=("udp:127.0.0.1:0",), peer=(Peer("all", allow=("127.0.0.0/8",)),)), plane, ring
    )
    phone.start()
    plane.start(phone.on_events, asyncio.get_running_loop())
    trunk = {"name": "trunk", "address": f"127.0.0.1:{phone.port}", "dial": True}
    table = {**lines(peer=[trunk]), "callback": {"start": "00:00", "until": "23:59", "holidays": True, "tries": 1}}
    (tmp_path / "phone").mkdir()
    ours = channel.make(gear(tmp_path / "phone", reactor, table, read=files.read))
    assert ours.can_send
    await ours.start(door)
    worker = Worker(made, {"phone": ours}, office.of(made).keyring, SystemClock())
    await worker.start()
    try:
        for stage in ("accepted", "failed"):
            number = await complain(made, door, tmp_path / stage)
            boss = await people.actor(made, "secretary")
            await replies.reply(made, boss, number, None, "لوله تعویض شد.", channel="phone")
            worker.ring()
            row = await until(partial(by_phone, made, number, stage), 40)
            assert row["state"] == stage
            told = await made.read(events_of, number)
            assert ("heard" in [data.get("state") for data in told]) == (stage == "accepted")
        assert [data["state"] for data in told if data.get("state") in ("failed", "next")] == ["failed", "next"]
        texts_of = [
            row for row in await made.read(all_of, outbox) if row["channel"] == "sms" and row["ticket"] == number
        ]
        assert [row["purpose"] for row in texts_of] == ["receipt", "answer"]
        sms = texts_of[1]
        assert (sms["purpose"], sms["text"], sms["contact"]) == ("answer", "لوله تعویض شد.", row["contact"])
        assert len(legs) == 2
    finally:
        await worker.stop(0)
        await ours.stop(0)
        await phone.stop(0)
        await asyncio.to_thread(plane.stop)
        await asyncio.gather(*tasks)


async def citizen(leg: Any, door: Any) -> None:
    """Answers, presses 1 twice, hears the answer and hangs up when asked about it."""
    await leg.answer()
    for _ in range(2):
        await asyncio.sleep(0.4)  # nobody presses before having lifted the receiver
        leg.send_keys("1")
    await until(lambda: has_heard(door), 40)
    leg.hang_up()


async def has_heard(door: Any) -> bool:
    boxes = [box for box in await door.drawer.boxes(2**53) if box.startswith(callback.BOX)]
    return "heard" in (await door.drawer.get(boxes[0]) if boxes else ())


def bind_office(made) -> None:
    """Replies go out at once, and answers may go by telephone."""
    site = configuration.read()
    tables = {**site.lines, "phone": {**site.lines["phone"], "callback": {}}}
    office.bind(made, replace(office.of(made), config=replace(site, lines=tables), undo=0))


async def complain(made, door, folder) -> int:
    """A complaint by an asserted mobile; its ticket."""
    home = replace(house(MemoryDoor(), folder), door=door, clock=SystemClock())
    plan = [("برای شکایت", "1"), ("شمارهٔ داخلیِ", "0"), ("پیامِ شما پنج", "3")]
    leg = MadeUpLeg(plan, number=f"+98912000{len(await made.read(all_of, ticket)):04}")
    await asyncio.wait_for(Call(leg, home).run(), 10)
    return max(row["id"] for row in await made.read(all_of, ticket))


def all_of(s, table):
    return s.execute(sa.select(table)).mappings().all()


def events_of(s, number):
    rows = s.execute(sa.select(event).where(event.c.ticket == number).order_by(event.c.seq)).mappings()
    return [row["data"] for row in rows if row["kind"] == "delivery"]


async def by_phone(made, number, stage):
    rows = [row for row in await made.read(all_of, outbox) if (row["ticket"], row["channel"]) == (number, "phone")]
    return rows[0] if rows and rows[0]["state"] == stage else None


def test_the_shipped_menu_has_the_nodes_the_channel_looks_for():
    from tests.ivr.site import menus

    assert {callback.HEARD, callback.SURE} <= menus().trees[callback.MENU].nodes.keys()
