"""Keys by RFC 4733 under loss, doubling, reordering and lost markers."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.media import dtmf
from ivr.media.dtmf import Hearing


def event(key: str, duration: int, ended: bool = False) -> bytes:
    return struct.pack("!BBH", dtmf.KEYS.index(key), 10 | 0x80 * ended, duration)


def packets(keys: str, start: int = 0) -> list[tuple[int, bytes]]:
    """(timestamp, payload) of each packet that sends these keys, in order."""
    sent, now = [], start
    for beat in dtmf.beats(keys):
        if beat is not None:
            sent.append(((now - beat.ticks_in * 160) % dtmf.WRAP, beat.payload))
        now += 160
    return sent


def heard(sent) -> str:
    hearing = Hearing()
    return "".join(filter(None, (hearing.key(timestamp, payload) for timestamp, payload in sent)))


def test_a_key_is_told_at_its_first_packet_and_once():
    hearing = Hearing()
    assert [hearing.key(*packet) for packet in packets("5")] == ["5"] + [None] * 6


def test_the_same_key_twice_is_two_keys():
    assert heard(packets("1120#*AD")) == "1120#*AD"


def test_a_key_is_heard_when_only_one_of_its_packets_came():
    for lone in packets("7"):
        assert heard([lone]) == "7"


def test_a_late_end_of_the_key_before_is_nothing():
    first, second = packets("1"), packets("2", start=1280)
    assert heard([*first[:4], *second[:2], first[4], second[2], first[5], *second[3:], first[6]]) == "12"


def test_a_key_whose_packets_were_overtaken_by_the_next_is_still_heard_once():
    first, second = packets("1"), packets("2", start=1280)
    assert sorted(heard([*second[:3], *first, *second[3:]])) == ["1", "2"]


def test_a_long_key_in_segments_is_one_key():
    """RFC 4733 s 2.5.1.3: past 65,535 units the next segment begins where the last one ended."""
    sent = [(0, event("9", duration)) for duration in range(160, 65_520, 6400)]
    sent += [(0, event("9", 0xFFFF)), (0xFFFF, event("9", 160)), (0xFFFF, event("9", 320, True))]
    assert heard(sent) == "9"


def test_a_sender_that_moves_the_timestamp_at_each_packet_presses_one_key():
    assert heard([(at, event("4", 160)) for at in range(0, 800, 160)]) == "4"


def test_the_same_key_right_after_its_end_was_seen_is_a_new_key():
    assert heard([(0, event("4", 400)), (0, event("4", 800, True)), (960, event("4", 160))]) == "44"


def test_the_same_key_40_ms_after_an_end_that_was_lost_is_a_new_key():
    assert heard([(0, event("4", 800)), (800 + 319, event("4", 160))]) == "4"
    assert heard([(0, event("4", 800)), (800 + 320, event("4", 160))]) == "44"


def test_keys_go_on_over_the_wrap_of_the_timestamp():
    assert heard(packets("123456", start=dtmf.WRAP - 2000)) == "123456"


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x01\x0a\x00", event("0", 160)[:1] * 2])
def test_a_payload_too_short_is_nothing(payload):
    assert Hearing().key(0, payload) is None


def test_events_that_are_no_keys_are_nothing():
    assert Hearing().key(0, b"\x10\x0a\x00\xa0") is None  # flash
    with pytest.raises(ValueError, match="substring"):
        dtmf.beats("x")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ten_thousand_keys_at_5_percent_loss_are_neither_lost_nor_doubled(seed):
    """Markers are not looked at, so they are as good as all lost; packets are doubled and overtake each other too."""
    draw = random.Random(seed)
    keys = "".join(draw.choice(dtmf.KEYS) for _ in range(10_000))
    sent = packets(keys, start=draw.getrandbits(32))
    came = [(at + draw.random() * 1.9, packet) for at, packet in enumerate(sent) if draw.random() >= 0.05]
    came += [(at + 3 * draw.random(), packet) for at, packet in came if draw.random() < 0.02]
    came.sort(key=lambda pair: pair[0])
    assert heard([packet for _, packet in came]) == keys


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, dtmf.WRAP - 1), st.binary(max_size=8)), max_size=50))
def test_whatever_comes_nothing_raises(sent):
    assert len(heard(sent)) <= len(sent)
