"""The speech voice by the real espeak-ng: Persian and English prompts, loudness, the cache."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ivr.leg import FRAME
from ivr.media import g711
from ivr.speech import PIECE, NoVoice, Speech, pieces

WELCOME = "سلام، به سامانهٔ پاسخ خوش آمدید. برای شکایت، عدد یک را فشار دهید."


@pytest.fixture
def speech(tmp_path: Path) -> Iterator[Speech]:
    speech = Speech(tmp_path)
    yield speech
    speech.close()


def loudness(pcma: bytes) -> float:
    """dBFS RMS of what is not silence."""
    samples = g711.decode("pcma", pcma).astype(float)
    heard = samples[np.abs(samples) > np.abs(samples).max() / 50]
    return float(20 * np.log10(np.sqrt(np.mean(heard**2)) / 32768))


async def test_a_persian_sentence_is_sound_of_plausible_length_and_the_loudness_asked(speech):
    run = await speech.say(WELCOME, "fa")
    assert 0.05 * len(WELCOME) < run.seconds < 0.2 * len(WELCOME)
    assert len(run.pcma) == len(run.pcmu)
    assert len(run.pcma) % FRAME == 0
    assert abs(loudness(run.pcma) + 20) < 1
    samples = g711.decode("pcma", run.pcma)
    assert np.abs(samples.astype(int)).max() < 32_700


async def test_both_laws_are_the_same_speech(speech):
    run = await speech.say("کدِ پیگیریِ شما", "fa")
    one, two = g711.decode("pcma", run.pcma).astype(float), g711.decode("pcmu", run.pcmu).astype(float)
    assert np.corrcoef(one, two)[0, 1] > 0.999


async def test_persian_and_english_are_said_by_their_own_voices(speech):
    persian, english = await speech.say("2", "fa"), await speech.say("2", "en")
    assert persian != english
    assert english.seconds > 0.2


async def test_a_longer_text_takes_longer_and_nothing_of_it_is_lost_between_pieces(speech):
    one = await speech.say(WELCOME, "fa")
    twenty = await speech.say(" ".join([WELCOME] * 20), "fa")
    assert 0.8 < twenty.seconds / (20 * one.seconds) < 1.3


async def test_a_sentence_is_made_once_and_read_from_disk_after_a_restart(tmp_path):
    first, second = Speech(tmp_path), Speech(tmp_path)
    run = await first.say(WELCOME, "fa")
    (file,) = tmp_path.glob("*/*.g711")
    assert file.read_bytes() == run.pcma + run.pcmu
    file.write_bytes(run.pcmu + run.pcma)  # to see that it is read, not made again
    assert (await second.say(WELCOME, "fa")).pcma == run.pcmu
    assert (await first.say(WELCOME, "fa")) is run
    first.close()
    second.close()


async def test_what_is_not_to_be_kept_leaves_no_file(speech, tmp_path):
    assert (await speech.say("رمزِ چهار رقمی: یک، دو، سه، چهار.", "fa", keep=False)).seconds > 2
    assert list(tmp_path.rglob("*.g711")) == []
    await speech.say(WELCOME, "fa")
    assert len(list(tmp_path.rglob("*.g711"))) == 1


async def test_a_damaged_file_of_the_cache_is_made_again(tmp_path):
    first, second = Speech(tmp_path), Speech(tmp_path)
    run = await first.say("نُه", "fa")
    (file,) = tmp_path.glob("*/*.g711")
    file.write_bytes(file.read_bytes()[:-3])
    again = await second.say("نُه", "fa")  # espeak-ng's noise differs from one time to the next
    assert len(again.pcma) == len(run.pcma)
    assert file.stat().st_size == 2 * len(run.pcma)
    first.close()
    second.close()


async def test_the_cache_stays_under_its_limit(tmp_path):
    speech = Speech(tmp_path, cache=100_000)
    for number in range(15):
        await speech.say(f"شمارهٔ {number}", "fa")
    assert sum(file.stat().st_size for file in tmp_path.glob("*/*")) <= 100_000
    assert len(list(tmp_path.glob("*/*"))) >= 2
    speech.close()


async def test_a_cache_that_cannot_be_written_only_costs_time(tmp_path, caplog):
    (tmp_path / "file").write_bytes(b"")
    speech = Speech(tmp_path / "file")
    assert (await speech.say("سلام", "fa")).seconds > 0.2
    assert "prompt not cached" in caplog.text
    speech.close()


async def test_many_at_once_come_out_as_if_one_by_one(speech, tmp_path):
    texts = ["کد " * number for number in range(1, 12)]
    together = await asyncio.gather(*(speech.say(text, "fa") for text in texts))
    other = Speech(tmp_path / "other")
    assert [run.seconds for run in together] == [(await other.say(text, "fa")).seconds for text in texts]
    assert len({run.seconds for run in together}) == len(texts)
    other.close()


@pytest.mark.parametrize("text", ["", "   ", "\0", "\n\n"])
async def test_a_text_without_words_is_an_empty_prompt(speech, text):
    assert (await speech.say(text, "fa")).pcma == b""


@pytest.mark.parametrize("text", ["\ud800", "<speak>سلام</speak>", "[[x]]", "آ\0ب", "a" * 5000, "🙂"])
async def test_odd_texts_are_said_or_left_out_but_never_raise(speech, text):
    assert (await speech.say(text, "fa")).seconds < 1000


async def test_a_language_without_voice_is_refused_by_name(speech):
    with pytest.raises(NoVoice, match="'de'"):
        await speech.say("hallo", "de")


def test_pieces_are_cut_after_sentences_clauses_or_words_and_lose_nothing():
    for unit in (WELCOME + " ", "پیگیری، ", "پیگیری ", "آ"):
        text = (unit * 400).strip()
        parts = list(pieces(text))
        assert all(0 < len(part) <= PIECE for part in parts)
        assert "".join(parts).replace(" ", "") == text.replace(" ", "")
    assert next(pieces((WELCOME + " ") * 10)).endswith(".")
