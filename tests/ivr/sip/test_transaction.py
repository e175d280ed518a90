"""Transactions by table and Tick: no socket, no clock."""

from __future__ import annotations

import pytest

from ivr.sip import message as sip
from ivr.sip.message import Request, Response
from ivr.sip.transaction import MOVES, START, Act, Kind, Peer, Send, State, Tick, Timer, Transactions, Up

PEER = Peer("127.0.0.1", 5070)


def asked(method: str = "INVITE", branch: str = "z9hG4bKa", seq: int = 1, tag: str = "") -> Request:
    headers = [
        ("via", f"SIP/2.0/UDP 127.0.0.1:5070;branch={branch};rport"), ("from", "<sip:a@b>;tag=t"),
        ("to", f"<sip:c@d>{tag}"), ("call-id", "x"), ("cseq", f"{seq} {method}"),
    ]  # fmt: skip
    return sip.request(method, "sip:c@d", headers)


def sends(outs):
    return [out for out in outs if isinstance(out, Send)]


def ups(outs):
    return [out for out in outs if isinstance(out, Up)]


def tick(one: Transactions, until: float, start: float = 0.0):
    """Feed ticks every 0.1 s; the times at which something was sent, and the news."""
    times, news = [], []
    step = round(start * 10)
    while step <= until * 10:
        outs = one.feed(Tick(), PEER, step / 10)
        times += [step / 10] * len(sends(outs))
        news += ups(outs)
        step += 1
    return times, news


def test_every_row_of_every_table_leads_to_a_state_that_ends():
    timers = set("ABCDEFGHIJKLMW")
    for kind, table in MOVES.items():
        reach, todo = set(), [START[kind][0]]
        while todo:
            state = todo.pop()
            if state not in reach:
                reach.add(state)
                todo += [move[0] for (start, _), move in table.items() if start is state]
        assert State.TERMINATED in reach
        assert {state for state, _ in table} == reach - {State.TERMINATED}, kind
        started = {t for _, _, ts in table.values() for t in ts} | set(START[kind][1])
        fired = {event for _, event in table if event in timers}
        assert started == fired - {"W"}, kind  # W begins with a CANCEL
        assert all(isinstance(act, Act) for move in table.values() for act in move[1])


def test_a_server_repeats_its_last_answer_to_a_repeated_request():
    one = Transactions()
    (up,) = ups(one.feed(asked(), PEER, 0))
    assert not sends(one.feed(asked(), PEER, 0.1))  # nothing said yet
    trying = sends(one.reply(up.key, sip.reply(asked(), 100), 0.2))
    assert sends(one.feed(asked(), PEER, 0.3)) == trying
    ok = sends(one.reply(up.key, sip.reply(asked(), 200, tag="o"), 0.4))
    assert sends(one.feed(asked(), PEER, 0.5)) == ok
    assert not one.reply(up.key, sip.reply(asked(), 486), 0.6)


def test_a_refusal_is_repeated_until_its_ack_and_for_32_seconds_at_most():
    one = Transactions()
    (up,) = ups(one.feed(asked(), PEER, 0))
    one.reply(up.key, sip.reply(asked(), 486, tag="o"), 0)
    times, _ = tick(one, 40)
    assert times[:5] == [0.5, 1.5, 3.5, 7.5, 11.5] and times[-1] < 32 and len(one) == 0
    (up,) = ups(one.feed(asked(branch="z9hG4bKb"), PEER, 50))
    one.reply(up.key, sip.reply(asked(branch="z9hG4bKb"), 486, tag="o"), 50)
    assert not ups(one.feed(asked("ACK", "z9hG4bKb", tag=";tag=o"), PEER, 50.2))
    assert tick(one, 90, 50.2)[0] == [] and len(one) == 0


def test_the_ack_of_a_200_goes_up():
    one = Transactions()
    (up,) = ups(one.feed(asked(), PEER, 0))
    one.reply(up.key, sip.reply(asked(), 200, tag="o"), 0)
    for branch in ("z9hG4bKother", "z9hG4bKa"):  # a new branch as it must be, and an old phone's same one
        (ack,) = ups(one.feed(asked("ACK", branch, tag=";tag=o"), PEER, 0.1))
        assert isinstance(ack.message, Request) and ack.message.method == "ACK"
    assert tick(one, 40)[0] == [] and len(one) == 0


def test_a_branch_without_the_cookie_is_matched_as_before_3261():
    one = Transactions()
    (up,) = ups(one.feed(asked(branch="1"), PEER, 0))
    assert not ups(one.feed(asked(branch="1"), PEER, 0))
    assert ups(one.feed(asked(branch="1", seq=2), PEER, 0))
    assert one.invite_of(asked("CANCEL", "1")) == up.key


def test_the_same_request_by_two_ways_is_merged():
    one = Transactions()
    one.feed(asked(), PEER, 0)
    (second,) = ups(one.feed(asked(branch="z9hG4bKb"), PEER, 0))
    assert one.merged(asked(branch="z9hG4bKb"), second.key)


def test_an_invite_of_ours_doubles_and_gives_up_after_32_seconds():
    one = Transactions()
    key, outs = one.start(asked(), PEER, 0)
    assert len(sends(outs)) == 1 and min(out.at for out in outs if isinstance(out, Timer)) == 0.5
    times, news = tick(one, 40)
    assert times == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert [up.message for up in news] == [None] and news[0].key == key and len(one) == 0


def test_ringing_without_end_is_given_up_after_five_minutes_and_a_cancelled_call_after_32_seconds():
    for cancelled, ends in ((False, 300), (True, 42)):
        one = Transactions()
        key, _ = one.start(asked(), PEER, 0)
        one.feed(sip.reply(asked(), 180), PEER, 1)
        if cancelled:
            one.give_up(key, 10)
        assert tick(one, ends - 1, 1) == ([], [])
        assert [up.message for up in tick(one, ends + 1, ends - 1)[1]] == [None] and len(one) == 0


def test_another_request_of_ours_repeats_to_t2_and_slowly_once_it_was_heard():
    one = Transactions()
    one.start(asked("BYE"), PEER, 0)
    assert tick(one, 40)[0] == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    one.start(asked("BYE", "z9hG4bKb"), PEER, 100)
    one.feed(sip.reply(asked("BYE", "z9hG4bKb"), 100), PEER, 100.1)
    assert tick(one, 108, 100)[0] == [100.5, 104.5]


@pytest.mark.parametrize("status", [301, 404, 486, 503, 600])
def test_a_refusal_of_ours_is_acknowledged_each_time_and_told_once(status):
    one = Transactions()
    one.start(asked(), PEER, 0)
    refusal = sip.reply(asked(), status, tag="far")
    first, again = one.feed(refusal, PEER, 1), one.feed(refusal, PEER, 2)
    assert len(ups(first)) == 1 and not ups(again)
    ack = sip.read(sends(again)[0].data)
    assert isinstance(ack, Request)
    assert (ack.method, ack.via.branch, ack.to_tag, ack.seq) == ("ACK", "z9hG4bKa", "far", 1)
    assert tick(one, 40, 2) == ([], []) and len(one) == 0


def test_every_200_to_our_invite_is_told():
    one = Transactions()
    one.start(asked(), PEER, 0)
    for to_tag in ("one", "two", "one"):
        (up,) = ups(one.feed(sip.reply(asked(), 200, tag=to_tag), PEER, 1))
        assert isinstance(up.message, Response) and up.message.to_tag == to_tag


def test_a_stray_response_is_nothing():
    assert Transactions().feed(sip.reply(asked(), 200), PEER, 0) == []


def test_ten_thousand_transactions_leave_nothing_behind():
    one = Transactions()
    for i in range(10_000):
        (up,) = ups(one.feed(asked("OPTIONS", f"z9hG4bK{i}", seq=i), PEER, i / 1000))
        one.reply(up.key, sip.reply(asked("OPTIONS", f"z9hG4bK{i}", seq=i), 200), i / 1000)
    one.feed(Tick(), PEER, 100)
    assert len(one) == 0 and not one._merged and not one._due


def test_over_a_connection_nothing_is_repeated_and_nothing_waited_for():
    one, far = Transactions(), Peer("127.0.0.1", 5070, "tcp")
    one.start(asked(), far, 0)
    assert [up.message for up in tick(one, 40)[1]] == [None] and len(one) == 0
    (up,) = ups(one.feed(asked("OPTIONS"), far, 50))
    one.reply(up.key, sip.reply(asked("OPTIONS"), 200), 50)
    assert tick(one, 50.1, 50) == ([], []) and len(one) == 0


def test_a_broken_connection_is_told_to_who_asked_there():
    one, far = Transactions(), Peer("127.0.0.1", 5070, "tcp")
    key, _ = one.start(asked(), far, 0)
    one.start(asked(branch="z9hG4bKb"), PEER, 0)
    assert one.broken(far) == [Up(key, None, far)] and len(one) == 1


def test_kinds_are_all_there():
    assert set(MOVES) == set(START) == set(Kind)
