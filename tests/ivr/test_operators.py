"""Operators with real telephones: our phone here, an office exchange with extensions and callers on the other side."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from core.schema import call as calls
from core.schema import file, message, ticket
from ivr import queue
from ivr.channel import Phone
from ivr.leg import HungUp, LegEvent, PlayedOut, Pressed, Run
from ivr.media import g711
from ivr.media.plane import Plane
from ivr.operators import Operators
from ivr.queue import Duty
from ivr.roster import Member, Queue, Roster
from ivr.settings import Line, Peer
from ivr.sip.leg import SipLeg
from ivr.sip.line import SipLine
from ivr.sip.outgoing import NotReached, Wanted
from ivr.site import read_site
from ivr.spool import Note, Spool, recover
from tests.ivr.caller import MemoryDoor
from tests.ivr.site import texts
from tests.ivr.test_channel import gear, until

NUMBER = "+989120000000"
MENU = """\
start = "line"
[menu.line]
do = "queue"
name = "main"
say = "ivr.menu.line"
served = "thanks"
over = "second"
closed = "mailbox"
[menu.second]
do = "queue"
name = "second"
served = "goodbye"
over = "mailbox"
closed = "mailbox"
[menu.mailbox]
do = "record"
kind = "request"
ok = "send"
else = "goodbye"
[menu.send]
do = "take"
ok = "goodbye"
failed = "goodbye"
[menu.thanks]
do = "connect"
to = "services"
say = "ivr.menu.bell"
done = "goodbye"
busy = "goodbye"
away = "goodbye"
[menu.goodbye]
do = "hangup"
"""
SHORT = (  # sentences that are short tones here, so that a story takes seconds
    "menu.line", "menu.bell", "queue.keys", "queue.recorded", "queue.hello", "queue.called_back",
    "operator.call", "operator.back", "operator.accept", "operator.not_there",
)  # fmt: skip
HERTZ = {"caller": 400.0, "111": 700.0, "112": 1000.0, "130": 1300.0}

Does = Callable[["Handset"], Awaitable[None]]


class Trusting(Phone):
    """Takes every number as vouched for, as a trunk's P-Asserted-Identity would make it."""

    def take_call(self, leg: Any) -> None:
        leg.asserted = leg.number is not None
        super().take_call(leg)


class Handset:
    """A telephone outside: says a steady tone of its own, keeps what it hears."""

    def __init__(self, name: str, leg: SipLeg, path: Path) -> None:
        self.name, self.leg, self.path = name, leg, path
        self.keys = ""
        self.over = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._listen())

    async def take(self) -> None:
        assert await self.leg.answer()
        self.begin()

    def begin(self) -> None:
        self.leg.record(str(self.path), 600, 600, "")
        wave = 5000 * np.sin(1 + np.arange(80_000) * 2 * np.pi * HERTZ[self.name] / 8000)
        self.leg.music([g711.frames(wave.astype(np.int16))])

    async def _listen(self) -> None:
        async for event in self.leg.events():
            self._note(event)
        self.over.set()

    def _note(self, event: LegEvent) -> None:
        if isinstance(event, Pressed):
            self.keys += event.key
        assert isinstance(event, Pressed | PlayedOut | HungUp) or event.path == str(self.path)

    def hears(self, *names: str, seconds: float = 1.0) -> bool:
        """Are the tones of exactly these in what it heard last?"""
        data = self.path.read_bytes()[g711.HEADER :] if self.path.exists() else b""
        samples = g711.decode("pcma", data[-int(8000 * seconds) :]).astype(float)
        if len(samples) < 8000 * seconds:
            return False
        spectrum = np.abs(np.fft.rfft(samples)) / len(samples)
        loud = {name for name, hertz in HERTZ.items() if spectrum[round(hertz * seconds)] > 600}
        return loud == set(names)

    async def hang_up(self) -> None:
        self.leg.hang_up()
        await asyncio.wait_for(self.over.wait(), 10)


class Outside:
    """An office exchange and the public network in one line. `does`: extension → what its telephone does."""

    def __init__(self, line: SipLine, folder: Path) -> None:
        self.line, self.folder = line, folder
        self.does: dict[str, Does] = {}
        self.rung: list[str] = []
        self.sets: dict[str, Handset] = {}
        self.tasks: list[asyncio.Task[None]] = []

    def on_call(self, leg: SipLeg) -> None:
        self.rung.append(leg.called)
        does = self.does.get(leg.called)
        if does is None:
            leg.hang_up()
            return
        name = leg.called if leg.called in HERTZ else "caller"
        made = self.sets[leg.called] = Handset(name, leg, self.folder / f"{leg.called}-{len(self.rung)}.wav")
        self.tasks.append(asyncio.get_running_loop().create_task(does(made)))  # type: ignore[arg-type]

    async def call(self, ours: Phone) -> Handset:
        port = ours.ports["main"]
        leg = await self.line.call(Wanted(f"sip:1888@127.0.0.1:{port}", ("127.0.0.1", port), caller="09120000000"))
        assert not isinstance(leg, NotReached), leg
        made = Handset("caller", leg, self.folder / f"caller-{len(self.rung)}-{leg.id[:4]}.wav")
        made.begin()
        return made


async def accepts(handset: Handset) -> None:
    """Answers and presses 1 once something is heard."""
    await handset.take()
    await until(lambda: handset.path.exists() and _loud(handset.path))
    handset.leg.send_keys("1")


async def mailbox(handset: Handset) -> None:
    """Answers and presses nothing."""
    await handset.take()


def _loud(path: Path) -> bool:
    samples = g711.decode("pcma", path.read_bytes()[g711.HEADER :])
    return bool(len(samples) and np.abs(samples.astype(int)).max() > 2000)


@contextlib.asynccontextmanager
async def outside(reactor: Any, folder: Path) -> AsyncIterator[Outside]:
    plane = Plane("127.0.0.1", 0, 0)
    held: list[Outside] = []
    peers = (Peer("all", allow=("127.0.0.0/8",), dial=True),)
    settings = Line(bind=("udp:127.0.0.1:0",), peer=peers, rtp="0")
    line = SipLine(reactor, "office", settings, plane, lambda leg: held[0].on_call(leg))
    held.append(Outside(line, folder))
    line.start()
    plane.start(line.on_events, asyncio.get_running_loop())
    try:
        yield held[0]
    finally:
        await line.stop(0)
        await asyncio.gather(*held[0].tasks)
        plane.stop()


@pytest.fixture
async def world(opened, reactor, tmp_path):
    """(our phone, the outside, the store, kept files)"""
    made, files, door = opened
    folder = tmp_path / "phone"
    folder.mkdir()
    async with outside(reactor, tmp_path) as out:
        office = {"name": "office", "address": f"127.0.0.1:{out.line.port}", "dial": True}
        loopback = {"name": "loopback", "allow": ["127.0.0.0/8"]}
        table = {
            "line": {
                "main": {"bind": ["udp:127.0.0.1:0"], "rtp": "0", "peer": [loopback, office], "refer_to": ["130"]}
            },
            "queue": {
                "main": {"operators": ["sara", "ali"], "wrap_up": 0, "ring": 5},
                "second": {"operators": ["zahra"], "wrap_up": 0, "ring": 5, "record": False},
            },
        }
        prompts = tmp_path / "prompts" / "fa"
        prompts.mkdir(parents=True)
        short = g711.write_wav((6000 * np.sin(np.arange(2400) * 2 * np.pi * 2500 / 8000)).astype(np.int16))
        for key in SHORT:
            (prompts / f"ivr.{key}.wav").write_bytes(short)
        staff = {
            login: {"extension": number, "name": {}}
            for login, number in (("sara", "111"), ("ali", "112"), ("zahra", "130"))
        }
        made_of = gear(
            folder, reactor, table, menus={"menus/main.toml": MENU}, staff=staff, bells={"services": "130"},
            read=files.read, prompts=str(tmp_path / "prompts"),
        )  # fmt: skip
        ours = Trusting(made_of, read_site(made_of))
        await ours.start(door)
        try:
            yield ours, out, made, files
        finally:
            await ours.stop(0)


def rows(s, table):
    return s.execute(sa.select(table)).mappings().all()


async def talk(ours: Phone, out: Outside) -> tuple[Handset, Handset]:
    """A caller and sara, who hear each other."""
    out.does["111"] = accepts
    ours.operators.come("sara")
    caller = await out.call(ours)
    await until(lambda: out.sets.get("111") and out.sets["111"].hears("caller"), 25)
    return caller, out.sets["111"]


@pytest.mark.slow
async def test_an_operator_is_rung_presses_1_and_both_talk_recorded_after_the_notice(world):
    ours, out, made, files = world
    caller, sara = await talk(ours, out)
    assert ours.operators.duties()[1].duty is Duty.TALKING
    assert ours.panel.counts()["calls"] == 2
    shown = ours.operators.pop_up("sara")
    assert (shown.number, shown.asserted, shown.queue) == (NUMBER, True, "main")
    await until(lambda: caller.hears("111"), 20)  # after the notice
    caller.leg.send_keys("7")
    await until(lambda: sara.keys == "7")
    await until(lambda: any(path.suffix == ".wav" and path.stat().st_size > 60_000 for path in spool(ours)))
    await sara.hang_up()
    [row] = await until(lambda: made.read(rows, ticket))
    assert (row["channel"], row["kind"]) == ("phone", "request")
    facts = row["facts"] if isinstance(row["facts"], dict) else json.loads(row["facts"])
    assert (facts["operator"], facts["queue"], facts["refused"]) == ("sara", "main", False)
    [said] = await made.read(rows, message)
    assert said["text"].startswith("گفت‌وگوی تلفنی با کارشناس")
    [kept] = await made.read(rows, file)
    data = await files.read(kept["key"])
    assert data[22:24] == b"\x02\x00"
    for side, name in ((0, "caller"), (1, "111")):
        samples = g711.decode("pcma", data[g711.HEADER + side :: 2][8000:16_000]).astype(float)
        spectrum = np.abs(np.fft.rfft(samples))
        assert round(HERTZ[name]) == int(spectrum.argmax())
    await until(lambda: not list(spool(ours)))
    assert ours.operators.pop_up("sara") is None
    await until(lambda: "130" in out.rung)  # served: the menu goes on, to a unit's telephone that is busy
    await asyncio.wait_for(caller.over.wait(), 15)
    assert ours.operators.duties()[1].duty is Duty.READY
    [past] = await until(lambda: made.read(rows, calls))
    assert (past["proven"], past["way"]) == (True, "us")
    facts = past["facts"]
    assert (facts["queue"], facts["operator"], facts["path"][0]) == ("main", "sara", "line")
    assert facts["talked"] >= 2 and facts["packets"] > 100 and facts["jitter_ms"] >= 0


def spool(ours: Phone):
    return [path for path in ours.house.spool.folder.iterdir() if path.is_file()]


@pytest.mark.slow
async def test_a_caller_who_refuses_the_recording_is_not_kept_but_the_talk_is_on_the_ticket(world):
    ours, out, made, _ = world
    caller, sara = await talk(ours, out)
    caller.leg.send_keys("9")
    await until(lambda: sara.keys == "9")
    await until(lambda: caller.hears("111"), 20)
    await caller.hang_up()
    [row] = await until(lambda: made.read(rows, ticket))
    facts = row["facts"] if isinstance(row["facts"], dict) else json.loads(row["facts"])
    assert facts["refused"] is True
    assert await made.read(rows, file) == []
    assert spool(ours) == []


@pytest.mark.slow
async def test_a_mailbox_that_answers_takes_no_call_and_the_next_operator_is_rung(world):
    ours, out, _, _ = world
    out.does |= {"111": mailbox, "112": accepts}
    ours.operators.come("sara")
    await until(lambda: ours.operators.duties()[1].duty is Duty.READY)
    ours.operators.come("ali")
    caller = await out.call(ours)
    await until(lambda: out.sets.get("112") and out.sets["112"].hears("caller"), 40)
    assert out.rung[:2] == ["111", "112"]
    assert ours.operators.duties()[1].misses == 1
    await out.sets["111"].over.wait()
    await caller.hang_up()
    await asyncio.wait_for(out.sets["112"].over.wait(), 10)


@pytest.mark.slow
async def test_without_anybody_on_duty_the_caller_leaves_a_message(world):
    ours, out, made, _ = world
    caller = await out.call(ours)
    await until(lambda: any(path.suffix == ".wav" and path.stat().st_size > 20_000 for path in spool(ours)), 20)
    await caller.hang_up()
    [row] = await until(lambda: made.read(rows, ticket))
    assert row["kind"] == "request"
    assert out.rung == []


@pytest.mark.slow
async def test_a_caller_who_hangs_up_while_the_operator_is_rung_stops_the_bell(world):
    ours, out, _, _ = world

    async def rings(handset: Handset) -> None:
        await handset.over.wait()

    out.does["111"] = rings
    ours.operators.come("sara")
    caller = await out.call(ours)
    await until(lambda: out.rung == ["111"])
    await caller.hang_up()
    await asyncio.wait_for(out.sets["111"].over.wait(), 10)
    await until(lambda: ours.operators.duties()[1].duty is Duty.READY)
    assert ours.operators.waiting()["main"] == 0


@pytest.mark.slow
async def test_a_call_back_is_promised_on_disk_and_kept_after_a_restart(world):
    ours, out, made, _ = world
    ours.operators.come("sara")
    ours.operators.pause("sara", "prayer")
    caller = await out.call(ours)
    await until(lambda: ours.operators.waiting()["main"] == 1)
    caller.leg.send_keys("1")
    await asyncio.wait_for(caller.over.wait(), 25)
    door = ours.house.door
    [box] = [box for box in await door.drawer.boxes(ours.house.clock.now() + 1) if box.startswith("call_back:")]
    ours.operators.hall = replace(ours.operators.hall, waiting=())  # what a restart forgets
    assert await ours.operators._remembers()
    assert [one.number for one in ours.operators.hall.waiting] == [NUMBER]
    out.does |= {"111": accepts, NUMBER: accepts}
    ours.operators.come("sara")
    await until(lambda: out.sets.get("111") and out.sets["111"].hears("caller"), 40)
    assert out.rung == ["111", NUMBER]
    [busy] = ours.operators.talking
    assert busy in ours._busy()  # its recording is not the sweep's
    await out.sets[NUMBER].hang_up()
    await until(lambda: made.read(rows, ticket))
    assert box not in await door.drawer.boxes(ours.house.clock.now() + 1)


@pytest.mark.slow
async def test_a_caller_whom_a_restart_cut_off_has_their_place_when_they_ring_again_and_sara_is_on_duty(world):
    ours, out, _, _ = world
    door, now = ours.house.door, ours.house.clock.now() + 1
    ours.operators.come("sara")
    ours.operators.pause("sara", "prayer")
    await out.call(ours)
    await until(lambda: ours.operators.waiting()["main"] == 1)
    await ours.operators.disk.settled()
    fresh = Operators(ours.site.roster, list, lambda: ours.house)  # as after kill -9
    assert await fresh._remembers()
    [kept] = fresh.hall.waiting
    assert (kept.number, kept.here, kept.promised) == (NUMBER, False, False)
    duties = {one.login: (one.duty, one.reason) for one in fresh.duties()}
    assert (duties["ali"], duties["sara"]) == ((Duty.OFF, ""), (Duty.PAUSED, "prayer"))
    joined = kept.joined
    fresh._feed(queue.Joined("again", "main", NUMBER))
    [waits] = fresh.hall.waiting
    assert (waits.call, waits.here, waits.joined) == ("again", True, joined)
    ours.operators.go("sara")  # nobody on duty: whoever waits is sent on
    await until(lambda: ours.operators.waiting()["main"] == 0)
    await ours.operators.disk.settled()
    assert [box for box in await door.drawer.boxes(now + 60_000) if box.startswith("queue_place:")] == []


@pytest.mark.slow
async def test_a_caller_is_passed_on_to_another_operator_and_then_to_a_unit(world):
    ours, out, made, _ = world
    caller, _ = await talk(ours, out)
    await until(lambda: caller.hears("111"), 20)
    out.does |= {"112": accepts, "130": mailbox}
    ours.operators.pause("ali", "meal")
    ours.operators.come("ali")
    assert not ours.operators.pass_on("sara", "nowhere")
    assert ours.operators.pass_on("sara", "main")
    ours.operators.pause("sara", "rest")
    await until(lambda: out.sets.get("112") and out.sets["112"].hears("caller"), 20)
    await until(lambda: caller.hears("112"))
    await asyncio.wait_for(out.sets["111"].over.wait(), 10)
    assert ours.operators.pass_on("ali", "services")
    await until(lambda: out.sets.get("130") and out.sets["130"].hears("caller"), 20)
    await until(lambda: caller.hears("130"))
    await caller.hang_up()
    await until(lambda: _many(made, 2))
    [past] = await until(lambda: made.read(rows, calls))
    assert (past["facts"]["operator"], past["facts"]["passed_on"]) == ("ali", "services")


@pytest.mark.slow
async def test_the_operators_own_telephone_passes_a_caller_on_by_refer(world):
    ours, out, _made, _ = world
    caller, sara = await talk(ours, out)
    await until(lambda: caller.hears("111"), 20)
    out.does["130"] = mailbox
    said = []
    for to in ("sip:999@127.0.0.1", "sip:130@127.0.0.1"):
        more = (("contact", "<sip:111@127.0.0.1>"), ("refer-to", f"<{to}>"))
        out.line.exchange.ask(sara.leg.dialog, "REFER", said.append, more)
        await until(lambda: said)
        assert said.pop().status == (202 if "130" in to else 603)
    await until(lambda: out.sets.get("130") and out.sets["130"].hears("caller"), 20)
    await until(lambda: caller.hears("130"))
    await asyncio.wait_for(sara.over.wait(), 10)
    await caller.hang_up()


@pytest.mark.slow
async def test_one_caller_too_many_is_sent_on_to_another_queue_and_then_to_the_mailbox(world):
    ours, out, made, _ = world
    desk = ours.operators
    desk.hall = replace(desk.hall, rules={name: replace(rules, most=1) for name, rules in desk.hall.rules.items()})
    for login in ("sara", "zahra"):
        desk.come(login)
        desk.pause(login, "meal")  # open, and nobody is rung
    first = await out.call(ours)
    await until(lambda: desk.waiting() == {"main": 1, "second": 0})
    second = await out.call(ours)
    await until(lambda: desk.waiting() == {"main": 1, "second": 1})
    third = await out.call(ours)
    await until(lambda: any(path.suffix == ".wav" and path.stat().st_size > 20_000 for path in spool(ours)), 20)
    await third.hang_up()
    assert (await until(lambda: made.read(rows, ticket)))[0]["kind"] == "request"
    out.does["130"] = accepts
    desk.come("zahra")
    await until(lambda: out.sets.get("130") and out.sets["130"].hears("caller"), 25)
    await until(lambda: second.hears("130"), 20)
    assert desk.waiting() == {"main": 1, "second": 0} and out.rung == ["130"]
    await second.hang_up()
    await first.hang_up()


async def _many(made, count: int) -> bool:
    return len(await made.read(rows, ticket)) == count


@pytest.mark.slow
async def test_a_lead_listens_and_whispers(world):
    ours, out, made, _ = world
    ours.operators.roster.staff["boss"] = Member("112")  # type: ignore[index]
    out.does["112"] = mailbox
    caller, sara = await talk(ours, out)
    await until(lambda: caller.hears("111"), 20)
    assert ours.operators.listen("boss", "sara", whisper=True)
    await until(lambda: out.sets.get("112") and out.sets["112"].hears("111", "caller"))
    await until(lambda: sara.hears("caller", "112"))
    assert caller.hears("111")
    assert not ours.operators.listen("boss", "ali", whisper=False)
    await caller.hang_up()
    await asyncio.wait_for(out.sets["112"].over.wait(), 10)
    [row] = await until(lambda: made.read(rows, ticket))
    facts = row["facts"] if isinstance(row["facts"], dict) else json.loads(row["facts"])
    assert facts["listened"] == ["boss whisper"]


def test_the_roster_names_operators_without_a_telephone_and_queues_that_are_not_there(tmp_path):
    made = gear(
        tmp_path, None, {"line": {}, "queue": {"other": {"operators": ["nobody"]}}},
        menus={"menus/main.toml": MENU}, staff={"sara": {"extension": "111", "name": {}}},
    )  # fmt: skip
    with pytest.raises(Exception, match=r"(?s)unknown-queue.*unknown-operator|unknown-operator.*unknown-queue"):
        read_site(made)


def test_a_queue_has_the_rules_of_its_settings():
    given = Roster({"main": Queue(("sara",), most=5)}, {"sara": Member("111")})
    assert (given.queues["main"].rules().most, given.queues_of("sara")) == (5, {"main"})
    assert given.logins == ["sara"]
    assert Run(b"", b"").seconds == 0


async def test_a_talk_that_a_crash_cut_off_becomes_a_ticket_that_says_so(tmp_path):
    door, kept = MemoryDoor(), Spool(tmp_path / "spool")
    note = Note("ab" * 16, 900, "main", "1888", NUMBER, True, kind="request", talk={"operator": "sara", "waited": 12})
    path = kept.begin(note)
    await asyncio.to_thread(Path(path).write_bytes, g711.wav_header("pcma", 0, 2) + b"\xd5" * 80_000)  # 5 s of both
    [left] = kept.left()
    await recover(door, kept, left, texts())
    [taken] = door.taken
    assert taken.text == "گفت‌وگوی تلفنی با کارشناس، ۵ ثانیه"
    assert (taken.facts["operator"], taken.facts["recovered"], taken.files[0].seconds) == ("sara", True, 5.0)
    assert kept.left() == []
