"""Recordings on their way to the door: the sound, and beside it a note that makes one ticket of it, also after a crash.

A spool file goes only after its receipt: whoever repeats (a retry, the next start) uses the same `ref` and the same
words, so that it stays one message.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from core.channels import Act, Contact, ContactKind, Door, Inbound, KeptFile, Kind, Receipt, Say, Trust
from core.errors import Guarded, Locked, NotFound, WrongInput, WrongState
from core.text import persian
from ivr.media import record

LEAST = 2.0  # seconds; less is a slip, not a message
HANDS = 8  # recordings in memory at once on their way to the store, however many callers hang up together
LONE = 600.0  # seconds a note without a sound is kept: the sound of a call that just began is still to come
log = logging.getLogger(__name__)


Taken = Callable[[Receipt, KeptFile, str], Awaitable[None]]  # receipt, recording, language


@dataclass(frozen=True, slots=True)
class Note:
    """What is known of a message apart from its sound. Holds a PIN until the receipt: file mode 0600."""

    call: str
    step: int
    line: str = ""
    called: str = ""
    number: str | None = None
    asserted: bool = False
    act: str = "new"
    kind: str | None = None
    unit: str | None = None
    code: str | None = None
    pin: str | None = None
    lang: str = "fa"
    at: int | None = None  #: ms UTC, when the recording began
    path: tuple[str, ...] = field(default=())  #: menu nodes visited
    talk: Mapping[str, Any] | None = None  #: it was a talk with somebody of the house: queue, operator, waited …

    @property
    def ref(self) -> str:
        return f"{self.call}-{self.step}"

    @property
    def contact(self) -> Contact | None:
        """The caller's number; proven only where the peer vouches for it."""
        return Contact(ContactKind.PHONE, self.number, self.asserted) if self.number else None


class Spool:
    """The folder of sounds and notes."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.hands = asyncio.Semaphore(HANDS)
        self.taken: Taken | None = None  #: told of each recording whose receipt is there, before its files go
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def sound(self, ref: str) -> str:
        """Where the sound of `ref` lies."""
        return str(self.folder / f"{ref}.wav")

    def begin(self, note: Note) -> str:
        """Write the note, on disk before a sound is, and return the path for the sound. Raises OSError."""
        draft = self.folder / f"{note.ref}.tmp"
        with open(draft, "w", encoding="utf-8", opener=_private) as file:
            json.dump(asdict(note), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, self.folder / f"{note.ref}.json")
        return self.sound(note.ref)

    def forget(self, ref: str) -> None:
        """Remove sound and note: it was received, or is none."""
        for end in ("wav", "json", "tmp"):
            (self.folder / f"{ref}.{end}").unlink(missing_ok=True)

    def park(self, ref: str) -> None:
        """Put aside what the door refuses for good; nothing that was said is deleted unheard."""
        aside = self.folder / "refused"
        aside.mkdir(mode=0o700, exist_ok=True)
        for end in ("wav", "json"):
            if (path := self.folder / f"{ref}.{end}").exists():
                os.replace(path, aside / path.name)

    def left(self, live: Collection[str] = ()) -> list[Note]:
        """Notes of all sounds that lie here and belong to no live call (`live`: call ids), oldest first."""
        for note in (*self.folder.glob("*.json"), *self.folder.glob("*.tmp")):
            if not note.with_suffix(".wav").exists() and _made_at(note) < time.time() - LONE:
                note.unlink(missing_ok=True)
        sounds = sorted((path for path in self.folder.glob("*.wav") if path.exists()), key=_made_at)
        notes = [_note(path) for path in sounds]
        return [note for note in notes if note.call not in live]


async def hand_over(door: Door, spool: Spool, note: Note, say: Say, recovered: bool = False) -> Receipt | None:
    """Give the recording of `note` to the door; its files go after the receipt. None: too short to be a message.

    Raises what `Door.keep` and `Door.take` raise; the files stay then.
    """
    path = spool.sound(note.ref)
    seconds = await asyncio.to_thread(record.recover, path)
    if seconds is None or seconds < LEAST:
        spool.forget(note.ref)
        return None
    async with spool.hands:
        data = await asyncio.to_thread(Path(path).read_bytes)
        kept = await door.keep(data, "voice.wav")
        del data
    sound = replace(kept, name=f"voice-{note.step}.wav", type="audio/x-wav", seconds=seconds)
    receipt = await door.take(message(note, say, sound, recovered))
    if spool.taken is not None:
        await spool.taken(receipt, sound, note.lang)
    spool.forget(note.ref)
    return receipt


async def recover(door: Door, spool: Spool, note: Note, say: Say) -> Receipt | None:
    """Hand over what a crash, a full store or a refused act left, so that nothing that was said is lost.

    An objection or addition that cannot be taken any more becomes a new message. Raises Busy.
    """
    try:
        return await hand_over(door, spool, note, say, recovered=True)
    except (NotFound, Guarded, WrongState, Locked, WrongInput) as error:
        if note.act == Act.NEW and not note.unit and not note.kind:
            log.error("recording refused and put aside", extra={"call": note.call, "word": error.word})
            spool.park(note.ref)
            return None
    plain = replace(note, act=Act.NEW.value, code=None, pin=None, unit=None, kind=None)
    spool.begin(plain)
    return await recover(door, spool, plain, say)


def message(note: Note, say: Say, sound: KeptFile | None, recovered: bool = False) -> Inbound:
    """The message core is given. The words are the same whenever it is made: a repeat is found by them."""
    seconds = round(sound.seconds or 0) if sound else 0
    shown = persian(seconds) if note.lang == "fa" else str(seconds)
    key = "ivr.talk" if note.talk is not None else "ivr.message"
    facts: dict[str, Any] = {"path": list(note.path), "seconds": seconds, **(note.talk or {})}
    return Inbound(
        channel="phone",
        ref=note.ref,
        text=say(key, note.lang, seconds=shown) if sound or note.talk is not None else "",
        kind=Kind(note.kind) if note.kind else None,
        act=Act(note.act),
        code=note.code,
        proof=note.pin,
        contact=note.contact,
        line=note.line,
        to=(note.called,),
        lang=note.lang,
        unit=note.unit,
        files=(sound,) if sound else (),
        trust=Trust.PASS if note.asserted and note.number else Trust.NONE,
        arrived_at=note.at,
        facts={**facts, **({"recovered": True} if recovered else {})},
    )


def _note(sound: Path) -> Note:
    """The note beside a sound; what can be told from its name where the note is lost."""
    call, _, step = sound.stem.rpartition("-")
    bare = Note(call or sound.stem, int(step) if step.isdecimal() else 0)
    read: Callable[[str], dict[str, object]] = json.loads
    try:
        data = read(sound.with_suffix(".json").read_text(encoding="utf-8"))
        note = Note(**{**data, "path": tuple(data.get("path") or ())})  # type: ignore[arg-type]
    except (OSError, ValueError, TypeError, AttributeError):
        log.warning("recording without a readable note", extra={"call": bare.call})
        return bare
    if note.act in set(Act) and (note.kind is None or note.kind in set(Kind)):
        return note
    return replace(note, act=Act.NEW.value, kind=None, code=None, pin=None)  # words of another version of this program


def _made_at(path: Path) -> float:
    """When it was written last; taken meanwhile: long ago."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
