"""The disguise of a voice: what stays (when it is loud, roughly how bright), and what is nowhere in it any more."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from ivr.leg import FRAME
from ivr.media import g711
from ivr.media.disguise import Mask
from ivr.speech import Speech

SENTENCE = "از وضعیت آب شهر شکایت دارم و نمی‌خواهم نامم را بگویم. لطفاً رسیدگی کنید و پاسخ بدهید."


@pytest.fixture(scope="module")
def voice(tmp_path_factory) -> np.ndarray:
    """Six seconds of Persian by the speech voice, as samples."""
    import asyncio

    async def say(folder: Path):
        speech = Speech(folder)
        try:
            return await speech.say(SENTENCE, "fa", keep=False)
        finally:
            speech.close()

    with asyncio.Runner() as runner:
        run = runner.run(say(tmp_path_factory.mktemp("speech")))
    return g711.decode("pcma", run.pcma)


def worn(samples: np.ndarray, mask: Mask | None = None, octets: int = FRAME) -> np.ndarray:
    mask = mask or Mask()
    data = g711.encode("pcma", samples)
    parts = [mask.wear("pcma", data[at : at + octets]) for at in range(0, len(data), octets)]
    return g711.decode("pcma", b"".join(parts))


def likeness(one: np.ndarray, two: np.ndarray) -> float:
    """Largest normalised correlation of the two within 100 ms of each other."""
    size = min(len(one), len(two))
    a, b = one[:size] - one[:size].mean(), two[:size] - two[:size].mean()
    wide = 1 << (2 * size).bit_length()
    cross = np.fft.irfft(np.fft.rfft(a, wide) * np.conj(np.fft.rfft(b, wide)), wide)
    near = np.abs(np.concatenate([cross[:800], cross[-800:]])).max()
    return float(near / np.sqrt((a**2).sum() * (b**2).sum()))


def loudness(samples: np.ndarray, each: int = 400) -> np.ndarray:
    """dB of each 50 ms."""
    parts = samples[: len(samples) // each * each].astype(float).reshape(-1, each)
    return 20 * np.log10(np.sqrt((parts**2).mean(axis=1)) + 10)


def pitch(samples: np.ndarray) -> list[float]:
    """Hz of each 40 ms that has one."""
    found = []
    for at in range(0, len(samples) - 640, 320):
        part = samples[at : at + 640].astype(float)
        own = np.correlate(part, part, "full")[639:]
        lag = 25 + int(own[25:130].argmax())
        if own[0] > 640 * 200**2 and own[lag] > 0.4 * own[0]:
            found.append(8000 / lag)
    return found


def stretched(samples: np.ndarray, ratio: float) -> np.ndarray:
    """Played faster or slower: the inverse that a simple shift of the pitch would have."""
    at = np.arange(int(len(samples) / ratio)) * ratio
    return np.interp(at, np.arange(len(samples)), samples)


def test_as_many_octets_come_out_as_went_in_whatever_the_frame_length():
    for octets in (80, 160, 240, 333):
        mask = Mask()
        for law in ("pcma", "pcmu"):
            assert [len(mask.wear(law, bytes([85]) * octets)) for _ in range(20)] == [octets] * 20


def test_when_it_is_loud_and_when_it_is_quiet_stays(voice):
    heard, said = loudness(worn(voice)), loudness(voice)
    together = max(np.corrcoef(heard[late:], said[: len(said) - late])[0, 1] for late in (0, 1, 2))
    assert together > 0.85


def test_silence_stays_silence():
    assert np.abs(worn(np.zeros(8000, np.int16))).max() <= 8


def test_bright_sounds_stay_brighter_than_dark_ones():
    at = np.arange(16_000) * 2 * np.pi / 8000
    dark = worn((4000 * np.sin(400 * at)).astype(np.int16))
    bright = worn((4000 * np.sin(2200 * at)).astype(np.int16))

    def centre(samples: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(samples[4000:])) ** 2
        return float((power * np.arange(len(power))).sum() / power.sum())

    assert centre(bright) > 2 * centre(dark)


def test_no_simple_inverse_gives_the_voice_back(voice):
    """Neither as it is nor faster or slower does any of it fit the voice; two shifted copies of a voice would."""
    said = voice.astype(float)
    shifted = stretched(stretched(said, 1.25), 1 / 1.25)
    assert likeness(shifted, said) > 0.9  # what an ordinary shift of the pitch is open to
    heard = worn(voice).astype(float)
    assert max(likeness(stretched(heard, ratio), said) for ratio in np.geomspace(0.7, 1.45, 60)) < 0.2


def test_two_disguises_of_one_sentence_are_not_alike(voice):
    assert likeness(worn(voice).astype(float), worn(voice).astype(float)) < 0.2


def test_the_melody_of_the_voice_is_gone():
    """A voice that glides from 100 to 220 Hz: whatever pitch the disguise has, it does not follow."""
    hertz = np.linspace(100, 220, 8000 * 8)
    turns = np.cumsum(hertz / 8000)
    glide = (sum(np.sin(2 * np.pi * turns * part) / part for part in range(1, 18)) * 4000).astype(np.int16)
    assert np.polyfit(np.arange(len(pitch(glide))), pitch(glide), 1)[0] > 0.3
    slopes = []
    for _ in range(12):
        found = pitch(worn(glide))
        slopes.append(np.polyfit(np.arange(len(found)), found, 1)[0] if len(found) > 20 else 0.0)
    assert min(slopes) < 0.1
    assert np.mean(np.array(slopes) > 0.25) < 0.5


def test_an_hour_takes_no_more_memory_than_a_second():
    mask = Mask()
    octets = g711.encode("pcma", (3000 * np.sin(np.arange(FRAME) / 3)).astype(np.int16))
    for _ in range(50):
        mask.wear("pcma", octets)
    held = sum(sys.getsizeof(part) for part in (mask._coming, mask._ready))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(2000):
        mask.wear("pcma", octets)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 20_000
    assert sum(sys.getsizeof(part) for part in (mask._coming, mask._ready)) <= held + 2 * FRAME
