"""The phone as a channel: real line, real media plane, real speech, and the real door on SQLite behind them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

import config as configuration
from config.faults import Faults
from core import people, replies, schema
from core.channels import Gear, Outbound, Purpose, Refused
from core.clock import SystemClock
from core.schema import file, message, ticket
from ivr import channel, phone, readout
from ivr.call import Call
from ivr.channel import Phone
from ivr.counter import House
from ivr.media import g711
from ivr.prompts import Prompts
from ivr.sounds import Sounds
from ivr.spool import Note, Spool
from ivr.steps import Item
from tests.ivr.caller import NUMBER, MadeUpLeg, MemoryDoor, Words, call, house
from tests.ivr.site import ROOT, TODAY, texts
from tests.journeys.phones import ear

KEY = b"k" * 32
MAILBOX = """\
start = "message"
[menu.message]
do = "record"
say = "ivr.menu.record"
kind = "request"
ok = "send"
else = "goodbye"
[menu.send]
do = "take"
ok = "goodbye"
failed = "goodbye"
[menu.goodbye]
do = "hangup"
say = "ivr.menu.goodbye"
"""


SENT = [("پیامِ شما پنج ثانیه", "3")]


def lines(**more) -> dict:
    peer = {"name": "loopback", "allow": ["127.0.0.0/8"], "asserts_identity": True}
    return {"line": {"main": {"bind": ["udp:127.0.0.1:0"], "rtp": "0", "peer": [peer], **more}}}


def gear(folder: Path, reactor=None, table: dict | None = None, **extra) -> Gear:
    site = configuration.read()
    known = {"menus_folder": str(site.menus_folder), "units": {unit.slug for unit in site.units}, **extra}
    return Gear("phone", table or lines(), site.texts, str(folder), reactor, SystemClock(), {}, known)


def rows(s, table):
    return s.execute(sa.select(table)).mappings().all()


async def until(what, seconds: float = 15.0):
    """Wait for `what()`, which may be a coroutine, to be true."""
    async with asyncio.timeout(seconds):
        while True:
            found = what()
            found = await found if asyncio.iscoroutine(found) else found
            if found:
                return found
            await asyncio.sleep(0.02)


@pytest.mark.slow
async def test_a_call_over_sip_leaves_a_complaint_with_its_voice(opened, reactor, tmp_path):
    made, files, door = opened
    loud = (12000 * np.sin(np.arange(20_000) * 0.8)).astype(np.int16)
    said = tmp_path / "say.wav"
    await asyncio.to_thread(said.write_bytes, g711.write_wav(loud))
    (tmp_path / "phone").mkdir()
    ours = channel.make(gear(tmp_path / "phone", reactor, read=files.read))
    assert isinstance(ours, Phone)
    await ours.start(door)
    try:
        status = await phone.call(
            f"sip:1888@127.0.0.1:{ours.ports['main']}", ",1,0,*wait,say,#,,3,,h", said, tmp_path / "heard.wav",
            reactor=reactor, caller="09120000000", tell=lambda line: None,
        )  # fmt: skip
        assert status == phone.DONE
        [found] = await until(lambda: made.read(rows, ticket))
        assert (found["kind"], found["channel"]) == ("complaint", "phone")
        [kept] = await made.read(rows, file)
        sound = g711.read_wav(await files.read(kept["key"]))
        assert 2.0 < len(sound) / 8000 < 8.0
        assert np.abs(sound.astype(int)).max() > 9000
        [words] = await made.read(rows, message)
        assert words["text"].startswith("پیام صوتی، ")
        await until(lambda: ours.calls == 0)
        assert list(Path(tmp_path / "phone" / "spool").iterdir()) == []  # noqa: ASYNC240
    finally:
        await ours.stop(0)


@pytest.mark.slow
async def test_a_dead_media_plane_ends_calls_with_their_record_and_message_and_the_next_call_is_served(
    opened, reactor, tmp_path
):
    made, files, door = opened
    said = tmp_path / "say.wav"
    loud = (12000 * np.sin(np.arange(80_000) * 0.8)).astype(np.int16)
    await asyncio.to_thread(said.write_bytes, g711.write_wav(loud))
    (tmp_path / "phone").mkdir()
    table = {**lines(), "media": {"apart": True}}
    ours = channel.make(gear(tmp_path / "phone", reactor, table, read=files.read))
    await ours.start(door)
    to = f"sip:1888@127.0.0.1:{ours.ports['main']}"
    try:
        call = asyncio.create_task(
            phone.call(to, ",1,0,*wait,say,#", said, reactor=reactor, caller="09120000000", tell=lambda line: None)
        )
        spool = tmp_path / "phone" / "spool"
        await until(lambda: any(one.stat().st_size > 20_000 for one in spool.glob("*.wav")), 40)
        os.kill(ours._plane.pid, signal.SIGKILL)
        assert await call == phone.NOT_REACHED  # hung up on
        [found] = await until(lambda: made.read(rows, ticket))
        assert found["kind"] == "complaint"
        [over] = await until(lambda: made.read(rows, schema.call))
        assert (over["way"], over["blind"] is not None) == ("no_media", True)
        await until(lambda: ours.health() == "up")
        heard = tmp_path / "heard.wav"
        assert await phone.call(to, ",,h", hear=heard, reactor=reactor, tell=lambda line: None) == phone.DONE
        assert np.abs(g711.read_wav(heard.read_bytes()).astype(int)).max() > 5000
    finally:
        await ours.stop(0)


async def test_the_answer_is_heard_by_calling_again_and_objected_to_by_voice(opened, tmp_path):
    made, files, door = opened
    home = replace(house(MemoryDoor(), tmp_path), door=door, clock=SystemClock())
    home = replace(home, sounds=Sounds(Prompts(home.say), Words(), files.read, lambda: TODAY))
    first = MadeUpLeg([("برای شکایت", "1"), ("شمارهٔ داخلیِ", "0"), ("پیامِ شما پنج", "3")], asserted=False)
    await call(first, home)
    [row] = await made.read(rows, ticket)
    code, pin = keyed(first, "کدِ پیگیریِ شما"), keyed(first, "رمزِ چهار رقمی:")
    boss = await people.actor(made, "secretary")
    await replies.reply(made, boss, row["id"], None, "لوله تعویض شد.")
    plan = [("برای شکایت", "5"), ("یازده رقمی", code + "#"), ("رمزِ چهار رقمی را", pin), ("می‌پذیرید", "3")]
    second = MadeUpLeg([*plan, ("پیامِ شما پنج", "3")], number="+982188880000", asserted=False)
    await call(second, home)
    assert "لوله تعویض شد." in second.heard
    assert readout.worded(texts()("ivr.done.object", "fa"), "fa", TODAY) in second.heard
    [row] = await made.read(rows, ticket)
    assert row["state"] == "disputed"
    guess = ("رمزِ چهار رقمی را", "0000" if pin != "0000" else "1111")
    wrong = MadeUpLeg([*plan[:2], guess, ("وارد کردنِ رمز", "hang up")], number=None)
    await call(wrong, home)
    assert "لوله تعویض شد." not in wrong.heard


def keyed(leg: MadeUpLeg, sentence: str) -> str:
    """The digits a caller heard in a sentence, as keys."""
    words = next(line for line in leg.heard if line.startswith(sentence)).partition(":")[2]
    return "".join(str(readout._FA.index(word)) for word in re.split(r"[،؛.\s]+", words) if word)


@pytest.mark.slow
async def test_pyvoip_which_has_no_keys_leaves_its_voice_in_a_mailbox(opened, reactor, tmp_path):
    made, files, door = opened
    mailbox = lines(numbers={"*": "mailbox"})
    (tmp_path / "phone").mkdir()
    ours = channel.make(gear(tmp_path / "phone", reactor, mailbox, read=files.read, menus={"mailbox.toml": MAILBOX}))
    voice, said, heard = ear.spoken("آب کوچهٔ ما از دیروز قطع است."), tmp_path / "say.wav", tmp_path / "heard.wav"
    await asyncio.to_thread(said.write_bytes, g711.write_wav(voice.astype(np.int16)))
    await ours.start(door)
    try:
        uri = f"sip:1888@127.0.0.1:{ours.ports['main']}"
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.journeys.phones.box", uri, str(said), str(heard), "7", "12", cwd=ROOT,
        )  # fmt: skip
        assert await asyncio.wait_for(child.wait(), 40) == 0
        [found] = await until(lambda: made.read(rows, ticket))
        assert (found["kind"], found["channel"]) == ("request", "phone")
        [kept] = await made.read(rows, file)
        assert ear.share(ear.read(await files.read(kept["key"])), voice) > 0.8
        await until(lambda: ours.calls == 0)
        assert ear.share(ear.read(await asyncio.to_thread(heard.read_bytes)), ear.said(Item("ivr.menu.record"))) > 0.8
    finally:
        await ours.stop(0)


async def test_what_a_crash_left_in_the_spool_is_a_ticket_after_start(opened, reactor, tmp_path):
    made, _, door = opened
    spool = Spool(tmp_path / "phone" / "spool")
    note = Note("ab" * 16, 1, "main", "1888", NUMBER, True, kind="suggestion", at=1_723_620_600_000)
    sound = spool.begin(note)
    await asyncio.to_thread(Path(sound).write_bytes, g711.wav_header("pcma", 0) + b"\x55" * 8000 * 4)
    for _ in range(2):  # the second start finds nothing more
        ours = channel.make(gear(tmp_path / "phone", reactor))
        await ours.start(door)
        await until(lambda: not spool.left())
        await ours.stop(0)
    [found] = await made.read(rows, ticket)
    assert found["kind"] == "suggestion"


async def test_stopping_sees_a_running_recording_through(opened, reactor, tmp_path):
    made, _, door = opened
    ours = channel.make(gear(tmp_path / "phone", reactor))
    await ours.start(door)
    leg = MadeUpLeg(speaks=[-6.0])
    leg._do("10")
    ours.take_call(leg)
    await until(lambda: leg.spoken)
    await ours.stop(0)
    assert ours.calls == 0
    [found] = await made.read(rows, ticket)
    assert found["kind"] == "complaint"
    late = MadeUpLeg()
    ours.take_call(late)
    assert not late.up


async def test_answers_are_heard_by_calling_so_nothing_is_sent(tmp_path):
    ours = channel.make(gear(tmp_path))
    assert not ours.can_send
    outcome = await ours.send(Outbound(1, "phone", NUMBER, Purpose.ANSWER, 1, None))
    assert isinstance(outcome, Refused)


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # Twisted leaves the socket it cannot bind
async def test_a_reload_is_for_new_calls_and_a_faulty_file_leaves_the_old_one(opened, tmp_path):
    _, _, door = opened
    folder = tmp_path / "site"
    (folder / "menus").mkdir(parents=True)
    place = folder / "menus" / "main.toml"
    place.write_text(MAILBOX)
    ours = channel.make(gear(tmp_path, table={"line": {}}, reread=lambda: configuration.read(site=folder)))
    await ours.start(door)
    try:
        await ours.reload()
        before = MadeUpLeg()
        running = asyncio.create_task(Call(before, quick(ours)).run())
        await until(lambda: before.heard)
        assert before.heard[0] == texts()("ivr.menu.record", "fa")
        place.write_text(MAILBOX.replace('say = "ivr.menu.record"', 'say = "ivr.menu.object"'))
        await ours.reload()
        after = MadeUpLeg(SENT)
        await call(after, quick(ours))
        assert not running.done()
        before.end("caller")
        await asyncio.wait_for(running, 10)
        assert after.heard[0] == texts()("ivr.menu.object", "fa")
        assert texts()("ivr.menu.object", "fa") not in before.heard
        place.write_text(MAILBOX.replace('do = "record"', 'do = "dance"'))
        with pytest.raises(Faults, match=r"main\.toml:3: unknown-do"):
            await ours.reload()
        still = MadeUpLeg(SENT)
        await call(still, quick(ours))
        assert still.heard[0] == texts()("ivr.menu.object", "fa")
    finally:
        await ours.stop(0)


def quick(ours: Phone) -> House:
    """The channel's own house, with words for sound."""
    home = ours.house
    return replace(home, sounds=Sounds(Prompts(home.say), Words(), None, lambda: TODAY))


async def test_a_taken_port_is_named(opened, reactor, tmp_path):
    _, _, door = opened
    first = channel.make(gear(tmp_path / "a", reactor))
    await first.start(door)
    taken = f"udp:127.0.0.1:{first.ports['main']}"
    second = channel.make(gear(tmp_path / "b", reactor, lines(bind=[taken])))
    with pytest.raises(OSError, match=r"phone\.line\.main\.bind"):
        await second.start(door)
    await first.stop(0)


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"bind": ["tls:0.0.0.0:5061"]}, "no-certificate"),
        ({"rtp": "many"}, "bad-value"),
        ({"peer": [{"name": "x", "allow": ["here"]}]}, "bad-value"),
        ({"numbers": {"1888": "moon"}}, "unknown-menu"),
        ({"colour": 1}, "unknown-key"),
    ],
)
def test_a_faulty_line_is_refused_by_name(tmp_path, more, word):
    with pytest.raises(Faults) as raised:
        channel.make(gear(tmp_path, table=lines(**more)))
    assert word in {fault.word for fault in raised.value.faults}


def test_a_faulty_menu_is_refused_by_name(tmp_path):
    made = gear(tmp_path)
    faulty = replace(
        made, extra={**made.extra, "menus": {"menus/main.toml": 'start = "gone"\n[menu.a]\ndo = "hangup"'}}
    )
    with pytest.raises(Faults, match=r"menus/main\.toml:1: unknown-target"):
        channel.make(faulty)
