"""An ear: is this sentence in that sound, and which digits were spoken?

The same words are said here. The speech voice never says a sentence with the same samples twice, so spectra are
compared, not samples.
"""

from __future__ import annotations

import asyncio
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from config.texts import Texts, read_texts
from ivr.media import g711
from ivr.prompts import Prompts, Spoken, one_by_one
from ivr.speech import Speech
from ivr.steps import Item

ROOT = Path(__file__).resolve().parents[3]
TODAY = date(2026, 11, 24)  # the sentences asked for name no date
HOP, WINDOW, BANDS = 80, 256, 20  # 10 ms, 32 ms, bands of 190 Hz
CHUNK = 60  # hops: a sentence is looked for piece by piece, as no two are of quite the same pace
SAME = 0.8  # correlation of the same piece of a sentence; of another one see the tests' controls
LOUD = 500  # of 32768
LONGEST = 75  # hops of a digit's word
FAINT = 0.5  # of a spectrum: an f or s by telephone is above it
Sound = npt.NDArray[np.float64]


@cache
def texts() -> Texts:
    return read_texts([ROOT / "config/texts"], ("fa", "en"), [])


def said(*items: Item, lang: str = "fa") -> Sound:
    """What the phone says for these items, made here and now."""
    prompts = Prompts(texts())
    pieces = [piece for item in items for piece in prompts.pieces(item, lang, TODAY) if isinstance(piece, Spoken)]
    return np.concatenate([spoken(piece.text, piece.lang) for piece in pieces])


@cache
def spoken(text: str, lang: str = "fa") -> Sound:
    """`text` by the speech voice, 8 kHz."""

    async def make() -> Sound:
        with tempfile.TemporaryDirectory() as folder:
            speech = Speech(folder)
            try:
                return g711.decode("pcma", (await speech.say(text, lang)).pcma).astype(float)
            finally:
                speech.close()

    with ThreadPoolExecutor(1) as apart:  # a loop of its own, beside the tests' one
        return apart.submit(asyncio.run, make()).result()


def read(wav: bytes) -> Sound:
    return g711.read_wav(wav).astype(float)


def seconds(sound: Sound) -> float:
    return len(sound) / g711.RATE


def loud(sound: Sound) -> float:
    """Seconds of 20 ms frames that are not silence."""
    frames = np.abs(sound[: len(sound) // 160 * 160].reshape(-1, 160)).max(axis=1)
    return float((frames > LOUD).sum() * 0.02)


def share(sound: Sound, sentence: Sound) -> float:
    """Which share of `sentence`, 0.6 s by 0.6 s, is heard in `sound`."""
    heard, wanted = spectrum(sound), spectrum(sentence)
    parts = [wanted[at : at + CHUNK] for at in range(0, len(wanted) - CHUNK + 1, CHUNK // 2)]
    parts = [part for part in parts if (part.max(axis=1) > 3).mean() > 0.5]
    assert parts, "a sentence of silence"
    return sum(match(heard, part)[0] > SAME for part in parts) / len(parts)


def spectrum(sound: Sound) -> Sound:
    """[10 ms, bands]: logarithm of the power over a floor, 0 for silence."""
    count = max(0, (len(sound) - WINDOW) // HOP + 1)
    rows = np.arange(count)[:, None] * HOP + np.arange(WINDOW)
    power = np.abs(np.fft.rfft(sound[rows] * np.hanning(WINDOW))) ** 2
    bands = np.add.reduceat(power[:, :-1], np.linspace(2, 122, BANDS).astype(int), axis=1)
    found: Sound = np.log1p(bands / 1e8)
    return found


def match(heard: Sound, part: Sound) -> tuple[float, int]:
    """Best correlation of the spectrum `part` anywhere in `heard`, and the hop where it begins."""
    if len(heard) < len(part):
        return 0.0, 0
    mean = part.mean(axis=0)
    heard, part = heard - mean, part - mean
    size = 1 << (len(heard) + len(part)).bit_length()
    cross = np.fft.irfft(np.fft.rfft(heard, size, axis=0) * np.conj(np.fft.rfft(part, size, axis=0)), size, axis=0)
    sums = np.concatenate([[0.0], np.cumsum((heard**2).sum(axis=1))])
    energy = np.maximum(sums[len(part) :] - sums[: -len(part)], 1.0)
    score = cross.sum(axis=1)[: len(energy)] / np.sqrt(energy * (part**2).sum())
    best = int(np.argmax(score))
    return float(score[best]), best


def digits(sound: Sound, lead: str, count: int) -> str:
    """The digits spoken after the words `lead`: each word is the one of ten that it resembles most."""
    heard, words = spectrum(sound), spectrum(spoken(lead + "."))
    last = np.flatnonzero(words.max(axis=1) > FAINT)[-1] + 1
    begin = match(heard, words[max(0, last - 150) : last])[1] + min(last, 150)
    known = [[_words(spectrum(word))[-1] for word in _said(digit)] for digit in "0123456789"]
    spoken_ones = _words(heard[begin - 20 :])[1 : count + 1]  # the first is the end of the lead
    return "".join(
        str(int(np.argmax([max(_alike(word, one) for one in ones) for ones in known]))) for word in spoken_ones
    )


def _said(digit: str) -> list[Sound]:
    """A digit as it is said alone, within a row of digits and at its end."""
    word = one_by_one(digit, "fa")
    return [spoken(text) for text in (f"{word}،", f"{word}.", f"یک، {word}،", f"یک، {word}.", f"دو، سه، {word}.")]


def _words(heard: Sound) -> list[Sound]:
    """Cut at quiet of 100 ms and more; clicks are no words."""
    loud_at = np.flatnonzero(heard.max(axis=1) > FAINT)
    cuts = np.flatnonzero(np.diff(loud_at) > 10)
    begins, ends = [loud_at[0], *loud_at[cuts + 1]], [*loud_at[cuts], loud_at[-1]]
    return [heard[b : e + 1] for b, e in zip(begins, ends, strict=True) if e - b > 8]


def _alike(word: Sound, known: Sound) -> float:
    """Likeness of two words of somewhat different pace: the cheapest path through both (dynamic time warping)."""
    if len(word) > LONGEST:  # the next sentence begins without a rest
        word = word[: len(known)]
    cost = np.abs(word[:, None, :] - known[None, :, :]).mean(axis=2)
    path = np.full((len(word) + 1, len(known) + 1), np.inf)
    path[0, 0] = 0.0
    for i in range(len(word)):
        for j in range(len(known)):
            path[i + 1, j + 1] = cost[i, j] + min(path[i, j], path[i, j + 1], path[i + 1, j])
    return -float(path[-1, -1]) / (len(word) + len(known))
