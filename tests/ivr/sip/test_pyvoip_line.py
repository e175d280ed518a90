"""An extension of an office's exchange by pyVoIP, its faults guarded: registered at Kamailio, called by phones."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from config import positions
from config.faults import Faults
from core.schema import ticket
from ivr import channel, phone, site
from ivr.leg import HungUp, PlayedOut, Pressed, RecordEnded
from ivr.media import g711
from ivr.media import messages as media
from ivr.media.plane import Plane
from ivr.settings import Extension
from ivr.sip import message as sip
from ivr.sip.pyvoip_line import ExtensionLine
from tests.ivr.sip.house import OFFER, NotedPlane, Spoken, until
from tests.ivr.sip.house import Phone as Socket
from tests.ivr.sip.kamailio import PASSWORD, running
from tests.ivr.sip.test_phone import share, tone
from tests.ivr.sip.test_sipp import run, sipp
from tests.ivr.test_channel import MAILBOX, gear, rows

__all__ = ["sipp"]


class Office:
    """An extension line, what came of its calls, and a made-up exchange: a bare socket at its server's address."""

    def __init__(self, reactor, folder: Path, plane, exchange: int, answers: bool = True, **more) -> None:
        (folder / "password").write_text(PASSWORD + "\n")
        settings = Extension(
            f"127.0.0.1:{exchange}", "1888", password_file=str(folder / "password"), domain="trunk.example.ir",
            bind=("udp:127.0.0.1:0",), **more,
        )  # fmt: skip
        self.line = ExtensionLine(reactor, "pbx", settings, plane, self.take)
        self.plane, self.answers, self.folder = plane, answers, folder
        self.legs, self.events, self.tasks = [], [], []

    def take(self, leg) -> None:
        self.legs.append(leg)
        self.tasks.append(asyncio.ensure_future(self._run(leg)))

    async def _run(self, leg) -> None:
        if self.answers and await leg.answer():
            leg.play([g711.frames(tone(400, 0.5))])
        async for event in leg.events():
            self.events.append(event)
            if event == Pressed("1"):
                leg.record(str(self.folder / "message.wav"), 20, 5, "#")
            if isinstance(event, RecordEnded):
                leg.hang_up()


@contextlib.asynccontextmanager
async def noted(reactor, folder, answers=True, **more):
    """With a plane that only notes; (office, exchange as a socket that has registered us)."""
    with Socket(0) as exchange:
        plane = NotedPlane()
        office = Office(reactor, folder, plane, exchange.here[1], answers, **more)
        plane.line = office.line
        office.line.start()
        exchange.there = ("127.0.0.1", office.line.port)
        await registered(exchange)
        try:
            yield office, exchange
        finally:
            stopping = asyncio.ensure_future(office.line.stop(0))
            while not stopping.done():
                with contextlib.suppress(TimeoutError, AssertionError):  # some mirror what nobody can read
                    message = await exchange.hear(0.05)
                    if isinstance(message, sip.Request) and message.method != "ACK":
                        exchange.say(sip.write(sip.reply(message, 200)))
            await stopping
            await asyncio.wait_for(asyncio.gather(*office.tasks), 5)
        assert office.line.calls == 0 and plane.ports.out == 0


async def registered(exchange: Spoken) -> None:
    challenge = [("www-authenticate", 'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256')]
    exchange.say(sip.write(sip.reply(await exchange.request("REGISTER"), 401, challenge)))
    again = await exchange.request("REGISTER")
    assert "SHA-256" in (again.get("authorization") or "")
    exchange.say(sip.write(sip.reply(again, 200, [("expires", "600")])))


A_LAW_FIRST = OFFER.replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 127.0.0.1\r\nb=AS:64").replace(b"8 0 96", b"8 18 0 96 13")


async def test_a_law_first_is_answered_as_the_mu_law_that_is_sent(reactor, tmp_path):
    async with noted(reactor, tmp_path) as (office, exchange):
        exchange.say(exchange.make("INVITE", A_LAW_FIRST, more=("Record-Route: <sip:127.0.0.1;lr>",)))
        answer = await exchange.final()
        assert answer.status == 200 and b"RTP/AVP 0 96\r\n" in answer.body
        assert answer.all("record-route") == ["<sip:127.0.0.1;lr>"]
        exchange.say(exchange.make("ACK", to_tag=answer.to_tag or "", branch="ack"))
        await until(lambda: office.plane.of(media.Play))
        added = office.plane.of(media.Add)[0].media
        assert (added.law, added.event_type, added.peer) == ("pcmu", 96, ("127.0.0.1", 40000))
        office.legs[0].hang_up()
        bye = await exchange.request("BYE")
        assert bye.all("route") == ["<sip:127.0.0.1;lr>"] and bye.to_tag == "theirs"
        assert bye.via.branch != "z9hG4bKaone"
        exchange.say(sip.write(sip.reply(bye, 200)))
        await until(lambda: office.events == [HungUp("us")])


async def test_what_pyvoip_drops_is_answered(reactor, tmp_path):
    async with noted(reactor, tmp_path) as (office, exchange):
        tag = await exchange.connect()
        await until(lambda: office.plane.of(media.Play))
        relay = ("Content-Type: application/dtmf-relay",)
        exchange.say(exchange.make("INFO", b"Signal=5", tag, 2, "i", more=relay))
        assert (await exchange.final()).status == 200
        await until(lambda: Pressed("5") in office.events)
        for seq, method in enumerate(("OPTIONS", "UPDATE"), 3):
            exchange.say(exchange.make(method, to_tag=tag, seq=seq, branch=method))
            assert (await exchange.final()).status == 200
        exchange.say(exchange.make("OPTIONS", call="o"))
        assert (await exchange.final()).status == 200
        exchange.say(exchange.make("REFER", call="r"))
        assert (await exchange.final()).status == 603
        exchange.say(exchange.make("BYE", to_tag="wrong", seq=9, branch="w"))
        assert (await exchange.final()).status == 481
        exchange.say(exchange.make("BYE", to_tag=tag, seq=9, branch="b"))
        assert (await exchange.final()).status == 200
        await until(lambda: office.events[-1] == HungUp("caller"))


async def test_a_cancelled_call_is_not_answered(reactor, tmp_path):
    async with noted(reactor, tmp_path, answers=False) as (office, exchange):
        exchange.say(exchange.make("INVITE", OFFER))
        await until(lambda: office.legs)
        exchange.say(exchange.make("CANCEL"))
        assert {(await exchange.final()).status, (await exchange.final()).status} == {200, 487}
        exchange.say(exchange.make("ACK"))
        await until(lambda: office.events == [HungUp("caller")])
        assert not await office.legs[0].answer() and not office.plane.of(media.Add)


async def test_an_invite_again_and_a_re_invite_start_nothing_twice(reactor, tmp_path):
    async with noted(reactor, tmp_path) as (office, exchange):
        exchange.say(exchange.make("INVITE", OFFER))
        answer = await exchange.final()
        exchange.say(exchange.make("INVITE", OFFER))
        assert (await exchange.final()).body == answer.body and len(office.legs) == 1
        exchange.say(exchange.make("ACK", to_tag=answer.to_tag or "", branch="ack"))
        await until(lambda: office.plane.of(media.Play))
        held = OFFER.replace(b"a=sendrecv", b"a=sendonly")
        exchange.say(exchange.make("INVITE", held, to_tag=answer.to_tag or "", seq=2, branch="re"))
        while (again := await exchange.final()).seq != 2:
            pass
        assert again.status == 200 and b"a=recvonly" in again.body
        exchange.say(exchange.make("ACK", to_tag=answer.to_tag or "", seq=2, branch="ack2"))
        assert len(office.plane.of(media.Add)) == 1 and not office.plane.of(media.Change)[0].media.sending
        exchange.say(exchange.make("BYE", to_tag=answer.to_tag or "", seq=3, branch="b"))
        assert (await exchange.final()).status == 200


@pytest.mark.parametrize(
    ("body", "more", "status"),
    [(OFFER.replace(b"8 0 96", b"8 96"), (), 488), (b"", (), 488), (b"x", ("Content-Type: text/plain",), 415)],
)
async def test_a_call_it_cannot_speak_is_refused(reactor, tmp_path, body, more, status):
    async with noted(reactor, tmp_path) as (office, exchange):
        exchange.say(exchange.make("INVITE", body, more=more))
        assert (await exchange.final()).status == status and not office.legs


async def test_too_many_calls_and_strangers(reactor, tmp_path):
    async with noted(reactor, tmp_path, max_calls=1) as (office, exchange):
        await exchange.connect()
        exchange.say(exchange.make("INVITE", OFFER, call="b"))
        assert (await exchange.final()).status == 503
        with Socket(office.line.port, "127.0.0.9") as stranger:
            stranger.say(stranger.make("INVITE", OFFER))
            await until(lambda: office.line.counts["outside"] == 1)
            assert len(office.legs) == 1


async def test_every_torture_is_survived_and_the_next_call_taken(reactor, tmp_path, test_data):
    async with noted(reactor, tmp_path, answers=False) as (office, exchange):
        for file in sorted((test_data / "rfc4475").glob("*.dat")):
            exchange.say(file.read_bytes())
        exchange.say(exchange.make("INVITE", OFFER, call="after"))
        await until(lambda: any(leg.call_id.startswith("after@") for leg in office.legs))
        for leg in office.legs:
            leg.hang_up()


async def test_deny_is_busy(reactor, tmp_path):
    async with noted(reactor, tmp_path, answers=False) as (office, exchange):
        exchange.say(exchange.make("INVITE", OFFER))
        await until(lambda: office.legs)
        office.legs[0].hang_up()
        assert (await exchange.final()).status == 486
        exchange.say(exchange.make("ACK"))


# ---------------------------------------------------------------- with real sound, at a real exchange


@pytest.mark.peer
async def test_a_call_by_the_exchange_with_keys_a_recording_and_a_hang_up(reactor, tmp_path, sipp):
    (tmp_path / "say.wav").write_bytes(g711.write_wav(tone(1000, 1.2)))
    plane = Plane("127.0.0.1", 0, 0)
    with running(tmp_path / "exchange") as exchange:
        office = Office(reactor, tmp_path, plane, exchange.port)
        office.line.start()
        plane.start(office.line.on_events, asyncio.get_running_loop())
        try:
            await until(lambda: office.line.silent == [])
            status = await phone.call(
                f"sip:1888@127.0.0.1:{exchange.port}", "wait,1say#", tmp_path / "say.wav", tmp_path / "out.wav",
                reactor=reactor, caller="09120000000", stay=5, tell=lambda words: None,
            )  # fmt: skip
            assert status == phone.DONE
            await until(lambda: office.events and office.events[-1] == HungUp("us"))
            assert [event for event in office.events if isinstance(event, Pressed)] == [Pressed("1"), Pressed("#")]
            assert PlayedOut(1) in office.events and office.legs[0].number == "+989120000000"
            ended = next(event for event in office.events if isinstance(event, RecordEnded))
            assert ended.why == "key" and 1.0 < ended.seconds < 2.2
        finally:
            await office.line.stop(0)
            plane.stop()
            await asyncio.wait_for(asyncio.gather(*office.tasks), 5)
        await run(sipp, tmp_path, "busy_line", f"127.0.0.1:{exchange.port}")  # un-registered: 503
    assert share(g711.read_wav((tmp_path / "message.wav").read_bytes()), 1000) > 0.9
    assert share(g711.read_wav((tmp_path / "out.wav").read_bytes()), 400) > 0.9


# ---------------------------------------------------------------- as a line of the phone channel


SHORT = MAILBOX.replace("ivr.menu.record", "ivr.menu.goodbye")
TABLE = """
[phone.line.pbx]
kind = "pyvoip"
server = "192.0.2.5"
user = "1888"
bind = ["udp:127.0.0.1:0"]
max_calls = 20
"""


def read(text: str):
    document = positions.parse(text, "lines.toml")
    return site._lines(document.data["phone"], document.at("phone"))


def test_an_extension_is_read_from_its_table():
    [line] = read(TABLE).values()
    assert isinstance(line, Extension) and line.address() == ("127.0.0.1", 0) and line.menu("x") == "main"
    exchange = line.exchange()
    assert exchange.register and exchange.behind_pbx and exchange.far() == ("192.0.2.5", 5060, "udp")


@pytest.mark.parametrize(
    ("was", "now", "word"),
    [
        ('server = "192.0.2.5"\n', "", "missing-key"),
        ("max_calls = 20", "max_calls = 51", "out-of-range"),
        ("max_calls = 20", "per_second = 5", "unknown-key"),
        ('"udp:127.0.0.1:0"', '"tcp:127.0.0.1:0"', "bad-value"),
    ],
)
def test_a_faulty_extension_is_named(was, now, word):
    with pytest.raises(Faults) as found:
        read(TABLE.replace(was, now))
    assert [fault.word for fault in found.value.faults] == [word]


@pytest.mark.peer
async def test_the_walk_runs_on_an_extension_and_its_recording_is_a_ticket(opened, reactor, tmp_path):
    made, _, door = opened
    (tmp_path / "password").write_text(PASSWORD + "\n")
    (tmp_path / "say.wav").write_bytes(g711.write_wav(tone(1000, 2.5)))
    (tmp_path / "phone").mkdir()
    with running(tmp_path / "exchange") as exchange:
        table = {"kind": "pyvoip", "server": f"127.0.0.1:{exchange.port}", "user": "1888", "rtp": "0",
                 "password_file": str(tmp_path / "password"), "domain": "trunk.example.ir",
                 "bind": ["udp:127.0.0.1:0"], "numbers": {"*": "mailbox"}}  # fmt: skip
        known = gear(tmp_path / "phone", reactor, {"line": {"pbx": table}}, menus={"mailbox.toml": SHORT})
        ours = channel.make(known)
        await ours.start(door)
        try:
            await until(lambda: ours.health() == "up")
            status = await phone.call(
                f"sip:1888@127.0.0.1:{exchange.port}", "wait,say,hangup", tmp_path / "say.wav", reactor=reactor,
                caller="09120000000", tell=lambda line: None,
            )  # fmt: skip
            assert status == phone.DONE
            await until(lambda: ours.calls == 0, 20)
            [found] = await made.read(rows, ticket)
            assert (found["kind"], found["channel"]) == ("request", "phone")
        finally:
            await ours.stop(0)
