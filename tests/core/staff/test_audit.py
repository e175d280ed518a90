"""The chains of tickets: what staff do rightly is no fault, what is changed is found."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from core import audit, doubtful, schema
from core.channels import Inbound
from core.files import Files
from core.intake import Desk
from tests.core.staff.conftest import World, mail


async def test_a_letter_that_is_read_later_keeps_its_chain(world: World, tmp_path: Path):
    files = Files(tmp_path / "files", world.ring, world.store)
    door = Desk(world.store, world.office.config, world.ring, files, world.clock, world.office.throttle)
    letter = Inbound("mail", "l-1", raw=b"From: x\r\n\r\ny", unreadable=True, contact=mail(), unit="subscribers")
    receipt = await door.take(letter)

    async def reread(line: str | None, data: bytes) -> Inbound:
        return Inbound("mail", "l-1", "آب قطع است", contact=mail())

    await doubtful.retry(world.store, files, await world.who("services"), receipt.message, reread)
    assert (await world.row(schema.message, receipt.message))["text"] == "آب قطع است"
    assert await world.store.read(audit.verify, receipt.ticket) == []
    changed = sa.update(schema.message).where(schema.message.c.id == receipt.message).values(text="آب وصل است")
    await world.store.write(lambda s: s.execute(changed) and None)
    assert [one.what for one in await world.store.read(audit.verify, receipt.ticket)] == ["seal"]
    files.close()


async def test_all_chains_are_looked_through_page_by_page(world: World, monkeypatch):
    monkeypatch.setattr(audit, "PAGE", 2)
    tickets = [await world.plant() for _ in range(5)]
    assert await audit.verify_all(world.store) == audit.Checked(5, [])
    cut = sa.update(schema.ticket).where(schema.ticket.c.id.in_((tickets[0], tickets[4]))).values(events=7)
    await world.store.write(lambda s: s.execute(cut) and None)
    found = await audit.verify_all(world.store)
    assert [(one.ticket, one.what) for one in found.broken] == [(tickets[0], "tail"), (tickets[4], "tail")]
