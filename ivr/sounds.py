"""Items of the walk as sound: prompts, speech and recordings as runs of frames, in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from core.errors import PasokhError
from ivr.leg import Run
from ivr.media import g711
from ivr.prompts import Piece, Prompts, Recorded, Spoken, Tone, Voice
from ivr.speech import NoVoice
from ivr.steps import Item

log = logging.getLogger(__name__)


class Speaking(Protocol):
    """The speech voice (`ivr.speech.Speech`)."""

    async def say(self, text: str, lang: str, keep: bool = True) -> Run: ...


class Sounds:
    """Turns items into runs. `read` gives the bytes of a kept file by its key."""

    def __init__(
        self,
        prompts: Prompts,
        speech: Speaking,
        read: Callable[[str], Awaitable[bytes]] | None,
        today: Callable[[], date],
    ) -> None:
        self._prompts, self._speech, self._read, self._today = prompts, speech, read, today

    async def runs(self, item: Item, lang: str) -> AsyncIterator[Run]:
        """The runs of one item, each as soon as it is there."""
        for piece in self._prompts.pieces(item, lang, self._today()):
            try:
                yield await self._run(piece)
            except (OSError, g711.NotSound, NoVoice, LookupError, PasokhError):
                log.warning("sound cannot be played", extra={"piece": type(piece).__name__})
                if isinstance(piece, Voice):
                    async for run in self.runs(Item("ivr.reply_file"), lang):
                        yield run

    async def warm(self, items: list[Item], lang: str) -> None:
        """Have these in the cache of the speech voice before somebody waits for them."""
        for item in items:
            async for _ in self.runs(item, lang):
                pass

    async def _run(self, piece: Piece) -> Run:
        match piece:
            case Spoken(text, lang, private):
                return await self._speech.say(text, lang, keep=not private)
            case Recorded(path):
                return await asyncio.to_thread(_file, path)
            case Tone():
                return beep()
            case Voice(key) if key.startswith("spool:"):
                return _frames(await asyncio.to_thread(Path(key.removeprefix("spool:")).read_bytes))
            case Voice(key):
                if self._read is None:
                    raise LookupError(key)
                return await asyncio.to_thread(_frames, await self._read(key))


@lru_cache(maxsize=1)
def beep() -> Run:
    """The tone before a recording: 1 kHz, 0.3 s, faded in and out over 10 ms."""
    count, fade = int(0.3 * g711.RATE), int(0.01 * g711.RATE)
    wave = 9000 * np.sin(2 * np.pi * 1000 * np.arange(count) / g711.RATE)
    slope = np.minimum(1, np.minimum(np.arange(count), np.arange(count)[::-1]) / fade)
    return g711.frames((wave * slope).astype(np.int16))


@lru_cache(maxsize=256)
def _prompt(path: str, changed: int) -> Run:
    return _frames(Path(path).read_bytes())


def _file(path: str) -> Run:
    """A WAV file as a run; framed once for as long as it does not change."""
    return _prompt(path, Path(path).stat().st_mtime_ns)


def _frames(data: bytes) -> Run:
    return g711.frames(g711.read_wav(data))
