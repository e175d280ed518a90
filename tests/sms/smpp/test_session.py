"""The client's session by ticks: a test a fact, no socket and no clock."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms.providers.smpp.events import Answered, Bound, Came, Doubtful, Ended, Late
from sms.providers.smpp.pdu import Answer, Bind, Command, Message, Pdu, decode, encode, frame
from sms.providers.smpp.pdu import Bound as BoundBody
from sms.providers.smpp.session import Mode, Pace, Retry, Session
from sms.providers.smpp.wire import GIVEN_UP, NEVER, Full

TEXT = Message(source="30001234", dest="989120000000", text=b"hello")


def out(session: Session) -> list[Pdu]:
    """What the session wants written."""
    data, found, at = session.take_out(), [], 0
    while at < len(data):
        size = frame(data, at)
        found.append(decode(data[at : at + size]))
        at += size
    return found


def bound(mode: Mode = Mode.TRX, window: int = 10, open_most: int = 50) -> Session:
    session = Session(Bind("pasokh", "secret"), mode, 0.0, window, open_most=open_most)
    (asked,) = out(session)
    answer = Pdu(asked.command | 0x80000000, asked.seq, 0, BoundBody("smsc"))
    assert session.receive(encode(answer), 0.0) == [Bound("smsc")]
    return session


def said(command: int, seq: int, status: int = 0, body: object = None) -> bytes:
    return encode(Pdu(command, seq, status, body))  # type: ignore[arg-type]


def accepted(seq: int, id_: str = "1", status: int = 0) -> bytes:
    return said(Command.SUBMIT_SM_RESP, seq, status, Answer(id_) if status == 0 else None)


# ---------------------------------------------------------------- binding


@pytest.mark.parametrize(
    ("mode", "command"),
    [
        (Mode.TRX, Command.BIND_TRANSCEIVER),
        (Mode.TX, Command.BIND_TRANSMITTER),
        (Mode.RX, Command.BIND_RECEIVER),
    ],
)
def test_each_mode_has_its_bind(mode, command):
    (asked,) = out(Session(Bind("pasokh", "secret", "vms"), mode, 0.0))
    assert (asked.command, asked.body) == (command, Bind("pasokh", "secret", "vms"))


def test_nothing_is_sent_before_the_bind_is_answered():
    session = Session(Bind("pasokh"), Mode.TRX, 0.0)
    with pytest.raises(Full):
        session.submit(TEXT, 0.0)


def test_a_receiver_sends_nothing():
    with pytest.raises(Full):
        bound(Mode.RX).submit(TEXT, 0.0)


@pytest.mark.parametrize("status", [0x05, 0x0D, 0x0E, 0x0F])
def test_a_refused_bind_ends_with_its_status(status):
    session = Session(Bind("pasokh"), Mode.TRX, 0.0)
    events = session.receive(said(Command.BIND_TRANSCEIVER_RESP, out(session)[0].seq, status), 1.0)
    assert events == [Ended("bind refused", status)]


def test_a_nacked_bind_is_refused_too():
    session = Session(Bind("pasokh"), Mode.TRX, 0.0)
    assert session.receive(said(Command.GENERIC_NACK, out(session)[0].seq, 3), 1.0)[0].status == 3


def test_an_unanswered_bind_ends_after_ten_seconds():
    session = Session(Bind("pasokh"), Mode.TRX, 0.0)
    assert session.next_at() == 10.0
    assert session.tick(9.9) == []
    assert session.tick(10.0) == [Ended("bind_transceiver unanswered")]
    assert session.next_at() == NEVER


def test_a_text_before_the_bind_is_answered_with_bind_status():
    session = Session(Bind("pasokh"), Mode.TRX, 0.0)
    out(session)
    assert session.receive(said(Command.DELIVER_SM, 5, 0, TEXT), 0.0) == []
    assert out(session) == [Pdu(Command.DELIVER_SM_RESP, 5, 0x04)]


# ---------------------------------------------------------------- the window


def test_the_window_is_the_most_that_waits():
    session = bound(window=3)
    numbers = [session.submit(TEXT, 1.0) for _ in range(3)]
    assert session.room == 0
    with pytest.raises(Full):
        session.submit(TEXT, 1.0)
    session.receive(accepted(numbers[1]), 1.0)
    assert (session.room, session.waiting) == (1, 2)


def test_answers_come_in_any_order():
    session = bound()
    numbers = [session.submit(TEXT, 1.0) for _ in range(10)]
    random.Random(1).shuffle(numbers)
    data = b"".join(accepted(seq, f"id{seq}") for seq in numbers)
    assert session.receive(data, 1.0) == [Answered(seq, 0, f"id{seq}") for seq in numbers]


def test_an_answer_cut_anywhere_is_read():
    session = bound()
    data = b"".join(accepted(session.submit(TEXT, 1.0)) for _ in range(3))
    events = [event for n in range(len(data)) for event in session.receive(data[n : n + 1], 1.0)]
    assert len(events) == 3


def test_a_text_without_answer_is_in_doubt_after_ten_seconds_and_makes_room():
    session = bound(window=1)
    seq = session.submit(TEXT, 1.0)
    assert session.next_at() == 11.0
    assert session.tick(11.0) == [Doubtful(seq, "no answer in time")]
    assert session.room == 1


def test_an_answer_that_comes_after_the_doubt_is_told_once():
    session = bound()
    seq = session.submit(TEXT, 1.0)
    session.tick(11.0)
    assert session.receive(accepted(seq, "7"), 12.0) == [Late(seq, 0, "7")]
    assert (session.receive(accepted(seq, "7"), 12.0), session.strays) == ([], 1)


def test_only_so_many_doubts_are_kept_in_mind():
    session = bound(window=GIVEN_UP + 1)
    numbers = [session.submit(TEXT, 1.0) for _ in range(GIVEN_UP + 1)]
    session.tick(11.0)
    assert session.receive(accepted(numbers[0]), 12.0) == []
    assert session.receive(accepted(numbers[1]), 12.0) == [Late(numbers[1], 0, "1")]


def test_the_connection_lost_leaves_the_whole_window_in_doubt():
    session = bound()
    numbers = [session.submit(TEXT, 1.0) for _ in range(4)]
    session.receive(accepted(numbers[0]), 1.0)
    assert [event.seq for event in session.lost()] == numbers[1:]
    assert session.lost() == []


def test_unbind_in_mid_window_is_answered_and_leaves_it_in_doubt():
    session = bound()
    seq = session.submit(TEXT, 1.0)
    out(session)
    assert session.receive(said(Command.UNBIND, 9), 1.0) == [Ended("unbound by the peer")]
    assert out(session) == [Pdu(Command.UNBIND_RESP, 9)]
    assert session.room == 0
    assert session.lost() == [Doubtful(seq, "connection lost")]


def test_an_answer_after_our_unbind_still_counts():
    session = bound()
    seq = session.submit(TEXT, 1.0)
    out(session)
    session.unbind(1.0)
    (asked,) = out(session)
    events = session.receive(accepted(seq) + said(Command.UNBIND_RESP, asked.seq), 2.0)
    assert events == [Answered(seq, 0, "1"), Ended("unbound")]


def test_an_unanswered_unbind_ends_after_three_seconds():
    session = bound()
    session.unbind(1.0)
    assert session.tick(4.0) == [Ended("unbind unanswered")]


@pytest.mark.parametrize("status", [0x08, 0x14, 0x45, 0x58, 0x400])
def test_a_refusal_has_its_status(status):
    session = bound()
    seq = session.submit(TEXT, 1.0)
    assert session.receive(accepted(seq, status=status), 1.0) == [Answered(seq, status)]


def test_an_answer_whose_id_cannot_be_read_still_counts_as_accepted():
    session = bound()
    seq = session.submit(TEXT, 1.0)
    bad = bytearray(accepted(seq, "x" * 60))
    bad[-1] = 0x78
    assert session.receive(bytes(bad), 1.0) == [Answered(seq, 0, "")]


def test_a_generic_nack_refuses_the_text_it_names_and_no_other():
    session = bound()
    seq = session.submit(TEXT, 1.0)
    assert session.receive(said(Command.GENERIC_NACK, 0, 3), 1.0) == []
    assert session.receive(said(Command.GENERIC_NACK, seq, 3), 1.0) == [Answered(seq, 3)]


@given(st.lists(st.integers(0, 5), max_size=60), st.integers(1, 8))
def test_every_text_ends_exactly_once_whatever_happens(steps, window):
    session, now, ended, sent = bound(window=window), 1.0, [], []
    for step in steps:
        now += 3.0 if step == 5 else 0.1
        if step < 3 and session.room:
            sent.append(session.submit(TEXT, now))
        elif step == 3 and sent:
            ended += session.receive(accepted(sent[len(ended) % len(sent)]), now)
        else:
            ended += session.tick(now)
        for asked in out(session):
            if asked.command == Command.ENQUIRE_LINK:
                session.receive(said(Command.ENQUIRE_LINK_RESP, asked.seq), now)
    ended += session.lost()
    assert sorted(event.seq for event in ended) == sorted(sent)


# ---------------------------------------------------------------- signs of life


def test_thirty_seconds_of_silence_ask_and_ten_more_end():
    session = bound()
    assert session.next_at() == 30.0
    assert session.tick(30.0) == []
    assert [pdu.command for pdu in out(session)] == [Command.ENQUIRE_LINK]
    assert session.tick(39.9) == []
    assert session.tick(40.0) == [Ended("enquire_link unanswered")]


@pytest.mark.parametrize("command", [Command.ENQUIRE_LINK_RESP, Command.GENERIC_NACK])
def test_any_answer_is_a_sign_of_life(command):
    session = bound()
    session.tick(30.0)
    (asked,) = out(session)
    assert session.receive(said(command, asked.seq), 35.0) == []
    assert session.tick(45.0) == []
    assert session.next_at() == 65.0


def test_the_peers_question_is_answered():
    session = bound()
    session.receive(said(Command.ENQUIRE_LINK, 77), 1.0)
    assert out(session) == [Pdu(Command.ENQUIRE_LINK_RESP, 77)]


# ---------------------------------------------------------------- what comes in


def test_a_text_is_answered_only_when_we_say_so():
    session = bound()
    (came,) = session.receive(said(Command.DELIVER_SM, 8, 0, TEXT), 1.0)
    assert isinstance(came, Came)
    assert (came.seq, came.pdu.body) == (8, TEXT)
    assert session.take_out() == b""
    session.answer(8, 0, 1.0)
    assert out(session) == [Pdu(Command.DELIVER_SM_RESP, 8, 0, Answer())]


@pytest.mark.parametrize("status", [0x08, 0x64])
def test_a_failed_commit_and_a_full_door_have_their_status(status):
    session = bound()
    session.receive(said(Command.DELIVER_SM, 8, 0, TEXT), 1.0)
    session.answer(8, status, 1.0)
    assert out(session) == [Pdu(Command.DELIVER_SM_RESP, 8, status)]


def test_a_text_that_cannot_be_read_is_handed_over_raw():
    session = bound()
    bad = said(Command.DELIVER_SM, 8, 0, TEXT)[:-3]
    bad = len(bad).to_bytes(4, "big") + bad[4:]
    assert session.receive(bad, 1.0) == [Came(8, None, bad, "sm_length")]
    session.answer(8, 0, 1.0)
    assert out(session) == [Pdu(Command.DELIVER_SM_RESP, 8, 0, Answer())]


def test_fifty_open_texts_stop_the_reading_and_an_answer_starts_it_again():
    session = bound(open_most=50)
    data = b"".join(said(Command.DELIVER_SM, n, 0, TEXT) for n in range(60))
    assert len(session.receive(data, 1.0)) == 50
    assert not session.reading
    assert [event.seq for event in session.answer(3, 0, 2.0)] == [50]
    assert not session.reading
    for n in range(60):
        session.answer(n, 0, 2.0)
    assert session.reading
    assert len(out(session)) == 60


def test_while_reading_is_stopped_nobody_elses_time_runs():
    session = bound(open_most=1)
    seq = session.submit(TEXT, 1.0)
    session.receive(said(Command.DELIVER_SM, 5, 0, TEXT) + accepted(seq), 2.0)
    assert session.tick(100.0) == []
    assert session.answer(5, 0, 100.0) == [Answered(seq, 0, "1")]
    assert session.tick(101.0) == []


def test_two_texts_of_one_number_are_two_texts():
    session = bound()
    session.receive(said(Command.DELIVER_SM, 5, 0, TEXT) * 2, 1.0)
    for _ in range(3):
        session.answer(5, 0, 1.0)
    assert len(out(session)) == 2


def test_an_answer_after_the_connection_is_gone_does_no_harm():
    session = bound()
    session.receive(said(Command.DELIVER_SM, 5, 0, TEXT), 1.0)
    session.lost()
    assert session.answer(5, 0, 2.0) == []
    assert session.take_out() == b""


@pytest.mark.parametrize("command", [0x03, 0x07, 0x08, 0x0B, 0x21, 0x102, 0x7FFFFFFF])
def test_an_unknown_command_is_nacked_and_the_next_pdu_read(command):
    session = bound()
    session.receive(said(command, 6) + said(Command.ENQUIRE_LINK, 7), 1.0)
    assert out(session) == [Pdu(Command.GENERIC_NACK, 6, 0x03), Pdu(Command.ENQUIRE_LINK_RESP, 7)]


def test_unknown_parameters_are_passed_over():
    session = bound()
    data = encode(Pdu(Command.DELIVER_SM, 8, 0, TEXT, ((0x1401, b"made up"), (0x424, b""))))
    assert len(session.receive(data, 1.0)) == 1


@pytest.mark.parametrize("length", [0, 15, 65_537, 1 << 20, 0xFFFFFFFF])
def test_a_wrong_length_is_nacked_and_ends_the_connection(length):
    session = bound()
    events = session.receive(length.to_bytes(4, "big") + said(Command.DELIVER_SM, 8)[4:], 1.0)
    assert events == [Ended("command_length")]
    assert out(session) == [Pdu(Command.GENERIC_NACK, 8, 0x02)]


@pytest.mark.parametrize("command", [Command.SUBMIT_SM, Command.BIND_TRANSMITTER])
def test_what_only_a_message_centre_takes_is_refused(command):
    session = bound()
    body = TEXT if command is Command.SUBMIT_SM else Bind()
    assert session.receive(said(command, 6, 0, body), 1.0) == []
    assert out(session) == [Pdu(command | 0x80000000, 6, 0x04)]


# ---------------------------------------------------------------- pace and patience


def test_a_rate_is_kept():
    pace, gone = Pace(20.0), 0
    for n in range(1000):
        gone += pace.take(n / 1000)
    assert 19 <= gone <= 21


def test_throttling_halves_the_rate_for_five_seconds():
    pace = Pace(20.0)
    pace.slow(10.0)
    pace.slow(10.5)
    assert pace.slowed
    gone = sum(pace.take(10 + n / 1000) for n in range(4999))
    assert 48 <= gone <= 51
    assert sum(pace.take(15 + n / 1000) for n in range(1000)) >= 19
    assert not pace.slowed


def test_throttling_without_a_set_rate_halves_what_was_sent():
    pace = Pace()
    for n in range(1000):
        assert pace.take(1 + n / 1001)
    pace.slow(2.0)
    assert 498 <= sum(pace.take(2 + n / 2000) for n in range(1, 2001)) <= 502


def test_waits_grow_to_a_minute_and_are_drawn_from_the_whole_span():
    retry = Retry(lambda: 0.999)
    assert [round(retry.wait()) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    retry.bound()
    assert retry.wait() < 1
    assert retry.wait(30.0) == 30.0
    assert Retry(lambda: 0.0).wait() == 0.0
