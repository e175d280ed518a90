"""What a call asks of the door: take a message, find a unit, tell an answer. Errors come back as the walk's events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.channels import Answer, Asker, Clock, Contact, ContactKind, Door, Receipt, Say, State
from core.errors import Busy, Guarded, Locked, NotFound, PasokhError, WrongState
from ivr import steps
from ivr.leg import Leg
from ivr.menu import Menus
from ivr.sounds import Sounds
from ivr.spool import Note, Spool, hand_over, message
from ivr.steps import Item

log = logging.getLogger(__name__)
WAITS = (0.5, 1.0, 2.0, 4.0)  # seconds between tries while the store is busy
UNANSWERED = frozenset({State.HELD, State.NEW, State.OPEN, State.ASKED, State.OUTSIDE, State.APPROVAL, State.DISPUTED})


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


class Counter:
    """Speaks with the door for a call."""

    def __init__(self, house: House) -> None:
        self._house = house

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
        unit = receipt.unit if gone() else await self._unit_name(receipt.unit, note.lang)
        return steps.Taken(receipt.code, receipt.pin, receipt.unit, {"unit": unit})

    async def look(self, deed: steps.Look, leg: Leg, lang: str) -> steps.Found:
        """A unit by its extension, or a ticket by code with what proves it."""
        asker = _asker(leg, deed.pin)
        try:
            if deed.what == "unit":
                return await self._unit(deed.key, asker, lang)
            answer = await self._house.door.answer_for(deed.key, asker)
        except Locked:
            return steps.Found("locked")
        except Busy:
            return steps.Found("busy")
        except NotFound:
            return steps.Found("none")
        return _read_out(answer) if answer is not None else steps.Found("none")

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

    async def _unit(self, key: str, asker: Asker, lang: str) -> steps.Found:
        found = await self._house.door.look_up("unit", key, asker)
        if found is None or not found.rows:
            return steps.Found("none")
        row = found.rows[0]
        return steps.Found("found", {"unit": row["slug"]}, (Item("ivr.unit_is", {"unit": _named(row, lang)}),))

    async def _unit_name(self, slug: str, lang: str) -> str:
        try:
            found = await self._house.door.look_up("unit", slug)
        except Busy:
            return slug
        return _named(found.rows[0], lang) if found is not None and found.rows else slug


def _asker(leg: Leg, pin: str | None) -> Asker:
    contact = Contact(ContactKind.PHONE, leg.number, True) if leg.number and leg.asserted else None
    return Asker("phone", leg.number or leg.id, contact, pin or None)


def _named(row: Mapping[str, Any], lang: str) -> str:
    """A unit's name in the caller's language, else in the body's own."""
    return str((row.get("names") or {}).get(lang) or row["name"])


def _read_out(answer: Answer) -> steps.Found:
    """State, unit and dates; with proof the newest answer too, as words or as the voice it was given in."""
    facts = {"unit": answer.unit_name, "at": answer.at}
    items = [Item(f"ivr.state.{answer.state}", facts)]
    if answer.due_at is not None and answer.state in UNANSWERED:
        items.append(Item("ivr.due", {"due_at": answer.due_at}))
    known = {"can": sorted(answer.can), "state": answer.state.value}
    if not answer.proven:
        return steps.Found("unproven", known, (*items, Item("ivr.prove")))
    if answer.reply is None:
        return steps.Found("waiting", known, (*items, Item("ivr.no_reply_yet")))
    items.append(Item("ivr.answered_on", {"answered_at": answer.answered_at or answer.reply.at}))
    if answer.reply.text.strip():
        items += [Item("ivr.reply"), Item(words=answer.reply.text)]
    voices = [file.key for file in answer.reply.files if file.type.startswith("audio/")]
    for key in voices:
        items += [Item("ivr.reply_voice"), Item(voice=key)]
    return steps.Found("found", known, tuple(items))
