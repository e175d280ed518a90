"""A known incident ("water is off in district 3"): told to every caller, followed by SMS until it is mended.

It lies in the channel's drawer, so that every process of the phone tells the same.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from core.channels import Clock, Door, Note
from core.errors import PasokhError

log = logging.getLogger(__name__)
BOX, SLOT = "phone.notice", "now"
FRESH = 15.0  # seconds between looks for a notice that another process has put there


@dataclass(frozen=True, slots=True)
class Notice:
    """What is told, and till when."""

    id: str
    texts: Mapping[str, str] = field(default_factory=dict)  #: by language
    until: int = 0  #: ms UTC


class Notices:
    """The incident of now. `current` is asked at every call and never waits."""

    def __init__(self, door: Door, clock: Clock) -> None:
        self._door, self._clock = door, clock
        self._held: Notice | None = None

    def current(self) -> Notice | None:
        """The notice that holds now."""
        held = self._held
        return held if held is not None and held.until > self._clock.now() else None

    def told(self) -> Mapping[str, str]:
        """Its sentences by language; none, when nothing is known."""
        current = self.current()
        return current.texts if current is not None else {}

    async def keep_fresh(self) -> None:
        """Look again and again; for as long as the channel runs."""
        while True:
            try:
                await self.look()
            except PasokhError:
                log.warning("the store was too busy to look for a notice")
            await asyncio.sleep(FRESH)

    async def look(self) -> None:
        """Take over what the drawer has."""
        found = (await self._door.drawer.get(BOX)).get(SLOT)
        self._held = Notice(**json.loads(found)) if found else None

    async def announce(self, texts: Mapping[str, str], until: int) -> Notice:
        """From now on callers hear this, until `until` (ms UTC) or `mended`. It takes the place of the one before."""
        made = Notice(secrets.token_hex(8), dict(texts), until)
        await self._door.drawer.put(BOX, SLOT, json.dumps(asdict(made)).encode())
        self._held = made
        log.info("incident announced", extra={"notice": made.id})
        return made

    async def follow(self, number: str, lang: str) -> bool:
        """This number wants to know when it is mended; False when there is nothing to follow."""
        current = self.current()
        if current is None:
            return False
        await self._door.drawer.put(f"{BOX}.{current.id}", number, lang.encode())
        return True

    async def mended(self, texts: Mapping[str, str]) -> int:
        """It is over: callers hear no more of it, and everybody who asked gets `texts` by SMS; how many."""
        current = self._held
        if current is None:
            return 0
        box = f"{BOX}.{current.id}"
        followers = await self._door.drawer.get(box)
        for number, lang in followers.items():
            told = texts.get(lang.decode()) or next(iter(texts.values()))
            ref = f"mended-{current.id}-{number}"
            await self._door.tell(Note("sms", ref, number, "incident_over", {"text": told}, lang=lang.decode()))
        await self._door.drawer.close(box)
        await self._door.drawer.close(BOX)
        self._held = None
        log.info("incident mended", extra={"notice": current.id})
        return len(followers)
