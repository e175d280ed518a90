"""A caller for tests: a made-up Leg that hears words instead of sound, and a door that keeps everything in memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.channels import Act, Answer, Asker, Facts, Inbound, KeptFile, Receipt, State
from core.clock import HandClock
from ivr.call import Call
from ivr.counter import House
from ivr.leg import FRAME, HungUp, LegEvent, PlayedOut, Pressed, RecordEnded, Run
from ivr.media import g711
from ivr.prompts import Prompts
from ivr.sounds import Sounds
from ivr.spool import Spool
from tests.ivr.site import CODE, TODAY, menus, texts

PIN = "0907"
NUMBER = "+989120000000"
KEY_BACK = "مطمئن شوید"


class Words:
    """A speech voice whose sound is the text itself, so that a test can hear it."""

    async def say(self, text: str, lang: str, keep: bool = True) -> Run:
        data = text.encode()
        framed = data + b" " * (-len(data) % FRAME)
        return Run(framed, framed)


class MadeUpLeg:
    """A call by plan. `plan`: (part of a sentence, what the caller does once it is heard), in order.

    What is done: keys; `hang up`; nothing (``). `speaks`: seconds said at each recording; negative: hangs up then.
    `cut`: the caller hangs up at the so-many-th thing the phone does.
    """

    def __init__(
        self,
        plan: Sequence[tuple[str, str]] = (),
        speaks: Sequence[float] = (5.0,),
        number: str | None = NUMBER,
        asserted: bool = True,
        cut: int | None = None,
        silent_end: bool = False,
    ) -> None:
        self.id = hashlib.md5(repr((plan, speaks, cut)).encode(), usedforsecurity=False).hexdigest()
        self.number, self.asserted, self.called, self.line = number, asserted, "1888", "main"
        self.heard: list[str] = []
        self.spoken: list[str] = []  #: paths of recordings
        self.done = 0  #: things the phone did
        self.up = True
        self._plan, self._speaks, self._cut, self._silent_end = list(plan), list(speaks), cut, silent_end
        self._plays = 0
        self._playing: list[int] = []
        self._events: asyncio.Queue[LegEvent] = asyncio.Queue()

    async def events(self) -> AsyncIterator[LegEvent]:
        while True:
            event = await self._events.get()
            yield event
            if isinstance(event, HungUp):
                return

    async def answer(self) -> bool:
        self._count()
        return True

    def play(self, runs: Sequence[Run]) -> int:
        self._plays += 1
        self._playing.append(self._plays)
        words = "".join(run.pcma.decode(errors="replace") for run in runs).strip()
        asyncio.get_running_loop().call_soon(self._played, self._plays, words)
        self._count()
        return self._plays

    def _played(self, play: int, words: str) -> None:
        if play not in self._playing or not self.up:
            return
        self._playing.remove(play)
        self.heard.append(words)
        self._events.put_nowait(PlayedOut(play))
        if self._plan and self._plan[0][0] in words:
            self._do(self._plan.pop(0)[1])
        elif KEY_BACK in words:  # nobody here wants to key a code back
            self._do("#")

    def _do(self, what: str) -> None:
        if what == "hang up":
            self.end("caller")
        else:
            for key in what.replace(" ", ""):
                self._events.put_nowait(Pressed(key))

    def stop(self) -> None:
        self._playing.clear()

    def record(self, path: str, most: float, silence: float, ends: str = "#") -> None:
        assert self.up, "recorded after the end"
        self.spoken.append(path)
        seconds = self._speaks.pop(0) if self._speaks else 0.0
        Path(path).write_bytes(g711.wav("pcma", b"\x55" * int(abs(seconds) * 8000)))
        if self._cut is not None and self.done + 1 >= self._cut:
            seconds = -abs(seconds)
        if not (self._silent_end and seconds < 0):
            why = "hung_up" if seconds < 0 else "key"
            self._events.put_nowait(RecordEnded(why, abs(seconds), path))
        self._count()
        if seconds < 0:
            self.end("caller")

    def stop_record(self) -> None:
        pass

    def hang_up(self) -> None:
        self.end("us")

    def end(self, why: str) -> None:
        if self.up:
            self.up = False
            self._events.put_nowait(HungUp(why))

    def _count(self) -> None:
        self.done += 1
        if self._cut is not None and self.done >= self._cut:
            self.end("caller")


class MemoryDoor:
    """The door with nothing behind it: (channel, ref, words) is taken once. `fails`: errors to raise first, by deed."""

    drawer: Any = None

    def __init__(self, **fails: list[Exception]) -> None:
        self.fails = fails
        self.kept: dict[str, bytes] = {}
        self.taken: list[Inbound] = []
        self.answer: Answer | None = None
        self.mine: Sequence[Mapping[str, Any]] = ()  #: the asker's own tickets
        self.asked: list[Asker] = []
        self.before_receipt: Callable[[], None] = lambda: None
        self._receipts: dict[tuple[Any, ...], Receipt] = {}

    def _fail(self, deed: str) -> None:
        if self.fails.get(deed):
            raise self.fails[deed].pop(0)

    async def keep(self, data: bytes | AsyncIterator[bytes], kind: str) -> KeptFile:
        assert isinstance(data, bytes)
        self._fail("keep")
        key = f"{len(self.kept)}-{hashlib.sha256(data).hexdigest()[:8]}"
        self.kept[key] = data
        return KeptFile(key, kind, "audio/x-wav", len(data))

    async def take(self, message: Inbound) -> Receipt:
        self._fail("take")
        body = (message.act, message.code, message.text, message.kind, message.unit, message.contact)
        body += tuple((file.name, file.size) for file in message.files)
        first = self._receipts.get((message.ref, body))
        if first is not None:
            return replace(first, first=False)
        self.taken.append(message)
        receipt = Receipt(CODE, PIN, "water", None, len(self.taken), len(self.taken), State.NEW)
        self._receipts[message.ref, body] = receipt
        self.before_receipt()
        return receipt

    async def answer_for(self, code: str, asker: Asker) -> Answer | None:
        self._fail("answer_for")
        self.asked.append(asker)
        if self.answer is None or code != self.answer.code:
            return None
        proven = asker.proof == PIN or asker.contact is not None
        return self.answer if proven else replace(self.answer, proven=False, reply=None, words=())

    async def look_up(self, what: str, key: str, asker: Asker | None = None) -> Facts | None:
        if what == "unit" and key in ("water", "101"):
            return Facts("unit", [{"slug": "water", "name": "ادارهٔ آب"}])
        return Facts("mine", self.mine) if what == "mine" and self.mine else None

    async def read(self, key: str) -> bytes:
        return self.kept[key]

    async def spend(self, rule: str, key: str) -> bool:
        return True

    async def delivered(self, *args: Any) -> None: ...

    async def call_over(self, call: Any) -> None: ...

    async def tell(self, note: Any) -> bool:
        return True

    async def raw(self, *args: Any) -> int:
        return 0


def house(door: MemoryDoor, folder: Path, **more: Any) -> House:
    """A house with the shipped menus and texts, and words for sound."""
    sounds = Sounds(Prompts(texts()), Words(), door.read, lambda: TODAY)
    made = House(door, menus(), texts(), sounds, Spool(folder / "spool"), HandClock(), waits=(0, 0))  # type: ignore[arg-type]
    return replace(made, **more)


async def call(leg: MadeUpLeg, home: House) -> Call:
    """The whole call, within bounds."""
    made = Call(leg, home)
    await asyncio.wait_for(made.run(), 10)
    assert not leg.up
    return made


__all__ = ["CODE", "NUMBER", "PIN", "Act", "MadeUpLeg", "MemoryDoor", "Words", "call", "house"]
