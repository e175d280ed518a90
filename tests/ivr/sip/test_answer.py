"""The small telephone that waits: it answers its extensions, presses its keys, each is busy for a second caller."""

from __future__ import annotations

import asyncio
import contextlib

import numpy as np

from core.channels import Refused, TryLater
from ivr import phone
from ivr.answer import Waiting
from ivr.media import g711
from ivr.settings import Line, Peer
from ivr.sip.leg import SipLeg
from ivr.sip.outgoing import NotReached, Wanted
from tests.ivr.sip.house import house, until
from tests.ivr.sip.test_phone import share, tone

EVERYBODY = (Peer("callers", allow=("127.0.0.0/8",)),)


async def test_it_answers_its_extension_presses_1_and_keeps_what_it_hears(reactor, tmp_path):
    told: list[str] = []
    line = Line(bind=("udp:127.0.0.1:0",), peer=EVERYBODY, numbers={"110": "answered"}, rtp="0")
    waiting = Waiting(reactor, line, ["wait", "1"], None, tmp_path / "heard.wav", 30, told.append)
    serving = asyncio.ensure_future(waiting.serve(1))
    await until(lambda: told)
    place = told[0].removeprefix("waiting at ")
    (tmp_path / "say.wav").write_bytes(g711.write_wav(tone(1000, 1.0)))
    status = await phone.call(
        f"sip:110@{place}", "say,,,,h", tmp_path / "say.wav", reactor=reactor, stay=5, tell=told.append
    )
    assert status == phone.DONE
    await asyncio.wait_for(serving, 20)
    assert "rung at 110" in told and "they pressed 1" in told and "they hung up" in told
    heard = g711.read_wav((tmp_path / "heard.wav").read_bytes())
    loud = heard[np.abs(heard.astype(int)) > 500]
    assert share(heard, 1000) > 0.9 and len(loud) > 4000


async def test_another_extension_is_404_and_a_second_caller_busy(reactor, tmp_path):
    told: list[str] = []
    line = Line(bind=("udp:127.0.0.1:0",), peer=EVERYBODY, numbers=dict.fromkeys(("110", "100"), "answered"), rtp="0")
    serving = asyncio.ensure_future(Waiting(reactor, line, [], None, None, 30, told.append).serve())
    await until(lambda: told)
    there = ("127.0.0.1", int(told[0].rpartition(":")[2]))
    try:
        async with house(reactor) as home:
            first = await home.line.call(Wanted("sip:110@x", there))
            second = await home.line.call(Wanted("sip:110@x", there))
            other = await home.line.call(Wanted("sip:999@x", there))
            beside = await home.line.call(Wanted("sip:100@x", there))  # a lead who listens
            assert isinstance(first, SipLeg) and isinstance(beside, SipLeg)
            assert isinstance(second, NotReached) and second.outcome == TryLater("busy")
            assert isinstance(other, NotReached) and other.outcome == Refused("no such number")
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
