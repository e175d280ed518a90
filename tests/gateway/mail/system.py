"""The whole program with a mail line on a free port, its store at hand, and the made-up mailbox as the world."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from aiohttp import ClientSession, CookieJar

from core import people, replies
from core.schema import outbox
from tests.web.conftest import PASSWORD, Browser
from tests.worlds.mail import Letter, Mailbox

DOMAIN = "example.ir"
INFO = f"info@{DOMAIN}"


@dataclass
class Running:
    """What runs: `parts` of wiring, and questions to its store."""

    parts: Any
    box: Mailbox

    @property
    def store(self) -> Any:
        return self.parts.store

    @property
    def mail(self) -> Any:
        return self.parts.channels["mail"]

    async def rows(self, *columns: Any, where: Any = None) -> list[Any]:
        """Columns of one table, ordered by the first."""

        def get(s: sa.Connection) -> list[Any]:
            ask = sa.select(*columns).order_by(columns[0])
            return list(s.execute(ask if where is None else ask.where(where)))

        return await self.store.read(get)

    async def who(self, login: str) -> Any:
        return await people.actor(self.store, login)

    @asynccontextmanager
    async def browser(self, login: str) -> AsyncIterator[Browser]:
        """A browser that `login` has signed in with."""
        await people.set_password(self.store, login, PASSWORD)
        base = f"http://127.0.0.1:{self.parts.web_port}"
        async with ClientSession(base, cookie_jar=CookieJar(unsafe=True)) as session:
            found = Browser(session)  # type: ignore[arg-type]  it asks for no more than get and post
            assert (await found.sign_in(login)).status == 200
            yield found

    async def answer(self, number: int, text: str) -> int:
        """An operator's answer, sent without the ten seconds in which it could be taken back."""
        sent = await replies.reply(self.store, await self.who("director"), number, None, text)
        await self.store.write(
            lambda s: s.execute(sa.update(outbox).where(outbox.c.state == "waiting").values(due_at=0)).rowcount
        )
        return sent

    async def arrived(self, address: str, count: int) -> list[Letter]:
        """The first `count` letters that came to an address; waits for them."""
        async with asyncio.timeout(20):
            while len(found := [each for each in self.box.of(address) if each.way == "in"]) < count:
                self.box.changed.clear()
                await self.box.changed.wait()
        return found

    async def until(self, done: Any, seconds: float = 20) -> Any:
        """The first true value of `await done()`."""
        async with asyncio.timeout(seconds):
            while not (found := await done()):  # noqa: ASYNC110  it may change in another process
                await asyncio.sleep(0.02)
        return found


@asynccontextmanager
async def running(
    folder: Path, box: Mailbox, exempt: bool = False, tables: dict[str, Any] | None = None, **line: Any
) -> AsyncIterator[Running]:
    """`exempt`: loopback has no budgets, as in the demo. `line`: settings of the mail line; `tables`: beside it."""
    from gateway import supervise, wiring

    site = wiring.site(None)
    web = replace(site.settings.web, bind="127.0.0.1", port=0)
    settings = replace(site.settings, loopback_exempt=exempt, second_factor="optional", web=web)
    given = {"domain": DOMAIN, "port": 0, "relay_port": box.port, "workers": 1, "disk_free": 0.0}
    site = replace(site, settings=settings, lines={"mail": {"line": {"main": given | line}} | (tables or {})})
    parts = supervise.Parts()
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    system = await wiring.start(site, folder, None, parts)
    box.target = ("127.0.0.1", system.channels["mail"].port())
    try:
        yield Running(system, box)
    finally:
        await parts.stop(2)
