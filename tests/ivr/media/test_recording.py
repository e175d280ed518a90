"""Recordings: order, gaps, ends, the spool on a real disk, and what a crash leaves."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from ivr.media import g711
from ivr.media.messages import Add, Change, Drop, Dropped, EndRecord, KeySeen, Record, Recorded
from ivr.media.record import Spool, recover
from tests.ivr.media.made_up import World, media, rtp, tone

QUIET = b"\xd5" * 160
VOICE = tone(1.0).pcma


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    world.obey(Add(media(quiet_limit=1000)))
    yield world
    world.close()


def frame(number: int) -> bytes:
    at = number % 50 * 160
    return VOICE[at : at + 160]


def speak(world: World, first: int, last: int, base: int = 5000) -> None:
    """Frames `first` to `last` - 1 of the voice, one a tick."""
    for number in range(first, last):
        world.hear(rtp(number, base + 160 * number, frame(number)))
        world.tick()


def sound(path: Path) -> bytes:
    return path.read_bytes()[g711.HEADER :]


def voice(frames: int) -> bytes:
    return b"".join(map(frame, range(frames)))


def test_a_message_until_hang_up_is_on_disk_octet_by_octet_before_the_call_is_gone(world, tmp_path):
    path = tmp_path / "a.wav"
    world.obey(Record(1, str(path), 180, 5, "#"))
    speak(world, 0, 120)
    world.obey(Drop(1))
    events = world.tick()
    assert events == [Recorded(1, "hung_up", 2.4, str(path)), Dropped(1, 120, 120, 0, 0)]
    assert sound(path) == voice(120)
    assert g711.read_wav(path.read_bytes()).size == 19_200


def test_every_second_reaches_the_disk_while_the_caller_speaks(world, tmp_path):
    path = tmp_path / "a.wav"
    world.obey(Record(1, str(path), 180, 5, "#"))
    speak(world, 0, 110)
    assert len(sound(path)) >= 90 * 160
    assert path.stat().st_mode & 0o777 == 0o600  # a voice is a person's own


def test_frames_that_overtake_each_other_are_put_in_order_and_doubles_dropped(world, tmp_path):
    path = tmp_path / "a.wav"
    world.obey(Record(1, str(path), 180, 5, "#"))
    draw = random.Random(7)
    order = sorted(range(200), key=lambda number: number + draw.random() * 2.9)
    for number in order:
        packet = rtp(number, 5000 + 160 * number, frame(number))
        world.hear(packet, *[packet] * (draw.random() < 0.1))
        world.tick()
    world.obey(EndRecord(1))
    assert [event.why for event in world.tick() if isinstance(event, Recorded)] == ["stopped"]
    assert sound(path) == voice(200)


def test_lost_frames_are_silence(world, tmp_path):
    path = tmp_path / "a.wav"
    world.obey(Record(1, str(path), 180, 5, "#"))
    speak(world, 0, 50)
    world.tick(50)
    speak(world, 100, 150)
    world.obey(EndRecord(1))
    world.tick()
    assert sound(path) == voice(50) + QUIET * 50 + voice(50)


@pytest.mark.parametrize("jump", [81_000, 2**31 + 5, -20_000])
def test_a_jump_of_the_timestamp_is_a_new_beginning_not_minutes_of_silence(world, tmp_path, jump):
    path = tmp_path / "a.wav"
    world.obey(Record(1, str(path), 180, 5, "#"))
    speak(world, 0, 50, base=100_000)
    speak(world, 50, 100, base=100_000 + jump)
    world.obey(EndRecord(1))
    world.tick()
    assert sound(path) == voice(100)


def test_a_recording_over_the_wrap_of_the_timestamp_has_no_seam(world, tmp_path):
    path = tmp_path / "a.wav"
    world.obey(Record(1, str(path), 180, 5, "#"))
    speak(world, 0, 100, base=2**32 - 8000)
    world.obey(EndRecord(1))
    world.tick()
    assert sound(path) == voice(100)


def test_a_frame_four_places_late_is_dropped(world, tmp_path):
    path = tmp_path / "a.wav"
    world.obey(Record(1, str(path), 180, 5, "#"))
    for number in [0, 1, 3, 4, 5, 6, 7, 2, 8, 9]:
        world.hear(rtp(number, 160 * number, frame(number)))
        world.tick()
    world.obey(EndRecord(1))
    world.tick()
    whole = voice(10)
    assert sound(path) == whole[:320] + QUIET + whole[480:]


# ---- ends


def test_five_seconds_of_quiet_end_it_noise_on_the_line_or_not(world, tmp_path):
    path = tmp_path / "a.wav"
    world.obey(Record(1, str(path), 180, 5, "#"))
    speak(world, 0, 100)
    hum = tone(1.0, 50, loud=120).pcma
    ends = []
    for number in range(100, 400):
        world.hear(rtp(number, 5000 + 160 * number, hum[number % 50 * 160 :][:160]))
        ends += world.tick()
    assert [(event.why, round(event.seconds, 1)) for event in ends] == [("silence", 7.0)]


def test_a_caller_who_sends_nothing_at_all_is_quiet_too(world, tmp_path):
    path = tmp_path / "a.wav"
    world.obey(Record(1, str(path), 180, 5, "#"))
    assert world.tick(245) == []
    assert world.tick(10) == [Recorded(1, "silence", 0.0, str(path))]
    assert len(path.read_bytes()) == g711.HEADER


def test_soft_speech_is_not_quiet(world, tmp_path):
    world.obey(Record(1, str(tmp_path / "a.wav"), 180, 1, "#"))
    soft = tone(1.0, 300, loud=900).pcma
    for number in range(200):
        world.hear(rtp(number, 160 * number, soft[number % 50 * 160 :][:160]))
    assert world.tick(40) == []


def test_the_longest_message_ends_full_and_is_exactly_that_long(world, tmp_path):
    path = tmp_path / "a.wav"
    world.obey(Record(1, str(path), 2, 5, "#"))
    speak(world, 0, 120)
    assert [(event.why, event.seconds) for event in world.events] == [("full", 2.0)]
    assert sound(path) == voice(100)


def test_a_key_of_the_ends_ends_it_and_its_tone_is_cut_off(world, tmp_path):
    path = tmp_path / "a.wav"
    world.obey(Record(1, str(path), 180, 5, "#"))
    speak(world, 0, 110)
    world.hear(rtp(110, 5000 + 160 * 110, b"\x05\x0a\x00\xa0", kind=96))  # 5 is no end
    world.tick()
    world.hear(rtp(111, 5000 + 160 * 110, b"\x0b\x0a\x00\xa0", kind=96))
    assert world.tick() == [KeySeen(1, "#"), Recorded(1, "key", (110 * 160 - 480) / 8000, str(path))]
    assert sound(path) == voice(110)[:-480]


def test_a_key_heard_late_cuts_back_to_where_it_was_pressed_even_what_is_on_disk(world, tmp_path):
    path = tmp_path / "a.wav"
    world.obey(Record(1, str(path), 180, 5, "#"))
    speak(world, 0, 110)
    world.hear(rtp(110, 5000 + 160 * 30, b"\x0b\x0a\x00\xa0", kind=96))
    world.tick()
    assert sound(path) == voice(30)[:-480]


def test_on_hold_the_recording_pauses_and_the_quiet_does_not_end_it(world, tmp_path):
    path = tmp_path / "a.wav"
    world.obey(Record(1, str(path), 180, 5, "#"))
    speak(world, 0, 50)
    world.obey(Change(media(receiving=False, quiet_limit=1000)))
    speak(world, 50, 60)
    assert world.tick(400) == []
    world.obey(Change(media(quiet_limit=1000)))
    speak(world, 460, 480)
    assert world.events == []
    world.obey(EndRecord(1))
    world.tick()
    assert world.events[-1].why == "stopped"


def test_a_sprayer_changes_nothing_of_a_recording(world, tmp_path):
    path = tmp_path / "a.wav"
    world.obey(Record(1, str(path), 180, 5, "#"))
    for number in range(100):
        world.hear(
            *(rtp(number, 5000 + 160 * number, b"\x2a" * 160, ssrc=77) for _ in range(3)), source=("203.0.113.5", 9)
        )
        speak(world, number, number + 1)
    world.obey(EndRecord(1))
    world.tick()
    assert sound(path)[-160 * 90 :] == voice(100)[-160 * 90 :]


# ---- disk


def test_a_folder_that_is_gone_is_told_as_disk_and_the_call_goes_on(world, tmp_path):
    path = str(tmp_path / "gone" / "a.wav")
    world.obey(Record(1, path, 180, 5, "#"))
    speak(world, 0, 60)
    world.obey(EndRecord(1))
    world.tick()
    assert world.events == [Recorded(1, "disk", 0.0, path)]
    assert len(world.sounds()) == 61


def test_a_full_disk_keeps_what_could_be_written(world, tmp_path):
    path = tmp_path / "a.wav"
    world.obey(Record(1, str(path), 180, 5, "#"))
    speak(world, 0, 110)
    before = sound(path)
    reel = world.rows.calls[1].reel
    with open("/dev/full", "r+b", buffering=0) as full:
        reel.file = Halfway(reel.file, full)
        speak(world, 110, 170)
    assert [(event.why, event.path) for event in world.events] == [("disk", str(path))]
    assert recover(path) == world.events[0].seconds == len(before) / 8000 > 1.8
    assert sound(path) == before


class Halfway:
    """A file whose sound goes to a full disk while its header can still be mended."""

    def __init__(self, file, full) -> None:
        self.file, self.full, self.seeking = file, full, False

    def write(self, octets) -> int:
        return self.file.write(octets) if self.seeking else self.full.write(octets)

    def seek(self, at: int) -> int:
        self.seeking = True
        return self.file.seek(at)

    def __getattr__(self, name: str):
        return getattr(self.file, name)


def test_a_disk_that_fills_while_one_speaks_keeps_what_was_said_and_heals_alone(world, tmp_path):
    path = tmp_path / "a.wav"
    world.obey(Record(1, str(path), 180, 5, "#"))
    speak(world, 0, 110)
    world.spool._least_free = 1.1  # nearly full all at once
    speak(world, 110, 170)
    [ended] = [event for event in world.events if isinstance(event, Recorded)]
    assert (ended.why, recover(path)) == ("disk", ended.seconds)
    assert ended.seconds >= 2
    assert len(world.sounds()) == 170  # the call goes on
    world.spool._least_free = 0.0
    world.obey(Record(1, str(tmp_path / "b.wav"), 180, 5, "#"))
    speak(world, 170, 270)
    world.obey(EndRecord(1))
    world.tick()
    assert world.events[-1] == Recorded(1, "stopped", 2.0, str(tmp_path / "b.wav"))


def test_a_disk_under_the_least_share_takes_no_recording(tmp_path):
    told = []
    spool = Spool(told.append, least_free=1.0)
    spool.open(1, str(tmp_path / "a.wav"), "pcma")
    spool.work()
    assert told == [Recorded(1, "disk", 0.0, str(tmp_path / "a.wav"))]


# ---- after a crash


@pytest.mark.parametrize("law", ["pcma", "pcmu"])
def test_a_spool_that_a_crash_left_open_is_repaired_whatever_it_was_cut_to(tmp_path, law):
    path = tmp_path / "a.wav"
    for octets in (0, 1, 159, 8000, 16_001):
        path.write_bytes(g711.wav_header(law, 0) + bytes(octets))
        assert recover(path) == octets // 2 * 2 / 8000
        assert path.read_bytes() == g711.wav_header(law, octets // 2 * 2) + bytes(octets // 2 * 2)
        assert recover(path) == octets // 2 * 2 / 8000


def test_a_file_cut_within_its_header_or_of_another_kind_is_left_as_it_is(tmp_path):
    path = tmp_path / "a.wav"
    for data in (
        b"",
        g711.wav_header("pcma", 0)[:57],
        b"\0" * 500,
        g711.write_wav(g711.read_wav(g711.wav("pcma", VOICE))),
    ):
        path.write_bytes(data)
        assert recover(path) is None
        assert path.read_bytes() == data


def test_a_finished_file_longer_than_its_header_says_is_cut_to_it(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(g711.wav("pcma", VOICE) + b"rest of a cut that did not reach the disk")
    assert recover(path) == 1.0
    assert sound(path) == VOICE
