"""Voice messages written down by a model, offline and one after the other. What is waiting lies in the drawer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from config.shape import Range
from core.channels import Door, KeptFile, Receipt
from core.errors import Busy, NotFound, PasokhError
from ivr.child import Child, Model, NoAnswer
from ivr.media import g711

log = logging.getLogger(__name__)
BOX = "phone.transcribe:"  # before the message's number
FOREVER = 2**53  # ms UTC
TRIES = 3  # of one message; then it stays without
PAUSE = 20.0  # seconds between looks for what is waiting


PROGRAMS = {"vosk": "ivr.models.vosk", "whisper": "ivr.models.whisper"}


@dataclass(frozen=True, slots=True)
class Scribe(Model):
    """`[phone.transcription]`: who writes down voice messages."""

    engine: Literal["vosk", "whisper"] = "vosk"
    timeout: Annotated[int, Range(1, 3600)] = 600  #: seconds a message may take


class Transcripts:
    """Hands recordings to the model and its words to the door. `name` tells which model wrote them."""

    def __init__(self, child: Child, name: str, door: Door, read: Callable[[str], Awaitable[bytes]]) -> None:
        self._child, self._name, self._door, self._read = child, name, door, read
        self._news = asyncio.Event()

    async def wanted(self, receipt: Receipt, sound: KeptFile, lang: str) -> None:
        """Remember, on disk, that this message is to be written down."""
        await self._put({"message": receipt.message, "key": sound.key, "lang": lang, "tries": 0})
        self._news.set()

    async def run(self) -> None:
        """Work through what is waiting; for as long as the channel runs."""
        while True:
            self._news.clear()
            try:
                await self._all()
            except (PasokhError, OSError):
                log.exception("transcripts wait")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PAUSE):
                    await self._news.wait()

    async def close(self) -> None:
        """End the model."""
        await self._child.close()

    async def _all(self) -> None:
        for box in await self._door.drawer.boxes(FOREVER):
            if box.startswith(BOX):
                for data in (await self._door.drawer.get(box)).values():
                    await self._one(box, json.loads(data))

    async def _one(self, box: str, job: dict[str, Any]) -> None:
        try:
            sound = await asyncio.to_thread(_plain, await self._read(job["key"]))
            words = (await self._child.ask("hear", job["lang"], sound)).decode(errors="replace").strip()
            await self._door.transcribed(job["message"], job["key"], words, self._name)
        except Busy:
            return
        except (NoAnswer, g711.NotSound, NotFound, OSError):
            log.warning("message not written down", extra={"written": job["message"], "tries": job["tries"] + 1})
            if job["tries"] + 1 < TRIES:
                await self._put({**job, "tries": job["tries"] + 1})
                return
        await self._door.drawer.close(box)

    async def _put(self, job: dict[str, Any]) -> None:
        await self._door.drawer.put(f"{BOX}{job['message']}", "job", json.dumps(job).encode())


def _plain(data: bytes) -> bytes:
    """A recording as WAV of 16 bits, which every model reads."""
    return g711.write_wav(g711.read_wav(data))
