"""Reading SIP: long and compact forms, folding, caps, and never an exception whatever comes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.sip import message as sip
from ivr.sip.message import Reject, Request, read, write

INVITE = (
    b"INVITE sip:1888@127.0.0.1 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKone;rport\r\n"
    b"Max-Forwards: 70\r\n"
    b'From: "\xd8\xb9\xd9\x84\xdb\x8c, \\"\xd8\xb1\\"" <sip:09120000000@example.ir>;tag=theirs\r\n'
    b"To: <sip:1888@127.0.0.1>\r\n"
    b"Call-ID: a@example.ir\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"Contact: <sip:caller@127.0.0.1:5070>\r\n"
    b"Content-Length: 4\r\n\r\nbody"
)
ODD = (
    b"INVITE sip:1888@127.0.0.1 SIP/2.0\n"
    b"v  :\n SIP / 2.0 / UDP\n\t127.0.0.1 : 5070 ;  branch = z9hG4bKone ; rport\n"
    b"mAX-fORWARDS :70\nF: <sip:09120000000@example.ir> ;\n tag = theirs\nt : <sip:1888@127.0.0.1>\n"
    b"I: a@example.ir\ncseq: 1\n INVITE\nM: <sip:caller@127.0.0.1:5070>\nl: 4\n\nbody and more"
)


def core(message: Request) -> tuple[object, ...]:
    return (
        message.method, message.uri, message.via.sent_by, message.via.branch, message.via.rport,
        message.from_tag, message.to_tag, message.call_id, message.seq, message.body,
    )  # fmt: skip


def test_compact_folded_and_oddly_spaced_reads_as_the_long_form():
    plain, odd = read(INVITE), read(ODD)
    assert isinstance(plain, Request) and isinstance(odd, Request)
    assert core(plain) == core(odd)
    assert plain.body == b"body" and plain.from_tag == "theirs"


def test_what_is_written_reads_back_the_same():
    message = read(INVITE)
    assert isinstance(message, Request)
    assert core(read(write(message))) == core(message)
    assert "علی" in (message.get("from") or "")


def test_bytes_that_are_not_utf8_are_mirrored_as_they_came():
    message = read(INVITE.replace(b"Contact:", b"Subject: caf\xe9\r\nContact:"))
    assert isinstance(message, Request) and b"caf\xe9" in write(message)


def test_a_line_break_in_a_value_of_ours_never_makes_a_header():
    message = read(INVITE)
    assert isinstance(message, Request)
    answer = sip.reply(message, 200, [("x-name", "a\r\nEvil: 1")])
    assert b"\r\nEvil" not in write(answer)


BROKEN = [
    (b"CSeq: 1 INVITE", b"CSeq: 1 BYE", 400),
    (b"CSeq: 1 INVITE", b"CSeq: 36893488147419103232 INVITE", 400),
    (b"CSeq: 1 INVITE", b"CSeq: 4294967295 INVITE", 400),
    (b"Content-Length: 4", b"Content-Length: 400", 400),
    (b"Content-Length: 4", b"Content-Length: -4", 400),
    (b"Content-Length: 4", b"Content-Length: 4\r\nl: 3", 400),
    (b"Max-Forwards: 70", b"Max-Forwards: 300", 400),
    (b"Max-Forwards: 70", b"Max-Forwards: 70\r\nCall-ID: b", 400),
    (b"Max-Forwards: 70", b"X-A: 1\r\n" * 100 + b"Max-Forwards: 70", None),
    (b"sip:1888@127.0.0.1 SIP/2.0", b"<sip:1888@127.0.0.1> SIP/2.0", 400),
    (b"SIP/2.0\r\nVia", b"SIP/3.0\r\nVia", 505),
    (b"Call-ID: a@example.ir\r\n", b"", None),
    (b"Via: SIP/2.0/UDP 127.0.0.1:5070", b"Via: SIP/2.0/UDP 127.0.0.1:99999", None),
    (b"To: <sip:1888@127.0.0.1>", b'To: "a <sip:1888@127.0.0.1>', 400),
]  # fmt: skip


@pytest.mark.parametrize(("was", "now", "status"), BROKEN)
def test_a_broken_message_is_answered_when_its_core_reads_else_dropped(was, now, status):
    data = INVITE.replace(was, now, 1)
    assert data != INVITE
    found = read(data)
    assert isinstance(found, Reject)
    assert (found.answer.status if found.answer else None) == status


def test_more_than_100_headers_below_the_core_get_400():
    found = read(INVITE.replace(b"Content-Length", b"X-A: 1\r\n" * 100 + b"Content-Length"))
    assert isinstance(found, Reject) and found.answer is not None and found.answer.status == 400


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\0" * 20, b"GET / HTTP/1.1\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n"])
def test_noise_is_dropped(data):
    found = read(data)
    assert isinstance(found, Reject) and found.answer is None


def test_received_and_rport_tell_where_it_came_from():
    message = read(INVITE)
    assert isinstance(message, Request)
    marked = sip.received(message, ("127.0.0.9", 5555))
    assert marked.headers[0] == ("via", "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKone;rport=5555;received=127.0.0.9")


def test_every_message_of_rfc_4475_is_read_without_raising(test_data):
    files = sorted((test_data / "rfc4475").glob("*.dat"))
    assert len(files) == 49
    for file in files:
        found = read(file.read_bytes())
        if isinstance(found, Reject):
            assert found.answer is None or write(found.answer).startswith((b"SIP/2.0 4", b"SIP/2.0 5")), file.name
        else:
            again = read(write(found))
            assert not isinstance(again, Reject), file.name
            assert again.call_id == found.call_id and again.from_tag == found.from_tag


ACCEPTED = ["wsinv", "intmeth", "esc01", "escnull", "esc02", "lwsdisp", "longreq", "dblreq", "semiuri", "transports",
            "mpart01", "unreason", "noreason", "badbranch", "unkscm", "novelsc", "zeromf", "cparam01"]  # fmt: skip
ANSWERED = {"clerr": 400, "ncl": 400, "mcl01": 400, "multi01": 400, "scalar02": 400, "ltgtruri": 400, "lwsruri": 400,
            "lwsstart": 400, "badvers": 505, "mismatch01": 400, "quotbal": 400}  # fmt: skip


@pytest.mark.parametrize("name", ACCEPTED)
def test_legal_tortures_are_read(test_data, name):
    assert not isinstance(read((test_data / "rfc4475" / f"{name}.dat").read_bytes()), Reject)


@pytest.mark.parametrize(("name", "status"), ANSWERED.items())
def test_illegal_tortures_are_answered(test_data, name, status):
    found = read((test_data / "rfc4475" / f"{name}.dat").read_bytes())
    assert isinstance(found, Reject) and found.answer is not None and found.answer.status == status


@given(st.binary(max_size=2000))
def test_random_bytes_never_raise(data):
    read(data)


@settings(max_examples=300)
@given(st.sampled_from([INVITE, ODD]), st.integers(0, 2**32), st.integers(1, 30))
def test_mutated_messages_never_raise_and_answers_read_back(data, seed, changes):
    chance = random.Random(seed)
    mutant = bytearray(data)
    for _ in range(changes):
        at = chance.randrange(len(mutant))
        choice = chance.randrange(4)
        if choice == 0:
            mutant[at] = chance.randrange(256)
        elif choice == 1:
            del mutant[at : at + chance.randrange(1, 9)]
        elif choice == 2:
            mutant[at:at] = mutant[at : at + chance.randrange(1, 40)]
        else:
            mutant[at:at] = chance.choice([b"\r\n", b"\0", b'"', b"<", b";self=1", b"%00", b",", b"\xff", b"\\"])
    found = read(bytes(mutant))
    if isinstance(found, Request):
        assert not isinstance(read(write(sip.reply(found, 200, tag="ours"))), Request)
        sip.received(found, ("127.0.0.9", 5555))
