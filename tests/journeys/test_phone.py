"""A call to the line becomes a ticket with its voice; calling again with code and PIN, the answer is heard."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from core.text import digits
from ivr.media import g711
from ivr.steps import Item
from tests.journeys.phones import ear, sipp
from tests.journeys.phones.baresip import Baresip
from tests.journeys.phones.small import Small
from tests.journeys.running import ROOT, Demo, Operator, until

COMPLAINT = "زبالهٔ کوچهٔ ما یک هفته است جمع نشده است."
ANSWER = "زبالهٔ کوچهٔ شما امروز جمع شد."
LISTEN = 33  # seconds in which the code is said twice and then the PIN
READ = 14  # seconds in which state and answer are read, or that the PIN is wrong
CODE, PIN = "کدِ پیگیریِ شما", "رمزِ چهار رقمی"  # words after which they are spoken


@pytest.fixture(scope="module")
def voice() -> npt.NDArray[np.int16]:
    """The complaint, spoken."""
    return ear.spoken(COMPLAINT).astype(np.int16)


@pytest.fixture(scope="module")
def say(voice, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("say") / "say.wav"
    path.write_bytes(g711.write_wav(voice))
    return path


@pytest.fixture
def operator(demo: Demo) -> Operator:
    return Operator(demo, "manager")


def pause(seconds: int) -> str:
    """Steps of the small telephone."""
    return "," * seconds


def peer(name: str) -> str:
    """Path of a program that Debian has."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("PASOKH_MUST_PEERS"):
            pytest.fail(f"{name} is not installed: tools/debian-packages")
        pytest.skip(f"{name} is not installed: tools/debian-packages")
    return found


def tickets(operator: Operator) -> set[int]:
    """All tickets, from the console."""
    page = operator.get("/console/queue?view=all")
    return {int(found) for found in re.findall(r"/console/t/(\d+)", page.html)}


def spooled(demo: Demo) -> list[Path]:
    return sorted((demo.folder / "phone" / "spool").glob("*.wav"))


def settled(demo: Demo) -> bool:
    """No recording on its way, neither sound nor note."""
    return not list((demo.folder / "phone" / "spool").iterdir())


def the_new_one(operator: Operator, before: set[int]) -> int:
    [found] = until(lambda: tickets(operator) - before)
    return found


def played(operator: Operator, ticket: int) -> ear.Sound:
    """The recording of a ticket as the console's player gets it: whole, and by Range."""
    page = operator.get(f"/console/t/{ticket}")
    [source] = re.findall(r'<audio[^>]* src="([^"]+)"', page.html)
    whole = operator.session.get(operator.base + source)
    assert whole.status_code == 200
    assert whole.headers["Content-Type"].startswith("audio/")
    part = operator.session.get(operator.base + source, headers={"Range": "bytes=100-1099"})
    assert part.status_code == 206
    assert part.content == whole.content[100:1100]
    return ear.read(whole.content)


def facts(demo: Demo, ticket: int) -> str:
    with sqlite3.connect(f"file:{demo.folder}/pasokh.db?mode=ro", uri=True) as store:
        [[found]] = store.execute("select facts from ticket where id = ?", [ticket])
    return str(found)


# ---------------------------------------------------------------- three telephones of other makes


@pytest.mark.peer
def test_sipp_leaves_a_complaint_that_the_console_plays(demo, operator, voice, tmp_path):
    peer("sipp")
    before = tickets(operator)
    lead = ear.seconds(ear.said(Item("ivr.menu.record"))) + 2.0  # it cannot hear when the tone is over
    sipp.leave_message(tmp_path, demo.facts["sip"], voice, lead)
    ticket = the_new_one(operator, before)
    sound = played(operator, ticket)
    said = ear.seconds(voice.astype(float))
    assert said - 0.5 < ear.seconds(sound) < said + 1.5
    assert ear.share(sound, voice.astype(float)) > 0.9
    assert "09120000002" in digits(operator.get(f"/console/t/{ticket}").text).replace(" ", "")
    until(lambda: settled(demo))


@pytest.mark.peer
def test_baresip_leaves_a_complaint_and_hears_its_code(demo, operator, voice, tmp_path):
    peer("baresip")
    before = tickets(operator)
    with Baresip(tmp_path / "baresip", "09120000003") as phone:
        phone.do("dial", demo.facts["sip"])
        phone.event("CALL_ESTABLISHED")
        phone.press("10")
        until(lambda: spooled(demo))
        phone.speak(voice)
        until(lambda: [one for one in spooled(demo) if one.stat().st_size > len(voice) * 0.95])
        phone.press("#")
        phone.press("3")
        phone.press("#")  # the code need not be keyed back
        ticket = the_new_one(operator, before)
        phone.event("CALL_CLOSED", 60)
        heard = ear.read(phone.heard())
    assert ear.share(played(operator, ticket), voice.astype(float)) > 0.9
    code = ear.digits(heard, CODE, 11)
    assert operator.ticket(code) == ticket
    assert ear.digits(heard, PIN, 4) == ear.digits(heard, "تکرارِ رمز", 4)


def test_pyvoip_hears_the_welcome_in_persian_speaks_and_hangs_up(demo, say, tmp_path):
    heard = tmp_path / "heard.wav"
    words = [sys.executable, "-m", "tests.journeys.phones.box", demo.facts["sip"], str(say), str(heard), "3", "15"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["answered", "still up"]
    sound = ear.read(heard.read_bytes())
    welcome = ear.said(Item("ivr.menu.welcome"))
    assert ear.seconds(sound) > ear.seconds(welcome)
    assert ear.share(sound, welcome) > 0.8  # it keeps 8 bits of each sample
    assert ear.share(sound, ear.said(Item("ivr.menu.pin"))) < 0.5


# ---------------------------------------------------------------- the whole journey


@pytest.mark.timeout(240)  # three calls; sentences that other stories hear are cut short by the next key
def test_a_message_its_code_and_pin_the_answer_and_hearing_it(demo, operator, say, voice, tmp_path):
    before = tickets(operator)
    first, second = tmp_path / "first.wav", tmp_path / "second.wav"
    with Small(demo.facts["sip"], f",1,0,wait,say,#,,3,{pause(LISTEN)}hangup", say=say, hear=first) as phone:
        assert phone.end() == 0, phone.lines
    ticket = the_new_one(operator, before)
    sound = ear.read(first.read_bytes())
    assert ear.share(sound, ear.said(Item("ivr.menu.record"))) > 0.8
    assert ear.share(played(operator, ticket), voice.astype(float)) > 0.9
    code, pin = ear.digits(sound, CODE, 11), ear.digits(sound, PIN, 4)
    assert operator.ticket(code) == ticket

    assert operator.reply(ticket, ANSWER).status == 200
    with Small(demo.facts["sip"], f"5,{code}#{pin},{pause(READ)}hangup", hear=second) as phone:
        assert phone.end() == 0, phone.lines
    answer = ear.spoken(ANSWER)
    assert ear.share(ear.read(second.read_bytes()), answer) > 0.9
    assert ear.share(sound, answer) < 0.5
    wrong = tmp_path / "wrong.wav"
    guess = "0000" if pin != "0000" else "1111"
    with Small(demo.facts["sip"], f"5,{code}#{guess},{pause(READ)}hangup", hear=wrong) as phone:
        assert phone.end() == 0, phone.lines
    assert ear.share(ear.read(wrong.read_bytes()), ear.said(Item("ivr.prove"))) > 0.8
    assert ear.share(ear.read(wrong.read_bytes()), answer) < 0.5


# ---------------------------------------------------------------- cut off


def test_hanging_up_while_speaking_is_a_ticket_all_the_same(demo, operator, voice, tmp_path):
    before = tickets(operator)
    said = voice[: 3 * g711.RATE]
    (tmp_path / "say.wav").write_bytes(g711.write_wav(said))
    with Small(demo.facts["sip"], "1,,0,wait,say,hangup", say=tmp_path / "say.wav") as phone:
        assert phone.end() == 0, phone.lines
    sound = played(operator, the_new_one(operator, before))
    assert 2.9 < ear.seconds(sound) < 9  # with the quiet before
    assert ear.share(sound, said.astype(float)) > 0.9


def test_under_two_seconds_is_no_message(demo, operator, voice, tmp_path):
    before = tickets(operator)
    (tmp_path / "say.wav").write_bytes(g711.write_wav(voice[: g711.RATE // 2]))
    with Small(demo.facts["sip"], "1,,0,,,,,", say=tmp_path / "say.wav") as phone:
        until(lambda: spooled(demo))
        phone.process.terminate()
        phone.end()
    until(lambda: settled(demo))
    assert tickets(operator) == before


def test_noise_is_dropped_a_broken_request_gets_400_and_calls_go_on(demo, operator, say):
    host, _, port = demo.facts["sip"].partition("@")[2].partition(":")
    before = tickets(operator)
    with Small(demo.facts["sip"], "1,,0,wait,say,hangup", say=say) as phone:
        phone.until("answered")
        rng = np.random.default_rng(7)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise:
            noise.settimeout(5)
            noise.connect((host, int(port)))
            for size in range(1, 400):
                noise.send(rng.bytes(size))
            whole = request(noise.getsockname(), "INVITE", "CSeq: 1 INVITE")
            for cut in range(1, whole.index(b"CSeq"), 7):
                noise.send(whole[:cut])
            noise.send(b"\0" * 500)
            noise.send(request(noise.getsockname(), "OPTIONS", "CSeq: 1 OPTIONS").replace(b"0\r\n\r\n", b"9\r\n\r\n"))
            assert answered(noise) == 400
            noise.send(request(noise.getsockname(), "DANCE", "CSeq: 1 DANCE"))
            assert answered(noise) == 501
            noise.send(request(noise.getsockname(), "OPTIONS", "CSeq: 2 OPTIONS"))
            assert answered(noise) == 200
        assert phone.end() == 0, phone.lines
    assert ear.loud(played(operator, the_new_one(operator, before))) > 2


def request(here: Any, method: str, sequence: str) -> bytes:
    rows = [
        f"{method} sip:1888@127.0.0.1 SIP/2.0",
        f"Via: SIP/2.0/UDP {here[0]}:{here[1]};branch=z9hG4bK{method}{sequence[6]};rport",
        "Max-Forwards: 70",
        "From: <sip:09120000009@example.ir>;tag=noise",
        "To: <sip:1888@127.0.0.1>",
        f"Call-ID: {method}{sequence[6]}@example.ir",
        sequence,
        "Content-Length: 0",
    ]
    return "\r\n".join(rows).encode() + b"\r\n\r\n"


def answered(sock: socket.socket) -> int:
    data = sock.recv(65536)
    found = re.match(rb"SIP/2\.0 (\d{3}) ", data)
    assert found, data
    return int(found[1])


@pytest.mark.timeout(240)  # three starts
def test_killed_while_a_caller_speaks_the_recording_is_one_ticket_marked_recovered(demo, operator, voice, tmp_path):
    before = tickets(operator)
    (tmp_path / "say.wav").write_bytes(g711.write_wav(np.tile(voice, 3)))
    with Small(demo.facts["sip"], "1,,0,wait,say", say=tmp_path / "say.wav") as phone:
        phone.until("speaking")
        until(lambda: [one for one in spooled(demo) if one.stat().st_size > 9 * g711.RATE])
        demo.kill()
    demo.start()
    operator = Operator(demo, "manager")
    ticket = the_new_one(operator, before)
    sound = played(operator, ticket)
    assert ear.seconds(sound) > 8
    assert ear.share(sound, voice[: 2 * g711.RATE].astype(float)) > 0.8
    assert '"recovered":true' in facts(demo, ticket).replace(" ", "")
    assert "unit" in facts(demo, ticket)
    until(lambda: settled(demo))
    demo.kill()
    demo.start()
    begun = time.monotonic()
    operator = Operator(demo, "manager")
    until(lambda: settled(demo) and time.monotonic() > begun + 1)
    assert tickets(operator) == before | {ticket}
