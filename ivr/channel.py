"""The phone as a channel: lines, media plane, speech and menus put together; every call runs here.

What wiring hands over in `Gear.extra`:
- `menus`: path → content of the menu files, or `menus_folder`: where `*.toml` lie
- `texts`: language → key → sentence (left out: `gear.say.words`)
- `read`: async (key of a kept file) → bytes, for spoken answers
- `prompts`: folder of recorded prompts, `{lang}/{key}.wav`
- `units`: slugs a menu may name
- `where`: place of `[phone]` in lines.toml, for faults
- `hours`: (ms UTC) → (open, holiday)
- `cards`: slug → phone and hours of each unit
- `reread`: () → the configuration as it is on disk now: `texts`, `menus_folder`, `prompts_folder`; raises Faults
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from config.faults import Fault, Faults
from core import jalali
from core.channels import Channel, Clock, Door, Gear, Outbound, Outcome, Refused, Say
from core.clock import SystemClock
from core.errors import Busy, PasokhError
from ivr import ended, missed, spool
from ivr.call import Call
from ivr.callback import STATES, CallBacks, Watch
from ivr.counter import Card, House
from ivr.ledger import Ledger
from ivr.leg import Leg
from ivr.media.apart import Apart
from ivr.media.plane import Plane
from ivr.media.record import share_free
from ivr.notice import Notices
from ivr.operators import Operators
from ivr.panel import CallView, Panel
from ivr.prompts import Prompts
from ivr.settings import AnyLine, Line
from ivr.shelf import Shelf
from ivr.site import Site, as_written, prompt_folders, read_site
from ivr.sounds import Sounds
from ivr.speech import Speech
from ivr.spool import Spool
from ivr.stand import Walk
from ivr.steps import Item
from ivr.transcripts import PROGRAMS, Transcripts
from ivr.voices import PROGRAM, Voices

log = logging.getLogger(__name__)
LEAST_FREE = 0.10  # share of the disk below which nothing new is recorded
SWEEP = 30.0  # seconds between looks for recordings that were not taken yet
WIND_UP = 3.0  # seconds a call gets after its hang-up to hand over its recording


class Phone:
    """All our phone lines. Answers are heard by calling; with `[phone.callback]` it calls as well, and can send."""

    name = "phone"
    settings = Line

    def __init__(self, gear: Gear, site: Site) -> None:
        self.site = site
        self.can_send = site.callback is not None
        self.at_once = site.callback.at_once if site.callback is not None else 1  #: sends at the same time
        self._callbacks: CallBacks | None = None
        self._gear = gear
        self._clock: Clock = gear.clock or SystemClock()
        self._zone = str(gear.agency.get("zone") or jalali.ZONE)
        self._spool = Spool(Path(gear.folder) / "spool")
        self._ledger = Ledger(Path(gear.folder) / "calls")
        self._speech: Speech | None = None
        self._voices: Voices | None = None
        self._transcripts: Transcripts | None = None
        self._house: House | None = None
        self._plane: Plane | Apart | None = None
        self._lines: list[Any] = []
        self._calls: dict[str, asyncio.Task[None]] = {}
        self._live: dict[str, tuple[Call, int]] = {}  # and when it began, ms UTC
        self._work: set[asyncio.Task[None]] = set()
        self._records: set[asyncio.Task[None]] = set()  # of calls that are over, on their way to the store
        self._stopping = False
        self.operators = Operators(site.roster, lambda: self._lines, lambda: self.house)
        self.panel = Panel(self)

    # ---------------------------------------------------------------- the contract

    async def start(self, door: Door) -> None:
        """Open every line. Raises OSError or ValueError with a sentence naming the setting."""
        from ivr.sip.opening import open_line  # imports the reactor

        self._open(door)
        if not self.site.lines:
            return
        is_full = self._gear.extra.get("is_full", lambda: False)
        self._plane = plane = _plane(self.site.lines, self.site.media.apart)
        plane.start(self._on_events, asyncio.get_running_loop())
        try:
            for name, line in self.site.lines.items():
                self._lines.append(open_line(self._gear.reactor, name, line, plane, self.take_call, is_full))
        except BaseException:
            await self.stop(0)
            raise
        log.info("phone lines open", extra={"lines": list(self.site.lines)})

    def counts(self) -> Mapping[str, int]:
        """What the media plane counts: calls, packets by fate, keys, lateness; nothing without lines."""
        return self._plane.counts() if self._plane is not None else {}

    def health(self) -> str:
        """`down` once the media plane's thread has ended though nobody asked; else which peers do not answer."""
        if self._plane is not None and not self._plane.alive:
            return "down"
        silent = [name for line in self._lines for name in line.silent]
        return f"up, without {', '.join(silent)}" if silent else "up"

    async def stop(self, drain: float) -> None:
        """Answer no new call, give running ones `drain` seconds, see their recordings through, close."""
        self._stopping = True
        await asyncio.gather(*(line.stop(drain) for line in self._lines))
        self._lines.clear()
        if self._calls:
            await asyncio.wait(list(self._calls.values()), timeout=WIND_UP)
        await self.operators.stop()
        for task in self._calls.values():
            task.cancel()
        await asyncio.gather(*self._calls.values(), return_exceptions=True)
        if self._records:
            await asyncio.wait(set(self._records), timeout=WIND_UP)
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        if self._plane is not None:
            await asyncio.to_thread(self._plane.stop)
            self._plane = None
        for part in (self._voices, self._transcripts):
            if part is not None:
                await part.close()
        if self._speech is not None:
            await asyncio.to_thread(self._speech.close)
            self._speech = None

    async def send(self, message: Outbound) -> Outcome:
        """Call, and read the answer out; without `[phone.callback]` it waits for the caller's code."""
        if self._callbacks is None:
            return Refused("no calls out")
        return await self._callbacks.send(message)

    async def reload(self) -> None:
        """Take over menus, texts, peers and limits of lines as they are on disk now, for new calls.

        Raises config.Faults naming every fault; then nothing has changed.
        """
        site, say = await asyncio.to_thread(self._read_again)
        for line in self._lines:
            try:
                line.renew(site.lines.get(line.name, line.settings))
            except OSError as fault:
                raise Faults([Fault("lines.toml", 0, "unreadable-file", str(fault))]) from None
        lines = {**self.site.lines, **{line.name: line.settings for line in self._lines}}
        self.site = replace(self.site, lines=lines, menus=site.menus, langs=site.langs)
        self._house = replace(self.house, menus=site.menus, say=say, sounds=self._sounds(say), lang=site.langs[0])
        self._task(self._warm(self._house))
        log.info("menus reloaded", extra={"menus": sorted(site.menus.trees)})

    def _read_again(self) -> tuple[Site, Say]:
        """The site as it is on disk now; lines that the program itself has moved stay as they are."""
        fresh = self._gear.extra["reread"]()
        extra = {**self._gear.extra, "menus_folder": str(fresh.menus_folder), "texts": fresh.texts.words}
        extra.pop("menus", None)
        lines: Mapping[str, Any] = self._gear.lines
        if as_written(self._gear):
            lines, extra["where"] = fresh.lines.get("phone", {}), fresh.documents["lines.toml"].at("phone")
        gear = replace(self._gear, say=fresh.texts, extra=extra, lines=lines)
        return read_site(gear), fresh.texts

    # ---------------------------------------------------------------- calls

    @property
    def ports(self) -> Mapping[str, int]:
        """The UDP port of each open line."""
        return {line.name: line.port for line in self._lines}

    @property
    def house(self) -> House:
        """What a call that begins now gets."""
        if self._house is None:
            raise RuntimeError("the phone has not started")
        return self._house

    @property
    def calls(self) -> int:
        """Calls that run, or whose recording is on its way to the door."""
        return len(self._calls)

    def live(self) -> list[CallView]:
        """Calls in progress, the oldest first."""
        return [
            CallView(leg.id, leg.line, leg.number, leg.asserted, leg.called, since, call.walk.path)
            for call, since in self._live.values()
            for leg in (call.leg,)
        ]

    def take_call(self, leg: Leg) -> None:
        """Run a new call to its end; the line gives each one here once."""
        if self._house is None or self._stopping:
            leg.hang_up()
            return
        tree = getattr(leg, "menu", "") or self.site.lines[leg.line].menu(leg.called) or "main"
        began, call = self._clock.now(), None
        self._ledger.begin(ended.open_record(leg, began))
        if tree == missed.MENU:
            deed = missed.call(leg, self._house)
        else:
            call = Call(leg, self._house, tree)
            self._live[leg.id] = call, began
            deed = call.run()
        task = asyncio.get_running_loop().create_task(deed)
        self._calls[leg.id] = task
        task.add_done_callback(lambda done: self._call_ended(leg, call, began, done))

    async def _walked(self, leg: Leg, tree: str, values: Mapping[str, str], watch: Watch) -> Walk:
        """Walk a leg of ours through a tree to its end; where it stood at last."""
        began, call = self._clock.now(), Call(leg, self.house, tree, values, watch)
        self._live[leg.id] = call, began
        self._ledger.begin(ended.open_record(leg, began, out=tree))
        try:
            await call.run()
        finally:
            self._live.pop(leg.id, None)
            self._record(leg, call, began, {"out": tree}, int(values.get("ticket") or 0) or None)
        return call.walk

    def _call_ended(self, leg: Leg, call: Call | None, began: int, task: asyncio.Task[None]) -> None:
        self._calls.pop(leg.id, None)
        self._live.pop(leg.id, None)
        self._record(leg, call, began, self.operators.told.pop(leg.id, {}))
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("call broke", exc_info=error, extra={"call": leg.id})

    def _record(
        self, leg: Leg, call: Call | None, began: int, more: Mapping[str, Any], about: int | None = None
    ) -> None:
        """Have a call that is over entered into its caller's history; None: it was never answered."""
        over, ticket = self._clock.now(), call.ticket if call is not None else None
        path, way = (call.walk.path, ended.way(leg)) if call is not None else ((missed.MENU,), missed.MENU)

        async def enter() -> None:
            record = ended.open_record(leg, began, path, **await ended.quality(leg), **more)
            whole = replace(record, seconds=ended.seconds(began, over), way=way, ticket=ticket or about)
            await self._ledger.over(self.house.door, whole)

        self._records.add(self._task(enter()))

    def _on_events(self, events: Sequence[Any]) -> None:
        for line in self._lines:
            line.on_events(events)

    # ---------------------------------------------------------------- putting together

    def _open(self, door: Door) -> None:
        """Everything but the lines: speech, sounds, and what a crash left in the spool."""
        gear, extra = self._gear, self._gear.extra
        self._stopping = False
        self._speech = Speech(Path(gear.folder) / "speech")
        self._voices = Voices(
            self._speech, {lang: (each.start(PROGRAM), each.name) for lang, each in self.site.voices.items()}
        )
        self.shelf = Shelf(Path(gear.folder) / "prompts", prompt_folders(gear)[1:], self._clock)
        self.notices = Notices(door, self._clock)
        self._house = House(
            door=door,
            menus=self.site.menus,
            say=gear.say,
            sounds=self._sounds(gear.say),
            spool=self._spool,
            clock=self._clock,
            lang=self.site.langs[0],
            hours=extra.get("hours") or (lambda now: (True, False)),
            room=self._room,
            shelf=self.shelf,
            notices=self.notices,
            cards={slug: Card(**card) for slug, card in extra.get("cards", {}).items()},
            operators=self.operators,
            ledger=self._ledger,
            calls_back=self.site.callback is not None and STATES in self.site.menus.trees,
        )
        self._task(self.operators.run())
        self._task(self.notices.keep_fresh())
        self._write_down(door)
        if self.site.callback is not None:
            self._callbacks = CallBacks(
                self.site.callback, lambda: self._lines, door, self._clock, self._zone,
                lambda at: self.house.hours(at)[1], self._walked, lambda record: self._ledger.over(door, record),
            )  # fmt: skip
        self._task(self._sweep(self._house))
        self._task(self._warm(self._house))

    def _sounds(self, say: Say) -> Sounds:
        assert self._voices is not None
        prompts = Prompts(say, self.shelf.folders, self._zone)
        return Sounds(prompts, self._voices, self._gear.extra.get("read"), self.today)

    def _write_down(self, door: Door) -> None:
        """Have voice messages written down, where there is a model for it."""
        scribe, read = self.site.scribe, self._gear.extra.get("read")
        if scribe is None or read is None:
            return
        child = scribe.start(PROGRAMS[scribe.engine])
        self._transcripts = Transcripts(child, f"{scribe.engine} {Path(scribe.model).name}", door, read)
        self._spool.taken = self._transcripts.wanted
        self._task(self._transcripts.run())

    async def _sweep(self, house: House) -> None:
        """At start and every `SWEEP` seconds: recordings without a live call become tickets, marked recovered.

        Then records of calls that were cut off, and word of those that go on.
        """
        while True:
            for note in await asyncio.to_thread(self._spool.left, self._busy()):
                if note.call in self._busy():
                    continue
                try:
                    receipt = await spool.recover(house.door, self._spool, note, house.say)
                except Busy:
                    break
                except (PasokhError, OSError):
                    log.exception("recording stays in the spool", extra={"call": note.call})
                    continue
                if receipt is not None:
                    log.info("recording recovered", extra={"call": note.call, "ticket": receipt.ticket})
            await self._ledger.settle(house.door)
            for number, (call, began) in list(self._live.items()):
                if number in self._live:
                    self._ledger.begin(ended.open_record(call.leg, began, call.walk.path))
                    await asyncio.sleep(0)  # a file each: whoever calls meanwhile is answered between them
            await asyncio.sleep(SWEEP)

    def _busy(self) -> frozenset[str]:
        """Calls whose recordings are not the sweep's yet."""
        return frozenset(self._calls) | self.operators.talking

    async def _warm(self, house: House) -> None:
        """Have what the menus say spoken once, so that nobody waits for the voice."""
        keys = {node.say for tree in self.site.menus.trees.values() for node in tree.nodes.values() if node.say}
        for lang in self.site.langs:
            await house.sounds.warm([Item(key) for key in sorted(keys)], lang)

    def today(self) -> date:
        """The body's day."""
        return jalali.local(self._clock.now(), self._zone).date()

    def _room(self) -> bool:
        return share_free(str(self._spool.folder)) >= LEAST_FREE

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work_ended)
        return task

    def _work_ended(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        self._records.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("phone's own work broke", exc_info=error)


def make(gear: Gear) -> Channel:
    """The channel of `[phone.line.*]` and the menus. Raises config.Faults naming file, line and remedy."""
    return Phone(gear, read_site(gear))


def _plane(lines: Mapping[str, AnyLine], apart: bool) -> Plane | Apart:
    """One media plane for all lines; the first one's address and port range count."""
    line = next(iter(lines.values()))
    return (Apart if apart else Plane)(line.address()[0], *line.rtp_range(), LEAST_FREE)
