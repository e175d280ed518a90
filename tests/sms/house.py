"""The SMS channel over a real store with a clock set by hand: texts go in by its own doors, rows are looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from core import office, store
from core.channels import Gear, Outbound, RawReply, RawRequest
from core.cipher import Keyring, unseal
from core.clock import HandClock
from core.files import Files
from core.intake import Desk
from core.model import Purpose
from core.schema import message, outbox, raw, ticket
from core.store import Store
from core.throttle import Throttle
from sms import channel as sms
from tests.blank import blank_file, sample
from tests.leaks import hide
from tests.sms.paper import PAPERS, Paper

SECRET = "secret-of-the-hook-" + "s" * 45
hide(SECRET)
NOON = 1_723_620_600_000  # 14 August 2024, 11:00 in Tehran
LINE: Mapping[str, Any] = {"number": "30001234", "providers": ["paper"], "hook_secret": SECRET, "poll_s": 0}
PAPER: Mapping[str, Any] = {"kind": "tests.sms.paper:make"}


class House:
    """What a story needs."""

    def __init__(self, opened: Store, desk: Desk, channel: sms.Sms, clock: HandClock, ring: Keyring) -> None:
        self.store, self.desk, self.channel, self.clock, self.ring = opened, desk, channel, clock, ring
        self._n = 0

    def paper(self, name: str = "paper") -> Paper:
        return PAPERS[name]

    async def text(self, sender: str, words: str, number: str | None = None, line: str = "main") -> RawReply:
        """A citizen's text by call-back."""
        self._n += 1
        query = {"from": sender, "text": words, "id": number or f"n{self._n}", "to": "30001234"}
        return await self.channel.hook(line, SECRET, RawRequest("GET", query, {}, b"", "127.0.0.1"))

    async def told(self) -> list[tuple[str | None, dict[str, Any]]]:
        """Sentences in the outbox: key and facts, in order."""
        rows = await self.store.read(lambda s: s.execute(sa.select(outbox).order_by(outbox.c.id)).mappings().all())
        return [(row["key"], row["facts"]) for row in rows]

    async def keys(self) -> list[str | None]:
        return [key for key, _ in await self.told()]

    async def to(self, row: int) -> str:
        """Who a row without contact goes to."""
        found = await self.store.read(
            lambda s: s.execute(sa.select(outbox.c.to).where(outbox.c.id == row)).scalar_one()
        )
        return unseal(self.ring, "outbox", "to", row, found).decode()

    async def texts(self) -> list[str]:
        """What lies on tickets."""
        ask = sa.select(message.c.text).where(message.c.way == "in").order_by(message.c.id)
        return list(await self.store.read(lambda s: s.execute(ask).scalars().all()))

    async def tickets(self) -> list[Mapping[str, Any]]:
        rows = await self.store.read(lambda s: s.execute(sa.select(ticket).order_by(ticket.c.id)).mappings().all())
        return list(rows)

    async def kept(self) -> list[tuple[str, bytes]]:
        """Raw bytes without a ticket."""
        ask = sa.select(raw.c.why, raw.c.bytes).where(raw.c.message.is_(None)).order_by(raw.c.id)
        return [(row.why, row.bytes) for row in await self.store.read(lambda s: s.execute(ask).all())]

    async def code(self, number: int = -1) -> str:
        """The tracking code of the last ticket."""
        row = (await self.tickets())[number]
        ask = sa.text("SELECT value FROM code WHERE ticket = :t")
        return str(await self.store.read(lambda s: s.execute(ask, {"t": row["id"]}).scalar_one()))

    async def answered(self, number: int = -1) -> int:
        """The last ticket, answered; no question is opened by this."""
        about = int((await self.tickets())[number]["id"])
        now = self.clock.now()
        change = sa.update(ticket).where(ticket.c.id == about).values(state="answered", answered_at=now, unit="water")
        await self.store.write(lambda s: s.execute(change) and None)
        return about


@asynccontextmanager
async def house(
    folder: Path, lines: Mapping[str, Any] | None = None, reactor: Any = None, **more: Any
) -> AsyncIterator[House]:
    """`lines`: the sms table of lines.toml; else one line by one paper provider, changed by `more`."""
    clock, ring = HandClock(NOON), Keyring({1: b"k" * 32})
    opened = await store.open(blank_file(folder / "pasokh.db"), clock, folder, ring.key("chain"))
    site = sample()
    throttle = Throttle(site.settings.limits, clock)
    office.bind(opened, office.Office(site, ring, clock, throttle))
    files = Files(folder / "files", ring, opened)
    desk = Desk(opened, site, ring, files, clock, throttle)
    tables = lines or {"line": {"main": {**LINE, **more}}, "provider": {"paper": PAPER}}
    channel = sms.make(Gear("sms", tables, site.texts, str(folder), reactor, clock))
    assert isinstance(channel, sms.Sms)
    await channel.start(desk)
    yield House(opened, desk, channel, clock, ring)
    await channel.stop(0)
    files.close()
    await opened.close()


def outbound(**more: Any) -> Outbound:
    """An answer on its way out."""
    row = {"id": 5, "channel": "sms", "to": "+989120000001", "purpose": Purpose.ANSWER, "ticket": 1, "message": 1}
    return Outbound(**{**row, "text": "پاسخ", "facts": {"code": "72940518364", "unit": "دبیرخانه"}, **more})
