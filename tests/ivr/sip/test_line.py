"""What comes into the SIP line and what we do, row by row: no sockets, a clock moved by hand."""

from __future__ import annotations

import asyncio

import pytest

from ivr.leg import HungUp, Pressed
from ivr.media import messages as media
from ivr.settings import Peer
from ivr.sip import message as sip
from tests.ivr.sip.still import OFFER, house, until


async def test_a_caller_hears_the_line_and_hangs_up():
    async with house() as home:
        with home.phone() as phone:
            phone.say(phone.make("INVITE", OFFER))
            first = await phone.hear()
            assert first.status == 100
            answer = await phone.final()
            assert answer.status == 200 and b"m=audio 30000 RTP/AVP 8 96" in answer.body
            phone.say(phone.make("ACK", to_tag=answer.to_tag, branch="ack"))
            await until(lambda: home.answered)
            added = home.plane.of(media.Add)[0].media
            assert (added.law, added.peer, added.event_type, added.port) == ("pcma", ("127.0.0.1", 40000), 96, 30000)
            phone.say(phone.make("BYE", to_tag=answer.to_tag, seq=2, branch="bye"))
            assert (await phone.final()).status == 200
            await until(lambda: home.events == [HungUp("caller")])
            await until(lambda: home.line.calls == 0)
            assert home.plane.ports.out == 0
            assert home.legs[0].number == "+989120000000" and not home.legs[0].asserted


async def test_a_stranger_meets_silence_and_is_counted():
    async with house(peer=(Peer("trunk", allow=("127.0.0.1/32",)),)) as home:
        with home.phone("127.0.0.2") as scanner:
            scanner.say(scanner.make("OPTIONS"))
            scanner.say(scanner.make("INVITE", OFFER))
            await until(lambda: home.line.counts["outside"] == 2)
            assert await scanner.silence() and not home.legs


async def test_options_tells_what_we_take_and_503_when_draining():
    async with house() as home:
        with home.phone() as phone:
            phone.say(phone.make("OPTIONS"))
            answer = await phone.final()
            assert (
                answer.status == 200 and "INVITE" in answer.all("allow") and answer.get("accept") == "application/sdp"
            )
            home.line.draining = True
            phone.say(phone.make("OPTIONS", branch="two", call="b"))
            assert (await phone.final()).status == 503


REFUSALS = [
    ("REGISTER", {}, 405), ("SUBSCRIBE", {}, 405), ("PUBLISH", {}, 405), ("WINK", {}, 501), ("REFER", {}, 603),
    ("INVITE", {"uri": "soap.beep://x"}, 416), ("INVITE", {"hops": 0}, 483), ("BYE", {}, 481), ("INFO", {}, 481),
    ("CANCEL", {}, 481), ("BYE", {"to_tag": "wrong"}, 481), ("INVITE", {"to_tag": "wrong"}, 481),
    ("INVITE", {"more": ("Require: 100rel, replaces",)}, 420), ("INVITE", {"body": b"hi"}, 488),
    ("INVITE", {"body": b"<x/>", "more": ("Content-Type: text/xml",)}, 415),
    ("INVITE", {"uri": "sip:9@127.0.0.1"}, 404), ("INVITE", {"hops": -1}, 400),
]  # fmt: skip


@pytest.mark.parametrize(("method", "changes", "status"), REFUSALS)
async def test_a_request_that_breaks_a_rule_gets_its_answer(method, changes, status):
    async with house(numbers={"1888": "main"}) as home:
        with home.phone() as phone:
            phone.say(phone.make(method, **changes))
            answer = await phone.final()
            assert answer.status == status
            if status == 420:
                assert answer.get("unsupported") == "100rel, replaces"
            if status in (405, 501):
                assert "INVITE" in answer.all("allow")
            assert home.plane.ports.out == 0 and not home.legs


async def test_a_g729_only_caller_is_told_so():
    async with house() as home:
        with home.phone() as phone:
            phone.say(phone.make("INVITE", OFFER.replace(b"8 0 96", b"18 96")))
            answer = await phone.final()
            assert answer.status == 488 and (answer.get("warning") or "").startswith("305")
            assert home.plane.ports.out == 0


async def test_the_same_invite_again_gets_the_same_200_and_no_second_call():
    async with house() as home:
        with home.phone() as phone:
            phone.say(phone.make("INVITE", OFFER))
            answer = await phone.final()
            phone.say(phone.make("INVITE", OFFER))
            await phone.final()
            assert phone.raw[-1] == phone.raw[-2] and len(home.legs) == 1
            phone.say(phone.make("ACK", to_tag=answer.to_tag, branch="ack"))
            await until(lambda: home.answered)


async def test_the_200_is_repeated_until_its_ack():
    async with house() as home:
        with home.phone() as phone:
            phone.say(phone.make("INVITE", OFFER))
            answer = await phone.final()
            began = home.now
            await phone.final()
            assert 0.4 < home.now - began < 0.9 and phone.raw[-1] == phone.raw[-2]
            phone.say(phone.make("ACK", to_tag=answer.to_tag, branch="ack"))
            await until(lambda: home.answered)
            assert await phone.silence(1.3)


async def test_an_ack_with_a_made_up_tag_counts_when_it_repeats_the_branch_of_its_invite():
    async with house() as home:
        with home.phone() as phone:
            phone.say(phone.make("INVITE", OFFER))
            assert (await phone.final()).status == 200
            phone.say(phone.make("ACK", to_tag="made-up", branch="other"))
            phone.say(phone.make("ACK", to_tag="made-up"))
            await until(lambda: home.answered)
            assert await phone.silence(0.8)


async def test_without_any_ack_the_same_200_goes_on_for_32_seconds_then_bye():
    async with house() as home:
        with home.phone() as phone:
            phone.say(phone.make("INVITE", OFFER))
            await phone.final()
            await home.skip(33)
            bye = await phone.request("BYE")
            assert len([raw for raw in phone.raw if raw == phone.raw[1]]) >= 9
            phone.say(sip.write(sip.reply(bye, 200)))
            await until(lambda: home.events == [HungUp("no_ack")])
            assert home.answered is False


async def test_a_call_that_lasts_too_long_is_ended():
    async with house(max_call=60) as home:
        with home.phone() as phone:
            await phone.connect()
            await until(lambda: home.answered)
            await home.skip(61)
            bye = await phone.request("BYE")
            phone.say(sip.write(sip.reply(bye, 200)))
            await until(lambda: home.events == [HungUp("too_long")])


async def test_hanging_up_before_the_answer_is_busy():
    async with house(answers=False) as home:
        with home.phone() as phone:
            phone.say(phone.make("INVITE", OFFER))
            await until(lambda: home.legs)
            home.legs[0].hang_up()
            assert (await phone.final()).status == 486
            phone.say(phone.make("ACK"))
            await until(lambda: home.events == [HungUp("us")] and home.line.calls == 0)


async def test_hanging_up_right_after_the_answer_waits_for_the_ack():
    async with house() as home:
        with home.phone() as phone:
            phone.say(phone.make("INVITE", OFFER))
            answer = await phone.final()
            home.legs[0].hang_up()
            assert await phone.silence()
            phone.say(phone.make("ACK", to_tag=answer.to_tag, branch="ack"))
            bye = await phone.request("BYE")
            phone.say(sip.write(sip.reply(bye, 200)))
            await until(lambda: home.line.calls == 0 and home.events == [HungUp("us")])


async def test_update_refreshes_and_may_change_the_media():
    async with house() as home:
        with home.phone() as phone:
            tag = await phone.connect()
            phone.say(phone.make("UPDATE", to_tag=tag, seq=2, branch="u2"))
            assert (await phone.final()).status == 200 and not home.plane.of(media.Change)
            phone.say(phone.make("UPDATE", OFFER.replace(b"40000", b"40002"), to_tag=tag, seq=3, branch="u3"))
            assert b"m=audio 30000" in (await phone.final()).body
            assert home.plane.of(media.Change)[0].media.peer == ("127.0.0.1", 40002)


async def test_a_second_re_invite_while_one_is_pending_is_told_to_come_back():
    async with house() as home:
        with home.phone() as phone:
            tag = await phone.connect()
            await until(lambda: home.answered)
            phone.say(phone.make("INVITE", OFFER, to_tag=tag, seq=2, branch="r2"))
            assert (await phone.final()).status == 200
            phone.say(phone.make("INVITE", OFFER, to_tag=tag, seq=3, branch="r3"))
            answer = await phone.final()
            assert answer.status == 500 and 0 <= int(answer.get("retry-after") or 99) <= 10


async def test_the_sdp_of_a_multipart_is_found():
    body = (
        b"--x\r\nContent-Type: text/plain\r\n\r\nhi\r\n--x\r\nContent-Type: application/sdp\r\n\r\n" + OFFER + b"--x--"
    )
    async with house() as home:
        with home.phone() as phone:
            phone.say(phone.make("INVITE", body, more=("Content-Type: multipart/mixed;boundary=x",)))
            assert (await phone.final()).status == 200
            assert home.plane.of(media.Add)[0].media.peer == ("127.0.0.1", 40000)


async def test_a_bye_before_the_answer_ends_the_call():
    async with house(answers=False) as home:
        with home.phone() as phone:
            phone.say(phone.make("INVITE", OFFER))
            await until(lambda: home.legs)
            tag = home.legs[0].dialog.local_tag
            phone.say(phone.make("BYE", to_tag=tag, seq=2, branch="bye"))
            assert {(await phone.final()).status, (await phone.final()).status} == {200, 487}
            await until(lambda: home.line.calls == 0 and home.events == [HungUp("caller")])


async def test_the_same_call_by_another_way_is_a_loop():
    async with house() as home:
        with home.phone() as phone:
            phone.say(phone.make("INVITE", OFFER))
            await phone.final()
            phone.say(phone.make("INVITE", OFFER, branch="other"))
            assert (await phone.final()).status == 482 and len(home.legs) == 1


async def test_cancel_ends_a_call_that_was_not_answered():
    async with house(answers=False) as home:
        with home.phone() as phone:
            phone.say(phone.make("INVITE", OFFER))
            assert (await phone.hear()).status == 100
            phone.say(phone.make("CANCEL"))
            answers = {(await phone.final()).status, (await phone.final()).status}
            assert answers == {200, 487}
            phone.say(phone.make("ACK"))
            await until(lambda: home.events == [HungUp("caller")])
            assert home.plane.ports.out == 0 and not await home.legs[0].answer()
            await until(lambda: home.line.calls == 0)


async def test_cancel_after_the_answer_changes_nothing():
    async with house() as home:
        with home.phone() as phone:
            tag = await phone.connect()
            phone.say(phone.make("CANCEL"))
            assert (await phone.final()).status == 200
            assert await phone.silence() and home.line.calls == 1
            phone.say(phone.make("BYE", to_tag=tag, seq=2, branch="bye"))
            assert (await phone.final()).status == 200


async def test_a_low_sequence_number_gets_500_and_the_call_goes_on():
    async with house() as home:
        with home.phone() as phone:
            tag = await phone.connect(seq=5)
            phone.say(phone.make("BYE", to_tag=tag, seq=4, branch="bye"))
            assert (await phone.final()).status == 500 and home.line.calls == 1


async def test_hold_and_back():
    async with house() as home:
        with home.phone() as phone:
            tag = await phone.connect()
            wanted = [(b"a=sendonly", b"a=recvonly"), (b"a=inactive", b"a=inactive"), (b"a=sendrecv", b"a=sendrecv")]
            for seq, (theirs, ours) in enumerate(wanted, 2):
                body = OFFER.replace(b"a=sendrecv", theirs)
                phone.say(phone.make("INVITE", body, to_tag=tag, seq=seq, branch=f"hold{seq}"))
                answer = await phone.final()
                assert answer.status == 200 and ours in answer.body
                phone.say(phone.make("ACK", to_tag=tag, seq=seq, branch=f"ack{seq}"))
                await until(lambda: home.legs[0].dialog.unacked is None)
            changes = [(c.media.sending, c.media.receiving) for c in home.plane.of(media.Change)]
            assert changes == [(False, True), (False, False), (True, True)]
            held = OFFER.replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 0.0.0.0")
            phone.say(phone.make("INVITE", held, to_tag=tag, seq=9, branch="old"))
            assert b"a=recvonly" in (await phone.final()).body
            assert home.plane.of(media.Change)[-1].media.peer is None


async def test_a_useless_re_invite_gets_488_and_the_call_goes_on():
    async with house() as home:
        with home.phone() as phone:
            tag = await phone.connect()
            phone.say(phone.make("INVITE", OFFER.replace(b"8 0", b"18 4"), to_tag=tag, seq=2, branch="re"))
            assert (await phone.final()).status == 488
            phone.say(phone.make("ACK", to_tag=tag, seq=2, branch="re"))
            phone.say(phone.make("BYE", to_tag=tag, seq=3, branch="bye"))
            assert (await phone.final()).status == 200


async def test_an_invite_without_offer_is_offered_one():
    async with house() as home:
        with home.phone() as phone:
            phone.say(phone.make("INVITE"))
            answer = await phone.final()
            assert b"RTP/AVP 8 0 101" in answer.body
            phone.say(phone.make("ACK", OFFER.replace(b"8 0 96", b"0"), to_tag=answer.to_tag, branch="ack"))
            await until(lambda: home.answered)
            assert home.plane.of(media.Add)[0].media.law == "pcmu"


async def test_an_offer_of_ours_without_an_answer_is_bye():
    async with house() as home:
        with home.phone() as phone:
            phone.say(phone.make("INVITE"))
            answer = await phone.final()
            phone.say(phone.make("ACK", to_tag=answer.to_tag, branch="ack"))
            assert (await phone.request("BYE")).to_tag == "theirs"
            await until(lambda: home.answered is False)


async def test_keys_by_info_count_until_a_telephone_event_came():
    async with house() as home:
        with home.phone() as phone:
            tag = await phone.connect()
            relay = ("Content-Type: application/dtmf-relay",)
            phone.say(phone.make("INFO", b"Signal=5\r\nDuration=160", tag, 2, "i2", more=relay))
            assert (await phone.final()).status == 200
            await until(lambda: home.events == [Pressed("5")])
            home.plane.tell(media.KeySeen(home.legs[0].row, "7"))
            phone.say(phone.make("INFO", b"Signal=7", tag, 3, "i3", more=relay))
            assert (await phone.final()).status == 200
            phone.say(phone.make("INFO", b"hello", tag, 4, "i4", more=("Content-Type: text/plain",)))
            assert (await phone.final()).status == 415
            assert home.events == [Pressed("5"), Pressed("7")]


async def test_a_call_without_sound_ends_with_bye_after_its_recording():
    async with house() as home:
        with home.phone() as phone:
            await phone.connect()
            await until(lambda: home.answered)
            home.plane.tell(media.Lost(home.legs[0].row))
            bye = await phone.request("BYE")
            phone.say(sip.write(sip.reply(bye, 200)))
            await until(lambda: home.events == [HungUp("no_media")])


async def test_over_max_calls_is_503_and_running_calls_are_untouched():
    async with house(max_calls=1) as home:
        with home.phone() as phone:
            tag = await phone.connect()
            phone.say(phone.make("INVITE", OFFER, call="b"))
            answer = await phone.final()
            assert answer.status == 503 and 5 <= int(answer.get("retry-after") or 0) <= 15
            phone.say(phone.make("ACK", call="b", to_tag=answer.to_tag or ""))
            phone.say(phone.make("BYE", to_tag=tag, seq=2, branch="bye"))
            assert (await phone.final()).status == 200


async def test_over_the_rate_and_without_ports_is_503():
    async with house(burst=3, per_second=1) as home:
        with home.phone() as phone:
            statuses = []
            for call in "abcde":
                phone.say(phone.make("INVITE", OFFER, call=call))
                statuses.append((await phone.final()).status)
            assert statuses == [200, 200, 200, 503, 503]
    async with house(room=0) as home:
        with home.phone() as phone:
            phone.say(phone.make("INVITE", OFFER))
            assert (await phone.final()).status == 503


async def test_only_a_trusted_peer_can_assert_a_number():
    more = ('P-Asserted-Identity: "علی" <sip:+982133330000@example.ir>',)
    for trusted, number in ((True, "+982133330000"), (False, "+989120000000")):
        peer = Peer("trunk", allow=("127.0.0.1/32",), asserts_identity=trusted)
        async with house(peer=(peer,)) as home:
            with home.phone() as phone:
                await phone.connect(more=more)
                assert (home.legs[0].number, home.legs[0].asserted) == (number, trusted)


@pytest.mark.parametrize(
    "sender", ["<sip:anonymous@anonymous.invalid>", "<sip:12345@example.ir>", "Ali <sip:ali@x.ir>"]
)
async def test_no_number_is_no_number(sender):
    async with house() as home:
        with home.phone() as phone:
            await phone.connect(sender=sender)
            assert home.legs[0].number is None


async def test_stopping_lets_calls_drain_then_says_goodbye():
    async with house() as home:
        with home.phone() as phone:
            await phone.connect()
            await until(lambda: home.answered)
            stopping = asyncio.get_running_loop().create_task(home.line.drain(0))
            bye = await phone.request("BYE")
            phone.say(phone.make("INVITE", OFFER, call="b"))
            assert (await phone.final()).status == 503
            phone.say(sip.write(sip.reply(bye, 200)))
            await stopping
            assert home.events == [HungUp("drain")]


async def test_noise_is_dropped_and_counted():
    async with house() as home:
        with home.phone() as phone:
            for noise in (b"\r\n\r\n", b"\0\0\0\0", b"\xff" * 900, b"GET / HTTP/1.1\r\n\r\n", b"SIP/2.0 999 x\r\n\r\n"):
                phone.say(noise)
            await until(lambda: home.line.counts["noise"] == 5)
            assert await phone.silence()
            phone.say(phone.make("OPTIONS"))
            assert (await phone.final()).status == 200


# ---------------------------------------------------------------- repeats, routes, what is never acted on


async def test_an_invite_again_before_the_answer_gets_the_last_provisional():
    async with house(answers=False) as home, home.phone() as phone:
        for _ in range(2):
            phone.say(phone.make("INVITE", OFFER))
            assert (await phone.hear(0)).status == 100
        assert phone.raw[0] == phone.raw[1] and len(home.legs) == 1


async def test_an_invite_again_after_a_refusal_gets_that_refusal():
    async with house(numbers={"1888": "main"}) as home, home.phone() as phone:
        for _ in range(2):
            phone.say(phone.make("INVITE", OFFER, uri="sip:9@127.0.0.1"))
            assert (await phone.final(0)).status == 404
        assert phone.raw[-1] == phone.raw[-2] and home.line.counts["404"] == 1


async def test_options_says_503_when_every_line_is_taken():
    async with house(max_calls=1) as home, home.phone() as phone:
        await phone.connect()
        phone.say(phone.make("OPTIONS", call="b"))
        answer = await phone.final()
        assert answer.status == 503 and 5 <= int(answer.get("retry-after") or 0) <= 15 and home.line.calls == 1


ROUTES = ("Record-Route: <sip:127.0.0.1:5062;lr>, <sip:p2.example.ir;lr>", "Record-Route: <sip:p3.example.ir;lr>")


async def test_routes_are_mirrored_in_order_and_kept_for_what_we_send():
    async with house() as home, home.phone() as phone:
        phone.say(phone.make("INVITE", OFFER, more=ROUTES))
        answer = await phone.final()
        wanted = ["<sip:127.0.0.1:5062;lr>", "<sip:p2.example.ir;lr>", "<sip:p3.example.ir;lr>"]
        assert answer.all("record-route") == wanted
        phone.say(phone.make("ACK", to_tag=answer.to_tag or "", branch="ack"))
        await until(lambda: home.answered)
        home.legs[0].hang_up()
        bye = await phone.request("BYE")
        assert bye.all("route") == wanted and bye.uri.startswith("sip:caller@")


async def test_a_strict_router_is_spoken_to_by_its_own_address():
    async with house() as home, home.phone() as phone:
        await phone.connect(more=("Record-Route: <sip:old.example.ir>",))
        await until(lambda: home.answered)
        home.legs[0].hang_up()
        bye = await phone.request("BYE")
        assert bye.uri == "sip:old.example.ir" and bye.all("route") == [f"<sip:caller@127.0.0.1:{phone.here[1]}>"]


async def test_every_via_is_mirrored_and_the_top_one_told_where_it_came_from():
    async with house() as home, home.phone() as phone:
        lower = "Via: SIP/2.0/TCP 192.0.2.7;branch=z9hG4bKlow"
        phone.say(phone.make("OPTIONS", more=(lower,)).replace(b"SIP/2.0/UDP 127.0.0.1", b"SIP/2.0/UDP pbx.example.ir"))
        answer = await phone.final()
        top, below = answer.all("via")
        assert f";rport={phone.here[1]}" in top and top.endswith(";received=127.0.0.1") and below == lower[5:]


async def test_without_rport_the_answer_goes_to_the_port_of_the_via():
    async with house() as home, home.phone() as phone, home.phone(port=5099) as other:
        data = phone.make("OPTIONS").replace(b";rport", b"").replace(b":%d;branch" % phone.here[1], b":5099;branch")
        phone.say(data)
        assert (await other.final()).status == 200 and await phone.silence(0)


async def test_replaces_and_diversion_are_never_acted_on():
    async with house() as home, home.phone() as phone:
        tag = await phone.connect()
        more = (
            f"Replaces: a@127.0.0.1;to-tag={tag};from-tag=theirs",
            "Diversion: <sip:02133330000@x>;reason=no-answer",
        )
        await phone.connect(call="b", more=more)
        assert home.line.calls == 2 and home.legs[1].number == "+989120000000"
        phone.say(phone.make("REFER", to_tag=tag, seq=2, branch="r", more=("Refer-To: <sip:1@127.0.0.1>",)))
        assert (await phone.final()).status == 603
        assert home.line.calls == 2 and not any(data.startswith(b"INVITE") for data in home.sent[phone.peer])


REFERS = [
    ("<sip:200@anywhere.example.ir>", 202), ("sip:200@127.0.0.1", 202), ("<sip:201@127.0.0.1>", 603),
    ("<sip:200@127.0.0.1?Replaces=a%40b>", 603), ("<sip:200@127.0.0.1;method=BYE>", 603), ("<tel:200>", 202),
    ("<sip:127.0.0.1>", 603), ("nonsense<", 603), ("", 603),
]  # fmt: skip


@pytest.mark.parametrize(("to", "status"), REFERS)
async def test_a_refer_is_taken_where_its_target_is_listed_and_somebody_acts_on_it(to, status):
    async with house(refer_to=("200",)) as home, home.phone() as phone:
        tag, asked = await phone.connect(), []
        home.legs[0].refers = lambda number: not asked.append(number)
        phone.say(phone.make("REFER", to_tag=tag, seq=2, branch="r", more=(f"Refer-To: {to}",)))
        answer = await phone.final()
        assert answer.status == status and asked == (["200"] if status == 202 else [])
        if status == 202:
            told = await phone.request("NOTIFY")
            assert (told.get("event"), told.body) == ("refer;id=2", b"SIP/2.0 100 Trying\r\n")
            assert told.get("subscription-state") == "terminated;reason=noresource" and told.to_tag == "theirs"
        assert home.line.calls == 1 and not any(data.startswith(b"INVITE") for data in home.sent[phone.peer])


async def test_a_refer_of_a_caller_whom_nobody_sends_on_or_outside_of_calls_is_603():
    async with house(refer_to=("200",)) as home, home.phone() as phone:
        tag = await phone.connect()
        more = ("Refer-To: <sip:200@127.0.0.1>",)
        phone.say(phone.make("REFER", to_tag=tag, seq=2, branch="r", more=more))
        assert (await phone.final()).status == 603
        phone.say(phone.make("REFER", call="out", more=more))
        assert (await phone.final()).status == 603
        phone.say(phone.make("OPTIONS", call="o"))
        assert "REFER" in ((await phone.final()).get("allow") or "")


async def test_an_extension_a_proxy_must_know_is_refused_like_one_for_us():
    async with house() as home, home.phone() as phone:
        phone.say(phone.make("INVITE", OFFER, more=("Proxy-Require: foo", "Require: timer")))
        answer = await phone.final()
        assert (answer.status, answer.get("unsupported")) == (420, "foo") and not home.legs


async def test_a_caller_who_takes_no_session_description_is_not_given_one():
    async with house() as home, home.phone() as phone:
        phone.say(phone.make("INVITE", OFFER, more=("Accept: text/plain",)))
        assert (await phone.final()).status == 406 and not home.legs


async def test_rtcp_goes_by_the_same_port_when_they_ask_for_it():
    async with house() as home, home.phone() as phone:
        phone.say(phone.make("INVITE", OFFER + b"a=rtcp-mux\r\n"))
        assert b"a=rtcp-mux" in (await phone.final()).body
        assert home.plane.of(media.Add)[0].media.mux


async def test_a_peer_behind_a_translator_may_speak_from_anywhere():
    for nat in (False, True):
        async with house(peer=(Peer("x", allow=("127.0.0.0/8",), nat=nat),)) as home, home.phone() as phone:
            await phone.connect()
            assert home.plane.ports.peers == [None if nat else ("127.0.0.1", 40000)]
