"""Callers who wait for operators, as values: who is where, whose turn it is, what is told. Pure: events and time in.

`step(hall, event, now)` gives the next hall and what is to be done. Times are seconds of one clock. The operator who
has been idle longest is rung first, for the caller who has waited longest in a queue of theirs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import singledispatch
from typing import Any

HOUR = 3600.0
BASIS = 5  # calls in the last hour from which a wait is estimated
TRIES = 2  # times a call-back is tried
AGAIN = 300.0  # seconds between them


class Duty(StrEnum):
    """What an operator is doing."""

    OFF = "off"
    READY = "ready"
    RINGING = "ringing"
    TALKING = "talking"
    WRAP_UP = "wrap_up"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Rules:
    """One queue's."""

    ring: float = 20.0  #: seconds an operator is rung
    misses: int = 2  #: in a row, then a pause
    wrap_up: float = 30.0  #: seconds after a call
    most: int = 50  #: callers who wait
    longest: float = 600.0  #: seconds one waits on the line
    tell: float = 45.0  #: seconds between two sentences about the place
    keep: float = 900.0  #: seconds the place of a proven caller who hung up is kept


@dataclass(frozen=True, slots=True)
class Waiting:
    """One caller. `here`: on the line; else to be called back, or only their place is kept."""

    call: str
    queue: str
    joined: float
    number: str | None = None  #: proven, else None
    here: bool = True
    promised: bool = False  #: to be called back
    ringing: str | None = None  #: operator who is rung for them, or calls them
    place: int = 0  #: last told
    told: float = -math.inf
    left: float = 0.0
    tries: int = 0
    not_before: float = -math.inf


@dataclass(frozen=True, slots=True)
class Operator:
    """One of the house."""

    login: str
    queues: frozenset[str]
    duty: Duty = Duty.OFF
    since: float = 0.0
    misses: int = 0
    call: str | None = None
    reason: str = ""  #: of a pause


@dataclass(frozen=True, slots=True)
class Hall:
    """Everybody."""

    rules: Mapping[str, Rules]
    operators: Mapping[str, Operator] = field(default_factory=dict)
    waiting: tuple[Waiting, ...] = ()  #: by joined
    handled: tuple[tuple[str, float, float], ...] = ()  #: queue, when it ended, seconds; of the last hour


# ---------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Joined:
    call: str
    queue: str
    number: str | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """Hung up, or (`keep` False) took another way."""

    call: str
    keep: bool = True


@dataclass(frozen=True, slots=True)
class CallMe:
    call: str


@dataclass(frozen=True, slots=True)
class Promised:
    """A call-back of before a restart. `rest`: seconds till it may be tried again."""

    call: str
    queue: str
    number: str
    waited: float
    tries: int = 0
    rest: float = 0.0


@dataclass(frozen=True, slots=True)
class Kept:
    """The place of a proven caller whom a restart cut off."""

    call: str
    queue: str
    number: str
    waited: float


@dataclass(frozen=True, slots=True)
class On:
    """Comes on duty, back from a pause, or out of the wrap-up."""

    login: str


@dataclass(frozen=True, slots=True)
class Pause:
    login: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Off:
    login: str


@dataclass(frozen=True, slots=True)
class Missed:
    """Did not answer, was busy, or pressed nothing."""

    login: str


@dataclass(frozen=True, slots=True)
class Accepted:
    login: str


@dataclass(frozen=True, slots=True)
class NotThere:
    """The caller of a call-back was not reached by the operator who accepted it."""

    login: str


@dataclass(frozen=True, slots=True)
class Over:
    """The talk of an operator is over after `seconds`."""

    login: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Tick:
    pass


Event = Joined | Left | CallMe | Promised | Kept | On | Pause | Off | Missed | Accepted | NotThere | Over | Tick

# ---------------------------------------------------------------- deeds


@dataclass(frozen=True, slots=True)
class Ring:
    login: str
    call: str
    queue: str
    seconds: float
    waited: float
    number: str | None  #: set for a call-back: call it once the operator has accepted


@dataclass(frozen=True, slots=True)
class Stop:
    """Ring no longer."""

    login: str


@dataclass(frozen=True, slots=True)
class Talk:
    """Bring the two together."""

    login: str
    call: str


@dataclass(frozen=True, slots=True)
class Tell:
    call: str
    place: int
    minutes: int | None


@dataclass(frozen=True, slots=True)
class Out:
    """Not to be served here. `way`: over (too many, too long), closed (nobody on duty)."""

    call: str
    way: str


@dataclass(frozen=True, slots=True)
class Forget:
    """A promised call-back is served, or given up."""

    call: str
    reached: bool


Deed = Ring | Stop | Talk | Tell | Out | Forget
Moved = tuple[Hall, list[Deed]]


def step(hall: Hall, event: Event, now: float) -> Moved:
    """What `event` makes of `hall`, and what is to be done. An event about nobody known changes nothing."""
    hall, deeds = _on(event, hall, now)
    for settle in (_expire, _close, _ring, _tell):
        hall, more = settle(hall, now)
        deeds += more
    return hall, deeds


def wait_for(hall: Hall, queue: str, place: int) -> int | None:
    """Minutes that the caller at `place` will about wait; None: nobody knows yet."""
    spent = [seconds for name, _, seconds in hall.handled if name == queue]
    able = [one for one in _serving(hall, queue) if one.duty is not Duty.PAUSED]
    if len(spent) < BASIS or not able:
        return None
    return max(1, math.ceil(place * (sum(spent) / len(spent)) / len(able) / 60))


# ---------------------------------------------------------------- what happens


@singledispatch
def _on(event: Any, hall: Hall, now: float) -> Moved:
    return hall, []


@_on.register
def _(event: Joined, hall: Hall, now: float) -> Moved:
    rules = hall.rules[event.queue]
    kept = next(
        (
            one for one in hall.waiting
            if not one.here and one.number == event.number and event.number and one.queue == event.queue
            and one.ringing is None
        ),
        None,
    )  # fmt: skip
    others = tuple(one for one in hall.waiting if one is not kept)
    if kept is None and sum(one.here for one in others if one.queue == event.queue) >= rules.most:
        return hall, [Out(event.call, "over")]
    since = kept.joined if kept else now
    fresh = Waiting(event.call, event.queue, since, event.number, left=now)
    forgotten: list[Deed] = [Forget(kept.call, True)] if kept and kept.promised else []
    return _lined_up(hall, (*others, fresh)), forgotten


@_on.register
def _(event: Left, hall: Hall, now: float) -> Moved:
    one = _waits(hall, event.call)
    if one is None or not one.here:
        return hall, []
    stays = (replace(one, here=False, left=now, ringing=None),) if event.keep and one.number else ()
    return _stopped(_lined_up(hall, (*_without(hall, one), *stays)), one, now)


@_on.register
def _(event: CallMe, hall: Hall, now: float) -> Moved:
    one = _waits(hall, event.call)
    if one is None or one.number is None:
        return hall, []
    gone = replace(one, here=False, promised=True, left=now, ringing=None)
    return _stopped(_lined_up(hall, (*_without(hall, one), gone)), one, now)


@_on.register
def _(event: Promised, hall: Hall, now: float) -> Moved:
    one = Waiting(
        event.call, event.queue, now - event.waited, event.number, here=False, promised=True, left=now,
        tries=event.tries, not_before=now + event.rest,
    )  # fmt: skip
    return _lined_up(hall, (*hall.waiting, one)), []


@_on.register
def _(event: Kept, hall: Hall, now: float) -> Moved:
    one = Waiting(event.call, event.queue, now - event.waited, event.number, here=False, left=now)
    return _lined_up(hall, (*hall.waiting, one)), []


@_on.register
def _(event: On, hall: Hall, now: float) -> Moved:
    one = hall.operators.get(event.login)
    if one is None or one.duty in (Duty.READY, Duty.RINGING, Duty.TALKING):
        return hall, []
    return _with(hall, replace(one, duty=Duty.READY, since=now, misses=0, call=None, reason="")), []


@_on.register
def _(event: Pause, hall: Hall, now: float) -> Moved:
    return _aside(hall, event.login, Duty.PAUSED, event.reason, now)


@_on.register
def _(event: Off, hall: Hall, now: float) -> Moved:
    return _aside(hall, event.login, Duty.OFF, "", now)


@_on.register
def _(event: Missed, hall: Hall, now: float) -> Moved:
    one = hall.operators.get(event.login)
    if one is None or one.duty is not Duty.RINGING:
        return hall, []
    waiting = _waits(hall, one.call or "")
    rules = hall.rules[waiting.queue] if waiting else Rules()
    tired = one.misses + 1 >= rules.misses
    duty, reason = (Duty.PAUSED, "missed") if tired else (Duty.READY, "")
    hall = _with(hall, replace(one, duty=duty, since=now, misses=one.misses + 1, call=None, reason=reason))
    return _free(hall, waiting), []


@_on.register
def _(event: Accepted, hall: Hall, now: float) -> Moved:
    one = hall.operators.get(event.login)
    waiting = _waits(hall, one.call or "") if one else None
    if one is None or waiting is None or one.duty is not Duty.RINGING:
        return hall, []
    hall = _with(hall, replace(one, duty=Duty.TALKING, since=now, misses=0))
    if waiting.here:
        hall = replace(hall, waiting=_without(hall, waiting))
    return hall, [Talk(one.login, waiting.call)]


@_on.register
def _(event: NotThere, hall: Hall, now: float) -> Moved:
    one = hall.operators.get(event.login)
    waiting = _waits(hall, one.call or "") if one else None
    if one is None or one.duty is not Duty.TALKING:
        return hall, []
    hall = _with(hall, replace(one, duty=Duty.READY, since=now, call=None))
    if waiting is None:
        return hall, []
    if waiting.tries + 1 >= TRIES:
        return replace(hall, waiting=_without(hall, waiting)), [Forget(waiting.call, False)]
    later = replace(waiting, tries=waiting.tries + 1, ringing=None, not_before=now + AGAIN)
    return _lined_up(hall, (*_without(hall, waiting), later)), []


@_on.register
def _(event: Over, hall: Hall, now: float) -> Moved:
    one = hall.operators.get(event.login)
    if one is None or one.duty is not Duty.TALKING:
        return hall, []
    waiting = _waits(hall, one.call or "")
    done: list[Deed] = [Forget(waiting.call, True)] if waiting else []
    queue = waiting.queue if waiting else min(one.queues, default="")
    hall = replace(hall, waiting=_without(hall, waiting), handled=(*hall.handled, (queue, now, event.seconds)))
    return _with(hall, replace(one, duty=Duty.WRAP_UP, since=now, call=None)), done


# ---------------------------------------------------------------- after each event


def _expire(hall: Hall, now: float) -> Moved:
    """Wrap-ups that are over, places kept long enough, callers who waited too long, the hour's calls."""
    for one in hall.operators.values():
        if one.duty is Duty.WRAP_UP and now - one.since >= _wrap_up(hall, one):
            hall = _with(hall, replace(one, duty=Duty.READY, since=now))
    kept = tuple(
        one for one in hall.waiting
        if one.here or one.promised or one.ringing or now - one.left < hall.rules[one.queue].keep
    )  # fmt: skip
    late = [
        one for one in kept
        if one.here and one.ringing is None and now - one.left >= hall.rules[one.queue].longest
    ]  # fmt: skip
    stay = tuple(one for one in kept if one not in late)
    recent = tuple(call for call in hall.handled if now - call[1] < HOUR)
    return replace(hall, waiting=stay, handled=recent), [Out(one.call, "over") for one in late]


def _close(hall: Hall, now: float) -> Moved:
    """Where nobody is on duty any more, nobody waits on the line."""
    alone = [one for one in hall.waiting if one.here and not any(_serving(hall, one.queue))]
    stay = tuple(one for one in hall.waiting if one not in alone)
    return replace(hall, waiting=stay), [Out(one.call, "closed") for one in alone]


def _ring(hall: Hall, now: float) -> Moved:
    deeds: list[Deed] = []
    idle = sorted((one for one in hall.operators.values() if one.duty is Duty.READY), key=lambda one: one.since)
    for operator in idle:
        one = next((one for one in hall.waiting if _wants(one, operator, now)), None)
        if one is None:
            continue
        hall = _with(hall, replace(operator, duty=Duty.RINGING, since=now, call=one.call))
        hall = _lined_up(hall, (*_without(hall, one), replace(one, ringing=operator.login)))
        number = None if one.here else one.number
        rules = hall.rules[one.queue]
        deeds.append(Ring(operator.login, one.call, one.queue, rules.ring, now - one.joined, number))
    return hall, deeds


def _wants(one: Waiting, operator: Operator, now: float) -> bool:
    there = one.here or one.promised
    return there and one.ringing is None and one.queue in operator.queues and now >= one.not_before


def _tell(hall: Hall, now: float) -> Moved:
    """Each caller's place, when it is new and the last sentence is long enough ago."""
    deeds: list[Deed] = []
    places: dict[str, int] = {}
    told = []
    for one in hall.waiting:
        if one.here or one.promised:
            places[one.queue] = places.get(one.queue, 0) + 1
        place = places.get(one.queue, 0)
        if one.here and place != one.place and now - one.told >= hall.rules[one.queue].tell:
            one = replace(one, place=place, told=now)
            deeds.append(Tell(one.call, place, wait_for(hall, one.queue, place)))
        told.append(one)
    return replace(hall, waiting=tuple(told)), deeds


# ---------------------------------------------------------------- small steps


def _serving(hall: Hall, queue: str) -> Iterator[Operator]:
    return (one for one in hall.operators.values() if queue in one.queues and one.duty is not Duty.OFF)


def _waits(hall: Hall, call: str) -> Waiting | None:
    return next((one for one in hall.waiting if one.call == call), None)


def _without(hall: Hall, one: Waiting | None) -> tuple[Waiting, ...]:
    return tuple(other for other in hall.waiting if one is None or other.call != one.call)


def _lined_up(hall: Hall, waiting: tuple[Waiting, ...]) -> Hall:
    return replace(hall, waiting=tuple(sorted(waiting, key=lambda one: one.joined)))


def _with(hall: Hall, one: Operator) -> Hall:
    return replace(hall, operators={**hall.operators, one.login: one})


def _free(hall: Hall, waiting: Waiting | None) -> Hall:
    """Nobody is rung for this caller any more."""
    if waiting is None:
        return hall
    return _lined_up(hall, (*_without(hall, waiting), replace(waiting, ringing=None)))


def _stopped(hall: Hall, one: Waiting, now: float) -> Moved:
    """The operator who was rung for a caller who is gone goes back to where they were."""
    operator = hall.operators.get(one.ringing or "")
    if operator is None or operator.duty is not Duty.RINGING:
        return hall, []
    return _with(hall, replace(operator, duty=Duty.READY, call=None)), [Stop(operator.login)]


def _aside(hall: Hall, login: str, duty: Duty, reason: str, now: float) -> Moved:
    """Off duty or into a pause; a talk goes on to its end first, so it is refused."""
    one = hall.operators.get(login)
    if one is None or one.duty is Duty.TALKING:
        return hall, []
    stop: list[Deed] = [Stop(login)] if one.duty is Duty.RINGING else []
    hall = _free(hall, _waits(hall, one.call or "") if one.duty is Duty.RINGING else None)
    return _with(hall, replace(one, duty=duty, since=now, call=None, reason=reason)), stop


def _wrap_up(hall: Hall, one: Operator) -> float:
    return max((hall.rules[queue].wrap_up for queue in one.queues if queue in hall.rules), default=0.0)
