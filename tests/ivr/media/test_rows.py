"""The tick by itself: what goes out, what counts, who is heard. A made-up network, no socket, no clock."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.leg import Run
from ivr.media import dtmf, g711
from ivr.media.messages import Add, Change, Drop, Dropped, Hush, KeySeen, Lost, Play, RunsOut, SendKeys
from tests.ivr.media.made_up import CALLER, World, fields, media, rtp, tone

STRANGER = ("198.51.100.66", 6666)
QUIET = b"\xd5" * 160


@pytest.fixture
def world() -> World:
    return World()


def test_silence_flows_before_between_and_after_prompts(world):
    sound = tone(0.04)
    world.obey(Add(media()))
    world.tick(2)
    world.obey(Play(1, 5, [sound]))
    events = world.tick(5)
    sent = world.sounds()
    assert [packet[12:] for packet in sent] == [QUIET] * 2 + [sound.pcma[:160], sound.pcma[160:]] + [QUIET] * 3
    assert events == [RunsOut(1, 5)]


def test_sequence_numbers_and_timestamps_go_on_by_one_frame_and_only_the_first_is_marked(world):
    world.obey(Add(media()))
    world.rows.table.state["seq"][0], world.rows.table.state["ts"][0] = 0xFFFE, 0xFFFFFF00
    world.tick(4)
    marks, kinds, seqs, stamps, ssrcs = zip(*map(fields, world.sounds()), strict=True)
    assert marks == (True, False, False, False)
    assert set(kinds) == {8}
    assert seqs == (0xFFFE, 0xFFFF, 0, 1)
    assert [(stamp - stamps[0]) % 2**32 for stamp in stamps] == [0, 160, 320, 480]
    assert len(set(ssrcs)) == 1


def test_each_call_speaks_its_own_law_and_sound(world):
    one, two = tone(0.02, 440), tone(0.02, 800)
    world.obey(Add(media(1)), Add(media(2, law="pcmu")), Play(1, 1, [one]), Play(2, 1, [two]))
    world.tick()
    by_slot = {slot: packet for slot, packet, _ in world.network.sent}
    assert by_slot[0][12:] == one.pcma
    assert by_slot[1][12:] == two.pcmu
    assert fields(by_slot[1])[1] == 0


def test_prompts_said_one_after_the_other_are_told_one_by_one(world):
    world.obey(Add(media()), Play(1, 1, [tone(0.02), tone(0.02)]), Play(1, 2, [tone(0.02)]))
    assert world.tick(2) == [RunsOut(1, 1)]
    assert world.tick(1) == [RunsOut(1, 2)]


def test_a_prompt_of_nothing_is_over_at_once(world):
    world.obey(Add(media()), Play(1, 1, []), Play(1, 2, [Run(b"", b"")]))
    assert world.tick() == [RunsOut(1, 1), RunsOut(1, 2)]


def test_a_hush_is_silence_in_the_next_tick_and_tells_of_no_end(world):
    world.obey(Add(media()), Play(1, 1, [tone(1)]), Play(1, 2, [tone(1)]))
    world.tick(3)
    world.sounds()
    world.obey(Hush(1))
    assert world.tick(60) == []
    assert {packet[12:] for packet in world.sounds()} == {QUIET}


def test_a_late_clock_skips_ahead_with_a_marker_and_loses_nothing_of_the_prompt(world):
    sound = tone(0.08)
    world.obey(Add(media()), Play(1, 1, [sound]))
    world.tick(2)
    world.now += 0.1
    world.tick(skipped=5)
    world.tick()
    sent = world.sounds()
    assert b"".join(packet[12:] for packet in sent) == sound.pcma
    first, second, third, fourth = map(fields, sent)
    assert (third[0], fourth[0]) == (True, False)
    assert (third[2] - second[2]) & 0xFFFF == 1
    assert (third[3] - second[3]) % 2**32 == 6 * 160
    world.obey(Drop(1))
    world.tick()
    assert world.events[-1] == Dropped(1, 4, 0, 0, 5)
    assert first[0] is True


def test_on_hold_nothing_is_sent_the_prompt_waits_and_silence_is_not_loss(world):
    sound = tone(0.06)
    world.obey(Add(media(quiet_limit=1.0)), Play(1, 1, [sound]))
    world.tick()
    world.obey(Change(media(sending=False, receiving=False, quiet_limit=1.0)))
    assert world.tick(100) == []
    assert len(world.sounds()) == 1
    world.obey(Change(media(quiet_limit=1.0)))
    assert world.tick(2) == [RunsOut(1, 1)]
    sent = world.sounds()
    assert b"".join(packet[12:] for packet in sent) == sound.pcma[160:]
    assert fields(sent[0])[0] is True


def test_a_new_law_in_the_middle_of_a_prompt_goes_on_in_the_new_law(world):
    sound = tone(0.06)
    world.obey(Add(media()), Play(1, 1, [sound]))
    world.tick()
    world.obey(Change(media(law="pcmu")))
    world.tick(2)
    assert [packet[12:] for packet in world.sounds()] == [sound.pcma[:160], sound.pcmu[160:320], sound.pcmu[320:]]


def test_more_calls_than_the_matrix_was_made_for_all_speak(world):
    world.obey(*(Add(media(row)) for row in range(1, 151)))
    world.obey(*(Play(row, 1, [tone(0.02)]) for row in range(1, 151)))
    assert len(world.tick()) == 150
    assert len(world.network.sent) == 150


def test_a_sound_that_many_play_lies_in_the_arena_once_and_makes_room_when_unused(world):
    world.obey(*(Add(media(row)) for row in range(1, 4)))
    world.obey(*(Play(row, 1, [tone(60)]) for row in range(1, 4)))
    assert len(world.rows.mouth.arena._places) == 1
    world.obey(*(Hush(row) for row in range(1, 4)))
    for number in range(20):
        world.obey(Play(1, number, [tone(60, 300 + number)]), Hush(1))
    assert len(world.rows.mouth.arena.frames) == 16_384
    for number in range(10):
        world.obey(Play(1, number, [tone(60, 300 + number)]))
        world.obey(Play(2, number, [tone(60, 500 + number)]))
    last = tone(0.02, 999)
    world.obey(Play(3, 1, [last]))
    world.sounds()
    world.tick()
    assert world.sounds(2)[0][12:] == last.pcma


# ---- who is heard


def test_the_address_of_the_sdp_is_heard_at_once_and_alone_from_then_on(world):
    world.obey(Add(media()))
    world.hear(rtp(1, 0, QUIET))
    world.tick()
    assert world.berths.found == {1: CALLER}
    world.hear(*(rtp(n, 160 * n, QUIET, ssrc=66) for n in range(10)), source=STRANGER)
    world.tick()
    world.obey(Drop(1))
    world.tick()
    assert world.events[-1] == Dropped(1, 2, 1, 10, 0)
    assert world.rows.counts["strangers"] == 10


def test_strangers_are_dropped_and_counted_and_get_no_packet(world):
    world.obey(Add(media()))
    for seq in (1, 3, 5, 7, 9, 11):  # never four in sequence
        world.hear(rtp(seq, 160 * seq, b"\x05\x0a\x00\xa0", kind=96, ssrc=66), source=STRANGER)
    assert [event for event in world.tick(3) if isinstance(event, KeySeen)] == []
    world.hear(rtp(1, 0, QUIET))
    world.tick()
    assert {to for _, _, to in world.network.sent} == {CALLER}
    world.obey(Drop(1))
    world.tick()
    assert world.events[-1] == Dropped(1, 4, 1, 6, 0)


def test_behind_an_address_translator_four_packets_in_sequence_choose_the_source(world):
    outside = ("203.0.113.9", 31_000)
    world.obey(Add(media(peer=("10.0.0.5", 4000))))
    for seq in (0xFFFE, 0xFFFF, 0):
        world.hear(rtp(seq, 0, QUIET), source=outside)
        world.tick()
    assert world.berths.found == {}
    world.hear(rtp(1, 0, QUIET), source=outside)
    world.tick(2)
    assert world.berths.found == {1: outside}
    assert world.network.sent[-1][2] == outside


def test_four_packets_in_sequence_that_took_over_five_seconds_choose_nobody(world):
    world.obey(Add(media(peer=None)))
    for seq in range(8):
        world.hear(rtp(seq, 0, QUIET), source=STRANGER)
        world.tick(100)
    assert world.berths.found == {}
    assert world.network.sent == []


def test_a_call_without_address_begins_to_speak_when_its_source_is_known(world):
    sound = tone(0.02)
    world.obey(Add(media(peer=None)), Play(1, 1, [sound]))
    assert world.tick(5) == []
    world.hear(*(rtp(seq, 0, QUIET) for seq in range(4)))
    assert world.tick(2) == [RunsOut(1, 1)]
    assert [packet[12:] for packet in world.sounds()] == [sound.pcma]


def test_a_new_ssrc_has_to_show_four_packets_again(world):
    world.obey(Add(media()))
    world.hear(rtp(1, 0, QUIET))
    world.hear(*(rtp(seq, 0, b"\x05\x0a\x00\xa0", kind=96, ssrc=78) for seq in (50, 51, 52)))
    assert world.tick() == []
    world.hear(rtp(53, 0, b"\x05\x0a\x00\xa0", kind=96, ssrc=78))
    assert world.tick() == [KeySeen(1, "5")]


def test_a_re_invite_with_another_address_lets_a_new_source_in(world):
    world.obey(Add(media()))
    world.hear(rtp(1, 0, QUIET))
    world.tick()
    world.obey(Change(media(peer=("192.0.2.8", 5000))))
    world.tick()
    assert world.network.sent[-1][2] == ("192.0.2.8", 5000)
    world.hear(rtp(1, 0, QUIET, ssrc=5), source=("192.0.2.8", 5000))
    world.tick()
    assert world.berths.found[1] == ("192.0.2.8", 5000)


def test_a_sprayer_with_thousands_of_addresses_fills_no_memory(world):
    world.obey(Add(media()))
    for number in range(2000):
        world.hear(rtp(number, 0, QUIET, ssrc=number), source=("198.51.100.1", number))
    world.tick()
    assert len(world.rows.calls[1].latch._trials) <= 32


def test_a_flood_of_strangers_on_a_port_where_one_is_sought_is_not_looked_at_one_by_one(world):
    world.obey(Add(media(peer=("10.0.0.5", 4000))))
    world.hear(*(rtp(number * 3, 0, QUIET, ssrc=number) for number in range(1000)), source=STRANGER)
    world.tick()
    assert world.rows.counts["strangers"] == 1000
    world.hear(*(rtp(number, 0, QUIET) for number in range(4)), source=("203.0.113.9", 31_000))
    world.tick()
    assert world.berths.found == {1: ("203.0.113.9", 31_000)}


def test_a_shared_port_hears_each_call_from_its_own_address_alone(world):
    one, two = ("192.0.2.1", 4000), ("192.0.2.2", 4000)
    world.obey(*(Add(media(row, peer=peer, port=20_000, sought=False)) for row, peer in ((1, one), (2, two))))
    key = b"\x05\x0a\x00\xa0"
    world.hear(*(rtp(number, 0, key, kind=96) for number in range(8)), source=STRANGER)
    assert world.tick() == []
    world.hear(rtp(1, 0, key, kind=96), source=two)
    assert world.tick() == [KeySeen(2, "5")]
    world.hear(*(rtp(number, 0, key, kind=96) for number in range(4)), source=("192.0.2.1", 9))  # its other port
    assert world.tick() == [KeySeen(1, "5")]
    assert world.network.ports == {20_000}
    world.obey(Drop(1), Drop(2))
    assert world.network.ports == {20_000}  # shared ones stay open


def test_a_call_that_moves_to_another_port_is_heard_and_speaks_there(world):
    world.obey(Add(media(1)))
    world.hear(rtp(1, 0, QUIET))
    world.tick()
    there = ("192.0.2.8", 5000)
    world.obey(Change(media(1, peer=there, port=20_044)))
    world.tick()
    assert world.network.ports == {20_044}
    assert world.network.aims[0] == (20_044, there)
    world.hear(rtp(1, 0, b"\x05\x0a\x00\xa0", kind=96, ssrc=5), source=there)
    assert world.tick() == [KeySeen(1, "5")]


# ---- keys


def test_a_key_is_told_in_the_tick_its_first_packet_came_whatever_its_type_is(world):
    world.obey(Add(media(event_type=121)))
    world.hear(rtp(1, 800, b"\x0b\x0a\x00\xa0", kind=121))
    assert world.tick() == [KeySeen(1, "#")]
    world.hear(rtp(2, 800, b"\x0b\x8a\x01\xe0", kind=121), rtp(3, 1600, b"\x01\x0a\x00\xa0", kind=101))
    assert world.tick() == []


def test_keys_sent_by_one_row_are_heard_by_another_and_replace_the_sound(world):
    world.obey(Add(media(1)), Add(media(2)), Play(1, 1, [tone(0.1)]), SendKeys(1, "12#"))
    world.tick(40)
    sent = world.sounds(0)
    keys = [fields(packet) for packet in sent if len(packet) == 16]
    assert [mark for mark, *_ in keys].count(True) == 3
    assert len({stamp for _, _, _, stamp, _ in keys}) == 3
    assert len([packet for packet in sent if packet[12:] != QUIET and len(packet) > 16]) == 5  # after the keys
    assert [fields(packet)[2] for packet in sent] == [(fields(sent[0])[2] + n) & 0xFFFF for n in range(40)]
    world.hear(*sent, slot=1)
    assert [event.key for event in world.tick() if isinstance(event, KeySeen)] == list("12#")


def test_without_telephone_event_in_the_offer_no_keys_are_sent(world):
    world.obey(Add(media(event_type=None)), SendKeys(1, "1"))
    world.tick(10)
    assert {len(packet) for packet in world.sounds()} == {172}


# ---- the end


def test_silence_of_thirty_seconds_is_told_once(world):
    world.obey(Add(media()))
    world.hear(rtp(1, 0, QUIET))
    assert world.tick(1500) == []
    assert world.tick(3) == [Lost(1)]
    assert world.tick(2000) == []


def test_a_dropped_row_gives_its_port_back_and_its_slot_to_the_next(world):
    world.obey(Add(media(1)), Play(1, 1, [tone(1)]))
    world.tick()
    world.obey(Drop(1), Add(media(2)))
    assert world.tick() == [Dropped(1, 1, 0, 0, 0)]
    assert world.berths.given == [1]
    assert world.network.ports == {20_004}
    assert world.sounds()[-1][12:] == QUIET


def test_a_port_that_cannot_be_had_ends_the_call(world):
    world.network.taken.add(20_002)
    world.obey(Add(media()))
    assert world.tick() == [Lost(1)]
    assert world.berths.given == [1]
    world.obey(Play(1, 1, [tone(1)]), Hush(1), SendKeys(1, "1"), Change(media()), Drop(1))
    assert world.tick() == [Dropped(1, 0, 0, 0, 0)]


# ---- noise


def test_rtcp_on_the_same_port_and_headers_with_extras_are_understood(world):
    world.obey(Add(media()))
    key = b"\x05\x0a\x00\xa0"
    padded = rtp(1, 0, b"\0" * 4 + b"\xbe\xde\0\x01abcd" + key + b"\0\0\0\x04", kind=96, first=0x80 | 0x20 | 0x10 | 1)
    world.hear(rtp(0, 0, b"", kind=72), padded)
    assert world.tick() == [KeySeen(1, "5")]
    assert world.rows.counts["stray_reports"] == 1


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=64), st.sampled_from([0x80, 0x90, 0xA0, 0xBF, 0x40]), st.sampled_from([8, 0, 96, 101, 200]))
def test_no_packet_whatever_raises(data, first, kind):
    world = World()
    world.obey(Add(media()))
    world.hear(data, bytes([first, kind]) + data, rtp(1, 0, data, kind=kind & 0x7F, first=first))
    assert {type(event) for event in world.tick()} <= {KeySeen}


def test_the_payload_types_are_those_of_the_profile():
    assert g711.PAYLOAD == {"pcma": 8, "pcmu": 0}
    assert dtmf.KEYS[10:12] == "*#"
