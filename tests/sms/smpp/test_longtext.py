"""Long texts as PDUs carry them, there and back by every way; headers without sense."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms import alphabet, parts
from sms.providers.base import Coding
from sms.providers.smpp.longtext import Concat, Piece, Place, content, pieces
from sms.providers.smpp.pdu import Command, Message, Pdu, Tag, decode, encode

PERSIAN = "آب خیابان نمونه از دیروز قطع است و کسی پاسخ نمی‌دهد. " * 4
ENGLISH = "The water in Sample Street has been off since {yesterday}, no answer. " * 5


def carried(piece: Piece) -> Pdu:
    body = Message(coding=piece.coding, esm_class=piece.esm_class, text=piece.text)
    return decode(encode(Pdu(Command.DELIVER_SM, 1, 0, body, piece.tlvs)))


@pytest.mark.parametrize("concat", Concat)
@pytest.mark.parametrize("link", [Coding.GSM7, Coding.ASCII, Coding.LATIN1])
@pytest.mark.parametrize("text", [PERSIAN, ENGLISH, "short", "سلام", "é" * 300, "😀" * 100])
def test_a_text_comes_back_whole_in_any_order(concat, link, text):
    found = [(piece, *content(carried(piece))) for piece in pieces(text, link, concat, 0x1234)]
    in_order = sorted(found, key=lambda item: item[2].number if item[2] else 0)
    octets = b"".join(each for _, each, _ in in_order)
    assert alphabet.text(octets, alphabet.coding(found[0][0].coding, link)) == (text, ())
    if concat is not Concat.PAYLOAD:
        if not (link is Coding.ASCII and text[0] == "é"):
            assert len(found) == len(parts.split(text, concat is not Concat.UDH8))
        assert all(len(piece.text) <= 160 for piece, _, _ in found)


@pytest.mark.parametrize(
    ("concat", "place"),
    [
        (Concat.UDH8, Place(0x34, 8, 4, 2)),
        (Concat.UDH16, Place(0x1234, 16, 4, 2)),
        (Concat.SAR, Place(0x1234, 16, 4, 2)),
    ],
)
def test_a_part_says_where_it_belongs(concat, place):
    assert content(carried(pieces(PERSIAN, Coding.GSM7, concat, 0x71234)[1]))[1] == place


def test_a_payload_is_one_pdu_without_short_message():
    (piece,) = pieces(PERSIAN, Coding.GSM7, Concat.PAYLOAD, 1)
    assert piece.text == b""
    assert piece.tlvs == ((Tag.PAYLOAD, PERSIAN.encode("utf-16-be")),)


@pytest.mark.parametrize(("text", "coding"), [("سلام", 8), ("hello", 0), ("é", 8), ("Ç", 0), ("ç", 8), ("1۲", 8)])
def test_coding_is_the_links_alphabet_where_it_has_all_characters(text, coding):
    link = Coding.ASCII if text == "é" else Coding.GSM7
    assert pieces(text, link, Concat.UDH8, 1)[0].coding == coding


def test_more_than_255_parts_are_refused():
    with pytest.raises(ValueError, match="parts"):
        pieces("ا" * 67 * 256, Coding.GSM7, Concat.UDH8, 1)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\x05\x00\x03\x01\x02",
        b"\x05\x00\x09\x01\x02\x01hello",
        b"\x01\x00hello",
        b"\x05\x00\x03\x01\x02\x03hello",
        b"\x05\x00\x03\x01\x02\x00hello",
        b"\x05\x00\x03\x01\x00\x01hello",
    ],
)
def test_a_header_without_sense_is_said_so(text):
    with pytest.raises(ValueError, match=r"header|numbers"):
        content(Pdu(Command.DELIVER_SM, 1, 0, Message(esm_class=0x40, text=text)))


@pytest.mark.parametrize("sar", [(b"\1", b"\2", b"\1"), (b"\0\1", b"\2", b"\3"), (b"\0\1", b"", b"\1")])
def test_sar_numbers_without_sense_are_said_so(sar):
    tlvs = tuple(zip((Tag.SAR_REF, Tag.SAR_TOTAL, Tag.SAR_NUMBER), sar, strict=True))
    with pytest.raises(ValueError, match="numbers"):
        content(Pdu(Command.DELIVER_SM, 1, 0, Message(text=b"x"), tlvs))


def test_other_elements_of_a_header_are_read_over():
    text = b"\x0b\x05\x04\x15\x81\x15\x81\x00\x03\x07\x02\x01hello"
    assert content(Pdu(Command.DELIVER_SM, 1, 0, Message(esm_class=0x40, text=text))) == (b"hello", Place(7, 8, 2, 1))


def test_a_part_of_one_is_a_whole_text():
    text = b"\x05\x00\x03\x07\x01\x01hello"
    assert content(Pdu(Command.DELIVER_SM, 1, 0, Message(esm_class=0x40, text=text))) == (b"hello", None)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=600), st.sampled_from(Concat))
def test_any_text_comes_back(text, concat):
    found = [content(carried(piece)) for piece in pieces(text, Coding.GSM7, concat, 7)]
    coding = pieces(text, Coding.GSM7, concat, 7)[0].coding
    assert alphabet.text(b"".join(each for each, _ in found), alphabet.coding(coding, Coding.GSM7))[0] == text
