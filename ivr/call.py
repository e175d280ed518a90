"""One call: what the leg hears goes into the walk, what the walk wants is done. All on the loop's thread.

The order that nothing accepted is lost by: note → sound (spooled by the media plane) → keep → take → receipt → the
spool's files go → only then the code is spoken. Whatever is cut off before the receipt is found in the spool.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from core import phones
from core.channels import Act
from ivr import enquiry, steps, texting
from ivr import leg as legs
from ivr.counter import Counter, House
from ivr.leg import Leg
from ivr.media.g711 import NotSound
from ivr.spool import LEAST, Note
from ivr.stand import Walk
from ivr.walk import step

log = logging.getLogger(__name__)
FOLLOW = "follow"  # the act of a caller who wants to hear of a known incident's end; no ticket


@dataclass(frozen=True, slots=True)
class _Stamped:
    """A PlayedOut or Quiet and what it belongs to: void when something else was said or waited for since."""

    event: steps.Event
    stamp: int


class Call:
    """Runs one leg to its end. `tree` is the menu the dialled number is for; `known`: values chosen before it begins.

    `watch` is told of every step.
    """

    def __init__(
        self,
        leg: Leg,
        house: House,
        tree: str = "main",
        known: Mapping[str, str] = MappingProxyType({}),
        watch: Callable[[Walk], None] = lambda walk: None,
    ) -> None:
        self.leg, self._house, self._counter = leg, house, Counter(house)
        is_open, holiday = house.hours(house.clock.now())
        told = house.notices.told() if house.notices is not None else {}
        self.walk = Walk(
            tree,
            lang=known.get("lang") or house.lang,
            open=is_open,
            holiday=holiday,
            full=not house.room(),
            notice=told,
            values=known,
        )
        self._events: asyncio.Queue[steps.Event | _Stamped] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._watch = watch
        self._owed = 0  # recordings and acts on their way to the door
        self._speaking: asyncio.Task[None] | None = None
        self._voices: set[asyncio.Task[None]] = set()  # it, and those it waits for
        self._last_play: int | None = None
        self._wait: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._turn = 0  # counts what is said and waited for
        self._recording: str | None = None  # ref of the running recording
        self._refs: list[str] = []  # recordings that could be messages
        self._prompting = False  # the running recording is a prompt
        self._waiting: asyncio.Task[None] | None = None  # for an operator, or a bell
        self._over = False

    @property
    def ticket(self) -> int | None:
        """The last one that came of it."""
        return self._counter.ticket

    async def run(self) -> None:
        """Answer once the first words are ready, walk until nothing is to be done. Never leaves the leg open."""
        log.info("call began", extra={"call": self.leg.id, "line": self.leg.line})
        try:
            if await self._begin():
                self._task(self._listen())
                while not self.walk.done or self._owed:
                    self._move(await self._events.get())
        finally:
            self._close()
            log.info("call ended", extra={"call": self.leg.id, "line": self.leg.line, "steps": self.walk.step})

    async def _begin(self) -> bool:
        leg = self.leg
        self.walk, deeds = step(
            self._house.menus, self.walk, steps.Started(leg.line, leg.number, leg.asserted, leg.called)
        )
        for deed in deeds:
            if isinstance(deed, steps.Say):
                await self._house.sounds.warm(list(deed.items), deed.lang)
        if not await leg.answer():
            return False
        self._do(deeds)
        return True

    async def _listen(self) -> None:
        """Put what the leg hears among the walk's events."""
        try:
            async for event in self.leg.events():
                match event:
                    case legs.Pressed(key):
                        self._events.put_nowait(steps.Key(key))
                    case legs.PlayedOut(play):
                        self._heard(play)
                    case legs.RecordEnded(why, seconds, path):
                        self._events.put_nowait(steps.Recorded(why, seconds, path))
                    case legs.HungUp():
                        break
        finally:
            self._over = True
            if self._recording is not None:  # the leg is gone without a word about its recording: the spool knows
                self._events.put_nowait(steps.Recorded("hung_up", LEAST, self._house.spool.sound(self._recording)))
            self._events.put_nowait(steps.Ended("over"))

    def _move(self, event: steps.Event | _Stamped) -> None:
        if isinstance(event, _Stamped):
            if event.stamp != self._turn:
                return
            event = event.event
        if isinstance(event, steps.Recorded) and not self._recorded(event):
            return
        self.walk, deeds = step(self._house.menus, self.walk, event)
        self._watch(self.walk)
        self._do(deeds)

    def _recorded(self, event: steps.Recorded) -> bool:
        """Keep the books of the spool; False for an end that was told already."""
        ref, self._recording = self._recording, None
        if ref is None:
            told, self._prompting = self._prompting, False
            return told
        if event.seconds < LEAST:
            self._house.spool.forget(ref)
            return True
        for old in self._refs:  # "again": the newer one stands
            self._house.spool.forget(old)
        self._refs = [ref]
        return True

    # ---------------------------------------------------------------- deeds

    def _do(self, deeds: Sequence[steps.Deed]) -> None:
        for deed in deeds:
            match deed:
                case steps.Say():
                    self._say(deed)
                case steps.Hush():
                    self._hush()
                case steps.Wait(seconds):
                    self._wait_for(seconds)
                case steps.Record():
                    self._record(deed)
                case steps.StopRecord():
                    self.leg.stop_record()
                case steps.Look():
                    self._task(self._look(deed))
                case steps.Take():
                    self._owed += 1
                    self._task(self._take(deed))
                case steps.Text():
                    self._task(self._text(deed))
                case steps.Publish():
                    self._owed += 1
                    self._task(self._publish(deed))
                case steps.Queue() | steps.Connect():
                    self._leave()
                    self._waiting = self._task(self._wait_for_people(deed))
                case steps.Leave():
                    self._leave()
                case steps.CallBack():
                    self._task(self._call_back(deed))
                case steps.Hangup():
                    self.leg.hang_up()

    # ---- speaking

    def _say(self, deed: steps.Say) -> None:
        if self._over:
            return
        self._stop_waiting()
        before, self._last_play = self._speaking, None
        self._speaking = self._task(self._speak(deed, before))
        self._voices.add(self._speaking)
        self._speaking.add_done_callback(self._voices.discard)

    async def _speak(self, deed: steps.Say, before: asyncio.Task[None] | None) -> None:
        """Play each run as soon as it is there; the last one's PlayedOut is the end of it all."""
        if before is not None and not before.done():
            await asyncio.wait([before])
        last = None
        for item in deed.items:
            async for run in self._house.sounds.runs(item, deed.lang):
                if run.pcma:
                    last = self.leg.play([run])
        if self._speaking is not asyncio.current_task():
            return  # more follows
        self._last_play, self._speaking = last, None
        if last is None:
            self._silent()

    def _heard(self, play: int) -> None:
        if play == self._last_play:
            self._last_play = None
            self._silent()

    def _silent(self) -> None:
        """All that was said is heard: now a wait begins to count."""
        self._events.put_nowait(_Stamped(steps.PlayedOut(), self._turn))
        if self._wait is not None:
            self._arm(self._wait)

    def _hush(self) -> None:
        for voice in self._voices:
            voice.cancel()
        self._stop_waiting()
        self._speaking, self._last_play = None, None
        if not self._over:
            self.leg.stop()

    # ---- waiting

    def _wait_for(self, seconds: float) -> None:
        self._stop_waiting()
        self._wait = seconds
        if self._speaking is None and self._last_play is None:
            self._arm(seconds)

    def _arm(self, seconds: float) -> None:
        self._wait = None
        self._timer = asyncio.get_running_loop().call_later(
            seconds, self._events.put_nowait, _Stamped(steps.Quiet(), self._turn)
        )

    def _stop_waiting(self) -> None:
        self._wait, self._turn = None, self._turn + 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # ---- recording

    def _record(self, deed: steps.Record) -> None:
        self._stop_waiting()
        if self._over:
            self._events.put_nowait(steps.Failed("over"))  # the Ended behind it hands over what was said before
            return
        if deed.prompt:
            self._record_prompt(deed)
            return
        note = self._note(step=self.walk.step)
        try:
            if not self._house.room():
                raise OSError("the disk is nearly full")
            path = self._house.spool.begin(note)
        except OSError:
            log.error("no recording: the disk is full", extra={"call": self.leg.id})
            self._events.put_nowait(steps.Failed("disk"))
            return
        self._recording = note.ref
        self.leg.record(path, deed.most, deed.silence, deed.ends)

    def _record_prompt(self, deed: steps.Record) -> None:
        """A sentence of the menus: never in the spool, never a ticket."""
        if self._house.shelf is None:
            self._events.put_nowait(steps.Failed("refused"))
            return
        self._prompting = True
        path = self._house.shelf.fresh(self.leg.id, self.walk.step)
        self.leg.record(str(path), deed.most, deed.silence, deed.ends)

    def _note(self, **more: Any) -> Note:
        """What is known of the message now."""
        leg, values = self.leg, self.walk.values
        act = values.get("act", "new")
        new = act == Act.NEW
        known: dict[str, Any] = {
            "act": act,
            "kind": values.get("kind") or None if new else None,
            "unit": values.get("unit") or None if new else None,
            "code": None if new else values.get("code") or None,
            "pin": None if new else values.get("pin") or None,
            "lang": self.walk.lang,
            "at": self._house.clock.now(),
            "path": self.walk.path,
        }
        who = {"line": leg.line, "called": leg.called, "number": leg.number, "asserted": leg.asserted}
        return Note(leg.id, **{**who, **known, **more})

    # ---- the door

    async def _take(self, deed: steps.Take) -> None:
        if deed.act == FOLLOW:
            await self._follow()
            return
        ref = self._refs.pop() if deed.path is not None and self._refs else None
        note = self._note(step=int(ref.rpartition("-")[2]) if ref else deed.step)
        try:
            found = await self._counter.take(note, ref is not None, lambda: self.walk.gone or self._over)
        finally:
            self._owed -= 1
        self._events.put_nowait(found)

    async def _follow(self) -> None:
        """The caller wants to hear when a known incident is mended."""
        leg, notices, done = self.leg, self._house.notices, False
        try:
            if notices is not None and leg.asserted and leg.number and phones.mobile(leg.number):
                done = await notices.follow(leg.number, self.walk.lang)
        finally:
            self._owed -= 1
        self._events.put_nowait(steps.Taken("", "", "") if done else steps.Failed("no_mobile"))

    async def _look(self, deed: steps.Look) -> None:
        self._events.put_nowait(await enquiry.look(self._house, deed, self.leg, self.walk.lang))

    async def _text(self, deed: steps.Text) -> None:
        self._events.put_nowait(await texting.text(self._house, deed, self.leg, self.walk.lang))

    async def _publish(self, deed: steps.Publish) -> None:
        shelf, done = self._house.shelf, False
        try:
            done = shelf is not None and await asyncio.to_thread(
                shelf.publish, deed.text, deed.lang, deed.path, deed.permit
            )
        except (OSError, NotSound):
            log.exception("prompt not published", extra={"call": self.leg.id})
        finally:
            self._owed -= 1
        self._events.put_nowait(steps.Done() if done else steps.Failed("refused"))

    # ---- people

    async def _wait_for_people(self, deed: steps.Queue | steps.Connect) -> None:
        """What happens in a queue or at a unit's telephone, as the walk's events."""
        people = self._house.operators
        if people is None:
            self._events.put_nowait(steps.Parted("closed" if isinstance(deed, steps.Queue) else "away"))
            return
        ask = people.queue if isinstance(deed, steps.Queue) else people.connect
        async for event in ask(self.leg, deed, self.walk):  # type: ignore[arg-type]
            self._events.put_nowait(event)

    async def _call_back(self, deed: steps.CallBack) -> None:
        people = self._house.operators
        promised = people is not None and await people.call_back(self.leg, deed, self.walk)
        self._leave()
        self._events.put_nowait(steps.Done() if promised else steps.Failed("refused"))

    def _leave(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    # ---- housekeeping

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("call broke", exc_info=error, extra={"call": self.leg.id})
            self._events.put_nowait(steps.Failed("busy"))
            self.leg.hang_up()

    def _close(self) -> None:
        self._stop_waiting()
        for task in list(self._tasks):
            task.cancel()
        if self._house.shelf is not None:
            self._house.shelf.clear(self.leg.id)
        if not self._over:
            self.leg.hang_up()
