"""A talk of a caller with somebody of the house: bridged, recorded once the caller has heard so, kept at its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from core.errors import PasokhError
from ivr import leg as legs
from ivr.counter import House
from ivr.guest import CLOSING, Guest, Other
from ivr.leg import LegEvent
from ivr.spool import Note, hand_over, message

log = logging.getLogger(__name__)
REFUSE = "9"
LONGEST = 7200.0  # seconds of a talk
TRIES = (1.0, 5.0, 20.0)  # seconds between tries to keep it; then the spool's sweep does


@dataclass(slots=True)
class Talk:
    """One talk. `note`: what will be known of it; `record` False: there is no recording."""

    caller: Other
    guest: Guest
    house: House
    note: Note
    record: bool = True
    noticed: bool = False  #: the caller has heard that it is recorded, in a talk before this one
    refused: bool = False
    listeners: list[str] = field(default_factory=list)  #: leads who heard it, and how; shown on its ticket
    began: float = 0.0
    _path: str | None = None
    _before: int = 0  # plays of before: their ends mean nothing

    async def run(self, left: Sequence[asyncio.Event]) -> float:
        """Until either hangs up, or one of `left` is set; returns its seconds. The caller's leg stays as it is."""
        self.began = time.monotonic()
        self._before = self.caller.plays
        self.caller.overhear = self._overheard
        self.guest.leg.untimed()
        if self.noticed:  # passed on: no menu ends the music
            self.caller.stop()
        self.guest.leg.bridge(self.caller)
        if self.noticed:
            self._begin()
        ends = [asyncio.ensure_future(event.wait()) for event in (self.guest.gone, *left)]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED, timeout=LONGEST)
        finally:
            for end in ends:
                end.cancel()
            self.caller.overhear = lambda event: None
            self.guest.leg.part()
        return time.monotonic() - self.began

    async def keep(self, seconds: float) -> None:
        """Make it a ticket of the caller's, with its recording. Call it once the guest's leg is over."""
        if self._path is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.guest.recorded.wait(), CLOSING)
        facts = {**(self.note.talk or {}), "talked": round(seconds), "refused": self.refused}
        if self.listeners:
            facts["listened"] = list(dict.fromkeys(self.listeners))
        note = replace(self.note, talk=facts)
        for wait in (*TRIES, None):
            try:
                await self._hand_over(note)
                return
            except (PasokhError, OSError):
                log.exception("talk not kept yet", extra={"call": note.call})
                if wait is not None:
                    await asyncio.sleep(wait)

    async def _hand_over(self, note: Note) -> None:
        spool, door = self.house.spool, self.house.door
        if self._path is not None and not self.refused:
            spool.begin(note)  # with all that is known now: whoever finds it after a crash says the same
            if await hand_over(door, spool, note, self.house.say) is not None:
                return
        spool.forget(note.ref)
        await door.take(message(note, self.house.say, None))

    def _overheard(self, event: LegEvent) -> None:
        """The end of the notice begins the recording; 9 ends it for good."""
        if isinstance(event, legs.Pressed) and event.key == REFUSE and self.record:
            self.refused = True
            if self._path is not None:
                self.guest.leg.stop_record()
        elif isinstance(event, legs.PlayedOut) and event.play > self._before:
            self._begin()

    def _begin(self) -> None:
        if not self.record or self.refused or self._path is not None:
            return
        try:
            if self.house.room():
                self._path = self.house.spool.begin(self.note)
                self.guest.leg.record_with(self.caller, self._path, LONGEST)
        except OSError:
            log.error("no recording: the disk is full", extra={"call": self.note.call})
