"""Every pair of state and event, against the written table."""

from __future__ import annotations

import pytest

from core import states
from core.errors import WrongState
from core.model import State

WRITTEN = """
held: release>new route>new lapse>new hear>held junk>junk withdraw>closed merge>merged
new: ask>asked outside>outside submit>approval reply>answered withdraw>closed merge>merged
 assign>open route>new hear>new close>closed junk>junk
open: ask>asked outside>outside submit>approval reply>answered withdraw>closed merge>merged
 assign>open hear>open route>new release>new close>closed junk>junk
asked: outside>outside submit>approval reply>answered withdraw>closed merge>merged
 assign>asked route>new hear>open resume>open close>closed lapse>closed
outside: ask>asked submit>approval reply>answered withdraw>closed merge>merged
 assign>outside hear>outside route>new resume>open lapse>open close>closed
approval: assign>approval hear>approval lapse>approval resume>open reply>answered withdraw>closed
answered: hear>open reopen>open reply>answered accept>closed withdraw>closed lapse>closed object>disputed
disputed: ask>asked outside>outside submit>approval reply>answered withdraw>closed
 assign>disputed route>disputed hear>disputed
closed: object>disputed reopen>open hear>closed
merged: hear>merged unmerge>open
junk: release>new hear>junk
"""


def _written() -> dict[tuple[str, str], str]:
    table, state = {}, ""
    for word in WRITTEN.split():
        if word.endswith(":"):
            state = word[:-1]
            table[state, "note"] = state
        else:
            event, target = word.split(">")
            table[state, event] = target
    return table


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", states.Event)
def test_every_pair_does_what_is_written(state, event):
    wanted = _written().get((state, event))
    if event == "unsend" and state is State.ANSWERED:
        assert states.move(state, event, State.DISPUTED) is State.DISPUTED
        with pytest.raises(WrongState):
            states.move(state, event)
    elif wanted is None:
        with pytest.raises(WrongState):
            states.move(state, event, State.OPEN)
    else:
        assert states.move(state, event) is State(wanted)
        assert event in states.events(state)


def test_an_event_nobody_knows_is_refused():
    with pytest.raises(WrongState):
        states.move(State.NEW, "explode")


def test_each_state_that_can_lapse_has_a_time_for_it_and_no_other():
    assert {state for state, event in states.MOVES if event == "lapse"} == set(states.LAPSES)


def test_the_clock_stands_only_while_we_wait_for_others():
    assert {s for s, clock in states.CLOCK.items() if clock == "paused"} == {State.ASKED, State.OUTSIDE}
    assert set(states.CLOCK) == set(State)


def test_the_diagram_has_every_move_that_changes_the_state():
    drawn = states.diagram()
    assert drawn.startswith("stateDiagram-v2")
    for (state, event), target in states.MOVES.items():
        if state != target:
            assert any(
                line.strip().startswith(f"{state} --> {target}:") and event in line.split(": ")[1].split(", ")
                for line in drawn.splitlines()
            ), (state, event)
