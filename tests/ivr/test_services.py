"""Calls that do more than leave a message: own tickets, texts, spoken prompts, known incidents, missed calls."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest
import sqlalchemy as sa

from core import claims, people, replies
from core.channels import Purpose
from core.cipher import Keyring
from core.clock import SystemClock
from core.schema import outbox, ticket
from ivr import channel, missed, texting
from ivr.counter import Card
from ivr.media import g711
from ivr.notice import Notices
from ivr.prompts import Prompts
from ivr.shelf import Shelf
from ivr.sounds import Sounds
from ivr.steps import Text
from tests.ivr.caller import NUMBER, MadeUpLeg, MemoryDoor, Words, call, house
from tests.ivr.conftest import KEY
from tests.ivr.site import TODAY, texts
from tests.ivr.test_channel import gear, lines

COMPLAIN = [("برای شکایت", "1"), ("شمارهٔ داخلیِ", "0"), ("پیامِ شما پنج", "3")]
ANSWER = "لوله تعویض شد."


def rows(s, table):
    return s.execute(sa.select(table)).mappings().all()


async def by_sms(made) -> list:
    """What is to be sent by SMS, opened."""
    ring = Keyring({1: KEY})
    now = made.clock.now() if hasattr(made, "clock") else SystemClock().now()
    return [one.open(ring) for one in await made.write(claims.claim, "sms", 10, now + 20_000, "test")]


@pytest.fixture
def home(opened, tmp_path):
    """A house over the real door; sound is words."""
    _, files, door = opened
    made = replace(house(MemoryDoor(), tmp_path), door=door, clock=SystemClock())
    shelf = Shelf(tmp_path / "prompts", [], SystemClock())
    sounds = Sounds(Prompts(made.say, shelf.folders), Words(), files.read, lambda: TODAY)
    cards = {"emergency": Card("+982433000230", {"fa": "شبانه‌روزی"})}
    return replace(made, sounds=sounds, shelf=shelf, notices=Notices(door, SystemClock()), cards=cards)


async def answered(made, home) -> str:
    """A complaint by an asserted mobile, answered; its tracking code's ticket id."""
    await call(MadeUpLeg(COMPLAIN), home)
    [row] = await made.read(rows, ticket)
    await replies.reply(made, await people.actor(made, "secretary"), row["id"], None, ANSWER, channel="web")
    return row["id"]


async def test_without_a_code_the_own_tickets_are_told_and_the_answer_heard_without_a_pin(opened, home):
    made, _, _ = opened
    await answered(made, home)
    leg = MadeUpLeg([("برای شکایت", "5"), ("یازده رقمی", "*"), ("شمارهٔ پرونده", "1"), ("می‌پذیرید", "hang up")])
    await call(leg, home)
    assert "شمارهٔ یک: شکایت." in leg.heard
    assert any("به پیامِ شما پاسخ داده است" in words for words in leg.heard)
    assert ANSWER in leg.heard


@pytest.mark.parametrize("who", [{"number": "+989120000009"}, {"asserted": False}, {"number": None}])
async def test_nobody_else_hears_them(opened, home, who):
    made, _, _ = opened
    await answered(made, home)
    leg = MadeUpLeg([("برای شکایت", "5"), ("یازده رقمی", "*"), ("پیدا نشد", ""), ("یازده رقمی", "hang up")], **who)
    await call(leg, home)
    assert texts()("ivr.no_mine", "fa") in leg.heard
    assert ANSWER not in leg.heard


async def test_the_answer_goes_by_sms_to_the_asserted_mobile_once_a_call(opened, home):
    made, _, _ = opened
    await answered(made, home)
    plan = [("برای شکایت", "5"), ("یازده رقمی", "*"), ("شمارهٔ پرونده", "1")]
    leg = MadeUpLeg([*plan, ("می‌پذیرید", "5"), ("می‌پذیرید", "5"), ("می‌پذیرید", "hang up")])
    await call(leg, home)
    assert leg.heard.count(texts()("ivr.texted", "fa")) == 2
    [sent] = [one for one in await by_sms(made) if one.purpose == Purpose.ANSWER]
    assert (sent.to, sent.key, sent.facts["answer"]) == (NUMBER, "answer", ANSWER)


async def test_a_landline_gets_no_sms(opened, home):
    made, _, _ = opened
    plan = [("برای شکایت", "6"), ("داخلیِ واحد را", "230#"), ("گفت‌وگو با این واحد", "2"), ("گفت‌وگو با", "hang up")]
    leg = MadeUpLeg(plan, number="+982188880000")
    await call(leg, home)
    assert texts()("ivr.failed.no_mobile", "fa") in leg.heard
    assert await made.read(rows, outbox) == []


async def test_a_unit_tells_name_hours_and_number_and_goes_by_sms(opened, home):
    made, _, _ = opened
    plan = [("برای شکایت", "6"), ("داخلیِ واحد را", "230#"), ("گفت‌وگو با این واحد", "2"), ("گفت‌وگو با", "hang up")]
    leg = MadeUpLeg(plan)
    await call(leg, home)
    assert "امداد و حوادث." in leg.heard
    assert "ساعتِ کار: شبانه‌روزی." in leg.heard
    assert any(words.startswith("شمارهٔ تماس: صفر، دو، چهار") for words in leg.heard)
    [sent] = await by_sms(made)
    assert (sent.to, sent.key) == (NUMBER, "unit_card")
    assert "repairs@example.ir" in sent.facts["ways"]


async def test_nobody_at_a_units_telephone_leads_to_its_mailbox(opened, home):
    made, _, _ = opened
    plan = [("برای شکایت", "6"), ("داخلیِ واحد را", "230#"), ("گفت‌وگو با این واحد", "1"), ("پیامِ شما پنج", "3")]
    await call(MadeUpLeg(plan), home)
    [row] = await made.read(rows, ticket)
    assert (row["unit"], row["kind"]) == ("emergency", "request")


async def test_a_units_own_greeting_wins_in_its_mailbox(opened, home):
    place = home.shelf.folder / "fa" / "ivr.menu.mailbox.emergency.wav"
    place.parent.mkdir(parents=True)
    await asyncio.to_thread(place.write_bytes, g711.wav("pcma", b"\xaa" * 8000))
    plan = [("برای شکایت", "6"), ("داخلیِ واحد را", "230#"), ("گفت‌وگو با این واحد", "1"), ("پیامِ شما پنج", "3")]
    leg = MadeUpLeg(plan)
    await call(leg, home)
    assert "\ufffd" * 8000 in leg.heard  # sound, not words
    assert texts()("ivr.menu.mailbox", "fa") not in leg.heard


# ---------------------------------------------------------------- prompts


async def test_staff_speak_a_prompt_by_phone_and_the_next_call_hears_it(opened, home):
    digits = home.shelf.permit("ivr.menu.goodbye", "fa", "شیرین")
    leg = MadeUpLeg([("هشت رقمیِ", digits), ("پیامِ شما پنج", "3")])
    await call_staff(leg, home)
    assert texts()("ivr.published", "fa") in leg.heard
    kept = home.shelf.find("ivr.menu.goodbye", "fa")
    assert (kept.by, kept.path.parent.parent) == ("شیرین", home.shelf.folder)
    assert list((home.shelf.folder / "new").iterdir()) == []
    assert await opened[0].read(rows, ticket) == []
    assert home.spool.left() == []
    again = MadeUpLeg([("هشت رقمیِ", digits), ("هشت رقمیِ", "hang up")])  # a permit is good once
    await call_staff(again, home)
    assert texts()("ivr.no_permit", "fa") in again.heard


async def test_a_permit_of_another_sentence_or_time_publishes_nothing(tmp_path):
    from core.clock import HandClock

    clock = HandClock()
    shelf = Shelf(tmp_path, [], clock)
    sound = tmp_path / "said.wav"
    sound.write_bytes(g711.wav("pcma", b"\xaa" * 16_000))
    digits = shelf.permit("ivr.wrong", "fa", "x")
    assert not shelf.publish("ivr.silence", "fa", str(sound), digits)
    assert not shelf.publish("ivr.wrong", "en", str(sound), digits)
    clock.advance(16 * 60)
    assert not shelf.publish("ivr.wrong", "fa", str(sound), digits)
    assert shelf.find("ivr.wrong", "fa") is None


async def test_guesses_void_every_permit(tmp_path):
    shelf = Shelf(tmp_path, [], SystemClock())
    digits = shelf.permit("ivr.wrong", "fa", "x")
    for guess in range(20):
        shelf.allows(f"{guess:08}")
    assert shelf.allows(digits) is None


async def test_hanging_up_before_the_review_publishes_nothing_and_is_no_ticket(opened, home):
    digits = home.shelf.permit("ivr.menu.goodbye", "fa", "شیرین")
    await call_staff(MadeUpLeg([("هشت رقمیِ", digits)], speaks=[-6.0]), home)
    assert home.shelf.find("ivr.menu.goodbye", "fa") is None
    assert await opened[0].read(rows, ticket) == []


async def call_staff(leg, home):
    from ivr.call import Call

    await asyncio.wait_for(Call(leg, home, "staff").run(), 10)


# ---------------------------------------------------------------- incidents, missed calls


async def test_a_known_incident_is_told_first_and_followed_by_sms(opened, home):
    made, _, door = opened
    await home.notices.announce({"fa": "آبِ منطقهٔ سه قطع است."}, SystemClock().now() + 3_600_000)
    other = Notices(door, SystemClock())  # another process of the phone
    await other.look()
    leg = MadeUpLeg([("رفعِ آن", "1"), ("برای شکایت", "hang up")])
    await call(leg, replace(home, notices=other))
    assert leg.heard.index("آبِ منطقهٔ سه قطع است.") < leg.heard.index(texts()("ivr.done.follow", "fa"))
    assert await home.notices.mended({"fa": "آب وصل شد."}) == 1
    [sent] = await by_sms(made)
    assert (sent.to, sent.key, sent.facts["text"]) == (NUMBER, "incident_over", "آب وصل شد.")
    await other.look()
    assert other.told() == {}


async def test_who_cannot_get_an_sms_cannot_follow(home):
    await home.notices.announce({"fa": "آب قطع است."}, SystemClock().now() + 3_600_000)
    leg = MadeUpLeg([("رفعِ آن", "1"), ("برای شکایت", "hang up")], asserted=False)
    await call(leg, home)
    assert texts()("ivr.failed.no_mobile", "fa") in leg.heard
    assert await home.notices.mended({"fa": "آب وصل شد."}) == 0


async def test_a_missed_call_is_told_the_states_by_sms_once_in_ten_minutes(opened, home):
    made, _, _ = opened
    await answered(made, home)
    first, second = MadeUpLeg(cut=999), MadeUpLeg(cut=998)
    await missed.call(first, home)
    await missed.call(second, home)
    assert not first.up
    assert (first.done, first.heard) == (0, [])  # never answered
    [sent] = [one for one in await by_sms(made) if one.key == "mine"]
    assert sent.to == NUMBER
    assert "پاسخ داده شد" in sent.facts["codes"]


@pytest.mark.parametrize("who", [{"asserted": False}, {"number": None}, {"number": "+982188880000"}])
async def test_a_missed_call_of_nobody_certain_gets_nothing(opened, home, who):
    made, _, _ = opened
    await answered(made, home)
    leg = MadeUpLeg(**who)
    await missed.call(leg, home)
    assert not leg.up
    assert [one for one in await by_sms(made) if one.key and one.key.startswith("mine")] == []


async def test_a_missed_call_of_a_landline_is_answered_by_a_call_of_ours(opened, home):
    made, _, _ = opened
    number = "+982188880000"
    await call(MadeUpLeg(COMPLAIN, number=number), home)
    await missed.call(MadeUpLeg(cut=999, number=number), replace(home, calls_back=True))
    await missed.call(MadeUpLeg(cut=998, number=number), replace(home, calls_back=True))  # too soon
    ring, now = Keyring({1: KEY}), SystemClock().now() + 20_000
    found = [one.open(ring) for one in await made.write(claims.claim, "phone", 10, now, "test")]
    [sent] = [one for one in found if one.key == "mine"]
    assert (sent.to, sent.text) == (number, "")


@pytest.mark.parametrize("known", [{"calls_back": False}, {"calls_back": True}])
async def test_a_landline_is_not_called_where_nobody_calls_or_there_is_nothing_to_say(opened, home, known):
    made, _, _ = opened
    if not known["calls_back"]:
        await call(MadeUpLeg(COMPLAIN, number="+982188880000"), home)
    await missed.call(MadeUpLeg(cut=999, number="+982188880000"), replace(home, **known))
    now = SystemClock().now() + 20_000
    found = [one.open(Keyring({1: KEY})) for one in await made.write(claims.claim, "phone", 10, now, "test")]
    assert [one for one in found if one.key == "mine"] == []


async def test_a_missed_call_over_sip_is_486_without_an_answer_and_told_by_sms(opened, reactor, tmp_path):
    made, _, door = opened
    ours = channel.make(gear(tmp_path, reactor, lines(numbers={"1887": "missed", "*": "main"})))
    await ours.start(door)
    try:
        assert await asyncio.to_thread(rung_off, f"sip:1887@127.0.0.1:{ours.ports['main']}", "09120000000") == [
            100,
            486,
        ]
        [sent] = await by_sms(made)
        assert (sent.to, sent.key) == (NUMBER, "mine_none")
    finally:
        await ours.stop(0)


def rung_off(uri: str, mobile: str) -> list[int]:
    """The answers to an INVITE of a trunk that vouches for its caller's number."""
    host, _, port = uri.partition("@")[2].partition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trunk:
        trunk.settimeout(5)
        trunk.connect((host, int(port)))
        here = "{}:{}".format(*trunk.getsockname())
        body = f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
        rows = [
            f"INVITE {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {here};branch=z9hG4bKmissed;rport",
            "Max-Forwards: 70",
            f"From: <sip:{mobile}@example.ir>;tag=missed",
            f"To: <{uri}>",
            "Call-ID: missed@example.ir",
            "CSeq: 1 INVITE",
            f"Contact: <sip:trunk@{here}>",
            f"P-Asserted-Identity: <sip:{mobile}@example.ir>",
            "Content-Type: application/sdp",
            f"Content-Length: {len(body)}",
        ]
        trunk.send("\r\n".join([*rows, "", body]).encode())
        told: list[int] = []
        while not told or told[-1] < 200:
            told.append(int(trunk.recv(65536).split()[1]))
        trunk.send("\r\n".join([rows[0].replace("INVITE", "ACK"), *rows[1:6], "CSeq: 1 ACK", "", ""]).encode())
        return told


async def test_asking_for_too_many_texts_is_refused(opened, home):
    door = MemoryDoor()

    async def empty(rule: str, key: str) -> bool:
        return False

    door.spend = empty  # type: ignore[method-assign]
    found = await texting.text(replace(home, door=door), Text("unit", "water"), MadeUpLeg(), "fa")
    assert found.why == "locked"
