"""G.711 against a slow oracle written from the recommendation, and the WAV files around it."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest

from ivr.leg import FRAME
from ivr.media import g711
from ivr.media.g711 import NotSound

EVERY = np.arange(-32768, 32768).astype(np.int16)


def slow_a(sample: int) -> int:
    """One sample by G.711 table 1a: 13 bits, eight segments, even bits inverted."""
    size = sample // 8
    positive = size >= 0
    size = size if positive else -size - 1
    step = max(0, size.bit_length() - 5)
    low = size >> 1 if step < 2 else size >> step
    return ((0x80 if positive else 0) | step << 4 | low & 15) ^ 0x55


def slow_u(sample: int) -> int:
    """One sample by G.711 table 2a: 14 bits with a bias of 33, all bits inverted."""
    size = sample // 4
    size = min(size if size >= 0 else -size - 1, 8158) + 33
    step = size.bit_length() - 6
    return 0xFF ^ ((0x80 if sample // 4 < 0 else 0) | step << 4 | size >> step + 1 & 15)


@pytest.mark.parametrize(("law", "slow"), [("pcma", slow_a), ("pcmu", slow_u)])
def test_every_sample_is_coded_as_by_the_slow_oracle(law, slow):
    coded = g711.encode(law, EVERY)
    assert coded == bytes(slow(int(sample)) for sample in EVERY)


@pytest.mark.parametrize("law", ["pcma", "pcmu"])
def test_every_code_comes_back_as_itself_and_is_near_its_sample(law):
    codes = bytes(range(256))
    back = g711.encode(law, g711.decode(law, codes))
    different = [code for code in codes if back[code] != code]
    assert different == ([0x7F] if law == "pcmu" else [])  # mu-law has a second zero
    heard = g711.decode(law, g711.encode(law, EVERY)).astype(int)
    assert np.all(np.abs(heard - EVERY) <= np.maximum(8, np.abs(EVERY.astype(int)) / 32 + 8))


def test_a_prompt_is_whole_frames_in_both_laws_filled_up_with_silence():
    run = g711.frames(np.full(250, 1000, np.int16))
    assert len(run.pcma) == len(run.pcmu) == 2 * FRAME
    assert run.pcma[250:] == b"\xd5" * 70
    assert run.pcmu[250:] == b"\xff" * 70


@pytest.mark.parametrize("rate", [11_025, 16_000, 22_050, 44_100, 48_000])
def test_another_rate_is_brought_to_8_khz_without_mirror_tones(rate):
    at = np.arange(rate) * 2 * np.pi / rate
    heard = g711.resample((8000 * np.sin(1000 * at)).astype(np.int16), rate)
    wanted = 8000 * np.sin(1000 * np.arange(8000) * 2 * np.pi / 8000)
    assert len(heard) == 8000
    assert np.abs(heard - wanted)[200:-200].max() < 20
    above = g711.resample((8000 * np.sin(5000 * at)).astype(np.int16), rate)
    assert np.abs(above)[200:-200].max() < 20  # would be heard at 3 kHz


def test_a_slower_file_is_brought_to_8_khz():
    assert len(g711.resample(np.zeros(6000, np.int16), 6000)) == 8000
    assert len(g711.resample(np.zeros(0, np.int16), 22_050)) == 0


@pytest.mark.parametrize("law", ["pcma", "pcmu"])
def test_a_g711_wav_is_read_back(law):
    samples = (3000 * np.sin(np.arange(801) / 5)).astype(np.int16)
    file = g711.wav(law, g711.encode(law, samples))
    assert len(file) == g711.HEADER + 802
    assert struct.unpack_from("<I", file, 4)[0] == len(file) - 8
    assert np.array_equal(g711.read_wav(file)[:801], g711.decode(law, g711.encode(law, samples)))


def test_pcm_files_of_8_and_16_bits_one_or_two_channels_are_read():
    samples = (3000 * np.sin(np.arange(800) / 5)).astype(np.int16)
    assert np.array_equal(g711.read_wav(g711.write_wav(samples)), samples)
    stereo = g711.write_wav(np.repeat(samples, 2))
    two = stereo[:22] + struct.pack("<H", 2) + stereo[24:]
    assert np.array_equal(g711.read_wav(two), samples)
    small = ((samples >> 8) + 128).astype(np.uint8).tobytes()
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8)
    file = b"RIFF\0\0\0\0WAVE" + fmt + b"LIST\x03\0\0\0abc\0" + struct.pack("<4sI", b"data", len(small)) + small
    assert np.abs(g711.read_wav(file).astype(int) - samples).max() < 256


def test_a_file_cut_short_is_played_as_far_as_it_goes():
    file = g711.write_wav(np.ones(800, np.int16))
    assert len(g711.read_wav(file[:-101])) == 749


@pytest.mark.parametrize(
    "data",
    [b"", b"ID3\x04", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEfmt \x02\0\0\0\0\0data\0\0\0\0"],
)
def test_what_is_no_sound_is_refused_with_a_sentence(data):
    with pytest.raises(NotSound, match=r"WAV|fmt"):
        g711.read_wav(data)


def test_float_samples_and_absurd_rates_are_refused():
    file = g711.write_wav(np.ones(8, np.int16))
    with pytest.raises(NotSound, match="tag 3"):
        g711.read_wav(file[:20] + b"\x03\0" + file[22:])
    with pytest.raises(NotSound, match="1 Hz"):
        g711.read_wav(file[:24] + b"\x01\0\0\0" + file[28:])


def test_the_silence_of_both_laws_is_no_sound():
    assert abs(int(g711.decode("pcma", b"\xd5")[0])) == 8
    assert g711.decode("pcmu", b"\xff")[0] == 0
    assert math.isclose(g711.frames(np.zeros(8000, np.int16)).seconds, 1.0)
