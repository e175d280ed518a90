"""The walk: whatever is pressed, said or found, it never raises, always ends and loses no recording."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from ivr import steps
from ivr.stand import AHEAD, Phase, Walk
from ivr.steps import (
    Connected,
    Done,
    Ended,
    Failed,
    Found,
    Hush,
    Key,
    Parted,
    Place,
    Quiet,
    Recorded,
    Say,
    Started,
    Take,
    Taken,
    Wait,
)
from ivr.steps import PlayedOut as Heard
from ivr.walk import step
from tests.ivr.site import CODE, menus

START = Started("main", "+989120000000", True, "1888")
keys = st.builds(Key, st.sampled_from("0123456789*#ABCD"))
recordings = st.builds(
    Recorded,
    st.sampled_from(["key", "silence", "full", "stopped", "hung_up", "disk"]),
    st.sampled_from([0.0, 1.9, 2.0, 30.0, 180.0]),
    st.just("/spool/a.wav"),
)
founds = st.builds(
    Found,
    st.sampled_from(["found", "none", "locked", "busy", "waiting", "unproven"]),
    st.sampled_from([{}, {"unit": "water"}, {"codes": [CODE]}, {"text": "ivr.wrong", "lang": "fa"}]),
    st.sampled_from([(), (steps.Item(words="پاسخ"),)]),
)
failures = st.builds(Failed, st.sampled_from(["busy", "disk", "state", "refused", "locked", "no_mobile", "??"]))
events = st.one_of(
    keys,
    keys,
    st.just(Quiet()),
    st.just(Heard()),
    st.just(Heard()),
    recordings,
    founds,
    failures,
    st.sampled_from([Done(), Connected(), Place(2, 3), Place(1), Parted("served"), Parted("away"), Parted("?")]),
    st.just(Taken(CODE, "0907", "water", {"unit": "ادارهٔ آب"})),
)


def play(happened, walk: Walk | None = None):
    """The walk after all of it, and every deed in order."""
    walk, done = walk or Walk("main"), []
    for event in happened:
        walk, deeds = step(menus(), walk, event)
        done += deeds
    return walk, done


def settle(walk: Walk, limit: int = 200):
    """Let a caller who presses nothing, and a door that works, bring the call to its end."""
    done = []
    for _ in range(limit):
        if walk.done:
            return walk, done
        event = {
            Phase.SAID: Heard(),
            Phase.BEEP: Heard(),
            Phase.ASKED: Quiet(),
            Phase.REVIEW: Quiet(),
            Phase.RECORDING: Recorded("silence", 0.0, ""),
            Phase.LOOKING: Found("none"),
            Phase.TAKING: Taken(CODE, "0907", "water", {"unit": "آب"}),
            Phase.READING: Heard(),
            Phase.DOING: Done(),
            Phase.QUEUED: Parted("closed"),
            Phase.TALKING: Parted("served"),
        }[walk.phase]
        walk, deeds = step(menus(), walk, event)
        done += deeds
    raise AssertionError(f"never ends: {walk.node} {walk.phase}")


@settings(max_examples=300, deadline=None)
@given(st.lists(events, max_size=60))
def test_whatever_happens_nothing_raises_and_the_call_ends(happened):
    walk, deeds = play([START, *happened])
    assert len(walk.keys) <= AHEAD
    assert all(deed.items for deed in deeds if isinstance(deed, Say))
    settle(walk)


@settings(max_examples=300, deadline=None)
@given(st.lists(events, max_size=40))
def test_a_caller_who_hangs_up_at_any_point_leaves_no_recording_behind(happened):
    walk, _ = play([START, *happened])
    held = walk.spool is not None and walk.phase is not Phase.TAKING
    walk, deeds = play([Ended("caller")], walk)
    if walk.phase is Phase.RECORDING:
        walk, more = play([Recorded("hung_up", 9.0, "/spool/b.wav")], walk)
        deeds, held = deeds + more, True
    takes = [deed for deed in deeds if isinstance(deed, Take)]
    assert len(takes) == held
    if walk.phase is Phase.TAKING:
        walk, _ = play([Taken(CODE, "0907", "water")], walk)
    assert walk.done


@settings(max_examples=200, deadline=None)
@given(st.lists(events, max_size=60))
def test_a_code_is_spoken_only_after_the_message_was_taken(happened):
    walk = Walk("main")
    for event in [START, *happened]:
        before = walk.phase
        walk, deeds = step(menus(), walk, event)
        spoken = [item for deed in deeds if isinstance(deed, Say) for item in deed.items if item.key == "ivr.code"]
        assert not spoken or (isinstance(event, Taken) and before is Phase.TAKING)


def test_a_key_stops_the_prompt_and_counts():
    walk, deeds = play([START, Key("1")])
    assert isinstance(deeds[-4], Hush) or any(isinstance(deed, Hush) for deed in deeds)
    assert walk.node == "unit"


def test_more_keys_than_can_be_kept_are_dropped():
    walk, _ = play([START, Heard(), *[Key(key) for key in "5" + CODE + "0907"]])
    assert walk.phase is Phase.LOOKING
    walk, _ = play([Key("2")] * 30, walk)
    assert walk.keys == "2" * AHEAD


def test_a_mistake_voids_what_was_pressed_ahead():
    walk, _ = play([START, Heard(), *[Key(key) for key in "5" + CODE + "0907"], Key("8"), Key("2")])
    walk, _ = play([Found("found", {}, (steps.Item(words="پاسخ"),)), Heard()], walk)
    assert (walk.node, walk.keys, walk.tries) == ("verdict", "", 1)


def test_the_waits_differ_before_and_between_digits():
    _, deeds = play([START, Heard(), Key("1")])
    assert [deed.seconds for deed in deeds if isinstance(deed, Wait)][-1] == 7
    _, deeds = play([START, Heard(), Key("1"), Key("1")])
    assert [deed.seconds for deed in deeds if isinstance(deed, Wait)][-1] == 4


def test_the_hash_that_follows_the_last_digit_is_swallowed_but_a_later_one_counts():
    keyed = [START, Heard(), Key("5"), *map(Key, CODE)]
    assert play([*keyed, Key("#")])[0].phase is Phase.ASKED
    assert play([*keyed, Heard(), Key("#")])[0].phase is Phase.LOOKING


def test_a_unit_chosen_for_one_message_does_not_stick_to_the_next():
    first = [START, Heard(), Key("1"), Key("7"), Key("#"), Found("found", {"unit": "water"}), Heard()]
    walk, deeds = play([*first, Heard(), Recorded("key", 5, "/a"), Key("3")])
    assert deeds[-1].unit == "water"
    walk = replace(walk, phase=Phase.ASKED, node="main", spool=None)
    _, deeds = play([*map(Key, "210"), Heard(), Recorded("key", 5, "/b"), Key("3")], walk)
    assert (deeds[-1].unit, deeds[-1].kind, deeds[-1].step) == (None, "suggestion", 2)


def test_an_objection_carries_code_and_pin_and_the_next_message_does_not():
    keyed = [START, Heard(), Key("5"), *map(Key, CODE), *map(Key, "0907")]
    found = Found("found", {}, (steps.Item(words="پاسخ"),))
    walk, deeds = play([*keyed, found, Heard(), Key("3"), Heard(), Recorded("key", 5, "/a"), Key("3")])
    assert (deeds[-1].act, deeds[-1].code, deeds[-1].pin) == ("object", CODE, "0907")
    walk = replace(walk, phase=Phase.ASKED, node="main", spool=None)
    _, deeds = play([Key("1"), Key("0"), Heard(), Recorded("key", 5, "/b"), Key("3")], walk)
    assert (deeds[-1].act, deeds[-1].code, deeds[-1].pin) == ("new", None, None)
