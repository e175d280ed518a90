"""Too much of everything: new calls, requests, noise, calls that are never acknowledged. Running calls go on."""

from __future__ import annotations

import contextlib

import pytest

from ivr.leg import HungUp, Pressed
from ivr.settings import Peer
from ivr.sip import message as sip
from tests.ivr.sip.house import Phone as Socket
from tests.ivr.sip.house import house as open_house
from tests.ivr.sip.still import OFFER, house, settle, until

PEERS = (Peer("a", allow=("127.0.0.1/32",)), Peer("b", allow=("127.0.0.2/32",)))


def statuses(phone) -> list[int]:
    """Final answers that wait to be read."""
    found = [sip.read(data) for data in phone.home.sent.pop(phone.peer, [])]
    return [each.status for each in found if isinstance(each, sip.Response) and each.status >= 200]


async def still_works(phone, tag: str) -> None:
    """A running call hears a key and ends as it should."""
    phone.home.sent[phone.peer].clear()
    relay = ("Content-Type: application/dtmf-relay",)
    phone.say(phone.make("INFO", b"Signal=5", tag, 2, "i2", more=relay))
    assert (await phone.final(0)).status == 200 and Pressed("5") in phone.home.events
    phone.say(phone.make("BYE", to_tag=tag, seq=3, branch="bye"))
    assert (await phone.final(0)).status == 200
    assert HungUp("caller") in phone.home.events


async def test_over_the_rate_of_a_source_another_one_still_gets_through():
    async with house(peer=PEERS, per_second=5, burst=10) as home, home.phone() as loud:
        for n in range(30):
            loud.say(loud.make("INVITE", OFFER, call=f"l{n}"))
        await until(lambda: home.line.calls == 10)
        assert statuses(loud).count(503) == 20
        other = home.phone("127.0.0.2")
        await still_works(other, await other.connect())


async def test_over_the_rate_of_all_everybody_waits():
    many = tuple(Peer(f"p{n}", allow=(f"127.0.0.{n}/32",)) for n in range(1, 9))
    async with house(peer=many, per_second=5, burst=10) as home:
        for n in range(1, 9):
            async with home.phone(f"127.0.0.{n}") as phone:
                for call in range(10):
                    phone.say(phone.make("INVITE", OFFER, call=f"{n}x{call}"))
        assert home.line.counts["503"] == 60 and home.line.calls == 20


async def test_when_nothing_can_be_stored_new_calls_are_sent_away_and_running_ones_go_on():
    busy = False
    async with house(is_busy=lambda: busy) as home, home.phone() as phone:
        tag = await phone.connect()
        busy = True
        phone.say(phone.make("INVITE", b"no description at all", call="b"))
        answer = await phone.final(0)  # 503 and not 488: its body was not read
        assert answer.status == 503 and 5 <= int(answer.get("retry-after") or 0) <= 15
        await still_works(phone, tag)


async def test_times_to_come_back_differ():
    async with house(max_calls=1) as home, home.phone() as phone:
        await phone.connect()
        times = set()
        for n in range(40):
            phone.say(phone.make("INVITE", OFFER, call=f"c{n}"))
            times.add((await phone.final(0)).get("retry-after"))
        assert len(times) > 4


@pytest.mark.parametrize("method", ["OPTIONS", "REGISTER", "SUBSCRIBE", "WINK", "MESSAGE"])
async def test_a_scanner_gets_sixty_answers_then_silence_while_calls_go_on(method):
    async with house() as home, home.phone() as phone:
        tag = await phone.connect()
        home.sent[phone.peer].clear()
        for n in range(500):
            phone.say(phone.make(method, call=f"s{n}", uri=f"sip:{n}@127.0.0.1"))
        assert len(statuses(phone)) == 60 and home.line.counts["scan"] == 440
        await still_works(phone, tag)
        await home.skip(1)
        phone.say(phone.make("OPTIONS", call="later"))
        assert (await phone.final(0)).status == 200


async def test_broken_messages_are_answered_no_more_often_than_that():
    async with house() as home, home.phone() as phone:
        for n in range(500):
            phone.say(phone.make("INVITE", OFFER, call=f"b{n}").replace(b"CSeq: 1 INVITE", b"CSeq: 1 BYE"))
        assert len(statuses(phone)) == 60 and not home.legs


async def test_requests_of_calls_we_do_not_have_are_limited_as_well():
    async with house() as home, home.phone() as phone:
        for n in range(500):
            phone.say(phone.make("BYE", to_tag="x", call=f"b{n}"))
        assert statuses(phone) == [481] * 60


async def test_ten_thousand_invites_in_a_second_hold_up_no_running_call():
    async with house(max_calls=50) as home, home.phone() as phone:
        tag = await phone.connect()
        for n in range(10_000):
            home.now += 0.0001
            phone.say(phone.make("INVITE", OFFER, call=f"f{n}"))
        assert home.line.counts["flood"] > 9_000 and 100 < home.line.counts["503"] < 700
        assert home.line.calls <= 50
        await still_works(phone, tag)


async def test_five_hundred_half_open_calls_end_by_themselves_and_give_everything_back():
    async with house(max_calls=200, per_second=1000, burst=1000) as home, home.phone() as phone:
        tag = await phone.connect()
        for n in range(500):
            phone.say(phone.make("INVITE", OFFER, call=f"h{n}"))
        await settle()
        found = statuses(phone)
        assert found.count(200) == 199 and found.count(503) == 301
        await home.skip(31)
        assert home.line.calls == 200  # all but one are sent their 200 again and again
        await home.skip(40)
        assert home.line.calls == 1 and home.plane.ports.out == 1
        await still_works(phone, tag)
        await home.skip(40)
        assert home.plane.ports.out == 0 and len(home.line._transactions) == 0


@pytest.mark.slow
async def test_a_real_burst_of_ten_thousand_invites_and_a_call_goes_on(reactor):
    async with open_house(reactor, max_calls=50) as home:
        with Socket(home.line.port) as phone, Socket(home.line.port, "127.0.0.3") as loud:
            tag = await phone.connect()
            loud.sock.setblocking(True)
            for n in range(10_000):
                loud.say(loud.make("INVITE", OFFER, call=f"f{n}"))
            for _ in range(20):  # as a telephone does: the kernel's buffer was full of INVITEs
                phone.say(phone.make("BYE", to_tag=tag, seq=2, branch="bye"))
                with contextlib.suppress(TimeoutError):
                    assert (await phone.final(0.5)).status == 200
                    break
            await settle()
            assert home.events == [HungUp("caller")] and home.line.calls <= 50
            for leg in home.legs:
                leg.hang_up()
