"""Messages cut out of a stream: whatever way its bytes are chopped."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.sip.stream import HALF, Broken, Pinged, Stream, Whole
from tests.ivr.sip.test_message import INVITE

BARE = INVITE.replace(b"Content-Length: 4\r\n\r\nbody", b"l : 0\r\n\r\n")


@given(st.lists(st.sampled_from([INVITE, BARE, b"\r\n\r\n", b"\r\n"]), max_size=8), st.integers(0, 2**32))
def test_messages_come_out_whole_however_they_are_chopped(sent, seed):
    chance, one, found = random.Random(seed), Stream(), []
    data = b"".join(sent)
    while data:
        at = chance.randrange(1, len(data) + 1)
        found += one.feed(data[:at], 0.0)
        data = data[at:]
    assert [piece.data for piece in found if isinstance(piece, Whole)] == [each for each in sent if len(each) > 4]
    assert not any(isinstance(piece, Broken) for piece in found)


def test_a_keep_alive_is_answered_between_messages():
    pieces = Stream().feed(INVITE + b"\r\n\r\n" + BARE, 0.0)
    assert pieces == [Whole(INVITE), Pinged(), Whole(BARE)]
    assert Stream().feed(b"\r\n", 0.0) == []


@pytest.mark.parametrize(
    ("was", "now", "status"),
    [
        (b"Content-Length: 4\r\n", b"", 400),
        (b"Content-Length: 4", b"Content-Length: -1", 400),
        (b"Content-Length: 4", b"Content-Length: four", 400),
        (b"Content-Length: 4", b"Content-Length: 4000000", 513),
        (b"Content-Length: 4", b"Content-Length: 99999999999999999999", 400),
    ],
)
def test_without_a_length_nobody_knows_where_the_next_begins(was, now, status):
    [piece] = Stream().feed(INVITE.replace(was, now), 0.0)
    assert isinstance(piece, Broken) and piece.answer is not None and piece.answer.status == status


def test_what_is_no_sip_ends_without_an_answer():
    assert Stream().feed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0.0) == [Broken()]
    assert Stream().feed(b"x" * 70_000, 0.0) == [Broken()]


def test_half_a_message_is_stuck_after_ten_seconds():
    one = Stream()
    one.feed(INVITE[:-2], 0.0)
    assert not one.is_stuck(HALF - 0.1) and one.is_stuck(HALF)
    one.feed(INVITE[-2:-1], 5.0)
    assert one.is_stuck(HALF)
    assert one.feed(INVITE[-1:], 9.0) == [Whole(INVITE)] and not one.is_stuck(1e9)
    one.feed(b"\r\n", 20.0)
    assert not one.is_stuck(1e9)


@given(st.binary(max_size=600))
def test_random_bytes_never_raise(data):
    one = Stream()
    one.feed(data, 0.0)
    one.feed(b"\r\n\r\n" + data, 1.0)
