"""Doubtful letters in the console: shown to who may read, decided with one press, never shown to the citizen before."""

from __future__ import annotations

import pytest

from core.channels import Asker, Contact, ContactKind
from core.schema import event, message, raw, ticket
from tests.gateway.mail.letters import NEW, plain
from tests.gateway.mail.system import INFO, running
from tests.gateway.mail.test_bounce import dsn
from tests.gateway.mail.test_channel import deliver
from tests.gateway.mail.test_defects import new_ticket

pytestmark = pytest.mark.slow
SARA, FRIEND = "sara@mailbox.example", "friend@elsewhere.example"


@pytest.fixture
async def system(reactor, tmp_path, box):
    async with running(tmp_path / "data", box) as found:
        yield found


@pytest.fixture
async def beside(system):
    """(program, ticket, code, message beside it): a stranger wrote with the ticket's token."""
    number, code, receipt = await new_ticket(system, SARA, "سخن من")
    letter = plain("من هم شاهد بودم", more=f"In-Reply-To: {receipt.id}\r\n")
    assert (await deliver(system.mail, letter, (receipt.headers["Reply-To"].split("<")[1][:-1],), FRIEND))[0] == 250
    rows = await system.rows(message.c.id, message.c.marks, where=message.c.ticket == number)
    assert rows[-1].marks == ["beside"]
    return system, number, code, rows[-1].id


async def shown(system, code):
    asker = Asker("mail", SARA, Contact(ContactKind.MAIL, SARA, True))
    answer = await system.parts.door.answer_for(code, asker)
    return [one.text for one in answer.words]


async def test_one_press_lets_a_letter_into_its_ticket(beside):
    system, number, code, letter = beside
    async with system.browser("director") as browser:
        page = await browser.get("/console/letters")
        assert "من هم شاهد بودم" in page.text and "maryam@mailbox.example" in page.text
        assert await shown(system, code) == ["سخن من"]
        path = f"/console/letters/{letter}/accept"
        whole = await browser.get(f"/console/t/{number}")
        assert path in whole.html and "maryam@mailbox.example" in whole.text, "it says who wrote what stands beside"
        refused = await browser.post(path, {"csrf": "wrong"}, **{"Sec-Fetch-Site": "cross-site"})
        assert refused.status == 403
        after = await browser.submit(page, path)
        assert after.status == 200 and "من هم شاهد بودم" in after.text
        assert await shown(system, code) == ["سخن من", "من هم شاهد بودم"]
        again = await browser.post(path, page.fields(path))
        assert again.status == 409 and "پیش از شما تصمیم گرفته شده" in again.text
    kinds = [one.kind for one in await system.rows(event.c.seq, event.c.kind, where=event.c.ticket == number)]
    assert kinds[-1] == "join"


async def test_one_press_makes_it_a_ticket_of_its_own(beside):
    system, number, code, letter = beside
    async with system.browser("director") as browser:
        path = f"/console/letters/{letter}/split"
        page = await browser.get("/console/letters")
        after = await browser.submit(page, path)
        assert "من هم شاهد بودم" in after.text
        assert "من هم شاهد بودم" not in (await browser.get("/console/letters")).text
    found = await system.rows(ticket.c.id, ticket.c.related, ticket.c.unit)
    assert len(found) == 2
    other = next(row for row in found if row.id != number)
    assert other.related == number and other.unit == next(row.unit for row in found if row.id == number)
    assert await shown(system, code) == ["سخن من"]
    marks = await system.rows(message.c.id, message.c.marks, where=message.c.id == letter)
    assert marks[0].marks == ["split"]


async def test_who_may_not_read_the_ticket_sees_and_decides_nothing(beside):
    system, _, _, letter = beside
    async with system.browser("roads") as browser:
        assert "من هم شاهد بودم" not in (await browser.get("/console/letters")).text
        csrf = (await browser.get("/console/new")).fields("/console/new")["csrf"]
        for deed in ("accept", "split", "retry"):
            assert (await browser.post(f"/console/letters/{letter}/{deed}", {"csrf": csrf})).status in (403, 404)
        assert (await browser.get(f"/console/letters/{letter}/raw")).status == 404
    assert (await system.rows(message.c.marks, where=message.c.id == letter))[0].marks == ["beside"]


async def test_an_unreadable_letter_is_there_raw_and_can_be_read_again(system, monkeypatch):
    read = system.mail._pool._once

    async def killed(job):
        from gateway.mail.pool import _Gone

        raise _Gone(True, None)

    with monkeypatch.context() as broken:
        broken.setattr(system.mail._pool, "_once", killed)
        assert (await deliver(system.mail, plain(NEW), (INFO,)))[0] == 250
    assert system.mail._pool._once == read
    letter = (await system.rows(message.c.id, message.c.marks, message.c.text))[-1]
    assert (letter.marks, letter.text) == (["unreadable"], "")
    async with system.browser("director") as browser:
        page = await browser.get("/console/unreadable")
        original = await browser.get(f"/console/letters/{letter.id}/raw")
        assert original.status == 200 and "attachment" in original.headers["Content-Disposition"]
        assert original.headers["Content-Type"] == "application/octet-stream"
        after = await browser.submit(page, f"/console/letters/{letter.id}/retry")
        assert "پل ارتباطی روستای گلستان" in after.text
        assert "پل ارتباطی" not in (await browser.get("/console/unreadable")).text
    row = (await system.rows(message.c.id, message.c.text, message.c.marks))[-1]
    assert (row.text, row.marks) == (NEW, [])


async def test_machines_letters_and_orphans_are_listed_and_one_press_makes_a_ticket(system):
    robot = plain(NEW, more="Auto-Submitted: auto-replied\r\n")
    assert (await deliver(system.mail, robot, (INFO,)))[0] == 250
    assert (await deliver(system.mail, dsn(), (INFO,), ""))[0] == 250
    async with system.browser("roads") as browser:
        assert "خرابی پل" not in (await browser.get("/console/letters?view=automatic")).text
    async with system.browser("director") as browser:
        page = await browser.get("/console/letters?view=automatic")
        assert "خرابی پل روستای گلستان" in page.text
        assert "Undelivered Mail" in (await browser.get("/console/letters?view=orphan")).text
        number = (await system.rows(raw.c.id, where=raw.c.why == "automatic"))[0].id
        assert (await browser.get(f"/console/letters/listed/{number}/raw")).status == 200
        after = await browser.submit(page, f"/console/letters/listed/{number}/take")
        assert "پل ارتباطی روستای گلستان" in after.text
        assert "خرابی پل" not in (await browser.get("/console/letters?view=automatic")).text
    assert len(await system.rows(ticket.c.id)) == 1


async def test_a_receipt_that_was_held_back_is_sent_with_one_press(system, box):
    for n in range(2):  # the second comes within a minute: no person is so fast
        assert (await deliver(system.mail, plain(f"{NEW} {n}"), (INFO,)))[0] == 250
        await system.arrived("maryam@mailbox.example", 1)
    async with system.browser("director") as browser:
        page = await browser.get("/console/letters?view=no_receipt")
        held = (await system.rows(message.c.id, message.c.marks))[-1]
        path = f"/console/letters/{held.id}/receipt"
        assert held.marks == ["no_receipt"] and path in page.html
        assert (await browser.submit(page, path)).status == 200
        receipt = (await system.arrived("maryam@mailbox.example", 2))[1]
        assert "کد پیگیری" in receipt.text
        assert (await browser.post(path, page.fields(path))).status == 409
