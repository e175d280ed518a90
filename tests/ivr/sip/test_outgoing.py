"""Calls of ours to a far end that answers by hand, without sockets: what each answer leads to."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from core.channels import Refused, TryLater
from ivr.leg import HungUp
from ivr.media import messages as media
from ivr.sip import message as sip
from ivr.sip.leg import SipLeg
from ivr.sip.outgoing import NotReached, Wanted
from tests.ivr.sip.still import OFFER, house, until

ANSWER = OFFER.replace(b"8 0 96", b"8 101").replace(b"rtpmap:96", b"rtpmap:101")


@contextlib.asynccontextmanager
async def far_end(ring=5.0, **who):
    """Our line calling a bare socket: (home, phone, task of the call, its INVITE)."""
    async with house() as home:
        with home.phone() as phone:
            wanted = Wanted(f"sip:09120000000@127.0.0.1:{phone.here[1]}", phone.here, ring=ring, **who)
            task = asyncio.ensure_future(home.line.call(wanted))
            invite = await phone.request("INVITE")
            yield home, phone, task, invite
            if not task.done():
                task.cancel()
        await until(lambda: home.plane.ports.out == home.line.calls)


def ok(invite, tag="far", body=ANSWER):
    return sip.write(sip.reply(invite, 200, [("contact", "<sip:far@127.0.0.1>")], body, tag))


async def test_a_call_rings_is_answered_and_ended_by_them():
    async with far_end() as (home, phone, task, invite):
        assert b"RTP/AVP 8 0 101" in invite.body
        phone.say(sip.write(sip.reply(invite, 180, tag="far")))
        phone.say(ok(invite))
        ack = await phone.request("ACK")
        assert (ack.seq, ack.to_tag, ack.uri) == (invite.seq, "far", "sip:far@127.0.0.1")
        leg = await task
        assert isinstance(leg, SipLeg) and await leg.answer()
        added = home.plane.of(media.Add)[0].media
        assert (added.law, added.peer, added.event_type) == ("pcma", ("127.0.0.1", 40000), 101)
        leg.send_keys("12;#")
        assert home.plane.of(media.SendKeys) == [media.SendKeys(leg.row, "12#")]
        phone.say(ok(invite))  # our ACK was lost: it comes again
        assert (await phone.request("ACK")).via.branch == ack.via.branch
        bye = phone.make("BYE", to_tag=invite.from_tag, seq=1, call="z").decode()
        bye = bye.replace("Call-ID: z@127.0.0.1", f"Call-ID: {invite.call_id}").replace("tag=theirs", "tag=far")
        phone.say(bye.encode())
        assert (await phone.final()).status == 200
        assert [event async for event in leg.events()] == [HungUp("caller")]


async def test_we_hang_up():
    async with far_end() as (home, phone, task, invite):
        phone.say(ok(invite))
        leg = await task
        assert isinstance(leg, SipLeg)
        leg.hang_up()
        bye = await phone.request("BYE")
        assert bye.seq == invite.seq + 1
        phone.say(sip.write(sip.reply(bye, 200)))
        assert [event async for event in leg.events()] == [HungUp("us")]
        assert home.line.calls == 0


OUTCOMES = [
    (302, Refused("redirected")), (401, Refused("sip 401")), (403, Refused("forbidden")), (410, Refused("gone")),
    (404, Refused("no such number")), (604, Refused("no such number")), (603, Refused("declined")),
    (408, TryLater("no answer")), (480, TryLater("unavailable")), (486, TryLater("busy")),
    (600, TryLater("busy everywhere")), (500, TryLater("sip 500")),
]  # fmt: skip


@pytest.mark.parametrize(("status", "outcome"), OUTCOMES)
async def test_each_refusal_is_acknowledged_and_has_its_outcome(status, outcome):
    async with far_end() as (_home, phone, task, invite):
        phone.say(sip.write(sip.reply(invite, status, tag="far")))
        assert (await phone.request("ACK")).via.branch == invite.via.branch
        result = await task
        assert isinstance(result, NotReached) and (result.status, result.outcome) == (status, outcome)


async def test_a_challenge_is_answered_once():
    async with far_end(user="pasokh", password="رمز") as (_home, phone, task, invite):
        asks = [("proxy-authenticate", 'Digest realm="trunk", nonce="n1", qop="auth", algorithm=SHA-256')]
        phone.say(sip.write(sip.reply(invite, 407, asks, tag="far")))
        again = await phone.request("INVITE")
        assert (again.seq, again.call_id, again.from_tag) == (invite.seq + 1, invite.call_id, invite.from_tag)
        assert again.via.branch != invite.via.branch and "SHA-256" in (again.get("proxy-authorization") or "")
        phone.say(sip.write(sip.reply(again, 407, asks, tag="far2")))
        result = await task
        assert isinstance(result, NotReached) and result.status == 407


async def test_ringing_too_long_is_cancelled_after_it_rang():
    async with far_end(ring=0.3) as (_home, phone, task, invite):
        phone.say(sip.write(sip.reply(invite, 180, tag="far")))
        cancel = await phone.request("CANCEL")
        assert (cancel.via.branch, cancel.seq, cancel.to_tag) == (invite.via.branch, invite.seq, None)
        phone.say(sip.write(sip.reply(cancel, 200)))
        phone.say(sip.write(sip.reply(invite, 487, tag="far")))
        await phone.request("ACK")
        result = await task
        assert isinstance(result, NotReached) and result.outcome == TryLater("no answer")


async def test_a_cancel_waits_for_the_first_sign_of_life():
    async with far_end(ring=0.2) as (home, phone, task, invite):
        await home.skip(0.3)
        assert isinstance(await task, NotReached)
        phone.say(sip.write(sip.reply(invite, 100)))
        cancel = await phone.request("CANCEL")
        phone.say(sip.write(sip.reply(cancel, 200)))
        phone.say(sip.write(sip.reply(invite, 487, tag="far")))
        await phone.request("ACK")


async def test_an_answer_that_crosses_the_cancel_is_acknowledged_and_ended():
    async with far_end(ring=0.2) as (home, phone, task, invite):
        phone.say(sip.write(sip.reply(invite, 180, tag="far")))
        await phone.request("CANCEL")
        phone.say(ok(invite))
        await phone.request("ACK")
        bye = await phone.request("BYE")
        phone.say(sip.write(sip.reply(bye, 200)))
        assert isinstance(await task, NotReached) and home.line.calls == 0


async def test_a_second_fork_is_acknowledged_and_ended():
    async with far_end() as (home, phone, task, invite):
        phone.say(ok(invite, "one"))
        assert (await phone.request("ACK")).to_tag == "one"
        assert isinstance(await task, SipLeg)
        phone.say(ok(invite, "two"))
        assert (await phone.request("ACK")).to_tag == "two"
        bye = await phone.request("BYE")
        assert bye.to_tag == "two" and home.line.calls == 1
        phone.say(sip.write(sip.reply(bye, 200)))


async def test_an_answer_without_a_common_codec_is_ended():
    async with far_end() as (_home, phone, task, invite):
        phone.say(ok(invite, body=ANSWER.replace(b"8 101", b"18")))
        await phone.request("ACK")
        bye = await phone.request("BYE")
        phone.say(sip.write(sip.reply(bye, 200)))
        result = await task
        assert isinstance(result, NotReached) and result.status == 488


async def test_early_sound_is_heard_and_nothing_is_sent_there_before_the_answer():
    rows: list[int] = []
    async with house() as home, home.phone() as phone:
        wanted = Wanted(f"sip:130@127.0.0.1:{phone.here[1]}", phone.here)
        task = asyncio.ensure_future(home.line.call(wanted, early=rows.append))
        invite = await phone.request("INVITE")
        for _ in range(2):  # a repeat begins nothing anew
            phone.say(sip.write(sip.reply(invite, 183, [("contact", "<sip:far@127.0.0.1>")], ANSWER, "far")))
        await until(lambda: rows)
        [heard] = home.plane.of(media.Add)
        assert (heard.media.row, heard.media.sending, heard.media.receiving) == (rows[0], False, True)
        assert (heard.media.peer, heard.media.law) == (("127.0.0.1", 40000), "pcma")
        phone.say(ok(invite))
        leg = await task
        assert isinstance(leg, SipLeg) and leg.row == rows[0]
        [both] = home.plane.of(media.Change)
        assert (both.media.row, both.media.sending) == (rows[0], True)
        leg.hang_up()
        assert [event async for event in leg.events()] == [HungUp("us")]
    assert len(rows) == 1 and home.plane.ports.out == 0


@pytest.mark.parametrize("end", ["refused", "cancelled"])
async def test_early_sound_without_an_answer_gives_its_row_back(end):
    rows: list[int] = []
    async with house() as home, home.phone() as phone:
        wanted = Wanted(f"sip:130@127.0.0.1:{phone.here[1]}", phone.here)
        task = asyncio.ensure_future(home.line.call(wanted, early=rows.append))
        invite = await phone.request("INVITE")
        phone.say(sip.write(sip.reply(invite, 183, (), ANSWER, "far")))
        await until(lambda: rows)
        if end == "refused":
            phone.say(sip.write(sip.reply(invite, 486, tag="far")))
            assert isinstance(await task, NotReached)
        else:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await phone.request("CANCEL")
        assert home.plane.of(media.Drop) == [media.Drop(rows[0], "us")] and home.plane.ports.out == 0


@pytest.mark.parametrize("body", [b"", b"nonsense", ANSWER])
async def test_a_183_without_usable_sound_or_with_nobody_to_hear_it_is_ringing(body):
    async with far_end() as (home, phone, task, invite):
        phone.say(sip.write(sip.reply(invite, 183, (), body, "far")))
        await phone.silence()
        assert not home.plane.of(media.Add)
        phone.say(ok(invite))
        assert isinstance(await task, SipLeg)
