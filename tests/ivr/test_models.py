"""Speech and transcription models as child processes, with a stand-in on the same pipe: none here is a real model."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace

import pytest
import sqlalchemy as sa

from config.faults import Faults
from core import desk, people
from core.schema import message, ticket
from ivr import channel
from ivr.child import Child, NoAnswer
from ivr.media import g711
from ivr.speech import Speech
from ivr.transcripts import Transcripts
from ivr.voices import Voices
from tests.ivr.caller import MadeUpLeg, MemoryDoor, call, house
from tests.ivr.test_channel import gear, lines, rows, until

COMPLAIN = [("برای شکایت", "1"), ("شمارهٔ داخلیِ", "0"), ("پیامِ شما پنج", "3")]


def child(mode: str, timeout: float = 10) -> Child:
    return Child([sys.executable, "-m", "tests.ivr.standin", mode], timeout)


@pytest.fixture
def speech(tmp_path):
    made = Speech(tmp_path / "speech")
    yield made
    made.close()


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_a_model_speaks_and_its_prompt_is_kept(speech):
    model = child("say")
    voices = Voices(speech, {"fa": (model, "stand-in")})
    first = await voices.say("سلام", "fa")
    assert 0.3 < first.seconds < 0.5  # a tenth of a second a letter, not espeak's voice
    await model.close()
    broken = Voices(speech, {"fa": (child("silent", 0.2), "stand-in")})
    assert await broken.say("سلام", "fa") == first  # from the cache
    assert len(list(speech.folder.glob("*/*.g711"))) == 1


async def test_a_private_sentence_of_a_model_is_kept_nowhere(speech):
    voices = Voices(speech, {"fa": (child("say"), "stand-in")})
    await voices.say("رمز", "fa", keep=False)
    await voices.close()
    assert list(speech.folder.glob("*/*")) == []


@pytest.mark.parametrize(("mode", "text"), [("silent", "سلام"), ("noise", "سلام"), ("say", "نشد")])
async def test_espeak_speaks_where_the_model_does_not(speech, mode, text):
    voices = Voices(speech, {"fa": (child(mode, 1.0), "stand-in")})
    run = await voices.say(text, "fa")
    assert run == await speech.say(text, "fa")
    await voices.close()


async def test_a_language_without_a_model_is_espeaks(speech):
    voices = Voices(speech, {"fa": (child("say"), "stand-in")})
    assert await voices.say("hello", "en") == await speech.say("hello", "en")


async def test_a_model_that_dies_is_started_again():
    model = child("dies")
    await model.ask("say", "fa", "سلام".encode())
    with pytest.raises(NoAnswer):
        await model.ask("say", "fa", "سلام".encode())
    assert g711.read_wav(await model.ask("say", "fa", "سلام".encode())).size
    await model.close()


async def test_a_model_that_never_starts_rests_longer_each_time():
    model = Child([sys.executable, "-c", "raise SystemExit(1)"], 5)
    for _ in range(2):
        with pytest.raises(NoAnswer, match=r"OSError|ConnectionReset|BrokenPipe"):
            await model.ask("say", "fa", b"x")
    with pytest.raises(NoAnswer, match="rests"):
        await model.ask("say", "fa", b"x")


async def test_a_silent_model_is_killed():
    model = child("silent", 0.3)
    asking = asyncio.ensure_future(model.ask("say", "fa", b"x"))
    await until(lambda: model._process is not None)
    pid = model._process.pid
    with pytest.raises(NoAnswer, match="TimeoutError"):
        await asking
    await until(lambda: gone(pid))


async def test_a_question_that_is_given_up_spoils_no_later_answer():
    model = child("say")
    asking = asyncio.ensure_future(model.ask("say", "fa", ("سلام " * 200).encode()))
    await until(lambda: model._process is not None)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    sound = g711.read_wav(await model.ask("say", "fa", "آب".encode()))
    assert len(sound) < 8000
    await model.close()


# ---------------------------------------------------------------- transcripts


async def test_a_voice_message_is_written_down_found_and_marked_as_machine_made(opened, tmp_path):
    made, files, door = opened
    home = replace(house(MemoryDoor(), tmp_path), door=door)
    scribe = Transcripts(child("hear"), "stand-in model", door, files.read)
    home.spool.taken = scribe.wanted
    await call(MadeUpLeg(COMPLAIN), home)
    working = asyncio.ensure_future(scribe.run())
    try:
        await until(lambda: written(made))
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await scribe.close()
    [told] = await written(made)
    assert told["words"] == "صدایی به طولِ ۵ ثانیه".replace("۵", "5")
    assert told["by"] == "stand-in model"
    [row] = await made.read(rows, ticket)
    who = await people.actor(made, "secretary")
    view = await desk.ticket(made, who, row["id"])
    assert view.messages[0].text.startswith("پیام صوتی")  # the citizen's message is as it was
    found = await desk.queue(made, who, "all", "به طولِ")
    assert [one.ticket for one in found.rows] == [row["id"]]
    assert (await desk.queue(made, who, "all", "نیست در هیچ")).rows == []
    assert await door.drawer.boxes(2**53) == []


async def written(made):
    found = [one["meta"].get("transcripts", {}) for one in await made.read(all_messages)]
    return [told for one in found for told in one.values()]


def all_messages(s):
    return s.execute(sa.select(message)).mappings().all()


async def test_what_cannot_be_written_down_is_given_up_after_three_tries(opened, tmp_path, monkeypatch):
    from ivr import transcripts

    made, files, door = opened
    monkeypatch.setattr(transcripts, "PAUSE", 0.01)
    home = replace(house(MemoryDoor(), tmp_path), door=door)
    scribe = Transcripts(Child([sys.executable, "-c", "raise SystemExit(1)"], 5), "none", door, files.read)
    home.spool.taken = scribe.wanted
    await call(MadeUpLeg(COMPLAIN), home)
    working = asyncio.ensure_future(scribe.run())
    try:
        await until(lambda: nothing_waits(door))
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await scribe.close()
    assert await written(made) == []
    assert len(await made.read(rows, ticket)) == 1


async def nothing_waits(door) -> bool:
    return await door.drawer.boxes(2**53) == []


# ---------------------------------------------------------------- the channel


async def test_without_models_everything_works_and_with_them_the_channel_uses_them(opened, tmp_path):
    _, files, door = opened
    model = tmp_path / "voice.onnx"
    model.write_bytes(b"x")
    standin = [sys.executable, "-m", "tests.ivr.standin"]
    table = {
        "line": {},
        "voice": {"fa": {"model": str(model), "command": [*standin, "say"]}},
        "transcription": {"model": str(model), "command": [*standin, "hear"]},
    }
    ours = channel.make(gear(tmp_path, table=table, read=files.read))
    await ours.start(door)
    try:
        run = [run async for run in ours.house.sounds.runs(item("ivr.code_right"), "fa")]
        assert run[0].seconds == pytest.approx(1.0, abs=0.3)
        assert ours.house.spool.taken is not None
    finally:
        await ours.stop(0)


def item(key: str):
    from ivr.steps import Item

    return Item(key)


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ({"voice": {"fa": {"model": "/nowhere/voice.onnx"}}}, "missing-model"),
        ({"voice": {"de": {"model": "/nowhere/voice.onnx"}}}, "unknown-language"),
        ({"voice": {"fa": {}}}, "missing-key"),
        ({"transcription": {"model": "/nowhere"}}, "missing-model"),
        ({"transcription": {"engine": "ear", "model": "/nowhere"}}, "bad-value"),
    ],
)
def test_a_faulty_model_is_named(tmp_path, table, word):
    with pytest.raises(Faults) as raised:
        channel.make(gear(tmp_path, table={**lines(), **table}))
    assert word in {fault.word for fault in raised.value.faults}
