"""Whole calls against a made-up Leg: what was accepted is never lost, whenever the caller hangs up."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from core.channels import Act, Answer, Kind, State, Trust, Words
from core.errors import Busy, Guarded, Locked, WrongState
from core.model import KeptFile
from ivr import readout
from ivr import spool as spools
from ivr.call import Call
from ivr.media import g711
from tests.ivr.caller import CODE, NUMBER, PIN, MadeUpLeg, MemoryDoor, call, house
from tests.ivr.site import TODAY, texts

COMPLAIN = [("برای شکایت", "1"), ("شمارهٔ داخلیِ", "0"), ("پیامِ شما پنج ثانیه", "3")]
FOLLOW = [("برای شکایت", "5"), ("یازده رقمی", CODE + "#"), ("رمزِ چهار رقمی را", PIN)]
BYE = ("می‌پذیرید", "hang up")


def answer(**more) -> Answer:
    reply = Words("out", "لوله تعویض شد. پایان ۱۴۰۵/۰۹/۱۰.", 1_790_000_000_000, "web", more.pop("files", ()))
    facts = {"ticket": 7, "code": CODE, "state": State.ANSWERED, "kind": Kind.COMPLAINT, "unit": "water",
             "unit_name": "ادارهٔ آب", "at": 1_789_000_000_000, "due_at": None, "answered_at": reply.at, "lang": "fa",
             "proven": True, "reply": reply}  # fmt: skip
    return Answer(**{**facts, **more})


def write(path: str, data: bytes) -> None:
    Path(path).write_bytes(data)


def left(home) -> list[str]:
    return sorted(os.listdir(home.spool.folder))


async def test_a_complaint_is_taken_and_only_then_its_code_is_spoken(tmp_path):
    door, leg = MemoryDoor(), MadeUpLeg(COMPLAIN)
    home = house(door, tmp_path)
    door.before_receipt = lambda: leg.heard.append("--- taken")
    await call(leg, home)
    [message] = door.taken
    assert (message.kind, message.act, message.text, message.to) == (
        "complaint", Act.NEW, "پیام صوتی، ۵ ثانیه", ("1888",)
    )  # fmt: skip
    assert (message.contact.value, message.contact.proven, message.trust) == (NUMBER, True, Trust.PASS)
    [file] = message.files
    assert (file.type, file.seconds) == ("audio/x-wav", 5.0)
    assert len(g711.read_wav(door.kept[file.key])) == 40_000
    assert message.facts["path"][:2] == ["welcome", "main"]
    code = [at for at, words in enumerate(leg.heard) if "هفت، دو، نُه" in words]
    assert len(code) == 2
    assert leg.heard.index("--- taken") < code[0]
    assert sum("صفر، نُه، صفر، هفت" in words for words in leg.heard) == 2
    assert left(home) == []


async def test_a_claimed_number_proves_nothing_and_a_withheld_one_is_nobody(tmp_path):
    door = MemoryDoor()
    home = house(door, tmp_path)
    await call(MadeUpLeg(COMPLAIN, asserted=False), home)
    await call(MadeUpLeg(COMPLAIN, number=None), home)
    claimed, nobody = door.taken
    assert (claimed.contact.proven, claimed.trust) == (False, Trust.NONE)
    assert (nobody.contact, nobody.trust) == (None, Trust.NONE)


async def things_done(tmp_path, plan, **more) -> int:
    leg = MadeUpLeg(plan, **more)
    await call(leg, house(MemoryDoor(), tmp_path / "count"))
    return leg.done


@pytest.mark.parametrize("cut", range(1, 24))
@pytest.mark.parametrize("silent_end", [False, True], ids=["told", "untold"])
async def test_hanging_up_at_any_step_loses_nothing_that_was_said(tmp_path, cut, silent_end):
    door = MemoryDoor()
    home = house(door, tmp_path)
    leg = MadeUpLeg(COMPLAIN, cut=cut, silent_end=silent_end)
    await call(leg, home)
    assert len(door.taken) == len(leg.spoken)
    assert left(home) == []


async def test_the_steps_above_are_all_there_are(tmp_path):
    assert 12 < await things_done(tmp_path, COMPLAIN) < 24


@pytest.mark.parametrize("speaks", [[0.5, -30.0], [-30.0], [1.0, 0.2, -9.0]])
async def test_hanging_up_in_the_middle_of_a_word_sends_it(tmp_path, speaks):
    door = MemoryDoor()
    home = house(door, tmp_path)
    await call(MadeUpLeg(COMPLAIN[:2], speaks=speaks), home)
    [message] = door.taken
    assert message.files[0].seconds == -speaks[-1]
    assert left(home) == []


async def test_what_is_under_two_seconds_is_no_message(tmp_path):
    door = MemoryDoor()
    home = house(door, tmp_path)
    await call(MadeUpLeg(COMPLAIN[:2], speaks=[-1.9]), home)
    assert door.taken == []
    assert left(home) == []


async def test_recording_again_sends_the_second_and_drops_the_first(tmp_path):
    door = MemoryDoor()
    home = house(door, tmp_path)
    plan = [*COMPLAIN[:2], ("پیامِ شما پنج ثانیه", "2"), ("پیامِ شما نُه ثانیه", "3")]
    await call(MadeUpLeg(plan, speaks=[5, 9]), home)
    [message] = door.taken
    assert message.files[0].seconds == 9
    assert left(home) == []


async def test_the_caller_can_hear_what_was_recorded(tmp_path):
    door, leg = MemoryDoor(), MadeUpLeg([*COMPLAIN[:2], ("پیامِ شما پنج", "1"), ("پیامِ شما پنج", "3")])
    await call(leg, house(door, tmp_path))
    assert any("\ufffd" in words for words in leg.heard)  # sound, not words
    assert len(door.taken) == 1


async def test_a_busy_store_is_asked_again(tmp_path):
    door = MemoryDoor(take=[Busy(0), Busy(0)])
    home = house(door, tmp_path)
    await call(MadeUpLeg(COMPLAIN), home)
    assert len(door.taken) == 1
    assert left(home) == []


@pytest.mark.parametrize("deed", ["take", "keep"])
async def test_a_store_busy_too_long_is_told_and_the_recording_waits_for_the_sweep(tmp_path, deed):
    door, leg = MemoryDoor(**{deed: [Busy(0)] * 3}), MadeUpLeg(COMPLAIN)
    home = house(door, tmp_path)
    await call(leg, home)
    assert door.taken == []
    assert any("سامانه شلوغ است" in words for words in leg.heard)
    [note] = home.spool.left()
    receipt = await spools.recover(door, home.spool, note, home.say)
    assert receipt.code == CODE
    assert door.taken[0].facts["recovered"] is True
    assert (door.taken[0].ref, door.taken[0].kind) == (f"{leg.id}-1", "complaint")
    assert left(home) == []


async def test_a_crash_after_take_is_one_ticket_after_recovery(tmp_path):
    """The power goes between the commit and the deletion of the spool file."""
    door, leg = MemoryDoor(), MadeUpLeg(COMPLAIN)
    home = house(door, tmp_path)
    kept_back: dict[str, bytes] = {}

    def remember() -> None:
        kept_back.update({path.name: path.read_bytes() for path in home.spool.folder.iterdir()})

    door.before_receipt = remember
    await call(leg, home)
    for name, data in kept_back.items():
        (home.spool.folder / name).write_bytes(data)
    [note] = home.spool.left()
    receipt = await spools.recover(door, home.spool, note, home.say)
    assert (receipt.first, len(door.taken)) == (False, 1)
    assert left(home) == []


async def test_a_crash_while_speaking_leaves_a_ticket_of_what_was_on_disk(tmp_path):
    """The header still says nothing was recorded, as the plane writes it when it opens the file."""
    door = MemoryDoor()
    home = house(door, tmp_path)
    note = spools.Note("ab" * 16, 1, "main", "1888", NUMBER, True, kind="request", unit="water", at=1)
    write(home.spool.begin(note), g711.wav_header("pcmu", 0) + b"\xff" * 8000 * 7)
    assert await spools.recover(door, home.spool, home.spool.left()[0], home.say) is not None
    [message] = door.taken
    assert (message.kind, message.unit, message.files[0].seconds) == ("request", "water", 7.0)
    assert left(home) == []


async def test_a_recording_whose_note_is_lost_is_still_a_ticket(tmp_path):
    door = MemoryDoor()
    home = house(door, tmp_path)
    (home.spool.folder / f"{'cd' * 16}-2.wav").write_bytes(g711.wav("pcma", b"\x55" * 24_000))
    (home.spool.folder / f"{'cd' * 16}-2.json").write_text("{")
    [note] = home.spool.left()
    await spools.recover(door, home.spool, note, home.say)
    assert door.taken[0].ref == f"{'cd' * 16}-2"


async def test_a_live_call_is_not_swept(tmp_path):
    home = house(MemoryDoor(), tmp_path)
    note = spools.Note("ab" * 16, 1)
    write(home.spool.begin(note), b"")
    assert home.spool.left({note.call}) == []
    assert home.spool.left() == [note]


def test_a_note_whose_sound_is_still_to_come_stays_and_one_that_a_crash_left_goes(tmp_path: Path):
    spool = spools.Spool(tmp_path)
    spool.begin(spools.Note("just-begun", 1))
    spool.begin(spools.Note("long-gone", 1))
    os.utime(tmp_path / "long-gone-1.json", (1, 1))
    assert spool.left() == []
    assert [path.name for path in tmp_path.iterdir()] == ["just-begun-1.json"]


async def test_a_note_is_private_and_says_what_a_ticket_needs(tmp_path):
    home = house(MemoryDoor(), tmp_path)
    note = spools.Note("ab" * 16, 3, act="object", code=CODE, pin=PIN, path=("welcome",))
    home.spool.begin(note)
    path = home.spool.folder / f"{note.ref}.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["pin"] == PIN
    assert home.spool.folder.stat().st_mode & 0o777 == 0o700


async def test_a_full_disk_is_told_in_words(tmp_path):
    door, leg = MemoryDoor(), MadeUpLeg(COMPLAIN[:2])
    home = house(door, tmp_path, room=lambda: False)
    await call(leg, home)
    assert leg.spoken == []
    assert any("صندوقِ پیام پُر است" in words for words in leg.heard)


async def test_a_full_mailbox_heals_alone_while_answers_go_on(tmp_path):
    door, free = MemoryDoor(), [False]
    door.answer = answer()
    home = house(door, tmp_path, room=lambda: free[0])
    first = MadeUpLeg(COMPLAIN[:2])
    await call(first, home)
    assert door.taken == [] and first.spoken == []
    state = MadeUpLeg([*FOLLOW, BYE], asserted=False)
    await call(state, home)
    assert any("پاسخ داده است" in said for said in state.heard)
    free[0] = True
    await call(MadeUpLeg(COMPLAIN), home)
    assert len(door.taken) == 1


async def test_the_answer_is_read_out_with_code_and_pin(tmp_path):
    door, leg = MemoryDoor(), MadeUpLeg([*FOLLOW, BYE], asserted=False)
    door.answer = answer()
    await call(leg, house(door, tmp_path))
    assert leg.heard.index("لوله تعویض شد.") + 1 == leg.heard.index("پایان دهمِ آذر.")  # sentence by sentence
    assert [asker.proof for asker in door.asked] == [PIN]
    assert door.asked[0].contact is None


async def test_a_spoken_answer_is_played_as_it_was_spoken(tmp_path):
    door = MemoryDoor()
    voice = await door.keep(g711.wav("pcma", b"\xaa" * 1600), "answer.wav")
    door.answer = answer(files=(KeptFile(voice.key, "answer.wav", "audio/x-wav", voice.size, 0.2),))
    leg = MadeUpLeg([*FOLLOW, BYE])
    await call(leg, house(door, tmp_path))
    assert leg.heard[leg.heard.index("پاسخِ صوتی:") + 1] == "\ufffd" * 1600


async def test_a_sound_that_cannot_be_played_is_named_instead(tmp_path):
    door = MemoryDoor()
    voice = await door.keep(b"OggS....", "answer.ogg")
    door.answer = answer(files=(KeptFile(voice.key, "answer.ogg", "audio/ogg", 8),))
    leg = MadeUpLeg([*FOLLOW, BYE])
    await call(leg, house(door, tmp_path))
    assert texts()("ivr.reply_file", "fa") in leg.heard


@pytest.mark.parametrize(("key", "act"), [("2", "accept"), ("3", "object"), ("4", "add")])
async def test_the_caller_accepts_objects_and_adds(tmp_path, key, act):
    door = MemoryDoor()
    door.answer = answer()
    home = house(door, tmp_path)
    leg = MadeUpLeg([*FOLLOW, ("می‌پذیرید", key), ("پیامِ شما پنج", "3")])
    await call(leg, home)
    [message] = door.taken
    assert (message.act, message.code, message.proof, message.kind) == (act, CODE, PIN, None)
    assert len(message.files) == (act != "accept")
    assert readout.worded(texts()(f"ivr.done.{act}", "fa"), "fa", TODAY) in leg.heard
    assert left(home) == []


async def test_hanging_up_while_an_objection_is_refused_makes_it_a_new_message(tmp_path):
    door = MemoryDoor(take=[Guarded("objected_once"), Guarded("objected_once")])
    door.answer = answer()
    home = house(door, tmp_path)
    await call(MadeUpLeg([*FOLLOW, ("می‌پذیرید", "3")], speaks=[-6.0]), home)
    [note] = home.spool.left()
    await spools.recover(door, home.spool, note, home.say)
    [message] = door.taken
    assert (message.act, message.code, message.files[0].seconds) == (Act.NEW, None, 6.0)


async def test_a_refused_act_is_told(tmp_path):
    door = MemoryDoor(take=[WrongState()])
    door.answer = answer()
    leg = MadeUpLeg([*FOLLOW, ("می‌پذیرید", "2")])
    await call(leg, house(door, tmp_path))
    assert texts()("ivr.failed.state", "fa") in leg.heard


async def test_a_locked_code_is_told(tmp_path):
    door, leg = MemoryDoor(answer_for=[Locked(60)]), MadeUpLeg(FOLLOW)
    await call(leg, house(door, tmp_path))
    assert texts()("ivr.locked", "fa") in leg.heard


async def test_without_proof_only_the_state_is_told(tmp_path):
    door = MemoryDoor()
    door.answer = answer()
    plan = [*FOLLOW[:2], ("رمزِ چهار رقمی را", "#"), ("برای وارد کردنِ رمز", "hang up")]
    leg = MadeUpLeg(plan, asserted=False)
    await call(leg, house(door, tmp_path))
    assert any("ادارهٔ آب به پیامِ شما پاسخ داده است." in words for words in leg.heard)
    assert not any("لوله" in words for words in leg.heard)


async def test_a_unit_is_chosen_by_its_extension(tmp_path):
    door = MemoryDoor()
    leg = MadeUpLeg([COMPLAIN[0], ("شمارهٔ داخلیِ", "101#"), COMPLAIN[2]])
    await call(leg, house(door, tmp_path))
    assert door.taken[0].unit == "water"


async def test_a_caller_gone_before_the_answer_costs_nothing(tmp_path):
    class Gone(MadeUpLeg):
        async def answer(self) -> bool:
            return False

    leg = Gone()
    await call(leg, house(MemoryDoor(), tmp_path))
    assert leg.heard == []


async def test_a_door_that_breaks_ends_the_call_but_not_the_recording(tmp_path, caplog):
    door = MemoryDoor(take=[RuntimeError("broken")])
    home = house(door, tmp_path)
    await call(MadeUpLeg(COMPLAIN), home)
    assert "call broke" in caplog.text
    [note] = home.spool.left()
    assert await spools.recover(door, home.spool, note, home.say) is not None


async def test_a_call_that_is_cancelled_leaves_its_recording_to_the_next_start(tmp_path):
    door = MemoryDoor()
    waiting = asyncio.Event()

    async def never(message):
        waiting.set()
        await asyncio.Event().wait()

    door.take = never
    home, leg = house(door, tmp_path), MadeUpLeg(COMPLAIN)
    task = asyncio.ensure_future(Call(leg, home).run())
    await asyncio.wait_for(waiting.wait(), 5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not leg.up
    assert len(home.spool.left()) == 1


async def test_no_number_code_or_pin_is_logged(tmp_path, caplog):
    caplog.set_level("DEBUG")
    door = MemoryDoor()
    door.answer = answer()
    await call(MadeUpLeg([*FOLLOW, ("می‌پذیرید", "3"), ("پیامِ شما پنج", "3")]), house(door, tmp_path))
    shown = " ".join(str(record.__dict__) for record in caplog.records if record.name.startswith("ivr"))
    assert "call began" in shown
    assert NUMBER not in shown
    assert CODE not in shown
    assert PIN not in shown.replace(next(iter(door.taken)).ref, "")
