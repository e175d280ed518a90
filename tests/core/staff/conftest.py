"""An office with the sample agency's units and staff over each store, and tickets planted in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa

import config
from core import calendar, cipher, codes, events, ids, office, people, schema, seed, store
from core.cipher import Keyring
from core.clock import HandClock
from core.model import Contact, ContactKind, Kind, Purpose, State
from core.office import Office
from core.outbox import put
from core.states import CLOCK
from core.throttle import Throttle
from core.views import Actor
from tests.blank import blank_file
from tests.postgres import blank_database, drop_database

SATURDAY = 1_764_388_800_000  # 2025-11-29 07:30 in Tehran, a working day
CONFIG = None


@dataclass
class World:
    """The store with what tests ask of it."""

    store: store.Store
    office: Office
    clock: HandClock
    again: Callable[[], Any]  #: opens the store once more, as another process would (PostgreSQL)
    planted: int = 0

    @property
    def ring(self) -> Keyring:
        return self.office.keyring

    async def who(self, login: str) -> Actor:
        return await people.actor(self.store, login)

    async def plant(self, **more: Any) -> int:
        """A ticket as intake leaves it; `contacts` are its points, the first its own."""
        self.planted += 1
        return await self.store.write(_plant, self, more)

    async def put(self, ticket: int, **more: Any) -> int:
        """An outbox row to the ticket's contact."""
        return await self.store.write(_put, self, ticket, more)

    async def row(self, table: sa.Table, number: int) -> Any:
        def get(s: sa.Connection) -> Any:
            return s.execute(sa.select(table).where(table.c.id == number)).mappings().one()

        return await self.store.read(get)

    async def rows(self, table: sa.Table, *where: Any) -> list[Any]:
        def get(s: sa.Connection) -> Any:
            return list(s.execute(sa.select(table).where(*where).order_by(table.c.id)).mappings())

        return await self.store.read(get)

    async def count(self, table: sa.Table, *where: Any) -> int:
        return len(await self.rows(table, *where))

    async def until(self, met: Callable[[], Any], seconds: float = 10) -> None:
        """Wait for a condition (may be a coroutine function), bounded."""
        ends = asyncio.get_running_loop().time() + seconds
        while True:
            got = met()
            if asyncio.iscoroutine(got):
                got = await got
            if got:
                return
            assert asyncio.get_running_loop().time() < ends, "did not come true in time"
            await asyncio.sleep(0.01)


def contact(world: World, s: sa.Connection, who: Contact, now: int) -> int:
    blind = cipher.blind(world.ring, who.kind, who.value)
    known = s.execute(sa.select(schema.contact.c.id).where(schema.contact.c.blind == blind)).scalar()
    if known is not None:
        return int(known)
    number = ids.new(s)
    s.execute(
        sa.insert(schema.contact).values(
            id=number, at=now, kind=who.kind, blind=blind, proven_at=now if who.proven else None,
            value=cipher.seal(world.ring, "contact", "value", number, who.value),
        )
    )  # fmt: skip
    return number


def _plant(s: sa.Connection, world: World, more: dict[str, Any]) -> int:
    now, number = world.clock.now(), ids.new(s)
    people_of = [contact(world, s, who, now) for who in more.pop("contacts", [mobile()])]
    state = State(more.get("state", "new"))
    channel = more.get("channel", "sms")
    due = calendar.due(now, "10wd", world.office.config.calendar)
    event = events.chained(s.info["chain_key"], events.START, ids.new(s), number, 1, "taken", "citizen", now, {}, "متن")
    values = {
        "id": number, "at": now, "state": state, "kind": Kind.COMPLAINT, "unit": "subscribers", "channel": channel,
        "answer_by": channel, "contact": people_of[0] if people_of else None, "subject": "قطع آب", "budget": "10wd",
        "due_from": now, "due_at": due.at, "due_steps": due.json(), "clock": CLOCK[state], "last_at": now,
        "chain": event["hash"], "pin_key": world.ring.newest,
        "paused_at": now if CLOCK[state] == "paused" else None,
        "answered_at": now if state in (State.ANSWERED, State.DISPUTED, State.CLOSED) else None,
        "closed_at": now if state is State.CLOSED else None,
        "name": cipher.seal(world.ring, "ticket", "name", number, "زهرا محمدی"),
    }  # fmt: skip
    code = more.pop("code", None) or codes.new()
    s.execute(sa.insert(schema.ticket).values(values | more))
    s.execute(sa.insert(schema.code).values(id=ids.new(s), at=now, value=code, ticket=number))
    s.execute(sa.insert(schema.event).values(event | {"pos": events.pos(s)}))
    s.execute(
        sa.insert(schema.message).values(
            id=number, at=now, ticket=number, seq=1, way="in", channel=channel, text="آب محله ما قطع است",
            contact=people_of[0] if people_of else None,
        )
    )  # fmt: skip
    for n, one in enumerate(people_of, 1):
        s.execute(sa.insert(schema.participant).values(id=ids.new(s), at=now, ticket=number, n=n, contact=one))
    return number


def _put(s: sa.Connection, world: World, ticket: int, more: dict[str, Any]) -> int:
    about = s.execute(sa.select(schema.ticket).where(schema.ticket.c.id == ticket)).mappings().one()
    given = {
        "ticket": ticket, "seq": 2, "channel": "sms", "purpose": Purpose.ANSWER, "now": world.clock.now(),
        "message": ticket, "contact": about["contact"], "text": "کارشناس فردا می‌آید",
    }  # fmt: skip
    return put(s, **(given | more))


def mobile(number: str = "+989120000000", proven: bool = True) -> Contact:
    return Contact(ContactKind.PHONE, number, proven)


def mail(address: str = "zahra@example.ir", proven: bool = True) -> Contact:
    return Contact(ContactKind.MAIL, address, proven)


@pytest_asyncio.fixture(params=["sqlite", "postgresql"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A fresh store with the sample agency in it, seen by a clock set by hand."""
    kind, clock = request.param, HandClock(SATURDAY)
    server = request.getfixturevalue("postgres") if kind == "postgresql" else None
    url = await blank_database(server, tmp_path) if server else blank_file(tmp_path / "pasokh.db")
    opened: list[store.Store] = []

    async def again() -> store.Store:
        opened.append(await store.open(url, clock, tmp_path, b"chain"))
        office.bind(opened[-1], here)
        return opened[-1]

    ring = Keyring({1: b"k" * 32})
    read = _config()
    here = Office(read, ring, clock, Throttle(read.settings.limits, clock))
    first = await again()
    await seed.seed(first, read)
    yield World(first, here, clock, again)
    for one in opened:
        await one.close()
    if server and url:
        await drop_database(server, url)


def _config() -> Any:
    global CONFIG
    CONFIG = CONFIG or config.read()
    return CONFIG
