"""A running demo: a citizen asks for an operator, whose telephone rings, is answered, and is bridged to theirs."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import numpy as np
import pytest

from core.text import digits
from ivr.media import g711
from ivr.media.music import music
from ivr.steps import Item
from tests.ivr.sip.kamailio import running
from tests.ivr.site import texts
from tests.journeys.phones import ear
from tests.journeys.phones.baresip import Baresip
from tests.journeys.phones.small import Desk, Program, Small
from tests.journeys.running import ROOT, Demo, Operator, Page, until
from tests.journeys.test_phone import peer, played, the_new_one, tickets

pytestmark = [pytest.mark.peer, pytest.mark.slow, pytest.mark.timeout(240)]
NIGHT = 'is = "open"\nyes = "line"\nno = "mailbox"'  # of the shipped menu: after hours a message is left
WORDS = "سلام، آبِ کوچهٔ ما قطع است."
TALKING, WRAP_UP = texts()("console.phone.talking", "fa"), texts()("console.phone.duty.wrap_up", "fa")
REPLY = "امروز آن را درست می‌کنند."
PLACE = ear.said(Item("ivr.menu.line"), Item("ivr.queue.place", {"place": 1}), Item("ivr.queue.no_number"))
NOTICE = ear.said(Item("ivr.queue.recorded"))


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A demo whose operators answer at night too."""
    folder: Path = tmp_path_factory.mktemp("operator")
    (folder / "site" / "menus").mkdir(parents=True)
    shipped = (ROOT / "config/menus/main.toml").read_text()
    assert NIGHT in shipped
    (folder / "site/menus/main.toml").write_text(shipped.replace(NIGHT, NIGHT.replace("mailbox", "line")))
    made = Demo(folder / "data", "--config", str(folder / "site")).start()
    yield made
    assert made.stop() == 0


class Rung(Program):
    """`pasokh answer` for every extension at the demo's desk; what it says is in `lines`."""

    def __init__(self, demo: Demo) -> None:
        super().__init__("answer", "--at", desk(demo))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Rung:
        until(lambda: self.lines)
        return self

    def __exit__(self, *why: object) -> None:
        self.process.terminate()
        assert self.process.wait(20) == 0
        self._reader.join(5)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.strip())


def desk(demo: Demo) -> str:
    """Where operators' telephones are rung."""
    [place] = {one["uri"].partition("@")[2] for one in demo.facts["telephones"]}
    return place


def telephone(demo: Demo, login: str) -> dict[str, str]:
    return dict(next(one for one in demo.facts["telephones"] if one["name"] == login))


def board(operator: Operator) -> Page:
    """The operator's place in the console."""
    return operator.get("/console/phone/operators")


def now(operator: Operator, do: str) -> None:
    page = board(operator)
    fields = dict(re.findall(r'name="(csrf)" value="([^"]+)"', page.html))
    assert operator.post("/console/phone/operators", **fields, do=do, reason="rest").status == 200


def test_an_operator_takes_a_citizens_call_at_a_telephone_of_the_demo(demo, tmp_path):
    peer("baresip")
    operator, before = Operator(demo, "lead", "secretariat"), tickets(Operator(demo, "manager"))
    (tmp_path / "reply.wav").write_bytes(g711.write_wav(ear.spoken(REPLY).astype(np.int16)))
    place = telephone(demo, "secretary")
    assert place["queues"] == ["main"]
    now(operator, "on")
    now(operator, "pause")  # the queue stays open, nobody is rung yet
    heard = tmp_path / "operator.wav"
    with (
        Baresip(tmp_path / "citizen", "09120000021") as citizen,
        Desk(desk(demo), place["extension"], "wait,1,wait,say", say=tmp_path / "reply.wav", hear=heard) as handset,
    ):
        asks(citizen, demo.facts["sip"])
        hears(citizen, ear.seconds(PLACE) + 3)  # the place, then music
        now(operator, "on")
        handset.until("rung at")
        ringing = until(lambda: (page := board(operator)) and "09120000021" in shown(page) and page)
        assert "main → line" in ringing.text
        handset.until("pressing 1")
        until(lambda: TALKING in board(operator).text)
        hears(citizen, ear.seconds(NOTICE) - 2)
        citizen.speak(ear.spoken(WORDS).astype(np.int16))
        handset.until("speaking")
        hears(citizen, ear.seconds(ear.spoken(REPLY)) + 1)  # both have spoken
        citizen.do("hangup")
        handset.until("they hung up")
        handset.process.wait(20)
        until(lambda: WRAP_UP in board(operator).text)
    now(operator, "off")
    caller = ear.read(citizen.heard())
    assert ear.share(caller, ear.said(Item("ivr.queue.place", {"place": 1}))) > 0.8
    assert ear.share(caller, g711.decode("pcma", music().pcma).astype(float)) > 0.1  # a few seconds of sixteen
    assert ear.share(caller, ear.spoken(REPLY)) > 0.8
    assert ear.share(ear.read(heard.read_bytes()), ear.spoken(WORDS)) > 0.8
    ticket = the_new_one(Operator(demo, "manager"), before)
    assert ear.loud(played(operator, ticket)) > 1
    until(lambda: "secretary" in operator.get(f"/console/t/{ticket}").text)  # the call, on its caller's history


def test_from_the_console_a_lead_listens_and_the_operator_passes_the_caller_on(demo):
    operator, lead = Operator(demo, "lead", "secretariat"), Operator(demo, "manager")
    now(operator, "on")
    with Rung(demo) as telephones, Small(demo.facts["sip"], "0,wait,wait,wait,wait") as citizen:
        citizen.until("answered")
        until(lambda: TALKING in board(operator).text, 40)
        assert ordered(lead, "listen", operator="secretary").status == 200
        until(lambda: "rung at 100" in telephones.lines)
        assert ordered(operator, "pass", to="services").status == 200
        until(lambda: "rung at 200" in telephones.lines)
        assert "rung at 110" in telephones.lines
    now(operator, "off")


def ordered(who: Operator, what: str, **fields: str) -> Page:
    """A button of the place in the console, pressed."""
    csrf = re.findall(r'name="csrf" value="([^"]+)"', board(who).html)[0]
    return who.post(f"/console/phone/operators/{what}", csrf=csrf, **fields)


def test_an_operator_takes_a_call_that_came_through_kamailio(demo, tmp_path):
    peer("baresip")
    operator, before = Operator(demo, "operator", "secretariat"), tickets(Operator(demo, "manager"))
    place = telephone(demo, "desk")
    service, _, address = demo.facts["sip"].partition("@")
    with (
        running(tmp_path / "front", [f"sip:{address}"]) as front,
        Baresip(tmp_path / "operator", place["extension"], desk(demo)) as handset,
        Baresip(tmp_path / "citizen", "09120000022") as citizen,
    ):
        now(operator, "on")
        asks(citizen, f"{service}@127.0.0.1:{front.port}")
        handset.event("CALL_INCOMING", 40)
        handset.do("accept")
        until(lambda: "09120000022" in shown(board(operator)))
        handset.press("1")
        until(lambda: TALKING in board(operator).text)
        hears(citizen, ear.seconds(NOTICE) + 1)
        handset.speak(ear.spoken(REPLY).astype(np.int16))
        hears(citizen, ear.seconds(ear.spoken(REPLY)) + 1)
        handset.do("hangup")
        citizen.event("CALL_CLOSED", 40)  # served: the menu says goodbye
    assert ear.share(ear.read(citizen.heard()), ear.spoken(REPLY)) > 0.6
    assert the_new_one(Operator(demo, "manager"), before)


def asks(citizen: Baresip, uri: str) -> None:
    """Call, and ask for an operator."""
    citizen.do("dial", uri)
    citizen.event("CALL_ESTABLISHED")
    citizen.press("0")


def hears(phone: Baresip, seconds: float) -> None:
    """Until so much more sound was kept by this telephone."""
    [kept] = phone.folder.glob("dump-*-dec.wav")
    enough = kept.stat().st_size + 16_000 * seconds
    until(lambda: kept.stat().st_size > enough, 60)


def shown(page: Page) -> str:
    return digits(page.text).replace(" ", "")
