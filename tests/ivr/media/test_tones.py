"""Keys as tones in the sound: tones made by the recommendation, speech and music that are none, whole calls."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from ivr.leg import FRAME
from ivr.media import g711, tones
from ivr.media.messages import Add, Change, KeySeen, Record, Recorded
from ivr.media.tones import KEYS
from ivr.speech import Speech
from tests.ivr.media.made_up import World, media, rtp
from tests.ivr.site import ROOT

DIALLED = "1234567890*#ABCD1199"


def dial(
    keys: str, on: float = 50, off: float = 50, beside: float = 0.0, twist: float = 0.0, level: float = 3000,
    noise: float = 0.0, start: int = 0,
) -> np.ndarray:  # fmt: skip
    """Samples of these keys: ms on and off, share beside the frequency, dB of the high tone over the low one."""
    parts = [np.zeros(start)]
    for key in keys:
        row, column = divmod(KEYS.index(key), 4)
        at = np.arange(int(on * 8)) * 2 * np.pi / 8000 * (1 + beside)
        tone = np.sin(tones.ROWS[row] * at) + 10 ** (twist / 20) * np.sin(tones.COLUMNS[column] * at)
        parts += [level * tone, np.zeros(int(off * 8))]
    sound = np.concatenate([*parts, np.zeros(2 * FRAME)])
    sound += np.random.default_rng(7).normal(0, noise, len(sound)) if noise else 0
    return np.clip(sound, -32_000, 32_000).astype(np.int16)


def heard(samples: np.ndarray, law: str = "pcma") -> str:
    """The keys in a sound after it went through a call."""
    sound = g711.decode(law, g711.encode(law, samples[: len(samples) // FRAME * FRAME]))
    ear = tones.Ear()
    return "".join(filter(None, map(ear.hear, tones.keys(sound.reshape(-1, FRAME)).tolist())))


@pytest.mark.parametrize("law", ["pcma", "pcmu"])
@pytest.mark.parametrize("start", range(0, FRAME, 23))
def test_every_key_is_heard_once_wherever_its_frames_begin(law, start):
    for on, off in ((50, 50), (60, 60), (100, 60), (400, 100)):
        assert heard(dial(DIALLED, on, off, start=start), law) == DIALLED


@pytest.mark.parametrize("beside", [-0.015, 0.015])
def test_a_telephone_one_and_a_half_percent_out_of_tune_is_understood(beside):
    assert heard(dial(DIALLED, beside=beside)) == DIALLED


@pytest.mark.parametrize("changes", [{"level": 60}, {"level": 14_000}, {"noise": 400}, {"twist": 3}, {"twist": -6}])
def test_soft_loud_noisy_and_twisted_tones_are_understood(changes):
    assert heard(dial(DIALLED, 80, 60, **changes)) == DIALLED


@pytest.mark.parametrize("changes", [{"twist": 6}, {"twist": -11}, {"beside": 0.035}, {"on": 12}, {"level": 2}])
def test_what_is_too_twisted_out_of_tune_short_or_soft_is_no_key(changes):
    assert heard(dial(DIALLED, **changes)) == ""


def test_a_key_with_a_hole_of_one_frame_is_one_key():
    sound = dial("5", on=200)
    sound[5 * FRAME : 6 * FRAME] = 0
    assert heard(sound) == "5"


def test_one_tone_alone_two_of_a_row_and_noise_are_no_keys():
    at = np.arange(16_000) * 2 * np.pi / 8000
    for sound in (np.sin(770 * at), np.sin(697 * at) + np.sin(770 * at), np.sin(1336 * at) + np.sin(1477 * at)):
        assert heard((5000 * sound).astype(np.int16)) == ""
    assert heard(np.random.default_rng(3).normal(0, 5000, 80_000).clip(-32_000, 32_000).astype(np.int16)) == ""


def test_silence_is_no_key():
    assert tones.keys(np.zeros((3, FRAME), np.int16)).tolist() == [-1, -1, -1]
    assert tones.keys(np.zeros((0, FRAME), np.int16)).tolist() == []


@pytest.mark.slow
async def test_persian_speech_gives_no_false_key(tmp_path):
    """Everything the phone says, over six minutes, its frames taken at three places."""
    speech = Speech(tmp_path)
    try:
        words = " . ".join(_leaves(tomllib.loads((ROOT / "config/texts/fa/ivr.toml").read_text(encoding="utf-8"))))
        run = await speech.say(words, "fa", keep=False)
    finally:
        speech.close()
    assert run.seconds > 100
    sound = g711.decode("pcma", run.pcma)
    assert [heard(sound[start:]) for start in (0, 53, 107)] == ["", "", ""]


def _leaves(table: Mapping) -> Iterator[str]:
    for value in table.values():
        if isinstance(value, Mapping):
            yield from _leaves(value)
        elif isinstance(value, str):
            yield value


# ---- in calls


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def speak(world: World, samples: np.ndarray, octets: int = FRAME, slot: int = 0, kind: int = 8) -> str:
    """Send a sound as packets of `octets`; returns the keys that were told."""
    data = g711.encode("pcma" if kind == 8 else "pcmu", samples)
    told = ""
    for number, at in enumerate(range(0, len(data) - octets + 1, octets)):
        world.hear(rtp(number, at, data[at : at + octets], kind=kind), slot=slot)
        told += "".join(event.key for event in world.tick() if isinstance(event, KeySeen))
    return told


@pytest.mark.parametrize("octets", [80, 160, 240, 480])
def test_a_caller_without_telephone_events_presses_by_tones_whatever_the_frame_length(world, octets):
    world.obey(Add(media(event_type=None)))
    assert speak(world, dial("1201#"), octets) == "1201#"


def test_a_caller_with_telephone_events_is_not_heard_twice(world):
    world.obey(Add(media(event_type=96)))
    assert speak(world, dial("12")) == ""


def test_many_callers_by_tones_at_once_are_told_apart(world):
    world.obey(*(Add(media(row, event_type=None, law="pcmu")) for row in range(1, 6)))
    sounds = [g711.encode("pcmu", dial(str(row) * 3)) for row in range(1, 6)]
    told: dict[int, str] = {}
    for number in range(len(sounds[0]) // FRAME):
        for slot, data in enumerate(sounds):
            world.hear(rtp(number, number * FRAME, data[number * FRAME :][:FRAME], kind=0), slot=slot)
        for event in world.tick():
            told[event.row] = told.get(event.row, "") + event.key
    assert told == {row: str(row) * 3 for row in range(1, 6)}


def test_a_re_invite_that_offers_events_ends_the_listening(world):
    world.obey(Add(media(event_type=None)))
    assert speak(world, dial("1")) == "1"
    world.obey(Change(media(event_type=96)))
    assert speak(world, dial("2")) == ""


def test_a_tone_that_ends_a_recording_is_not_in_it(world, tmp_path):
    world.obey(Add(media(event_type=None)), Record(1, str(tmp_path / "a.wav"), 60, 50, "#"))
    voice = (4000 * np.sin(np.arange(16_000) * 2 * np.pi * 300 / 8000)).astype(np.int16)
    assert speak(world, np.concatenate([voice, dial("#", on=100)])) == "#"
    ended = next(event for event in world.events if isinstance(event, Recorded))
    assert (ended.why, 1.85 <= ended.seconds <= 2.0) == ("key", True)
    kept = g711.read_wav((tmp_path / "a.wav").read_bytes())
    assert len(tones.keys(kept[: len(kept) // FRAME * FRAME].reshape(-1, FRAME))) > 90
    assert (tones.keys(kept[: len(kept) // FRAME * FRAME].reshape(-1, FRAME)) == -1).all()
