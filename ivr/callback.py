"""Calling back with the answer: in the hours people allow, a few times, and never a second time once it was heard.

Every try is on disk before the telephone rings; `heard` is on disk as soon as the answer was heard to its end. So a
crash in the middle costs a try, never a second hearing.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Annotated, Any, Protocol
from uuid import uuid4
from zoneinfo import ZoneInfo

from config.shape import Match, Range
from core.channels import CallRecord, Clock, Door, Outbound, Outcome, Refused, Sent, TryLater
from core.phones import Shape, shape
from ivr import ended
from ivr.leg import Leg
from ivr.sip.outgoing import NotReached, outcome
from ivr.stand import Walk

log = logging.getLogger(__name__)
MENU = "callback"  # the tree that is walked once they answer
STATES = "callback_states"  # the one for who rang a number that is never answered: the states of their tickets
HEARD, SURE = "heard", "sure"  # their nodes: all was heard to the end; a person has pressed a key
BOX = "phone.answer"
ASKED = "asked"  # its slot with the hour that was asked for
RULE = "callback_number"  # of settings [limits]: calls to one number a day
CUTS = 2  # hearings that broke off in the middle; then it is the SMS's turn
ASKS = 3  # times another hour may be asked for; then it is a try like others
SOON = 600  # seconds; an hour that begins within them is tomorrow's
FORBIDDEN = 403  # what a line says that has nobody to dial by
DAYS = 14  # looked ahead for a day without holiday
HOUR, DAY = 3600, 86_400  # seconds
Time = Annotated[str, Match(r"([01][0-9]|2[0-3]):[0-5][0-9]", "a time such as 08:30")]


@dataclass(frozen=True, slots=True)
class Callback:
    """`[phone.callback]`: whether and when answers are told by calling. Left out: nobody is called."""

    start: Time = "08:30"  #: local time from which a telephone may ring
    until: Time = "20:00"  #: and till which
    tries: Annotated[int, Range(1, 9)] = 3
    wait: Annotated[int, Range(60, DAY)] = 2 * HOUR  #: seconds between tries, at least
    ring: Annotated[int, Range(5, 120)] = 30  #: seconds
    at_once: Annotated[int, Range(1, 100)] = 5  #: calls at the same time
    minutes: Annotated[int, Range(1, 10_000)] = 300  #: of calls a day
    holidays: bool = False  #: true: on holidays too


class Dialling(Protocol):
    """A line that can call (`ivr.sip.line`). Gives a leg, or why there is none: `outcome`."""

    async def dial(self, number: str, ring: float = 30.0) -> Any: ...


Watch = Callable[[Walk], None]
Enter = Callable[[CallRecord], Awaitable[None]]  # a call into the history of its number
Walking = Callable[[Leg, str, Mapping[str, str], Watch], Awaitable[Walk]]  # walks a leg through a tree to its end


@dataclass(slots=True)
class _Tries:
    """What is on disk of one answer."""

    heard: bool = False
    rung: int = 0  #: every time that it rang
    many: int = 0  #: those that count
    cuts: int = 0
    last: int = 0  #: ms UTC, when the last one began
    asked: int | None = None  #: ms UTC, the hour that was asked for, while it has not been called at


class CallBacks:
    """Sends answers by telephone. `off(ms)` says whether a day is a holiday."""

    def __init__(
        self, settings: Callback, lines: Callable[[], Sequence[Dialling]], door: Door, clock: Clock, zone: str,
        off: Callable[[int], bool], walk: Walking, enter: Enter,
    ) -> None:  # fmt: skip
        self._settings, self._lines, self._door, self._clock = settings, lines, door, clock
        self._zone, self._off, self._walk, self._enter = ZoneInfo(zone), off, walk, enter
        self._spent: tuple[str, float] = ("", 0.0)  # local day, seconds of calls

    async def send(self, message: Outbound) -> Outcome:
        """Ring once and read the answer out, where and when that may be. Sent: heard to the end, or accepted."""
        if shape(message.to) not in (Shape.MOBILE, Shape.LANDLINE):
            return Refused("not a number of this country")
        if not message.text.strip() and not message.files and message.key is None:
            return Refused("nothing to read out")
        box = f"{BOX}.{message.message or message.id}"
        tries = await self._asked(message, box, _read(await self._door.drawer.get(box)))
        if tries.heard:
            return Sent(ref=box, found=True)
        refusal = await self._not_now(message, tries)
        if refusal is not None:
            return await self._gave_up(box, refusal) if isinstance(refusal, Refused) else refusal
        return await self._ring(message, box, tries)

    # ---------------------------------------------------------------- whether

    async def _not_now(self, message: Outbound, tries: _Tries) -> Refused | TryLater | None:
        """Why the telephone may not ring now; None: it may."""
        settings, now = self._settings, self._clock.now()
        if tries.many >= settings.tries or tries.cuts >= CUTS:
            return Refused("nobody heard it")
        rest = tries.last / 1000 + settings.wait - now / 1000
        if tries.asked is not None:
            rest = (tries.asked - now) / 1000
        wait = max(rest, self.opens_in(now))
        if wait > 0:
            soon = "too soon after the last try" if tries.asked is None else "another hour was asked for"
            return TryLater("outside of the hours for calls" if wait > rest else soon, wait)
        if self._minutes(now) >= settings.minutes * 60:
            return TryLater("the day's minutes are spent", HOUR)
        if not await self._door.spend(RULE, message.to):
            return TryLater("called often enough today", 6 * HOUR)
        return None

    def opens_in(self, now: int) -> float:
        """Seconds until a telephone may ring; 0: it may now."""
        here = datetime.fromtimestamp(now / 1000, self._zone)
        for ahead in range(DAYS):
            day = (here + timedelta(days=ahead)).date()
            begins, ends = (datetime.combine(day, time.fromisoformat(at), self._zone) for at in self._hours())
            noon = datetime.combine(day, time(12), self._zone)
            if here >= ends or (not self._settings.holidays and self._off(round(noon.timestamp() * 1000))):
                continue
            return max(0.0, (begins - here).total_seconds())
        return float(DAY)

    async def _asked(self, message: Outbound, box: str, tries: _Tries) -> _Tries:
        """The hour that whoever answered wished for (`facts["hour"]`) holds for the first call."""
        hour = message.facts.get("hour")
        first, last = whole_hours(self._settings)
        if tries.rung or tries.asked is not None or not isinstance(hour, int) or not first <= hour <= last:
            return tries
        return replace(tries, asked=await self._wished(box, hour))

    async def _wished(self, box: str, hour: int) -> int:
        """Put the next `hour` on disk; its ms UTC. A holiday is the window's matter."""
        here = datetime.fromtimestamp(self._clock.now() / 1000, self._zone)
        then = datetime.combine(here.date(), time(hour), self._zone)
        if (then - here).total_seconds() < SOON:
            then = datetime.combine(here.date() + timedelta(days=1), time(hour), self._zone)
        asked = round(then.timestamp() * 1000)
        await self._door.drawer.put(box, ASKED, json.dumps(asked).encode())
        return asked

    def _hours(self) -> tuple[str, str]:
        return self._settings.start, self._settings.until

    def _minutes(self, now: int) -> float:
        day = str(datetime.fromtimestamp(now / 1000, self._zone).date())
        if self._spent[0] != day:
            self._spent = (day, 0.0)
        return self._spent[1]

    # ---------------------------------------------------------------- the call

    async def _ring(self, message: Outbound, box: str, tries: _Tries) -> Outcome:
        number, began = tries.rung + 1, self._clock.now()
        await self._note(box, number, began, "rings")
        found = await self._dialled(message.to)
        if not hasattr(found, "events"):
            facts = {"out": MENU, "status": found.status}
            now = self._clock.now()
            await self._enter(
                ended.out_record(message.to, uuid4().hex, began, now, "not_reached", message.ticket or None, **facts)
            )
            return await self._not_reached(box, tries, found.outcome)
        found.number, found.asserted = message.to, True  # the number on file; what is read is its own ticket's
        walk = await self._hear(message, box, found)
        self._spent = (self._spent[0], self._minutes(began) + (self._clock.now() - began) / 1000)
        if _heard(walk):
            return Sent(ref=box)
        if walk.values.get("hour") and tries.rung - tries.many < ASKS:
            wait = (await self._wished(box, int(walk.values["hour"])) - self._clock.now()) / 1000
            await self._note(box, number, began, "asked")
            return TryLater("another hour was asked for", wait, tried=True)
        cut = SURE in walk.path
        await self._note(box, number, began, "cut" if cut else "nobody")
        return await self._again(
            box, replace(tries, cuts=tries.cuts + cut), "cut off" if cut else "nobody pressed a key"
        )

    async def _dialled(self, number: str) -> Any:
        """The leg, or why there is none; a line whose peers may not be dialled passes it on to the next."""
        found: Any = NotReached(FORBIDDEN, "no line that may call", outcome(FORBIDDEN))
        for line in self._lines():
            if not hasattr(line, "dial"):  # an extension calls nobody
                continue
            found = await line.dial(number, ring=self._settings.ring)
            if getattr(found, "status", 0) != FORBIDDEN:
                return found
        return found

    async def _hear(self, message: Outbound, box: str, leg: Leg) -> Walk:
        """Walk the leg; `heard` goes to disk the moment it is so."""
        kept: list[Awaitable[Any]] = []

        def watch(walk: Walk) -> None:
            if _heard(walk) and not kept:
                kept.append(asyncio.ensure_future(self._door.drawer.put(box, HEARD, b"1")))

        walk = await self._walk(leg, MENU if message.key is None else STATES, self._known(message), watch)
        for work in kept:
            await work
        return walk

    def _known(self, message: Outbound) -> dict[str, str]:
        """What the walk knows from its beginning."""
        first, last = whole_hours(self._settings)
        code = str(message.facts.get("code", ""))
        about = {"code": code, "lang": message.lang, "ticket": str(message.ticket or "")}
        return {**about, "first": str(first), "last": str(last)}

    async def _not_reached(self, box: str, tries: _Tries, outcome: TryLater | Refused) -> Outcome:
        if isinstance(outcome, Refused):
            return await self._gave_up(box, outcome)
        return await self._again(box, tries, outcome.why)

    async def _again(self, box: str, tries: _Tries, why: str) -> Outcome:
        """After a try in vain: later, or, after the last one, never by telephone."""
        if tries.many + 1 >= self._settings.tries or tries.cuts >= CUTS:
            return await self._gave_up(box, Refused(why))
        return TryLater(why, self._settings.wait, tried=True)

    async def _gave_up(self, box: str, outcome: Refused) -> Refused:
        """The next way is the SMS's; should a person send it by telephone again, the tries begin anew."""
        await self._door.drawer.close(box)
        return outcome

    async def _note(self, box: str, number: int, at: int, how: str) -> None:
        await self._door.drawer.put(box, f"try-{number}", json.dumps({"at": at, "how": how}).encode())


def whole_hours(settings: Callback) -> tuple[int, int]:
    """The first and the last full hour at which a telephone may ring."""
    start, until = (time.fromisoformat(at) for at in (settings.start, settings.until))
    return start.hour + bool(start.minute), until.hour - (not until.minute)


def _heard(walk: Walk) -> bool:
    """Was the answer heard to its end, or a key pressed on it?"""
    return HEARD in walk.path


def _read(slots: Mapping[str, bytes]) -> _Tries:
    rows = [json.loads(data) for slot, data in slots.items() if slot.startswith("try-")]
    cuts, asks = (sum(row["how"] == how for row in rows) for how in ("cut", "asked"))
    last = max((row["at"] for row in rows), default=0)
    asked = json.loads(slots[ASKED]) if ASKED in slots else None
    if asked is not None and any(row["at"] >= asked for row in rows):
        asked = None
    return _Tries(HEARD in slots, len(rows), len(rows) - min(asks, ASKS), cuts, last, asked)
