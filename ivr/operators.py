"""Operators and those who wait for them: the queue machine with real calls around it.

An operator is rung at an extension, hears who waits, and presses 1; then the two are bridged. What must
outlive the program is in `ivr.places`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from uuid import uuid4

from core.channels import Refused
from core.errors import PasokhError
from ivr import ended, steps
from ivr import queue as hall
from ivr.counter import House
from ivr.guest import Guest, Other
from ivr.leg import Leg
from ivr.media.music import music
from ivr.places import Places
from ivr.queue import Hall, Operator, Ring
from ivr.roster import Roster
from ivr.spool import Note
from ivr.stand import Walk
from ivr.steps import Item
from ivr.talk import Talk

log = logging.getLogger(__name__)
EACH = 1.0  # seconds between ticks of the queue
TALK_STEP = 900  # step of a talk in its call, apart from those of messages
RING = 25.0  # seconds a unit's telephone, a lead's or a called-back caller's rings
BUSY = (486, 600)
WIND_UP = 3.0  # seconds the last talks may take to be kept when we stop


class Dialling(Protocol):
    """A line of ours (`ivr.sip.line.SipLine`)."""

    name: str

    async def dial(
        self, number: str, ring: float = 30.0, told: Callable[[int], None] = ..., by: str | None = None,
        early: Callable[[int], None] | None = None,
    ) -> Any: ...  # fmt: skip


@dataclass(slots=True)
class Visit:
    """A caller on the line who waits or talks."""

    leg: Other
    walk: Walk
    queue: str
    unit: str
    since: int  #: ms UTC
    news: asyncio.Queue[steps.Event] = field(default_factory=asyncio.Queue)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    passed: asyncio.Event = field(default_factory=asyncio.Event)  #: the operator passes them on
    to: str = ""  #: a queue or a unit
    talks: int = 0
    refused: bool = False  #: the recording, in any talk of this call
    talked_from: float | None = None  #: a talk goes on since then


@dataclass(frozen=True, slots=True)
class PopUp:
    """What an operator's screen shows at the first ring and during the talk."""

    call: str
    queue: str
    unit: str
    number: str | None
    asserted: bool
    path: Sequence[str]
    since: int  #: ms UTC, when they joined
    back: bool  #: a call-back


class Operators:
    """The `ivr.counter.Operators` of the phone. `lines` are those open; `house` what a call that begins now gets."""

    def __init__(self, roster: Roster, lines: Callable[[], Sequence[Dialling]], house: Callable[[], House]) -> None:
        self.roster = roster
        self._lines, self._house = lines, house
        people = {login: Operator(login, roster.queues_of(login)) for login in roster.logins}
        self.hall = Hall({name: given.rules() for name, given in roster.queues.items()}, people)
        self._visits: dict[str, Visit] = {}
        self._bells: dict[str, asyncio.Task[None]] = {}  # by login
        self._guests: dict[str, Guest] = {}  # operators whose telephone is off the hook
        self._pop_ups: dict[str, PopUp] = {}
        self._running: dict[str, Talk] = {}  # by operator
        self._talks: dict[str, str] = {}  # operator → call, as the machine joined them
        self._tasks: set[asyncio.Task[None]] = set()
        self.disk = Places(roster, house)
        self._writing: asyncio.Task[None] | None = None
        self.talking: set[str] = set()  #: calls whose talk goes on, or is being kept
        self.told: dict[str, dict[str, Any]] = {}  #: for the record of each call: queue, waited, operator, talked

    # ---------------------------------------------------------------- for the channel

    async def run(self) -> None:
        """Take up what was so before a restart, then let time pass."""
        self._writing = asyncio.get_running_loop().create_task(self.disk.write())
        remembered = False
        while True:
            if not remembered:
                remembered = await self._remembers()
            await asyncio.sleep(EACH)
            self._feed(hall.Tick())

    async def stop(self) -> None:
        """End every call of ours; talks are kept."""
        for bell in self._bells.values():
            bell.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=WIND_UP)
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        if self._writing is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.disk.settled(), WIND_UP)
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)

    # ---------------------------------------------------------------- for a call

    async def queue(self, leg: Leg, deed: steps.Queue, walk: Walk) -> AsyncIterator[steps.Event]:
        """Place on joining and change, Connected, Parted at the end. Closed by the call when the caller leaves."""
        if deed.name not in self.roster.queues or not hasattr(leg, "bridge"):
            yield steps.Parted("closed")
            return
        caller: Other = leg  # type: ignore[assignment]
        visit = Visit(caller, walk, deed.name, deed.unit, self._house().clock.now())
        self._visits[leg.id] = visit
        told = self.told[leg.id] = {"queue": deed.name}
        began = time.monotonic()
        caller.untimed()
        caller.music([music()])
        try:
            self._feed(hall.Joined(leg.id, deed.name, leg.number if leg.asserted else None))
            event: steps.Event | None = None
            while not isinstance(event, steps.Parted):
                event = await visit.news.get()
                yield event
        finally:
            del self._visits[leg.id]
            if visit.talked_from is not None:  # the caller hung up in the middle: the call's record is written now
                told["talked"] = round(time.monotonic() - visit.talked_from)
            told.setdefault("waited", round(time.monotonic() - began))
            visit.gone.set()
            caller.untimed(False)
            self._feed(hall.Left(leg.id, keep=not caller.up))

    async def connect(self, leg: Leg, deed: steps.Connect, walk: Walk) -> AsyncIterator[steps.Event]:
        """Connected and Parted, or only Parted(busy, away)."""
        number = self.roster.bells.get(deed.to) or (deed.to if deed.to.isdecimal() else "")
        if not number or not hasattr(leg, "bridge"):
            yield steps.Parted("away")
            return
        caller: Other = leg  # type: ignore[assignment]
        caller.untimed()
        caller.music([music()])
        guest, began = None, time.monotonic()
        told = self.told.setdefault(leg.id, {})
        try:
            answer = await self._dial(number, RING, None, leg.line, caller)
            if not isinstance(answer, Guest):
                caller.part()
                yield steps.Parted("busy" if answer in BUSY else "away")
                return
            guest = answer
            yield steps.Connected()
            began = time.monotonic()
            guest.leg.untimed()
            guest.leg.bridge(caller)
            await guest.gone.wait()
            yield steps.Parted("done")
        finally:
            caller.untimed(False)
            told["unit"] = deed.to
            if guest is not None:
                told["talked"] = round(time.monotonic() - began)
                self._task(guest.end())

    async def call_back(self, leg: Leg, deed: steps.CallBack, walk: Walk) -> bool:
        """Keep the place of a caller who left the queue for it; False when that cannot be promised."""
        waiting = next((one for one in self.hall.waiting if one.call == leg.id), None)
        if waiting is None or waiting.number is None:
            return False
        house = self._house()
        joined = house.clock.now() - round(1000 * (time.monotonic() - waiting.joined))
        more = {"lang": walk.lang, "line": leg.line}
        try:
            await self.disk.promise(leg.id, deed.name, waiting.number, joined, more)
        except PasokhError:
            log.warning("call-back not promised: busy", extra={"call": leg.id})
            return False
        self._feed(hall.CallMe(leg.id))
        return True

    # ---------------------------------------------------------------- for the console

    def duties(self) -> list[Operator]:
        """All operators and what they do."""
        return [self.hall.operators[login] for login in self.roster.logins]

    def waiting(self) -> Mapping[str, int]:
        """Callers on the line, by queue."""
        counts = dict.fromkeys(self.roster.queues, 0)
        for one in self.hall.waiting:
            counts[one.queue] += one.here
        return counts

    def come(self, login: str) -> None:
        """On duty, back from a pause, or out of the wrap-up."""
        self._feed(hall.On(login))

    def pause(self, login: str, reason: str) -> None:
        """No calls for a while."""
        self._feed(hall.Pause(login, reason))

    def go(self, login: str) -> None:
        """Off duty."""
        self._feed(hall.Off(login))

    def pop_up(self, login: str) -> PopUp | None:
        """Who rings at this operator's telephone, or talks with them."""
        return self._pop_ups.get(login)

    def places(self) -> list[str]:
        """Where callers can be passed on to: queues, then units with a telephone."""
        return [*self.roster.queues, *(slug for slug in self.roster.bells if slug not in self.roster.queues)]

    def pass_on(self, login: str, to: str) -> bool:
        """End the operator's talk and send the caller to a queue or a unit; False when there is none, or no talk."""
        shown = self._pop_ups.get(login)
        visit = self._visits.get(shown.call) if shown is not None else None
        if visit is None or login not in self._guests or to not in self.places():
            return False
        visit.to = to
        visit.passed.set()
        return True

    def _referred(self, login: str, number: str) -> bool:
        """The operator's telephone passes its caller on (REFER) to a queue, or to the unit with this extension."""
        unit = next((slug for slug, extension in self.roster.bells.items() if extension == number), "")
        return self.pass_on(login, number if number in self.roster.queues else unit)

    def listen(self, lead: str, operator: str, whisper: bool) -> bool:
        """Ring the lead and let them hear the operator's talk; False when there is none, or no telephone."""
        talk, member = self._running.get(operator), self.roster.staff.get(lead)
        if talk is None or member is None:
            return False
        self._task(self._listen(lead, member.extension, talk, whisper))
        return True

    async def _listen(self, login: str, extension: str, talk: Talk, whisper: bool) -> None:
        lead, to = await self._dial(extension, RING, None, ""), talk.guest
        if not isinstance(lead, Guest):
            return
        try:
            talk.listeners.append(f"{login} whisper" if whisper else login)
            lead.leg.listen(to.leg, whisper)
            await _either(lead.gone, to.gone)
        finally:
            await lead.end()

    # ---------------------------------------------------------------- the machine and its deeds

    def _feed(self, event: hall.Event) -> None:
        now = time.monotonic()
        self.hall, deeds = hall.step(self.hall, event, now)
        self.disk.follow(self.hall, now)
        for deed in deeds:
            self._do(deed)

    def _do(self, deed: hall.Deed) -> None:
        match deed:
            case hall.Ring(login):
                self._bells[login] = self._task(self._serve(deed))
            case hall.Stop(login):
                self._bells[login].cancel()
            case hall.Talk(login, call):
                self._talks[login] = call
            case hall.Tell(call, place, minutes):
                self._tell(call, steps.Place(place, minutes))
            case hall.Out(call, way):
                self._tell(call, steps.Parted(way))
            case hall.Forget(call, reached):
                log.info("call-back over", extra={"call": call, "reached": reached})
                self.disk.forget(call)

    def _tell(self, call: str, event: steps.Event) -> None:
        visit = self._visits.get(call)
        if visit is not None:
            visit.news.put_nowait(event)

    # ---------------------------------------------------------------- ringing

    async def _serve(self, ring: Ring) -> None:
        """Ring an operator for a caller, and let them talk if the operator takes it."""
        login, missed = ring.login, True
        visit, guest = self._visits.get(ring.call), None
        shown = self._pop_ups[login] = self._shown(ring, visit)
        try:
            guest = await self._accepting(ring)
            if guest is None:
                return
            self._guests[login] = guest
            guest.leg.refers = lambda to: self._referred(login, to)
            self._feed(hall.Accepted(login))
            missed = self._talks.pop(login, None) is None
            if not missed:
                await self._together(ring, visit, guest)
        except asyncio.CancelledError:  # the machine says so itself
            missed = False
            raise
        finally:
            if self._pop_ups.get(login) is shown:
                del self._pop_ups[login]
            if guest is not None:
                self._guests.pop(login, None)
                self._task(guest.end())
            if missed:
                self._feed(hall.Missed(login))

    async def _accepting(self, ring: Ring) -> Guest | None:
        """The operator, once they have pressed 1: a mailbox cannot."""
        house, given = self._house(), self.roster.queues[ring.queue]
        visit = self._visits.get(ring.call)
        answer = await self._dial(
            self.roster.staff[ring.login].extension, ring.seconds, given.peer, visit.leg.line if visit else ""
        )
        if not isinstance(answer, Guest):
            return None
        minutes = int(ring.waited // 60)
        said = [Item("ivr.operator.waited", {"minutes": minutes})] if minutes else [Item("ivr.operator.call")]
        said = [Item("ivr.operator.back")] if ring.number else said
        try:
            async with asyncio.timeout(ring.seconds):
                if await answer.presses("1", house.sounds, [*said, Item("ivr.operator.accept")], house.lang):
                    return answer
        except TimeoutError:
            log.info("operator's telephone answered, nobody pressed 1", extra={"call": ring.call})
        except asyncio.CancelledError:  # the caller is gone
            self._task(answer.end())
            raise
        self._task(answer.end())
        return None

    async def _together(self, ring: Ring, visit: Visit | None, guest: Guest) -> None:
        """The talk of an operator who accepted, with one who waits on the line or one to be called back."""
        if visit is not None and ring.number is None:
            await self._with_visitor(ring, visit, guest)
            return
        rung = self._house().clock.now()
        caller = await self._called_back(ring)
        if caller is None:
            self._task(self._entered(ring, uuid4().hex, rung, "not_reached", {}))
            await guest.hears(self._house().sounds, Item("ivr.operator.not_there"), self._house().lang)
            self._feed(hall.NotThere(ring.login))
            return
        self.disk.reached(ring.call)
        note = self._note(ring, caller.leg.id, caller.leg.line, ring.number, (), "")
        try:
            talked = await self._talk(ring, caller.leg, guest, note, [caller.gone])
        finally:
            self._task(caller.end())
        self._task(self._entered(ring, caller.leg.id, rung, ended.way(caller.leg), {"talked": round(talked)}))

    async def _entered(self, ring: Ring, ref: str, rung: int, way: str, more: Mapping[str, Any]) -> None:
        """A call-back, reached or not, into the history of its number."""
        house = self._house()
        if house.ledger is None or not ring.number:
            return
        facts = {"out": "queue", "queue": ring.queue, "operator": ring.login, "waited": round(ring.waited), **more}
        await house.ledger.over(house.door, ended.out_record(ring.number, ref, rung, house.clock.now(), way, **facts))

    async def _with_visitor(self, ring: Ring, visit: Visit, guest: Guest) -> None:
        leg = visit.leg
        note = self._note(ring, leg.id, leg.line, leg.number, visit.walk.path, visit.unit, leg.asserted, leg.called)
        note = replace(note, step=TALK_STEP + visit.talks)
        again, visit.talks = visit.talks > 0, visit.talks + 1
        visit.news.put_nowait(steps.Connected(self.roster.queues[ring.queue].record))
        try:
            await self._talk(ring, leg, guest, note, [visit.gone, visit.passed], noticed=again, visit=visit)
        finally:
            if visit.passed.is_set() and not visit.gone.is_set():
                self._send_on(visit)
            else:
                visit.news.put_nowait(steps.Parted("served"))

    def _send_on(self, visit: Visit) -> None:
        """To the queue or the unit that the operator named; their place is a new one."""
        visit.passed.clear()
        visit.leg.music([music()])
        if visit.leg.id in self.told:
            self.told[visit.leg.id]["passed_on"] = visit.to
        if visit.to in self.roster.queues:
            visit.queue = visit.to
            number = visit.leg.number if visit.leg.asserted else None
            self._feed(hall.Joined(visit.leg.id, visit.to, number))
        else:
            self._task(self._to_unit(visit))

    async def _to_unit(self, visit: Visit) -> None:
        """Ring a unit for a caller who was passed on; whom nobody answers waits in the queue of before."""
        answer = await self._dial(self.roster.bells[visit.to], RING, None, visit.leg.line, visit.leg)
        if visit.gone.is_set():
            if isinstance(answer, Guest):
                await answer.end()
            return
        if not isinstance(answer, Guest):
            visit.leg.part()
            visit.leg.music([music()])
            self._feed(hall.Joined(visit.leg.id, visit.queue, visit.leg.number if visit.leg.asserted else None))
            return
        try:
            visit.leg.stop()
            answer.leg.untimed()
            answer.leg.bridge(visit.leg)
            await _either(answer.gone, visit.gone)
        finally:
            await answer.end()
            visit.news.put_nowait(steps.Parted("served"))

    async def _talk(
        self, ring: Ring, caller: Other, guest: Guest, note: Note, left: Sequence[asyncio.Event],
        noticed: bool = False, visit: Visit | None = None,
    ) -> float:  # fmt: skip
        """Bring them together; afterwards the talk is kept by a task of its own. Its seconds."""
        began = time.monotonic()
        refused = visit is not None and visit.refused
        talk = Talk(caller, guest, self._house(), note, self.roster.queues[ring.queue].record, noticed, refused)
        told = self.told.get(note.call, {})
        told |= {"operator": ring.login, "waited": round(ring.waited)}
        self.talking.add(note.call)
        self._running[ring.login] = talk
        if visit is not None:
            visit.talked_from = began
        try:
            await talk.run(left)
        finally:
            del self._running[ring.login]
            seconds = time.monotonic() - began
            if visit is not None:
                visit.refused, visit.talked_from = talk.refused, None
            told["talked"] = round(seconds)
            self._feed(hall.Over(ring.login, seconds))
            self._task(self._kept(talk, seconds))
        return seconds

    async def _kept(self, talk: Talk, seconds: float) -> None:
        try:
            await talk.guest.end()
            await talk.keep(seconds)
        finally:
            self.talking.discard(talk.note.call)

    async def _called_back(self, ring: Ring) -> Guest | None:
        """The caller of a call-back, once they have pressed 1."""
        house = self._house()
        await self.disk.tries(ring.call)
        answer = await self._dial(ring.number or "", RING, None, "")
        if not isinstance(answer, Guest):
            return None
        if await answer.presses("1", house.sounds, [Item("ivr.queue.hello")], house.lang):
            if self.roster.queues[ring.queue].record:
                self._task(answer.hears(house.sounds, Item("ivr.queue.recorded"), house.lang))
            return answer
        self._task(answer.end())
        return None

    async def _dial(
        self, number: str, seconds: float, by: str | None, line: str, waits: Other | None = None
    ) -> Guest | int:
        """Somebody who answered, or the status of who did not. `waits` hears what the far end says before."""
        lines = self._lines()
        chosen = next((one for one in lines if one.name == line), lines[0] if lines else None)
        if chosen is None or not number:
            return 404

        def early(row: int) -> None:
            if waits is not None:
                waits.stop()  # the music
                waits.overhears(row)

        answer = await chosen.dial(number, seconds, by=by, early=early if waits is not None else None)
        if hasattr(answer, "outcome"):
            if isinstance(answer.outcome, Refused):
                log.warning("telephone refused", extra={"status": answer.status})
            return int(answer.status)
        return Guest(answer)

    # ---------------------------------------------------------------- small things

    def _shown(self, ring: Ring, visit: Visit | None) -> PopUp:
        leg = visit.leg if visit else None
        return PopUp(
            call=ring.call,
            queue=ring.queue,
            unit=visit.unit if visit else "",
            number=leg.number if leg else ring.number,
            asserted=leg.asserted if leg else True,
            path=visit.walk.path if visit else (),
            since=visit.since if visit else self._house().clock.now() - round(1000 * ring.waited),
            back=ring.number is not None,
        )

    def _note(
        self, ring: Ring, call: str, line: str, number: str | None, path: tuple[str, ...], unit: str,
        asserted: bool = True, called: str = "",
    ) -> Note:  # fmt: skip
        house = self._house()
        facts = {"queue": ring.queue, "operator": ring.login, "waited": round(ring.waited), "back": bool(ring.number)}
        return Note(
            call, TALK_STEP, line, called, number, asserted, unit=unit or None, kind="request", lang=house.lang,
            at=house.clock.now(), path=path, talk=facts,
        )  # fmt: skip

    async def _remembers(self) -> bool:
        """False while the store is too busy to tell."""
        try:
            events = await self.disk.remembered()
        except PasokhError:
            log.warning("the store was too busy for promised call-backs")
            return False
        for one in events:
            self._feed(one)
        return True

    def _task(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("work of the queue broke", exc_info=error)


async def _either(*events: asyncio.Event) -> None:
    """Until one of them is set."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
