"""The queue by ticks: whose turn it is, what is told, what becomes of those who hang up, pause or are called back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ivr import queue
from ivr.queue import (
    Accepted,
    CallMe,
    Duty,
    Forget,
    Hall,
    Joined,
    Left,
    Missed,
    NotThere,
    Off,
    On,
    Operator,
    Out,
    Over,
    Pause,
    Promised,
    Ring,
    Rules,
    Stop,
    Talk,
    Tell,
    Tick,
    step,
)

NUMBER = "+989120000000"


class Story:
    """A hall with time; `do` returns the deeds."""

    def __init__(self, operators: str = "sara", **rules: float) -> None:
        given = {login: Operator(login, frozenset({"main"})) for login in operators.split()}
        self.hall = Hall({"main": Rules(**rules), "water": Rules()}, given)  # type: ignore[arg-type]
        self.now = 0.0

    def do(self, *events: queue.Event) -> list[queue.Deed]:
        deeds: list[queue.Deed] = []
        for event in events:
            self.hall, more = step(self.hall, event, self.now)
            deeds += more
        return deeds

    def wait(self, seconds: float, each: float = 1.0) -> list[queue.Deed]:
        """Time passes, tick by tick."""
        deeds, end = [], self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + each)
            deeds += self.do(Tick())
        return deeds

    def duty(self, login: str = "sara") -> Duty:
        return self.hall.operators[login].duty

    def serve(self, call: str, seconds: float, login: str = "sara") -> None:
        """One call from joining to the end of the wrap-up."""
        assert Ring in [type(deed) for deed in self.do(Joined(call, "main"))]
        self.do(Accepted(login))
        self.now += seconds
        self.do(Over(login, seconds))
        self.wait(30)


def ring(call: str, login: str = "sara", waited: float = 0.0, number: str | None = None) -> Ring:
    return Ring(login, call, "main", 20.0, waited, number)


def test_a_caller_rings_the_operator_at_once_and_is_told_the_place():
    story = Story()
    story.do(On("sara"))
    assert story.do(Joined("a", "main")) == [ring("a"), Tell("a", 1, None)]
    assert story.do(Accepted("sara")) == [Talk("sara", "a")]
    assert (story.duty(), story.hall.waiting) == (Duty.TALKING, ())
    story.now = 60
    assert story.do(Over("sara", 60)) == []
    assert story.duty() is Duty.WRAP_UP
    story.wait(29)
    assert story.duty() is Duty.WRAP_UP
    story.wait(1)
    assert story.duty() is Duty.READY


def test_nobody_on_duty_is_closed_and_the_last_one_going_sends_the_waiting_away():
    story = Story()
    assert story.do(Joined("a", "main")) == [Out("a", "closed")]
    story.do(On("sara"), Joined("a", "main"), Accepted("sara"))
    assert story.do(Joined("b", "main")) == [Tell("b", 1, None)]
    story.do(Over("sara", 10))
    assert story.do(Off("sara")) == [Out("b", "closed")]


def test_an_operator_who_pauses_keeps_the_queue_open_till_the_longest_wait():
    story = Story()
    story.do(On("sara"), Pause("sara", "prayer"))
    assert story.do(Joined("a", "main")) == [Tell("a", 1, None)]
    assert story.hall.operators["sara"].reason == "prayer"
    assert story.wait(599) == []
    assert story.wait(1) == [Out("a", "over")]


def test_the_longest_idle_is_rung_first_for_the_longest_waiting():
    story = Story("sara ali")
    story.do(On("sara"))
    story.now = 1
    story.do(On("ali"))
    assert story.do(Joined("a", "main"))[0] == ring("a", "sara")
    assert story.do(Joined("b", "main"))[0] == ring("b", "ali")
    story.do(Joined("c", "main"))
    story.now = 2
    story.do(Joined("d", "main"))
    story.do(Accepted("sara"), Over("sara", 5))
    assert [deed for deed in story.do(On("sara")) if isinstance(deed, Ring)] == [ring("c", "sara", waited=1)]


def test_who_does_not_answer_is_passed_over_and_pauses_after_the_second_time():
    story = Story("sara ali")
    story.do(On("sara"))
    story.now = 1
    story.do(On("ali"))
    assert story.do(Joined("a", "main"))[0] == ring("a", "sara")
    story.now = 21
    assert story.do(Missed("sara"))[:1] == [ring("a", "ali", waited=20)]
    story.now = 41
    assert story.do(Missed("ali"))[:1] == [ring("a", "sara", waited=40)]
    story.now = 61
    story.do(Missed("sara"))
    assert (story.duty(), story.hall.operators["sara"].reason) == (Duty.PAUSED, "missed")
    assert story.do(On("sara")) == []  # ali is being rung
    assert story.duty() is Duty.READY


def test_an_answered_call_forgives_a_miss():
    story = Story()
    story.do(On("sara"), Joined("a", "main"), Missed("sara"))
    assert story.duty() is Duty.RINGING
    story.do(Accepted("sara"), Over("sara", 5), On("sara"), Joined("b", "main"))
    story.do(Missed("sara"))
    assert story.duty() is Duty.RINGING


def test_a_full_queue_takes_nobody_more():
    story = Story(most=2)
    story.do(On("sara"), Pause("sara"), Joined("a", "main"), Joined("b", "main"))
    assert story.do(Joined("c", "main")) == [Out("c", "over")]
    story.do(Left("a"))
    assert story.do(Joined("d", "main")) == [Tell("d", 2, None)]


def test_the_place_is_told_on_joining_and_on_change_but_no_more_than_each_45_seconds():
    story = Story()
    story.do(On("sara"), Pause("sara"))
    story.do(Joined("a", "main"), Joined("b", "main"))
    assert story.do(Joined("c", "main")) == [Tell("c", 3, None)]
    assert story.wait(10) == []
    assert story.do(Left("a")) == []
    assert story.wait(34) == []
    assert story.wait(1) == [Tell("b", 1, None), Tell("c", 2, None)]
    assert story.wait(200) == []


def test_a_wait_is_estimated_from_five_calls_of_the_last_hour():
    story = Story("sara ali")
    story.do(On("sara"))
    for number in range(4):
        story.serve(f"x{number}", 120)
    assert queue.wait_for(story.hall, "main", 1) is None
    story.serve("x4", 120)
    assert (queue.wait_for(story.hall, "main", 1), queue.wait_for(story.hall, "main", 3)) == (2, 6)
    story.do(On("ali"))
    assert queue.wait_for(story.hall, "main", 3) == 3
    story.do(Pause("ali"))
    assert queue.wait_for(story.hall, "main", 3) == 6
    story.wait(3700, each=60)
    assert queue.wait_for(story.hall, "main", 1) is None


def test_who_hangs_up_while_the_operator_is_rung_stops_the_bell():
    story = Story()
    story.do(On("sara"), Joined("a", "main", NUMBER))
    assert story.do(Left("a")) == [Stop("sara")]
    assert story.duty() is Duty.READY
    assert story.do(Accepted("sara"), Missed("sara")) == []
    assert story.duty() is Duty.READY


def test_a_proven_caller_who_rings_again_within_fifteen_minutes_has_the_place_of_before():
    story = Story()
    story.do(On("sara"), Pause("sara"), Joined("a", "main", NUMBER))
    story.now = 10
    story.do(Joined("b", "main"), Joined("c", "main", "+989120000001"))
    story.do(Left("a"))
    story.wait(800, each=100)
    assert story.do(Joined("a2", "main", NUMBER))[-1] == Tell("a2", 1, None)
    assert [one.call for one in story.hall.waiting if one.here] == ["a2"]  # the others waited too long


def test_a_kept_place_is_nobody_elses_and_lapses():
    story = Story()
    story.do(On("sara"), Pause("sara"), Joined("a", "main", NUMBER), Left("a"))
    assert story.do(Joined("b", "main", "+989120000009")) == [Tell("b", 1, None)]
    story.do(Left("b", keep=False))
    story.wait(900, each=50)
    assert story.hall.waiting == ()


def test_a_claimed_number_keeps_no_place_and_gets_no_call_back():
    story = Story()
    story.do(On("sara"), Pause("sara"), Joined("a", "main"), CallMe("a"))
    assert story.hall.waiting[0].here
    story.do(Left("a"))
    assert story.hall.waiting == ()


def test_a_call_back_keeps_the_place_and_is_served_in_its_turn():
    story = Story()
    story.do(On("sara"), Joined("x", "main"), Accepted("sara"))
    story.now = 5
    story.do(Joined("a", "main", NUMBER))
    story.now = 6
    story.do(Joined("b", "main"))
    assert story.do(CallMe("a")) == []
    story.now = 100
    story.do(Over("sara", 95))
    assert story.do(On("sara")) == [ring("a", waited=95, number=NUMBER)]
    assert story.do(Accepted("sara")) == [Talk("sara", "a")]
    story.now = 160
    assert story.do(Over("sara", 60)) == [Forget("a", True), Tell("b", 1, None)]
    assert story.do(On("sara")) == [ring("b", waited=154)]


def test_a_call_back_who_is_not_reached_is_tried_once_more_and_the_operator_goes_on():
    story = Story()
    story.do(On("sara"), Joined("a", "main", NUMBER))
    assert story.do(CallMe("a")) == [Stop("sara"), ring("a", number=NUMBER)]
    story.do(Accepted("sara"))
    assert story.do(NotThere("sara")) == []
    assert story.duty() is Duty.READY
    assert story.wait(299) == []
    assert story.wait(1) == [ring("a", waited=300, number=NUMBER)]
    story.do(Accepted("sara"))
    assert story.do(NotThere("sara")) == [Forget("a", False)]
    assert story.hall.waiting == ()


def test_a_promise_of_before_a_restart_stands_in_its_place():
    story = Story()
    story.do(Promised("old", "main", NUMBER, waited=400), On("sara"))
    story.now = 1
    assert story.hall.operators["sara"].call == "old"
    assert story.do(Joined("new", "main"))[-1] == Tell("new", 2, None)


def test_who_is_called_back_and_rings_again_takes_the_own_place_and_the_promise_is_over():
    story = Story()
    story.do(On("sara"), Pause("sara"), Joined("a", "main", NUMBER), CallMe("a"))
    assert story.do(Joined("a2", "main", NUMBER)) == [Forget("a", True), Tell("a2", 1, None)]


def test_operators_serve_their_own_queues_only():
    story = Story()
    story.hall.operators["omid"] = Operator("omid", frozenset({"water"}))  # type: ignore[index]
    story.do(On("omid"))
    assert story.do(Joined("a", "main")) == [Out("a", "closed")]
    assert story.do(Joined("w", "water"))[0] == Ring("omid", "w", "water", 20.0, 0.0, None)


def test_a_talk_is_not_broken_off_by_a_pause():
    story = Story()
    story.do(On("sara"), Joined("a", "main"), Accepted("sara"))
    assert story.do(Pause("sara"), Off("sara"), On("sara")) == []
    assert story.duty() is Duty.TALKING


def test_a_pause_while_ringing_passes_the_caller_on():
    story = Story("sara ali")
    story.do(On("sara"))
    story.now = 1
    story.do(On("ali"), Joined("a", "main"))
    assert story.do(Pause("sara", "meal"))[:2] == [Stop("sara"), ring("a", "ali")]


EVENTS = st.one_of(
    st.builds(Joined, st.sampled_from("abcdef"), st.sampled_from(["main", "water"]), st.sampled_from([None, NUMBER])),
    st.builds(Left, st.sampled_from("abcdef"), st.booleans()),
    st.builds(CallMe, st.sampled_from("abcdef")),
    *(
        st.builds(kind, st.sampled_from(["sara", "ali", "omid"]))
        for kind in (On, Pause, Off, Missed, Accepted, NotThere)
    ),
    st.builds(Over, st.sampled_from(["sara", "ali", "omid"]), st.floats(0, 600)),
    st.just(Tick()),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(EVENTS, st.floats(0, 120)), max_size=60))
def test_whatever_happens_nobody_is_rung_twice_and_no_caller_is_lost(events):
    story = Story("sara ali", most=4)
    on_line: set[str] = set()
    for event, seconds in events:
        story.now += seconds
        if isinstance(event, Joined) and event.call in {one.call for one in story.hall.waiting} | on_line:
            continue
        deeds = story.do(event)
        if isinstance(event, Joined):
            on_line.add(event.call)
        if isinstance(event, Left | CallMe):
            on_line &= {one.call for one in story.hall.waiting if one.here}
        on_line -= {deed.call for deed in deeds if isinstance(deed, Out | Talk)}
        assert {one.call for one in story.hall.waiting if one.here} == on_line
        rung = [one.ringing for one in story.hall.waiting if one.ringing]
        assert len(rung) == len(set(rung))
        for one in story.hall.operators.values():
            assert (one.call is not None) == (one.duty in (Duty.RINGING, Duty.TALKING))
            if one.duty is Duty.RINGING:
                assert one.login in rung
