"""What a call asks of the door: take a message, find a unit, tell an answer. Errors come back as the walk's events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.channels import Asker, Clock, Contact, ContactKind, Door, Receipt, Say
from core.errors import Busy, Guarded, Locked, PasokhError, WrongState
from ivr import steps
from ivr.ledger import Ledger
from ivr.leg import Leg
from ivr.menu import Menus
from ivr.notice import Notices
from ivr.shelf import Shelf
from ivr.sounds import Sounds
from ivr.spool import Note, Spool, hand_over, message
from ivr.stand import Walk

log = logging.getLogger(__name__)
WAITS = (0.5, 1.0, 2.0, 4.0)  # seconds between tries while the store is busy


class Operators(Protocol):
    """Who answers for the house: operators in queues, units at their telephones."""

    def queue(self, leg: Leg, deed: steps.Queue, walk: Walk) -> AsyncIterator[steps.Event]:
        """Place on joining and change, Connected, Parted at the end. Closed by the call when the caller leaves."""
        ...

    def connect(self, leg: Leg, deed: steps.Connect, walk: Walk) -> AsyncIterator[steps.Event]:
        """Connected and Parted, or only Parted(busy, away)."""
        ...

    async def call_back(self, leg: Leg, deed: steps.CallBack, walk: Walk) -> bool:
        """Keep the place of a caller who left the queue for it; False when that cannot be promised."""
        ...


@dataclass(frozen=True, slots=True)
class Card:
    """What a unit's directory entry says beside its name."""

    phone: str = ""  #: E.164
    hours: Mapping[str, str] = field(default_factory=dict)  #: by language


@dataclass(frozen=True, slots=True)
class House:
    """What all calls share."""

    door: Door
    menus: Menus
    say: Say
    sounds: Sounds
    spool: Spool
    clock: Clock
    lang: str = "fa"
    hours: Callable[[int], tuple[bool, bool]] = lambda now: (True, False)  #: (open, holiday) at ms UTC
    room: Callable[[], bool] = lambda: True  #: is there disk for one more recording?
    waits: Sequence[float] = WAITS
    shelf: Shelf | None = None  #: recorded prompts, and who may speak one
    notices: Notices | None = None  #: the known incident
    operators: Operators | None = None  #: None: nobody answers, queues are closed
    calls_back: bool = False  #: who rings a number that is never answered by a landline is called
    ledger: Ledger | None = None  #: where calls of ours to citizens are written
    cards: Mapping[str, Card] = field(default_factory=dict)  #: by slug of the unit


class Counter:
    """Speaks with the door for a call."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.ticket: int | None = None  #: of the last receipt

    async def take(self, note: Note, sound: bool, gone: Callable[[], bool]) -> steps.Taken | steps.Failed:
        """Hand over the message of `note`, with its recording or without; Taken only after the receipt."""
        about = {"call": note.call, "step": note.step}
        try:
            if sound:
                self._house.spool.begin(note)  # kind and unit may have been chosen since: a recovery must say the same
            receipt = await self._patiently(note, sound)
        except Busy:
            log.warning("not taken yet: busy", extra=about)
            return steps.Failed("busy")
        except OSError:
            log.exception("not taken yet: the disk refuses", extra=about)
            return steps.Failed("busy")
        except PasokhError as error:
            log.info("not taken", extra={**about, "word": error.word})
            return self._refused(error, note, sound and not gone())
        if receipt is None:
            return steps.Failed("refused")
        log.info("message taken", extra={**about, "ticket": receipt.ticket})
        self.ticket = receipt.ticket
        unit = receipt.unit if gone() else await self._unit_name(receipt.unit, note.lang)
        return steps.Taken(receipt.code, receipt.pin, receipt.unit, {"unit": unit})

    async def _patiently(self, note: Note, sound: bool) -> Receipt | None:
        """Ask again while the store is busy; the last Busy is the answer."""
        house = self._house
        for wait in (*house.waits, None):
            try:
                if sound:
                    return await hand_over(house.door, house.spool, note, house.say)
                return await house.door.take(message(note, house.say, None))
            except Busy as busy:
                if wait is None:
                    raise
                await asyncio.sleep(min(wait, busy.after) if busy.after else wait)
        raise AssertionError("unreachable")

    def _refused(self, error: PasokhError, note: Note, told: bool) -> steps.Failed:
        """The door will never take it so. Who is there is told; words of one who is gone stay for the sweep."""
        if told:
            self._house.spool.park(note.ref)
        if isinstance(error, WrongState | Guarded):
            return steps.Failed("state")
        return steps.Failed("locked" if isinstance(error, Locked) else "refused")

    async def _unit_name(self, slug: str, lang: str) -> str:
        try:
            found = await self._house.door.look_up("unit", slug)
        except Busy:
            return slug
        return named(found.rows[0], lang) if found is not None and found.rows else slug


def asker(leg: Leg, pin: str | None = None) -> Asker:
    """Who asks: an asserted number is proof, a claimed one is what misses are counted by."""
    contact = Contact(ContactKind.PHONE, leg.number, True) if leg.number and leg.asserted else None
    return Asker("phone", leg.number or leg.id, contact, pin or None)


def named(row: Mapping[str, Any], lang: str) -> str:
    """A unit's name in the caller's language, else in the body's own."""
    return str((row.get("names") or {}).get(lang) or row["name"])
