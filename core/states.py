"""The life of a ticket: one table of moves, the clock of each state, what lapses, and the diagram made of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal

from core.errors import WrongState
from core.model import State


class Event(StrEnum):
    """What can happen to a ticket. `Event("reply") == "reply"`, so plain words serve as well."""

    HEAR = "hear"  #: the citizen wrote again
    ASSIGN = "assign"  #: to a person, or taken by one
    ROUTE = "route"  #: to another unit's queue
    RELEASE = "release"  #: back to the queue; out of quarantine or junk
    ASK = "ask"  #: we asked the citizen
    OUTSIDE = "outside"  #: waits for another body, until a date
    RESUME = "resume"  #: the wait is over
    SUBMIT = "submit"  #: a reply waits for a second person
    REPLY = "reply"
    UNSEND = "unsend"  #: within 10 s, while no worker has claimed it
    ACCEPT = "accept"
    OBJECT = "object"
    WITHDRAW = "withdraw"
    CLOSE = "close"
    REOPEN = "reopen"
    MERGE = "merge"
    UNMERGE = "unmerge"
    JUNK = "junk"
    LAPSE = "lapse"  #: the state's time ran out
    NOTE = "note"  #: keeps any state


BEFORE: Final = "before"  # the target of `unsend`: the state kept in the reply's row
Target = State | Literal["before"]

_WORK: Mapping[str, State] = {
    "ask": State.ASKED,
    "outside": State.OUTSIDE,
    "submit": State.APPROVAL,
    "reply": State.ANSWERED,
    "withdraw": State.CLOSED,
    "merge": State.MERGED,
}


def _work(less: str = "") -> dict[str, Target]:
    return {event: target for event, target in _WORK.items() if event != less}


def _to(target: Target, *events: str) -> dict[str, Target]:
    return dict.fromkeys(events, target)


_TABLE: Mapping[State, Mapping[str, Target]] = {
    State.HELD: _to(State.NEW, "release", "route", "lapse")
    | _to(State.HELD, "hear")
    | _to(State.JUNK, "junk")
    | _to(State.CLOSED, "withdraw")
    | _to(State.MERGED, "merge"),
    State.NEW: _work()
    | _to(State.OPEN, "assign")
    | _to(State.NEW, "route", "hear")
    | _to(State.CLOSED, "close")
    | _to(State.JUNK, "junk"),
    State.OPEN: _work()
    | _to(State.OPEN, "assign", "hear")
    | _to(State.NEW, "route", "release")
    | _to(State.CLOSED, "close")
    | _to(State.JUNK, "junk"),
    State.ASKED: _work(less="ask")
    | _to(State.ASKED, "assign")
    | _to(State.NEW, "route")
    | _to(State.OPEN, "hear", "resume")
    | _to(State.CLOSED, "close", "lapse"),
    State.OUTSIDE: _work(less="outside")
    | _to(State.OUTSIDE, "assign", "hear")
    | _to(State.NEW, "route")
    | _to(State.OPEN, "resume", "lapse")
    | _to(State.CLOSED, "close"),
    State.APPROVAL: _to(State.APPROVAL, "assign", "hear", "lapse")
    | _to(State.OPEN, "resume")
    | _to(State.ANSWERED, "reply")
    | _to(State.CLOSED, "withdraw"),
    State.ANSWERED: _to(State.OPEN, "hear", "reopen")
    | _to(State.ANSWERED, "reply")
    | _to(BEFORE, "unsend")
    | _to(State.CLOSED, "accept", "withdraw", "lapse")
    | _to(State.DISPUTED, "object"),
    State.DISPUTED: _work(less="merge") | _to(State.DISPUTED, "assign", "route", "hear"),
    State.CLOSED: _to(State.DISPUTED, "object") | _to(State.OPEN, "reopen") | _to(State.CLOSED, "hear"),
    State.MERGED: _to(State.MERGED, "hear") | _to(State.OPEN, "unmerge"),
    State.JUNK: _to(State.NEW, "release") | _to(State.JUNK, "hear"),
}

MOVES: Mapping[tuple[State, str], Target] = MappingProxyType(
    {(state, event): target for state, row in _TABLE.items() for event, target in row.items()}
    | {(state, "note"): state for state in State}
)

LIVE = frozenset(State) - {State.CLOSED, State.MERGED, State.JUNK}

Clock = Literal["runs", "paused", "stopped"]
_STOPPED: Clock = "stopped"
_PAUSED: Clock = "paused"
_RUNS: Clock = "runs"
CLOCK: Mapping[State, Clock] = MappingProxyType(
    dict.fromkeys(State, _RUNS)
    | dict.fromkeys((State.ASKED, State.OUTSIDE), _PAUSED)
    | dict.fromkeys((State.ANSWERED, State.CLOSED, State.MERGED, State.JUNK), _STOPPED)
)


@dataclass(frozen=True, slots=True)
class Lapse:
    """After `budget` (as `core.calendar.due` reads it) in a state `lapse` happens; None: at the date given with it."""

    budget: str | None
    reminder: str | None = None  #: budget after which a reminder goes out
    most: str | None = None  #: the longest date that may be given


LAPSES: Mapping[State, Lapse] = MappingProxyType(
    {
        State.HELD: Lapse("1wd"),
        State.ASKED: Lapse("10wd", reminder="5wd"),
        State.OUTSIDE: Lapse(None, most="30d"),
        State.APPROVAL: Lapse("1wd"),  # the superior is told, the state stays
        State.ANSWERED: Lapse("10wd"),
    }
)


def move(state: State, event: str, before: State | None = None) -> State:
    """The state after `event`. `unsend` goes back to `before`, the state kept in the reply's row.

    Raises WrongState for a pair that is not in the table, and for `unsend` without `before`.
    """
    target = MOVES.get((state, event))
    if target == BEFORE:
        target = before
    if target is None:
        raise WrongState(f"{state}: no {event}")
    return State(target)


def events(state: State) -> frozenset[str]:
    """The events a ticket in `state` can take."""
    return frozenset(event for where, event in MOVES if where is state)


def diagram() -> str:
    """The table as a Mermaid state diagram (`stateDiagram-v2`); events that keep the state are left out."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (state, event), target in MOVES.items():
        if state != target:
            arrows.setdefault((state, str(target)), []).append(event)
    lines = ["stateDiagram-v2", "    direction LR", "    [*] --> new", "    [*] --> held"]
    lines += [f"    {state} --> {target}: {', '.join(names)}" for (state, target), names in arrows.items()]
    return "\n".join(lines) + "\n"
