"""The other end does not read: it bounces, is full, is on holiday. The ticket knows, another way is tried, no ticket
opens. The made-up mailbox answers by real SMTP, as its page or its JSON has told it to."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from core.channels import Contact, ContactKind, Inbound, Kind
from core.schema import event, message, outbox, raw, ticket
from tests.gateway.mail.system import INFO, Running, running

pytestmark = pytest.mark.slow
SARA = "sara@mailbox.example"
PHONE = Contact(ContactKind.PHONE, "+989120000000", True)


@pytest.fixture
async def system(reactor, tmp_path, box):
    async with running(tmp_path / "data", box) as found:
        yield found


async def answered(system: Running, mode: str) -> int:
    """A ticket of a texter who wants the answer by mail, answered, and what the mailbox makes of it."""
    system.box.set_mode(SARA, mode)
    heard = Inbound(
        "sms", "1", "آب قطع است", Kind.COMPLAINT, contact=PHONE, answer_by="mail",
        answer_to=Contact(ContactKind.MAIL, SARA, True),
    )  # fmt: skip
    receipt = await system.parts.door.take(heard)
    await system.answer(receipt.ticket, "فردا وصل می‌شود")
    return receipt.ticket


async def kinds(system: Running, number: int) -> list[str]:
    return [row.kind for row in await system.rows(event.c.seq, event.c.kind, where=event.c.ticket == number)]


async def reported(system: Running, number: int) -> Any:
    async def said() -> Any:
        found = sa.and_(event.c.ticket == number, event.c.kind == "bounce")
        return await system.rows(event.c.seq, event.c.data, where=found)

    return (await system.until(said))[0].data


async def ways(system: Running, number: int) -> list[tuple[str, str]]:
    mine = sa.and_(outbox.c.ticket == number, outbox.c.purpose == "answer")
    return [
        (row.channel, row.state) for row in await system.rows(outbox.c.id, outbox.c.channel, outbox.c.state, where=mine)
    ]


async def test_a_hard_bounce_is_an_event_and_the_next_proven_way_is_tried(system: Any):
    number = await answered(system, "hard")
    said = await reported(system, number)
    assert said["said"] == "hard"
    assert "5.1.1" in said["why"]
    assert await ways(system, number) == [("mail", "undelivered"), ("sms", "waiting")]
    (about,) = await system.rows(ticket.c.tags, where=ticket.c.id == number)
    assert about.tags == ["undelivered"]
    assert len(await system.rows(ticket.c.id)) == 1
    assert system.box.of(SARA) == []


@pytest.mark.parametrize(("mode", "status"), [("soft", "4.4.7"), ("full", "5.2.2")])
async def test_a_soft_bounce_and_a_full_mailbox_are_noted_and_no_more(system: Any, mode, status):
    number = await answered(system, mode)
    said = await reported(system, number)
    assert said["said"] == "soft"
    assert status in said["why"]
    assert await ways(system, number) == [("mail", "accepted")]
    (about,) = await system.rows(ticket.c.state, ticket.c.tags, where=ticket.c.id == number)
    assert (about.state, about.tags) == ("answered", [])


async def test_a_holiday_s_answer_opens_nothing_and_gets_no_answer(system: Any):
    number = await answered(system, "holiday")
    assert (await reported(system, number))["said"] == "noted"
    _, letter = await system.arrived(SARA, 2)  # the receipt, which no holiday answers, and the answer
    assert "فردا وصل می‌شود" in letter.text
    (about,) = await system.rows(ticket.c.state, where=ticket.c.id == number)
    assert about.state == "answered"
    assert len(await system.rows(ticket.c.id)) == 1
    assert len(await system.rows(message.c.id, where=message.c.way == "in")) == 1
    assert await ways(system, number) == [("mail", "accepted")]
    await system.answer(number, "وصل شد")
    await system.arrived(SARA, 3)
    assert len(await system.rows(raw.c.id, where=raw.c.why == "report")) == 1, "one to a sender, RFC 3834 s 2"


async def test_a_receipt_is_answered_by_no_machine(system: Any):
    system.box.set_mode(SARA, "holiday")
    await system.box.send(SARA, INFO, "آب", "قطع است")
    await system.arrived(SARA, 1)
    system.box.set_mode("gone@elsewhere.example", "hard")
    await system.box.send("gone@elsewhere.example", INFO, "آب", "باز هم قطع است")
    await system.until(lambda: sent(system, 2))
    assert len(await system.rows(ticket.c.id)) == 2
    assert await system.rows(raw.c.id, where=raw.c.message.is_(None)) == []


async def sent(system: Running, many: int) -> bool:
    return len(await system.rows(outbox.c.id, where=outbox.c.state == "accepted")) == many
