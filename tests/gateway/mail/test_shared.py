"""A letter to several of our units, over real SMTP: one ticket, which its own unit answers and the others read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import pytest_asyncio

from core import desk, replies
from core.errors import NotAllowed, NotFound
from core.schema import event, message, outbox, ticket
from tests.gateway.mail.letters import plain
from tests.gateway.mail.system import Running, running
from tests.gateway.mail.test_channel import deliver
from tests.worlds.mail import Mailbox

SUBSCRIBERS, PERMITS, ROADS = "subscribers@example.ir", "permits@example.ir", "roads@example.ir"

pytestmark = pytest.mark.slow


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def system(reactor, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    box = Mailbox(folder / "box")
    box.port = await box.start_smtp()
    async with running(folder / "data", box) as found:
        yield found
    await box.stop()


async def send(system: Running, text: str, to: tuple[str, ...], sender: str, fields: str = "", top: bytes = b"") -> Any:
    """Hand a letter over; the newest ticket."""
    letter = plain(text, more=fields).replace(b"maryam@mailbox.example", sender.encode())
    assert (await deliver(system.mail, top + letter, to, sender))[0] == 250
    return (await system.rows(ticket.c.id, ticket.c.unit, ticket.c.added))[-1]


async def sees(system: Running, login: str) -> list[int]:
    return [row.ticket for row in (await desk.queue(system.store, await system.who(login), "all")).rows]


async def log(system: Running, number: int) -> list[Any]:
    return await system.rows(event.c.seq, event.c.kind, event.c.data, where=event.c.ticket == number)


async def test_two_of_ours_and_one_in_copy_are_one_ticket_that_all_read(system):
    before = len(await system.rows(ticket.c.id))
    fields = f"Cc: {ROADS}\r\n"
    row = await send(system, "سه واحد باید بدانند", (SUBSCRIBERS, PERMITS, ROADS), "one@one.example", fields)
    assert len(await system.rows(ticket.c.id)) == before + 1
    assert (row.unit, row.added) == ("subscribers", ["permits", "roads"])
    for login in ("subscribers", "permits", "roads", "services", "technical", "director"):
        assert row.id in await sees(system, login), login
    for login in ("repairs", "north", "desk"):
        assert row.id not in await sees(system, login), login
    receipts = await system.rows(outbox.c.id, outbox.c.key, where=outbox.c.ticket == row.id)
    assert [one.key for one in receipts] == ["received"], "one receipt"
    (taken, *_) = await log(system, row.id)
    assert (taken.kind, taken.data["added"]) == ("taken", ["permits", "roads"])


async def test_an_added_unit_reads_and_notes_and_its_own_unit_answers(system):
    row = await send(system, "دو واحد", (SUBSCRIBERS, PERMITS), "two@two.example")
    permits, clerk = await system.who("permits"), await system.who("subscribers")
    view = await desk.ticket(system.store, permits, row.id)
    assert view.events_allowed == {"note"}
    assert len(view.added) == 1
    await desk.note(system.store, permits, row.id, view.version, "پروانه دارد")
    for deed in (
        replies.reply(system.store, permits, row.id, None, "پاسخ"),
        desk.take(system.store, permits, row.id, None),
        desk.route(system.store, permits, row.id, None, "roads", "به ما مربوط نیست"),
        desk.close(system.store, permits, row.id, None, "duplicate"),
    ):
        with pytest.raises(NotAllowed):
            await deed
    with pytest.raises(NotFound):
        await desk.ticket(system.store, await system.who("roads"), row.id)
    await replies.reply(system.store, clerk, row.id, None, "رسیدگی شد")


async def test_servers_that_deliver_to_each_of_ours_by_itself_add_each_unit_once(system):
    before = len(await system.rows(ticket.c.id))
    copies = [(SUBSCRIBERS, b""), (PERMITS, b"Delivered-To: permits\r\n"), (ROADS, b"Received: by mx; again\r\n")]
    rows = await asyncio.gather(
        *(send(system, "جدا جدا", (to,), "three@three.example", top=top) for to, top in copies * 2)
    )
    assert len(await system.rows(ticket.c.id)) == before + 1
    number = rows[0].id
    (row,) = await system.rows(ticket.c.unit, ticket.c.added, where=ticket.c.id == number)
    assert {row.unit, *row.added} == {"subscribers", "permits", "roads"}
    assert len(row.added) == 2
    shared = [one.data["unit"] for one in await log(system, number) if one.kind == "share"]
    assert sorted(shared) == sorted(row.added)
    assert len(await system.rows(message.c.id, where=message.c.ticket == number)) == 1
    for login in ("subscribers", "permits", "roads"):
        assert number in await sees(system, login)


async def test_a_reply_in_its_thread_that_another_unit_gets_as_well_adds_that_unit(system):
    sender = "four@four.example"
    row = await send(system, "نخست", (SUBSCRIBERS,), sender)
    assert row.added == []
    (receipt,) = await system.arrived(sender, 1)
    token = receipt.headers["Reply-To"].rpartition("<")[2].rstrip(">")
    await send(system, "دنباله", (token, PERMITS), sender, f"In-Reply-To: {receipt.id}\r\n")
    (row,) = await system.rows(ticket.c.id, ticket.c.added, where=ticket.c.id == row.id)
    assert row.added == ["permits"]
    kinds = [one.kind for one in await log(system, row.id)]
    assert kinds == ["taken", "hear", "share", "proof"]
    stranger = "friend@five.example"
    await send(system, "من هم", (token, ROADS), stranger, f"In-Reply-To: {receipt.id}\r\n")
    (after,) = await system.rows(ticket.c.added, where=ticket.c.id == row.id)
    assert after.added == ["permits"], "what stands beside a ticket moves nothing"


async def test_an_added_unit_s_pages_show_it_and_offer_a_note_only(system):
    row = await send(system, "صفحه", (SUBSCRIBERS, PERMITS), "six@six.example")
    async with system.browser("permits") as browser:
        queue = await browser.get("/console/queue?view=new")
        assert f"/console/t/{row.id}" in queue.html
        page = await browser.get(f"/console/t/{row.id}")
        assert 'name="way" value="note" checked' in page.html
        assert 'value="reply"' not in page.html
        assert "/route" not in page.html
