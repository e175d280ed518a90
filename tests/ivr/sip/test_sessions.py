"""Session timers, row by row: what is agreed on, who refreshes, what silence leads to; offers that cross."""

from __future__ import annotations

import pytest

from ivr.leg import HungUp
from ivr.media import messages as media
from ivr.sip import message as sip
from ivr.sip.session import Session, answered, longer
from tests.ivr.sip.still import OFFER, house, until
from tests.ivr.sip.test_outgoing import far_end, ok
from tests.ivr.sip.test_transaction import asked

TIMER = "Supported: timer"
UPDATES = "Allow: INVITE, ACK, BYE, UPDATE"


async def test_a_session_shorter_than_ninety_seconds_is_refused_with_the_least():
    async with house() as home, home.phone() as phone:
        phone.say(phone.make("INVITE", OFFER, more=(TIMER, "Session-Expires: 89")))
        answer = await phone.final()
        assert (answer.status, answer.get("min-se")) == (422, "90")
        assert not home.legs and home.plane.ports.out == 0


@pytest.mark.parametrize(
    ("more", "told", "required"),
    [
        ((), "1800;refresher=uas", None),
        ((TIMER,), "1800;refresher=uac", "timer"),
        ((TIMER, "x: 600"), "600;refresher=uac", "timer"),
        ((TIMER, "Session-Expires: 600;refresher=uas"), "600;refresher=uas", None),
        ((TIMER, "Session-Expires: 7200"), "1800;refresher=uac", "timer"),
        ((TIMER, "Session-Expires: 7200", "Min-SE: 3600"), "3600;refresher=uac", "timer"),
        (("Session-Expires: 600;refresher=uac",), "600;refresher=uas", None),
        ((TIMER, "Session-Expires: soon"), "1800;refresher=uac", "timer"),
    ],
)
async def test_the_refresher_is_as_asked_else_theirs_if_they_can_else_ours(more, told, required):
    async with house() as home, home.phone() as phone:
        phone.say(phone.make("INVITE", OFFER, more=more))
        answer = await phone.final()
        assert (answer.get("session-expires"), answer.get("require")) == (told, required)


async def test_a_session_that_they_do_not_refresh_ends_before_it_expires():
    async with house() as home, home.phone() as phone:
        tag = await phone.connect(more=(TIMER, "Session-Expires: 90"))
        await home.skip(59)  # of 90, a third is left
        assert await phone.silence(0)
        phone.say(phone.make("UPDATE", to_tag=tag, seq=2, branch="u", more=(TIMER, "Session-Expires: 90")))
        assert (await phone.final()).get("session-expires") == "90;refresher=uac"
        bye = await phone.request("BYE", 61)
        phone.say(sip.write(sip.reply(bye, 200)))
        await until(lambda: home.events == [HungUp("expired")])


async def test_a_long_session_ends_32_seconds_before_it_expires():
    async with house(max_call=86_400) as home, home.phone() as phone:
        await phone.connect(more=(TIMER, "Session-Expires: 300"))
        began = home.now
        await phone.request("BYE", 300)
        assert 267 < home.now - began < 269


async def test_we_refresh_at_half_by_update_where_they_take_it():
    async with house() as home, home.phone() as phone:
        await phone.connect(more=(TIMER, UPDATES, "Session-Expires: 100;refresher=uas"))
        began = home.now
        for turn in (1, 2):
            update = await phone.request("UPDATE", 60)
            assert update.get("session-expires") == "100;refresher=uac" and not update.body
            phone.say(sip.write(sip.reply(update, 200, [("session-expires", "100;refresher=uac")])))
            assert 49 * turn < home.now - began < 51 * turn + 1
        await until(lambda: home.line.calls == 1)


async def test_we_refresh_by_re_invite_where_they_know_no_update():
    async with house() as home, home.phone() as phone:
        await phone.connect(more=("Allow: INVITE, BYE", "Session-Expires: 100;refresher=uas"))
        again = await phone.request("INVITE", 60)
        assert b"m=audio 30000 RTP/AVP 8 0 101" in again.body and again.to_tag == "theirs"
        answer = OFFER.replace(b"8 0 96", b"8 101").replace(b"rtpmap:96", b"rtpmap:101").replace(b"40000", b"40002")
        ok_ = sip.reply(
            again, 200, [("contact", "<sip:new@127.0.0.1>"), ("session-expires", "100;refresher=uac")], answer
        )
        phone.say(sip.write(ok_))
        ack = await phone.request("ACK")
        assert (ack.seq, ack.body) == (again.seq, b"")
        assert home.plane.of(media.Change)[-1].media.peer == ("127.0.0.1", 40002)
        phone.say(sip.write(ok_))  # the ACK was lost
        assert (await phone.request("ACK")).seq == again.seq
        home.legs[0].hang_up()
        assert (await phone.request("BYE")).uri == "sip:new@127.0.0.1"


async def test_an_update_they_do_not_know_after_all_becomes_a_re_invite():
    async with house() as home, home.phone() as phone:
        await phone.connect(more=(UPDATES, "Session-Expires: 100;refresher=uas"))
        phone.say(sip.write(sip.reply(await phone.request("UPDATE", 60), 405)))
        assert (await phone.request("INVITE")).body
        assert home.line.calls == 1


async def test_offers_that_cross_ours_gets_491_and_comes_again():
    async with house() as home, home.phone() as phone:
        tag = await phone.connect(more=("Session-Expires: 100;refresher=uas",))
        ours = await phone.request("INVITE", 60)
        phone.say(phone.make("INVITE", OFFER, to_tag=tag, seq=2, branch="cross"))
        assert (await phone.final()).status == 491
        phone.say(phone.make("UPDATE", OFFER, to_tag=tag, seq=3, branch="crossu"))
        assert (await phone.final()).status == 491
        phone.say(sip.write(sip.reply(ours, 491)))
        assert (await phone.request("ACK")).via.branch == ours.via.branch
        again = await phone.request("INVITE", 2.5)  # the Call-ID is theirs: within 2 s
        assert again.seq == ours.seq + 1 and home.line.calls == 1


async def test_a_refresh_that_finds_nobody_ends_the_call():
    async with house() as home, home.phone() as phone:
        await phone.connect(more=(UPDATES, "Session-Expires: 100;refresher=uas"))
        phone.say(sip.write(sip.reply(await phone.request("UPDATE", 60), 481)))
        await phone.request("BYE")
        await until(lambda: home.events == [HungUp("expired")])


async def test_a_refresh_that_is_refused_is_tried_again_and_a_422_obeyed():
    async with house() as home, home.phone() as phone:
        await phone.connect(more=(UPDATES, "Session-Expires: 200;refresher=uas"))
        phone.say(sip.write(sip.reply(await phone.request("UPDATE", 110), 500)))
        again = await phone.request("UPDATE", 11)
        phone.say(sip.write(sip.reply(again, 422, [("min-se", "400")])))
        assert (await phone.request("UPDATE")).get("session-expires") == "400;refresher=uac"
        assert home.line.calls == 1


async def test_our_call_offers_a_timer_obeys_422_and_refreshes():
    async with far_end() as (home, phone, task, invite):
        assert invite.all("supported") == ["timer"]
        assert (invite.get("session-expires"), invite.get("min-se")) == ("1800", "90")
        phone.say(sip.write(sip.reply(invite, 422, [("min-se", "3600")], tag="far")))
        await phone.request("ACK")
        again = await phone.request("INVITE")
        assert (again.seq, again.get("session-expires"), again.get("min-se")) == (invite.seq + 1, "3600", "3600")
        agreed = [("allow", "UPDATE"), ("session-expires", "3600;refresher=uac"), ("contact", "<sip:far@127.0.0.1>")]
        phone.say(sip.write(sip.reply(again, 200, agreed, sip.read(ok(invite)).body, "far")))
        leg = await task
        leg._over_at = None  # the longest call is shorter than that
        await phone.request("ACK")
        assert (await phone.request("UPDATE", 1801)).to_tag == "far"
        leg.hang_up()
        assert home.line.calls == 1


async def test_our_call_ends_when_they_do_not_refresh_though_they_said_so():
    async with far_end() as (_home, phone, task, invite):
        agreed = [("session-expires", "90;refresher=uas"), ("contact", "<sip:far@127.0.0.1>")]
        phone.say(sip.write(sip.reply(invite, 200, agreed, sip.read(ok(invite)).body, "far")))
        leg = await task
        await phone.request("BYE", 61)
        assert [event async for event in leg.events()] == [HungUp("expired")]


@pytest.mark.parametrize(
    ("value", "session"),
    [("600;refresher=uas", Session(600, False)), ("600", Session(600, True)), ("7;refresher=uac", Session(90, True)),
     ("", None), ("-1", None), ("99999999999", None)],
)  # fmt: skip
def test_what_an_answer_says_of_time(value, session):
    assert answered(sip.reply(asked(), 200, [("session-expires", value)] if value else [])) == session


@pytest.mark.parametrize(
    ("value", "seconds"), [("400", 400), ("400;x", 400), ("", None), ("x", None), ("9" * 9, 86_400)]
)
def test_what_a_422_asks_for(value, seconds):
    assert longer(sip.reply(asked(), 422, [("min-se", value)] if value else [])) == seconds
