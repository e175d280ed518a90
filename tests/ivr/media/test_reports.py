"""Losses and jitter as RFC 3550 counts them, and the reports about them, on a made-up network."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.media import reception, rtcp
from ivr.media.messages import Add, Drop
from ivr.media.packet import HEADS
from ivr.media.reception import TALLY
from ivr.media.rtcp import Block, Sender
from tests.ivr.media.made_up import AGO, CALLER, World, media, rtp

QUIET = b"\xd5" * 160


def counted(packets, slot: int = 0):
    """The tally after these (seq, timestamp, seconds)."""
    tally = np.zeros(2, TALLY)
    heads = np.zeros(len(packets), HEADS)
    heads["seq"], heads["ts"] = [p[0] & 0xFFFF for p in packets], [p[1] & 0xFFFFFFFF for p in packets]
    at = np.array([p[2] for p in packets])
    reception.count(tally, np.full(len(packets), slot), heads, at, np.ones(len(packets), bool))
    return tally[slot]


def slow_jitter(packets) -> float:
    """A.8 by the letter, in floating point."""
    jitter, before = 0.0, None
    for _, stamp, at in packets:
        transit = at * 8000 - stamp
        if before is not None:
            jitter += (abs(transit - before) - jitter) / 16
        before = transit
    return jitter


def test_losses_are_what_was_expected_less_what_came():
    came = [(number, 160 * number, 0.02 * number) for number in range(100) if number % 10]
    row = counted([(0, 0, 0.0), *came])
    assert (reception.quality(row).received, reception.quality(row).lost) == (91, 9)


def test_late_ones_are_no_loss_and_doubles_hide_none():
    row = counted([(seq, 160 * seq, 0.02 * at) for at, seq in enumerate((1, 2, 5, 3, 4, 6))])
    assert reception.quality(row).lost == 0


def test_the_numbers_go_on_over_the_wrap():
    row = counted([(65_530 + number, 160 * number, 0.02 * number) for number in range(20) if number != 10])
    assert (reception.quality(row).lost, reception.extended(row)) == (1, 1 << 16 | 13)


def test_a_jump_of_the_sequence_number_is_a_new_beginning_not_thousands_of_losses():
    first = [(number, 160 * number, 0.02 * number) for number in range(10) if number != 5]
    second = [(40_000 + number, 160 * number, 1 + 0.02 * number) for number in range(10) if number != 5]
    assert reception.quality(counted(first + second)).lost == 2


def test_jitter_is_that_of_the_slow_oracle():
    draw = random.Random(5)
    packets = [(number, 160 * number, 0.02 * number + draw.uniform(0, 0.012)) for number in range(500)]
    assert counted(packets)["jitter"] == pytest.approx(slow_jitter(packets), rel=1e-6)
    assert reception.quality(counted(packets)).jitter_ms == pytest.approx(slow_jitter(packets) / 8, abs=0.01)


def test_a_jumped_timestamp_is_no_jitter():
    packets = [(number, 160 * number + (10_000_000 if number > 50 else 0), 0.02 * number) for number in range(100)]
    assert counted(packets)["jitter"] < 1


def test_of_several_calls_in_a_batch_each_keeps_its_own_order():
    slots = np.array([3, 1, 3, 3, 2, 1])
    rounds = [turn.tolist() for turn in reception.by_rank(slots)]
    assert sorted(at for turn in rounds for at in turn) == list(range(6))
    assert [[int(slots[at]) for at in turn] for turn in rounds] == [[1, 2, 3], [1, 3], [3]]
    assert list(reception.by_rank(np.zeros(0, np.intp))) == []


# ---- reports


def test_a_report_comes_back_as_it_was_written():
    block = Block(77, 12, -3, 70_000, 80, 0x12345678, 65_536)
    data = rtcp.write(5, "0123456789abcdef", Sender(1_700_000_000.5, 4000, 25, 4000), (block,), bye=True)
    assert len(data) % 4 == 0
    kinds, at = [], 0
    while at < len(data):
        kinds.append(data[at + 1])
        at += 4 * int.from_bytes(data[at + 2 : at + 4], "big") + 4
    assert (kinds, at) == ([rtcp.SR, rtcp.SDES, rtcp.BYE], len(data))
    assert b"0123456789abcdef" in data
    assert rtcp.read(data) == rtcp.Said(5, rtcp.middle(1_700_000_000.5), (block,), True)
    assert struct.unpack_from("!II", data, 8) == (1_700_000_000 + rtcp.UNIX, 1 << 31)


def test_without_packets_of_ours_it_is_a_receiver_report():
    assert rtcp.write(5, "x", None, ())[1] == rtcp.RR


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80), st.sampled_from([b"", b"\x81\xc8\x00\x0c", b"\x9f\xc9\x00\x01", b"\x81\xca\x00\x02"]))
def test_no_report_whatever_raises(data, first):
    said = rtcp.read(first + data)
    assert said is None or all(isinstance(block, Block) for block in said.blocks)


@pytest.fixture
def world() -> World:
    return World()


def test_a_report_each_five_seconds_half_of_it_more_or_less_under_a_random_name(world):
    world.obey(Add(media(quiet_limit=1000)))
    world.tick(3000)  # a minute
    times = len(world.network.reported)
    assert 8 <= times <= 25
    assert {(port, to, muxed) for port, _, to, muxed in world.network.reported} == {
        (20_002, (CALLER[0], CALLER[1] + 1), False)
    }
    name = world.rows.calls[1].far.cname
    assert len(name) == 16 and all(name.encode() in data for _, data, _, _ in world.network.reported)


def test_a_report_tells_our_packets_and_their_losses_and_the_end_says_bye(world):
    world.obey(Add(media()))
    for number in range(100):
        if number % 4 != 3:
            world.hear(rtp(number, 160 * number, QUIET))
        world.tick()
    world.obey(Drop(1))
    world.tick()
    said = rtcp.read(world.network.reported[-1][1])
    assert said.bye and said.ssrc == world_ssrc(world)
    block = said.blocks[0]
    assert (block.ssrc, block.lost, block.highest) == (77, 24, 98)
    assert 60 <= block.fraction <= 64 or len(world.network.reported) > 1
    packets = struct.unpack_from("!I", world.network.reported[-1][1], 20)[0]
    assert packets == 100
    assert (world.events[-1].quality.received, world.events[-1].quality.lost) == (75, 24)


def world_ssrc(world: World) -> int:
    return struct.unpack_from("!I", world.network.sent[0][1], 8)[0]


@pytest.mark.parametrize("mux", [True, False])
def test_their_reports_are_noted_from_their_own_address_only(world, mux):
    world.obey(Add(media(mux=mux)))
    world.hear(rtp(0, 0, QUIET))
    world.tick()
    data = rtcp.write(77, "them", Sender(100.0, 0, 1, 160), (Block(world.rows.calls[1].ssrc, 0, 7, 0, 160),))
    for host in ("203.0.113.9", CALLER[0]):
        if mux:
            world.hear(data, source=(host, CALLER[1]))
        else:
            world.network.control.append((20_002, data, (host, CALLER[1] + 1)))
    world.tick()
    assert (world.rows.counts["rtcp"], world.rows.counts["stray_reports"]) == (1, 1)
    assert world.rows.reports.quality(world.rows.calls[1]).far_lost == 7
    assert world.rows.reports.quality(world.rows.calls[1]).far_jitter_ms == 20.0
    world.tick(400)
    ours = rtcp.read(world.network.reported[-1][1])
    assert ours.blocks[0].last == rtcp.middle(100.0)
    assert world.network.reported[-1][3] is mux


def test_times_of_the_kernel_make_the_jitter(world):
    world.obey(Add(media()))
    for number in range(200):
        world.hear(rtp(number, 160 * number, QUIET), at=AGO + 0.02 * number + (0.008 if number % 2 else 0))
        world.tick()
    assert world.rows.reports.quality(world.rows.calls[1]).jitter_ms == pytest.approx(8.0, abs=0.1)
