"""The codec: known octets, every PDU there and back, sizes of the specification, and a hundred thousand bent PDUs."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms.providers.smpp import longtext, report
from sms.providers.smpp.events import Came, Ended
from sms.providers.smpp.pdu import (
    LONGEST,
    Answer,
    BadPdu,
    Bind,
    Bound,
    Command,
    Data,
    Message,
    Pdu,
    Tag,
    decode,
    encode,
    frame,
)
from sms.providers.smpp.session import Mode, Session

OCTET = st.integers(0, 255)
WORD = st.integers(0, 0xFFFFFFFF)


def c_string(most: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=most - 1)


ENDS = (c_string(6), OCTET, OCTET, c_string(21), OCTET, OCTET, c_string(21))
MESSAGE = st.builds(
    Message, *ENDS, OCTET, OCTET, OCTET, c_string(17), c_string(17), OCTET, OCTET, OCTET, OCTET, st.binary(max_size=254)
)
DATA = st.builds(Data, c_string(6), OCTET, OCTET, c_string(65), OCTET, OCTET, c_string(65), OCTET, OCTET, OCTET)
BIND = st.builds(Bind, c_string(16), c_string(9), c_string(13), OCTET, OCTET, OCTET, c_string(41))
TLVS = st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=300)), max_size=5).map(tuple)
BODIES = {
    MESSAGE: (Command.SUBMIT_SM, Command.DELIVER_SM),
    DATA: (Command.DATA_SM,),
    BIND: (Command.BIND_RECEIVER, Command.BIND_TRANSMITTER, Command.BIND_TRANSCEIVER),
    st.builds(Bound, c_string(16)): (Command.BIND_RECEIVER_RESP, Command.BIND_TRANSCEIVER_RESP),
    st.builds(Answer, c_string(65)): (Command.SUBMIT_SM_RESP, Command.DELIVER_SM_RESP, Command.DATA_SM_RESP),
    st.none(): (Command.UNBIND, Command.UNBIND_RESP, Command.ENQUIRE_LINK, Command.ENQUIRE_LINK_RESP),
}
PDU = st.one_of(
    [st.builds(Pdu, st.sampled_from(commands), WORD, WORD, body, TLVS) for body, commands in BODIES.items()]
)


@given(PDU)
def test_every_pdu_comes_back_as_it_was(pdu):
    octets = encode(pdu)
    assert frame(octets) == len(octets)
    assert decode(octets) == pdu


def test_a_submit_sm_is_the_octets_of_the_specification():
    body = Message("CMT", 1, 1, "30001234", 1, 1, "989120000000", registered=1, coding=8, text="آب".encode("utf-16-be"))
    octets = encode(Pdu(Command.SUBMIT_SM, 7, 0, body, ((Tag.MORE_TO_SEND, b"\x01"),)))
    assert octets.hex(" ") == (
        "00 00 00 41 00 00 00 04 00 00 00 00 00 00 00 07 43 4d 54 00 01 01 33 30 30 30 31 32 33 34 00 01 01 "
        "39 38 39 31 32 30 30 30 30 30 30 30 00 00 00 00 00 00 01 00 08 00 04 06 22 06 28 04 26 00 01 01"
    )
    assert decode(octets).body == body


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (Bind("s" * 16), "system_id"),
        (Bind(password="p" * 9), "password"),
        (Bind(system_type="t" * 13), "system_type"),
        (Bind(address_range="r" * 41), "address_range"),
        (Message(service_type="s" * 6), "service_type"),
        (Message(dest="1" * 21), "dest"),
        (Message(validity="1" * 17), "validity"),
        (Message(source="1\0"), "source"),
        (Message(text=bytes(255)), "short_message"),
        (Data(dest="1" * 65), "dest"),
        (Answer("i" * 65), "id"),
    ],
)
def test_a_field_too_long_is_named_and_never_sent(body, field):
    with pytest.raises(ValueError, match=field):
        encode(Pdu(Command.SUBMIT_SM, 1, 0, body))


def raw(command: int, body: bytes, seq: int = 9, status: int = 0) -> bytes:
    return b"".join(n.to_bytes(4, "big") for n in (16 + len(body), command, status, seq)) + body


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (raw(0x21, b""), 0x03),
        (raw(0x7FFF, bytes(40)), 0x03),
        (raw(Command.DELIVER_SM, b"no end of it"), 0x15),
        (raw(Command.DELIVER_SM, b"\0\1\1" + b"9" * 40 + b"\0"), 0x0A),
        (raw(Command.DELIVER_SM, b"\0\1\1\0\1\1\0"), 0x02),
        (raw(Command.DELIVER_SM, b"\0\1\1\0\1\1\0\0\0\0\0\0\0\0\0\0\x05abc"), 0x01),
        (raw(Command.DELIVER_SM, b"\0\1\1\0\1\1\0\0\0\0\0\0\0\0\0\0\xff" + bytes(255)), 0x01),
        (raw(Command.DELIVER_SM, b"\0\1\1\0\1\1\0\0\0\0\0\0\0\0\0\0\0\x04\x24\x00"), 0xC0),
        (raw(Command.DELIVER_SM, b"\0\1\1\0\1\1\0\0\0\0\0\0\0\0\0\0\0\x04\x24\x00\x09a"), 0xC2),
    ],
)
def test_a_body_without_sense_has_its_status(octets, status):
    with pytest.raises(BadPdu) as told:
        decode(octets)
    assert (told.value.status, told.value.seq, told.value.fatal) == (status, 9, False)


@pytest.mark.parametrize("length", [0, 1, 15, LONGEST + 1, 0x100000, 0xFFFFFFFF])
def test_a_wrong_length_is_fatal_at_its_first_four_octets(length):
    with pytest.raises(BadPdu) as told:
        frame(length.to_bytes(4, "big"))
    assert (told.value.status, told.value.fatal) == (0x02, True)


def test_a_pdu_of_one_mebibyte_is_not_waited_for():
    session = bound()
    events = session.receive((1 << 20).to_bytes(4, "big") + raw(Command.DELIVER_SM, b"", 77)[4:], 1)
    assert isinstance(events[-1], Ended)
    assert decode(session.take_out()) == Pdu(Command.GENERIC_NACK, 77, 0x02)


def test_a_whole_pdu_of_64_kib_is_read():
    body = Message(source="1", dest="2")
    whole = encode(Pdu(Command.DELIVER_SM, 1, 0, body, ((Tag.PAYLOAD, b"x" * 65_000),)))
    assert decode(whole).tlv(Tag.PAYLOAD) == b"x" * 65_000
    with pytest.raises(ValueError, match="too long"):
        encode(Pdu(Command.DELIVER_SM, 1, 0, body, ((Tag.PAYLOAD, b"x" * 65_500),)))


# ---------------------------------------------------------------- bent


def bound() -> Session:
    session = Session(Bind("pasokh"), Mode.TRX, 0.0)
    asked = decode(session.take_out())
    session.receive(encode(Pdu(Command.BIND_TRANSCEIVER_RESP, asked.seq, 0, Bound("smsc"))), 0.0)
    return session


def samples() -> list[bytes]:
    part = longtext.pieces("متن بلند " * 20, longtext.Coding.GSM7, longtext.Concat.UDH8, 5)[1]
    sar = longtext.pieces("متن بلند " * 20, longtext.Coding.GSM7, longtext.Concat.SAR, 5)[0]
    receipt = report.write("12ab", report.State.DELIVERED, "2611241200")
    bodies = [
        Message(source="989120000000", dest="30001234", coding=8, text="سلام".encode("utf-16-be")),
        Message(source="989120000000", dest="30001234", coding=8, esm_class=part.esm_class, text=part.text),
        Message(source="989120000000", dest="30001234", esm_class=4, text=receipt),
    ]
    found = [encode(Pdu(Command.DELIVER_SM, n, 0, body)) for n, body in enumerate(bodies, 1)]
    found.append(encode(Pdu(Command.DELIVER_SM, 8, 0, Message(coding=8, text=sar.text), sar.tlvs)))
    found.append(encode(Pdu(Command.DATA_SM, 9, 0, Data(source="1", dest="2"), ((Tag.PAYLOAD, b"hello"),))))
    found += [encode(Pdu(Command.SUBMIT_SM_RESP, n, 0, Answer("id"))) for n in range(3)]
    found += [encode(Pdu(command, 5)) for command in (Command.ENQUIRE_LINK, Command.UNBIND, Command.GENERIC_NACK)]
    found.append(encode(Pdu(Command.BIND_TRANSMITTER, 5, 0, Bind("a", "b"))))
    return found


def bend(dice: random.Random, octets: bytes) -> bytes:
    raw_ = bytearray(octets)
    for _ in range(dice.randrange(1, 5)):
        at = dice.randrange(len(raw_))
        match dice.randrange(4):
            case 0:
                raw_[at] = dice.randrange(256)
            case 1:
                raw_[at:at] = dice.randbytes(dice.randrange(1, 9))
            case 2:
                del raw_[at : at + dice.randrange(1, 9)]
                raw_ = raw_ or bytearray(b"\0")
            case _:
                raw_[at] ^= 1 << dice.randrange(8)
    if dice.random() < 0.8:  # mostly of the right length, so that the bodies are reached
        raw_[:4] = len(raw_).to_bytes(4, "big")
    return bytes(raw_)


def stand(count: int, seed: int) -> dict[str, int]:
    """Bent PDUs through a whole session and the readers behind it; anything but the named errors is a failure."""
    dice, every = random.Random(seed), samples()
    session, seen = bound(), {"read": 0, "raw": 0, "ended": 0}
    for _ in range(count):
        for event in session.receive(bend(dice, dice.choice(every)), 1.0):
            if isinstance(event, Came):
                seen["read" if event.pdu else "raw"] += 1
                look(event)
                session.answer(event.seq, 0, 1.0)
            elif isinstance(event, Ended):
                seen["ended"] += 1
        assert len(session._buffer) <= LONGEST
        if session.phase == "closed" or dice.random() < 0.1:
            session = bound()
        session.take_out()
    return seen


def look(came: Came) -> None:
    if came.pdu is None:
        return
    if report.read(came.pdu) is None:
        try:
            longtext.content(came.pdu)
        except ValueError:
            return


def test_bent_pdus_end_in_a_named_error_or_a_value():
    assert all(stand(5_000, 1).values())


@pytest.mark.slow
def test_a_hundred_thousand_bent_pdus_never_fell_it():
    assert all(stand(100_000, 2).values())


@pytest.mark.long
def test_a_million_bent_pdus_never_fell_it():
    assert all(stand(1_000_000, 3).values())
