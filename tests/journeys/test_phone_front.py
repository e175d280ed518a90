"""The phone journey with Kamailio between caller and line: a message is left, its code heard, the call ended."""

from __future__ import annotations

import pytest

from tests.ivr.sip.kamailio import running
from tests.journeys.phones import ear
from tests.journeys.phones.baresip import Baresip
from tests.journeys.running import Demo, Operator, until
from tests.journeys.test_phone import CODE, COMPLAINT, peer, played, spooled, the_new_one, tickets

pytestmark = [pytest.mark.peer]
HEARD = 18 * 16_000  # octets of what baresip keeps that are enough for a code, 16 bits at 8 kHz


def test_baresip_leaves_a_message_through_kamailio_and_hears_its_code(demo: Demo, tmp_path):
    peer("baresip")
    voice = ear.spoken(COMPLAINT).astype("int16")
    operator = Operator(demo, "manager")
    before = tickets(operator)
    service, _, address = demo.facts["sip"].partition("@")
    with running(tmp_path / "front", [f"sip:{address}"]) as front, Baresip(tmp_path / "b", "09120000003") as phone:
        phone.do("dial", f"{service}@127.0.0.1:{front.port}")
        phone.event("CALL_ESTABLISHED")
        phone.press("10")
        until(lambda: spooled(demo))
        phone.speak(voice)
        until(lambda: [one for one in spooled(demo) if one.stat().st_size > len(voice) * 0.95])
        phone.press("#3")
        ticket = the_new_one(operator, before)
        [kept] = phone.folder.glob("dump-*-dec.wav")
        begun = kept.stat().st_size
        until(lambda: kept.stat().st_size > begun + HEARD, 40)
        phone.do("hangup")  # its BYE goes by the route set
        until(lambda: int.from_bytes(kept.read_bytes()[40:44], "little") > HEARD)  # the file is closed
        heard = ear.read(phone.heard())
    assert ear.share(played(operator, ticket), voice.astype(float)) > 0.9
    assert operator.ticket(ear.digits(heard, CODE, 11)) == ticket
