"""Two calls that hear each other, one who listens or whispers, music, and the recording of both, by ticks."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ivr.leg import FRAME
from ivr.media import g711
from ivr.media.bridge import MOST, Buffer
from ivr.media.messages import (
    Add,
    Bridge,
    Change,
    Disguise,
    Drop,
    EndRecord,
    Hush,
    KeySeen,
    Listen,
    Part,
    Play,
    Record,
    Recorded,
    RecordPair,
    RunsOut,
)
from ivr.media.music import music
from ivr.media.record import recover
from tests.ivr.media.made_up import World, fields, media, rtp, tone

CALLER, OPERATOR, LEAD = 1, 2, 3
QUIET = b"\xd5" * FRAME


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    for row in (CALLER, OPERATOR, LEAD):
        world.obey(Add(media(row, peer=(f"192.0.2.{row}", 4000), quiet_limit=1000)))
    yield world
    world.close()


class Voices:
    """Each row says a steady tone of its own, a frame a tick; what each hears is kept."""

    def __init__(self, world: World, *rows: int) -> None:
        self.world = world
        self.rows = rows
        self.heard: dict[int, list[bytes]] = {row: [] for row in (CALLER, OPERATOR, LEAD)}
        self.number = 0
        self.laws: dict[int, str] = {}

    def frame(self, row: int, number: int) -> bytes:
        samples = 3000 * np.sin(1 + (np.arange(FRAME) + number * FRAME) * 2 * np.pi * HERTZ[row] / 8000)
        return g711.encode(self.laws.get(row, "pcma"), samples.astype(np.int16))

    def speak(self, ticks: int) -> list:
        events = []
        for _ in range(ticks):
            for row in self.rows:
                sound = self.frame(row, self.number)
                kind = g711.PAYLOAD[self.laws.get(row, "pcma")]
                packet = rtp(self.number, self.number * FRAME, sound, kind=kind)
                self.world.hear(packet, source=(f"192.0.2.{row}", 4000), slot=row - 1)
            self.number += 1
            events += self.world.tick()
            for slot, packet, _ in self.world.network.sent:
                self.heard[slot + 1].append(packet[12:])
            self.world.network.sent.clear()
        return events

    def forget(self) -> None:
        for frames in self.heard.values():
            frames.clear()

    def hears(self, row: int) -> set[int]:
        """Whose tones are in what `row` heard of late."""
        sound = b"".join(self.heard[row][-20:])
        samples = g711.decode(self.laws.get(row, "pcma"), sound).astype(float)
        spectrum = np.abs(np.fft.rfft(samples)) / len(samples)
        return {other for other, hertz in HERTZ.items() if spectrum[round(hertz * len(samples) / 8000)] > 500}


HERTZ = {CALLER: 400, OPERATOR: 700, LEAD: 1100}


def test_two_calls_hear_each_other_octet_by_octet_within_60_ms(world):
    world.obey(Bridge(CALLER, OPERATOR))
    voices = Voices(world, CALLER, OPERATOR)
    voices.speak(30)
    for row, other in ((CALLER, OPERATOR), (OPERATOR, CALLER)):
        said = b"".join(voices.frame(other, number) for number in range(30))
        got = b"".join(voices.heard[row]).lstrip(b"\xd5")
        assert got == said[: len(got)]
        assert len(said) - len(got) <= MOST
    assert voices.hears(LEAD) == set()


def test_each_hears_in_its_own_law(world):
    world.obey(Change(media(OPERATOR, peer=("192.0.2.2", 4000), law="pcmu")), Bridge(CALLER, OPERATOR))
    voices = Voices(world, CALLER, OPERATOR)
    voices.laws[OPERATOR] = "pcmu"
    voices.speak(30)
    assert (voices.hears(CALLER), voices.hears(OPERATOR)) == ({OPERATOR}, {CALLER})


def test_keys_of_either_are_told_and_passed_on(world):
    world.obey(Bridge(CALLER, OPERATOR))
    voices = Voices(world, CALLER, OPERATOR)
    voices.speak(5)
    world.hear(rtp(5, 800, b"\x07\x0a\x00\xa0", kind=96), source=("192.0.2.1", 4000), slot=0)
    assert KeySeen(CALLER, "7") in world.tick()
    world.tick(10)
    events = [packet for slot, packet, _ in world.network.sent if slot == 1 and fields(packet)[1] == 96]
    assert len(events) == 7 and {packet[12] for packet in events} == {7}
    assert not [packet for slot, packet, _ in world.network.sent if slot == 0 and fields(packet)[1] == 96]


def test_a_lead_who_listens_hears_both_and_nobody_hears_the_lead(world):
    world.obey(Bridge(CALLER, OPERATOR), Listen(LEAD, OPERATOR))
    voices = Voices(world, CALLER, OPERATOR, LEAD)
    voices.speak(30)
    assert voices.hears(LEAD) == {CALLER, OPERATOR}
    assert (voices.hears(CALLER), voices.hears(OPERATOR)) == ({OPERATOR}, {CALLER})


def test_a_lead_who_whispers_is_heard_by_the_operator_alone(world):
    world.obey(Bridge(CALLER, OPERATOR), Listen(LEAD, OPERATOR, whisper=True))
    voices = Voices(world, CALLER, OPERATOR, LEAD)
    voices.speak(30)
    assert voices.hears(OPERATOR) == {CALLER, LEAD}
    assert voices.hears(CALLER) == {OPERATOR}
    world.obey(Listen(LEAD, OPERATOR))
    voices.speak(30)
    assert voices.hears(OPERATOR) == {CALLER}
    assert voices.hears(LEAD) == {CALLER, OPERATOR}


def test_parted_calls_hear_nothing_of_each_other(world):
    world.obey(Bridge(CALLER, OPERATOR), Listen(LEAD, CALLER))
    voices = Voices(world, CALLER, OPERATOR)
    voices.speak(10)
    world.obey(Part(CALLER))
    voices.speak(30)
    assert (voices.hears(CALLER), voices.hears(OPERATOR), voices.hears(LEAD)) == (set(), set(), {OPERATOR})
    world.obey(Part(LEAD))
    voices.speak(30)
    assert voices.hears(LEAD) == set()
    assert not any(call.sources or call.listeners or call.mate for call in world.rows.calls.values())


def test_the_end_of_one_call_leaves_the_other_in_silence(world):
    world.obey(Bridge(CALLER, OPERATOR))
    voices = Voices(world, CALLER, OPERATOR)
    voices.speak(10)
    world.obey(Drop(CALLER))
    voices.rows = (OPERATOR,)
    voices.speak(30)
    assert voices.hears(OPERATOR) == set()
    assert world.rows.calls[OPERATOR].mate is None


def test_a_bridge_to_another_ends_the_first(world):
    world.obey(Bridge(CALLER, OPERATOR), Bridge(CALLER, LEAD))
    voices = Voices(world, CALLER, OPERATOR, LEAD)
    voices.speak(30)
    assert (voices.hears(CALLER), voices.hears(OPERATOR), voices.hears(LEAD)) == ({LEAD}, set(), {CALLER})


def test_a_prompt_goes_over_what_the_other_says_and_then_the_other_is_heard_without_delay(world):
    world.obey(Bridge(CALLER, OPERATOR))
    voices = Voices(world, CALLER, OPERATOR)
    voices.speak(5)
    world.obey(Play(CALLER, 1, [tone(0.4, 2000)]))
    assert RunsOut(CALLER, 1) in voices.speak(20)
    assert voices.hears(CALLER) == set()
    voices.forget()
    voices.speak(20)
    said = b"".join(voices.frame(OPERATOR, number) for number in range(20, 45))
    assert b"".join(voices.heard[CALLER]) in said


def test_bridges_to_nobody_or_oneself_are_nothing(world):
    world.obey(Bridge(CALLER, 99), Bridge(CALLER, CALLER), Listen(LEAD, 99), Listen(LEAD, LEAD), Part(99))
    voices = Voices(world, CALLER)
    voices.speak(10)
    assert voices.hears(CALLER) == set()


# ---- the buffer


def test_frames_that_overtake_each_other_are_heard_in_order_within_the_buffer():
    buffer = Buffer()
    frames = [bytes([number]) * FRAME for number in range(6)]
    for number in (0, 2, 1):
        buffer.push("pcma", number * FRAME, frames[number])
    assert [buffer.pop() for _ in range(3)] == frames[:3]
    buffer.push("pcma", 4 * FRAME, frames[4])
    assert [buffer.pop(), buffer.pop()] == [QUIET, frames[4]]
    buffer.push("pcma", 3 * FRAME, frames[3])
    assert buffer.pop() is None


def test_the_buffer_never_holds_more_than_60_ms_however_the_network_is():
    draw, buffer, worst = random.Random(5), Buffer(), 0
    coming = sorted((number * 0.02 + draw.expovariate(50), number) for number in range(3000))
    popped, due = 0, 0.0
    for at, number in coming:
        while due <= at:
            popped += buffer.pop() is not None
            due += 0.02
        buffer.push("pcma", number * FRAME, QUIET)
        worst = max(worst, len(buffer._waiting))
    assert worst <= MOST
    assert popped > 2400


@pytest.mark.parametrize("jump", [80_000, 2**31, -9000])
def test_a_jump_of_the_timestamp_is_no_gap(jump):
    buffer = Buffer()
    buffer.push("pcma", 100_000, QUIET)
    buffer.push("pcma", (100_000 + jump) % 2**32, b"\x01" * FRAME)
    assert [buffer.pop(), buffer.pop(), buffer.pop()] == [QUIET, b"\x01" * FRAME, None]


# ---- music


def test_music_goes_round_and_on_after_what_is_said(world):
    tune = [tone(0.04, 500), tone(0.04, 900)]
    world.obey(Play(CALLER, 0, tune, again=True))
    assert world.tick(40) == []
    heard = b"".join(packet[12:] for packet in world.sounds())
    assert heard == (tune[0].pcma + tune[1].pcma) * 10
    words = tone(0.06, 1500)
    world.obey(Play(CALLER, 5, [words]))
    assert world.tick(10) == [RunsOut(CALLER, 5)]
    heard = b"".join(packet[12:] for packet in world.sounds())
    assert heard.startswith(words.pcma)
    assert heard[len(words.pcma) :] in (tune[0].pcma + tune[1].pcma) * 6


def test_music_ends_at_a_hush(world):
    world.obey(Play(CALLER, 0, [tone(0.04)], again=True))
    world.tick(3)
    world.obey(Hush(CALLER))
    world.sounds()
    world.tick(3)
    assert {packet[12:] for packet in world.sounds()} == {QUIET}
    assert not world.rows.calls[CALLER].again


def test_the_music_for_those_who_wait_is_quiet_and_has_no_seam():
    samples = g711.decode("pcma", music().pcma).astype(int)
    assert 10 < music().seconds < 30
    assert 300 < np.sqrt((samples**2.0).mean()) < 3000
    around = np.concatenate([samples[-400:], samples[:400]])
    assert np.abs(np.diff(around)).max() <= np.abs(np.diff(samples)).max()


def test_music_goes_on_at_its_place_in_the_other_law(world):
    tune = tone(0.1, 500)
    world.obey(Play(CALLER, 0, [tune], again=True))
    world.tick(2)
    world.sounds()
    world.obey(Change(media(CALLER, peer=("192.0.2.1", 4000), law="pcmu", quiet_limit=1000)))
    world.tick(3)
    assert b"".join(packet[12:] for packet in world.sounds()) == tune.pcmu[320:800]


# ---- the recording of both


def sides(path: Path) -> tuple[bytes, bytes]:
    data = path.read_bytes()
    assert data[22:24] == b"\x02\x00"
    return data[g711.HEADER :: 2], data[g711.HEADER + 1 :: 2]


def test_a_bridge_is_recorded_in_stereo_caller_left_operator_right(world, tmp_path):
    path = tmp_path / "a.wav"
    world.obey(Bridge(CALLER, OPERATOR), RecordPair(OPERATOR, CALLER, str(path), 600))
    voices = Voices(world, CALLER, OPERATOR)
    voices.speak(120)
    world.obey(EndRecord(OPERATOR))
    events = world.tick()
    assert events == [Recorded(OPERATOR, "stopped", 2.4, str(path))]
    for side, row in zip(sides(path), (CALLER, OPERATOR), strict=True):
        assert len(side) == 2.4 * 8000
        said = b"".join(voices.frame(row, number) for number in range(120))
        kept = side.lstrip(b"\xd5")
        assert said.startswith(kept) and len(kept) > 110 * FRAME
    assert len(g711.read_wav(path.read_bytes())) == 2.4 * 8000


@pytest.mark.parametrize("end", [Drop(CALLER), Drop(OPERATOR), Part(CALLER), Part(OPERATOR), Bridge(OPERATOR, LEAD)])
def test_whoever_ends_the_bridge_the_recording_is_closed(world, tmp_path, end):
    path = tmp_path / "a.wav"
    world.obey(Bridge(CALLER, OPERATOR), RecordPair(OPERATOR, CALLER, str(path), 600))
    Voices(world, CALLER, OPERATOR).speak(60)
    world.obey(end)
    world.tick()
    assert Recorded(OPERATOR, "hung_up", 1.2, str(path)) in world.events


def test_a_recording_of_both_ends_when_it_is_long_enough(world, tmp_path):
    world.obey(Bridge(CALLER, OPERATOR), RecordPair(OPERATOR, CALLER, str(tmp_path / "a.wav"), 1.0))
    events = Voices(world, CALLER, OPERATOR).speak(60)
    assert events == [Recorded(OPERATOR, "full", 1.0, str(tmp_path / "a.wav"))]


def test_what_a_crash_left_of_a_recording_of_both_is_repaired(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(g711.wav_header("pcma", 0, 2) + bytes(32_001))
    assert recover(path) == 2.0
    assert path.read_bytes() == g711.wav_header("pcma", 32_000, 2) + bytes(32_000)


def test_two_who_are_not_bridged_are_not_recorded(world, tmp_path):
    world.obey(RecordPair(OPERATOR, CALLER, str(tmp_path / "a.wav"), 60))
    world.tick(60)
    assert not (tmp_path / "a.wav").exists()


# ---- disguise


def test_a_disguised_voice_is_disguised_for_listeners_and_on_tape(world, tmp_path):
    world.obey(Disguise(CALLER), Bridge(CALLER, OPERATOR), Record(CALLER, str(tmp_path / "a.wav"), 60, 60, "#"))
    voices = Voices(world, CALLER, OPERATOR)
    voices.speak(60)
    world.obey(EndRecord(CALLER))
    world.tick()
    said = b"".join(voices.frame(CALLER, number) for number in range(60))
    kept = (tmp_path / "a.wav").read_bytes()[g711.HEADER :]
    assert len(kept) == len(said)
    assert not any(voices.frame(CALLER, number) in b"".join(voices.heard[OPERATOR]) for number in range(60))
    assert not any(voices.frame(CALLER, number) in kept for number in range(60))
    assert voices.hears(CALLER) == {OPERATOR}
    world.obey(Disguise(CALLER, on=False))
    voices.forget()
    voices.speak(20)
    assert voices.frame(CALLER, 70) in b"".join(voices.heard[OPERATOR])
