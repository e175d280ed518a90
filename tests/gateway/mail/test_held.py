"""Receipts past a sender's share: taken, marked, and told in the next letter that goes to them anyway."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa

from core.channels import Refused
from core.schema import automatic, code, event, message, outbox, ticket
from tests.gateway.mail.letters import NEW, plain
from tests.gateway.mail.system import INFO, Running, running
from tests.gateway.mail.test_channel import deliver

pytestmark = pytest.mark.slow
MARYAM = "maryam@mailbox.example"
PAIR = re.compile(r"(\d{3}-\d{4}-\d{4})\W+رمز: (\d{4})")


@pytest.fixture
async def system(reactor, tmp_path, box):
    async with running(tmp_path / "data", box) as found:
        yield found


async def write(system: Running, text: str) -> int:
    assert (await deliver(system.mail, plain(text), (INFO,), MARYAM))[0] == 250
    return int((await system.rows(ticket.c.id))[-1].id)


async def one_held(system: Running) -> int:
    """The second ticket of two within a minute, whose receipt is held back."""
    await write(system, f"{NEW} یک")
    await system.arrived(MARYAM, 1)
    return await write(system, f"{NEW} دو")


async def marks(system: Running) -> list[list[str]]:
    return [row.marks for row in await system.rows(message.c.id, message.c.marks, where=message.c.way == "in")]


async def a_day_later(system: Running) -> None:
    await system.store.write(lambda s: s.execute(sa.delete(automatic)).rowcount)


async def codes_of(system: Running, *tickets: int) -> set[str]:
    rows = await system.rows(code.c.ticket, code.c.value, where=code.c.ticket.in_(tickets))
    return {f"{row.value[:3]}-{row.value[3:7]}-{row.value[7:]}" for row in rows}


async def log(system: Running, number: int) -> list[str]:
    return [row.kind for row in await system.rows(event.c.seq, event.c.kind, where=event.c.ticket == number)]


async def test_the_next_receipt_takes_the_held_ones_along_with_their_pins(system: Any):
    first = await write(system, f"{NEW} یک")
    await system.arrived(MARYAM, 1)
    held = [await write(system, f"{NEW} {n}") for n in range(2)]  # within a minute: no person is so fast
    assert await marks(system) == [[], ["no_receipt"], ["no_receipt"]]
    await a_day_later(system)
    last = await write(system, f"{NEW} فردا")
    letter = (await system.arrived(MARYAM, 2))[1]
    own, along = letter.text.split(system.parts.config.texts("mail.along", "fa"))
    assert await codes_of(system, last) <= set(re.findall(r"\d{3}-\d{4}-\d{4}", own))
    told = dict(PAIR.findall(along))
    assert set(told) == await codes_of(system, *held)
    assert not await codes_of(system, first) & set(told)
    assert await marks(system) == [[]] * 4
    assert [await log(system, number) for number in held] == [["taken", "receipt_along"]] * 2
    for shown, pin in told.items():
        answer = await system.parts.door.answer_for(shown.replace("-", ""), asker(pin))
        assert answer is not None
        assert answer.proven


def asker(pin: str) -> Any:
    from core.channels import Asker

    return Asker("web", "192.0.2.7", proof=pin)


async def test_an_answer_takes_the_receipt_of_its_own_ticket_along(system: Any):
    held = await one_held(system)
    await system.answer(held, "رسیدگی شد")
    letter = (await system.arrived(MARYAM, 2))[1]
    assert {shown for shown, _ in PAIR.findall(letter.text)} == await codes_of(system, held)
    assert await marks(system) == [[], []]


async def test_what_went_along_with_a_lost_letter_is_held_back_again(system: Any, monkeypatch):
    held = await one_held(system)

    async def refuse(row):
        return Refused("no such person")

    with monkeypatch.context() as broken:
        broken.setattr(system.mail, "send", refuse)
        await system.answer(held, "رسیدگی شد")
        await system.until(lambda: failed(system))
    assert await marks(system) == [[], ["no_receipt"]]
    (row,) = await system.rows(outbox.c.id, outbox.c.facts, where=outbox.c.state == "failed")
    assert "along" not in row.facts


async def failed(system: Running) -> bool:
    return bool(await system.rows(outbox.c.id, where=outbox.c.state == "failed"))


async def test_a_second_try_says_the_same(system: Any):
    held = await one_held(system)
    system.box.behave[MARYAM] = "later"
    await system.answer(held, "رسیدگی شد")
    await system.until(lambda: tried(system))
    assert await marks(system) == [[], []]
    del system.box.behave[MARYAM]
    await system.store.write(lambda s: s.execute(sa.update(outbox).values(due_at=0)).rowcount)
    letter = (await system.arrived(MARYAM, 2))[1]
    assert {shown for shown, _ in PAIR.findall(letter.text)} == await codes_of(system, held)
    assert (await log(system, held)).count("receipt_along") == 1


async def tried(system: Running) -> bool:
    mine = sa.and_(outbox.c.state == "waiting", outbox.c.attempt == 1)
    return bool(await system.rows(outbox.c.id, where=mine))
