"""Offers and answers: G.711 in the offer's order, keys, hold, and what cannot be used."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.sip import sdp
from ivr.sip.sdp import Ours, Sdp, Unusable

OURS = Ours("127.0.0.1", 20000)


def offered(media: str = "m=audio 4000 RTP/AVP 0 8 101", more: str = "a=rtpmap:101 telephone-event/8000") -> bytes:
    rows = ["v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", media, *more.split("|")]
    return "".join(row + "\r\n" for row in rows if row).encode()


@pytest.mark.parametrize(
    ("media", "more", "law", "event"),
    [
        ("m=audio 4000 RTP/AVP 0 8", "", "pcmu", None),
        ("m=audio 4000 RTP/AVP 18 8 0", "", "pcma", None),
        ("m=audio 4000 RTP/AVP 8 96", "a=rtpmap:96 telephone-event/8000", "pcma", 96),
        ("m=audio 4000/2 RTP/AVP 8 101", "a=rtpmap:101 TELEPHONE-EVENT/8000", "pcma", 101),
        ("m=audio 4000 RTP/AVP 8 101", "a=rtpmap:101 telephone-event/16000", "pcma", None),
    ],
)
def test_the_first_law_offered_is_taken_and_keys_by_their_own_number(media, more, law, event):
    agreed = sdp.answer(offered(media, more), OURS)
    assert isinstance(agreed, Sdp)
    assert (agreed.law, agreed.event_type, agreed.peer) == (law, event, ("192.0.2.1", 4000))
    assert agreed.sending and agreed.receiving
    back = sdp.accept(agreed.body)
    assert isinstance(back, Sdp) and (back.law, back.event_type, back.peer) == (law, event, ("127.0.0.1", 20000))


def test_other_streams_are_refused_in_their_place():
    agreed = sdp.answer(offered("m=video 5000 RTP/AVP 31", "m=audio 4000 RTP/AVP 8|m=image 6 udptl t38"), OURS)
    assert isinstance(agreed, Sdp)
    lines = [row for row in agreed.body.decode().splitlines() if row.startswith("m=")]
    assert lines == ["m=video 0 RTP/AVP 31", "m=audio 20000 RTP/AVP 8", "m=image 0 udptl t38"]


@pytest.mark.parametrize(
    ("more", "sending", "receiving", "said"),
    [
        ("a=sendonly", False, True, b"a=recvonly"),
        ("a=recvonly", True, False, b"a=sendonly"),
        ("a=inactive", False, False, b"a=inactive"),
        ("c=IN IP4 0.0.0.0", False, True, b"a=recvonly"),
    ],
)
def test_hold_is_mirrored(more, sending, receiving, said):
    agreed = sdp.answer(offered(more=more), OURS)
    assert isinstance(agreed, Sdp)
    assert (agreed.sending, agreed.receiving) == (sending, receiving) and said in agreed.body


@pytest.mark.parametrize(
    "body",
    [
        b"", b"hello",
        offered("m=audio 4000 RTP/AVP 18"), offered("m=audio 0 RTP/AVP 8"), offered("m=audio x RTP/AVP 8"),
        offered("m=audio 4000 RTP/SAVP 8"), offered("m=audio 70000 RTP/AVP 8"), offered("m=audio 4000 RTP/AVP"),
        offered("m=audio 4000 RTP/AVP 8 999"), offered("m=audio 4000 RTP/AVP 8", "c=IN IP4 pbx.example.ir"),
        offered().replace(b"c=IN IP4 192.0.2.1\r\n", b""), b"v=0\r\n" * 600, offered("m=audio 40\xb2 RTP/AVP 8"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_said(body):
    assert isinstance(sdp.answer(body, OURS), Unusable)


def test_an_offer_of_ours_has_both_laws_and_keys():
    assert b"m=audio 20000 RTP/AVP 8 0 101\r\n" in sdp.offer(OURS)
    assert b"IN IP6 ::1" in sdp.offer(Ours("::1", 20000))


@given(st.binary(max_size=300))
def test_random_bodies_never_raise(data):
    sdp.answer(b"v=0\r\n" + data, OURS)


@given(
    st.lists(st.sampled_from(offered(more="a=sendonly|c=IN IP6 ::1|m=audio 1 RTP/AVP 8").split(b"\r\n")), max_size=20)
)
def test_shuffled_lines_never_raise(rows):
    sdp.answer(b"v=0\r\n" + b"\r\n".join(rows), OURS)
