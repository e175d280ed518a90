"""Letters that wait for a person, on both stores: found by their marks, decided once, within one's units."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from core import doubtful, ids, schema
from core.errors import Guarded, NotAllowed, NotFound
from tests.core.staff.conftest import World, mail


async def beside(world: World, mark: str = "beside") -> tuple[int, int]:
    """(ticket, marked message) with its original."""
    ticket = await world.plant(contacts=[mail("sara@example.ir")], state="answered", channel="mail")

    def put(s: sa.Connection) -> int:
        number, now = ids.new(s), world.clock.now()
        row: dict[str, Any] = {"id": number, "at": now, "ticket": ticket, "seq": 2, "way": "in", "channel": "mail"}
        s.execute(sa.insert(schema.message).values(row | {"text": "من هم شاهد بودم", "marks": [mark]}))
        s.execute(sa.update(schema.ticket).where(schema.ticket.c.id == ticket).values(seq=2))
        kept = {"id": number, "at": now, "message": number, "channel": "mail", "bytes": b"From: x\r\n\r\ny"}
        s.execute(sa.insert(schema.raw).values(kept))
        return number

    return ticket, await world.store.write(put)


async def test_they_are_listed_for_who_may_read_the_ticket(world: World):
    ticket, number = await beside(world)
    mine = await doubtful.marked(world.store, await world.who("subscribers"), "beside")
    assert [(one.ticket, one.message, one.text) for one in mine] == [(ticket, number, "من هم شاهد بودم")]
    assert await doubtful.marked(world.store, await world.who("subscribers"), "unreadable") == []
    assert await doubtful.marked(world.store, await world.who("roads"), "beside") == []
    assert await doubtful.original(world.store, None, await world.who("subscribers"), number) == b"From: x\r\n\r\ny"
    with pytest.raises(NotFound):
        await doubtful.original(world.store, None, await world.who("roads"), number)


async def test_accepted_once_it_does_what_any_word_of_a_citizen_does(world: World):
    ticket, number = await beside(world)
    who = await world.who("subscribers")
    assert await doubtful.accept(world.store, who, number) == ticket
    assert (await world.row(schema.ticket, ticket))["state"] == "open"
    assert (await world.row(schema.message, number))["marks"] == []
    with pytest.raises(Guarded, match="decided"):
        await doubtful.accept(world.store, who, number)
    with pytest.raises(NotFound):
        await doubtful.accept(world.store, await world.who("roads"), number)


async def test_only_who_may_split_makes_a_ticket_of_it(world: World):
    _, number = await beside(world)

    async def reread(line: str | None, data: bytes) -> Any:
        raise AssertionError("not asked")

    with pytest.raises(NotAllowed):
        await doubtful.split(world.store, None, None, await world.who("subscribers"), number, reread)


async def test_loose_originals_are_the_secretariats(world: World):
    def put(s: sa.Connection) -> None:
        row = {"id": ids.new(s), "at": 1, "channel": "mail", "why": "orphan", "ref": "x"}
        head = b"From: Mailer <a@b.ir>\r\nSubject: =?utf-8?b?2KLYqA==?=\r\n\r\n"
        s.execute(sa.insert(schema.raw).values(row | {"bytes": head + b"z" * 50_000}))

    await world.store.write(put)
    (one,) = await doubtful.loose(world.store, await world.who("director"), "orphan")
    assert (one.sender, one.subject, one.size > 50_000) == ("Mailer <a@b.ir>", "آب", True)
    assert (await doubtful.loose_original(world.store, await world.who("director"), one.raw)).endswith(b"z")
    assert await doubtful.loose(world.store, await world.who("roads"), "orphan") == []
    with pytest.raises(NotFound):
        await doubtful.loose_original(world.store, await world.who("roads"), one.raw)
