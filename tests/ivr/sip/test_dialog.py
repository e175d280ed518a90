"""Dialogs: every pair of the table, tags and numbers, routes, the 200 that repeats."""

from __future__ import annotations

import itertools

import pytest

from ivr.sip import message as sip
from ivr.sip.dialog import MOVES, State, Unacked, called, calling, contact, routed
from tests.ivr.sip.test_transaction import PEER, asked

EVENTS = {event for _, event in MOVES}


def invite(**more: str):
    return sip.request("INVITE", "sip:1888@127.0.0.1", [
        ("via", "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKa"), ("from", "<sip:a@b>;tag=theirs"), ("to", "<sip:c@d>"),
        ("call-id", "x"), ("cseq", "7 INVITE"), ("contact", '"x <y>" <sip:caller@127.0.0.1:5070>;q=1'),
        ("record-route", "<sip:p1.example.ir;lr>, <sip:p2.example.ir;lr>"), *more.items(),
    ])  # fmt: skip


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, sorted(EVENTS))))
def test_every_pair_of_the_table(state, event):
    dialog = called(invite(), "ours", PEER)
    dialog.state = state
    assert dialog.move(event) is ((state, event) in MOVES)
    assert dialog.state is MOVES.get((state, event), state)


def test_nothing_leaves_an_ended_dialog():
    assert not any(state is State.ENDED for state, _ in MOVES)


def test_the_called_side_keeps_the_routes_and_swaps_the_tags():
    dialog = called(invite(), "ours", PEER)
    assert dialog.key == ("x", "ours", "theirs") and dialog.remote_seq == 7
    bye = dialog.request("BYE", "SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKb")
    assert bye.uri == "sip:caller@127.0.0.1:5070"
    assert bye.all("route") == ["<sip:p1.example.ir;lr>", "<sip:p2.example.ir;lr>"]
    assert (bye.from_tag, bye.to_tag, bye.seq) == ("ours", "theirs", dialog.local_seq)


def test_the_calling_side_reverses_the_routes():
    request = invite()
    answer = sip.reply(
        request, 200, [("record-route", "<sip:p1;lr>, <sip:p2;lr>"), ("contact", "<sip:far@x>")], tag="far"
    )
    dialog = calling(request, answer, PEER)
    assert dialog.routes == ("<sip:p2;lr>", "<sip:p1;lr>") and dialog.target == "sip:far@x"
    assert dialog.ack(7, "SIP/2.0/UDP h;branch=z9hG4bKc").seq == 7
    assert dialog.request("BYE", "SIP/2.0/UDP h;branch=z9hG4bKd").seq == 8


def test_a_strict_router_gets_its_own_address_as_request_uri():
    assert routed("sip:a@x", ["<sip:old.example.ir>", "<sip:p;lr>"]) == (
        "sip:old.example.ir", ["<sip:p;lr>", "<sip:a@x>"],
    )  # fmt: skip


def test_sequence_numbers_must_rise():
    dialog = called(invite(), "ours", PEER)
    assert not dialog.fresh(asked("BYE", seq=7)) and not dialog.fresh(asked("BYE", seq=3))
    assert dialog.fresh(asked("BYE", seq=9)) and not dialog.fresh(asked("BYE", seq=8))


def test_contacts_are_taken_as_written():
    assert contact(invite()) == "sip:caller@127.0.0.1:5070"
    assert contact(asked()) is None


def test_the_200_repeats_at_t1_doubling_to_t2_for_32_seconds():
    waiting = Unacked.begin(sip.reply(asked(), 200), 0.0)
    times = [step / 10 for step in range(321) if waiting.again(step / 10)]
    assert times[:6] == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5] and waiting.until == 32.0
