"""Our telephone calls our line: real SIP and RTP over loopback, both ends with a media plane of their own."""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
import sys
import wave

import numpy as np
import pytest

from ivr import phone
from ivr.leg import HungUp, Pressed, RecordEnded
from ivr.media import g711
from ivr.media.plane import Plane
from ivr.settings import Line, Peer
from ivr.sip.line import SipLine
from tests.ivr.sip.house import until
from tests.ivr.sip.papers import bound, papers

__all__ = ["papers"]


def tone(hertz: float, seconds: float):
    """A sine of that pitch, 8 kHz."""
    return (12000 * np.sin(2 * math.pi * hertz * np.arange(int(seconds * 8000)) / 8000)).astype(np.int16)


def share(samples, hertz: float) -> float:
    """How much of the sound lies within 20 Hz of that pitch."""
    power = np.abs(np.fft.rfft(samples.astype(float))) ** 2
    bins = np.fft.rfftfreq(len(samples), 1 / 8000)
    return float(power[np.abs(bins - hertz) < 20].sum() / power.sum())


@contextlib.asynccontextmanager
async def office(reactor, folder, ends="#", said=1.0, **settings):
    """A line with the real plane: says a low tone, then records until a key of `ends`, then hangs up."""
    events = []
    tasks = []

    async def serve(leg):
        assert await leg.answer()
        leg.play([g711.frames(tone(400, said))])
        async for event in leg.events():
            events.append(event)
            if event == Pressed("1"):
                leg.record(str(folder / "message.wav"), 20, 5, ends)
            if isinstance(event, RecordEnded):
                leg.hang_up()

    plane = Plane("127.0.0.1", 0, 0)
    bind = settings.pop("bind", ("udp:127.0.0.1:0",))
    given = Line(bind=bind, peer=(Peer("all", allow=("127.0.0.0/8",)),), **settings)
    line = SipLine(reactor, "main", given, plane, lambda leg: tasks.append(asyncio.ensure_future(serve(leg))))
    line.start()
    plane.start(line.on_events, asyncio.get_running_loop())
    try:
        yield line, events
    finally:
        await line.stop(0)
        plane.stop()
        await asyncio.wait_for(asyncio.gather(*tasks), 5)


@pytest.mark.slow
async def test_the_phone_presses_speaks_and_hears(reactor, tmp_path):
    (tmp_path / "say.wav").write_bytes(g711.write_wav(tone(1000, 1.5)))
    told = []
    async with office(reactor, tmp_path) as (line, events):
        status = await phone.call(
            f"sip:1888@127.0.0.1:{line.port}", "wait,1say#", tmp_path / "say.wav", tmp_path / "out.wav",
            reactor=reactor, caller="09120000000", stay=5, tell=told.append,
        )  # fmt: skip
        assert status == phone.DONE, told
        assert [event for event in events if isinstance(event, Pressed)] == [Pressed("1"), Pressed("#")]
        ended = next(event for event in events if isinstance(event, RecordEnded))
        assert ended.why == "key" and 1.3 < ended.seconds < 2.2
        assert told[-1] == "they hung up"
        await until(lambda: events[-1] == HungUp("us"))
    message = g711.read_wav((tmp_path / "message.wav").read_bytes())
    assert share(message, 1000) > 0.9
    with wave.open(str(tmp_path / "out.wav")) as out:
        heard = np.frombuffer(out.readframes(out.getnframes()), "<i2")
    assert share(heard, 400) > 0.9


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_the_phone_calls_by_a_connection(reactor, tmp_path, papers, transport):
    async with office(reactor, tmp_path, said=0.2, **bound(transport, papers)) as (line, events):
        status = await phone.call(
            f"sip:1888@localhost:{line.port};transport={transport}", "2,h", reactor=reactor, ca=papers / "ca.pem",
            tell=lambda words: None,
        )  # fmt: skip
        assert status == phone.DONE
        await until(lambda: events and events[-1] == HungUp("caller") and Pressed("2") in events)


async def test_nobody_there_is_not_reached_and_leaves_nothing_open(reactor, tmp_path):
    told = []
    status = await phone.call("sip:1@127.0.0.1:9", "1", reactor=reactor, ring=0.3, tell=told.append)
    assert status == phone.NOT_REACHED and "not reached: 408" in told[-1]


async def test_the_phone_hangs_up_by_itself(reactor, tmp_path):
    async with office(reactor, tmp_path, said=0.2) as (line, events):
        status = await phone.call(f"sip:1888@127.0.0.1:{line.port}", "2,h", reactor=reactor, tell=lambda words: None)
        assert status == phone.DONE
    assert events[-1] == HungUp("caller") and Pressed("2") in events


@pytest.mark.parametrize(
    ("keys", "speaks", "steps"),
    [
        ("1,wait,#", True, ["1", ",", "wait", "say", ",", "#"]),
        ("w12 s#h", True, ["wait", "1", "2", "say", "#", "hangup"]),
        ("12", True, ["1", "2", "say"]),
        ("", False, []),
    ],
)
def test_keys_are_read_step_by_step(keys, speaks, steps):
    assert phone.steps(keys, speaks) == steps


@pytest.mark.parametrize(("keys", "words"), [("1x", "'x'"), ("say", "--say")])
def test_wrong_keys_are_named(keys, words):
    with pytest.raises(ValueError, match=words):
        phone.steps(keys, False)


@pytest.mark.parametrize(
    "uri", ["1888", "http://example.ir", "sip:", "sip:1@host.invalid", "sip:1@127.0.0.1;transport=sctp"]
)
async def test_a_wrong_address_is_a_clear_error(reactor, uri):
    with pytest.raises(ValueError):
        await phone.call(uri, reactor=reactor, tell=lambda words: None)


@pytest.mark.slow
async def test_the_command_hangs_up_and_keeps_what_it_heard_when_told_to_end(reactor, tmp_path):
    async with office(reactor, tmp_path) as (line, events):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-u", "-m", "gateway", "call", f"sip:1888@127.0.0.1:{line.port}", "--keys", ",5,,,,,,,,",
            "--hear", str(tmp_path / "out.wav"), stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            await until(lambda: Pressed("5") in events, 30)
            child.send_signal(signal.SIGTERM)
            said, _ = await asyncio.wait_for(child.communicate(), 10)
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        assert child.returncode == phone.NOT_REACHED and b"pressing 5" in said
        await until(lambda: events[-1] == HungUp("caller"))
    assert (tmp_path / "out.wav").stat().st_size > 44


async def test_a_file_that_is_no_sound_is_a_clear_error(reactor, tmp_path):
    (tmp_path / "say.wav").write_text("سلام")
    with pytest.raises(ValueError, match="--say"):
        await phone.call("sip:1@127.0.0.1:9", "1", tmp_path / "say.wav", reactor=reactor, tell=lambda words: None)
