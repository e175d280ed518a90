"""Fifteen defects that mail-to-ticket systems are known for, each against the running program and its store.

What concerns mailboxes that are polled (1, 12, 13) has its twin in test_mailbox.py, with Dovecot.
"""

from __future__ import annotations

import asyncio
import re
from urllib.parse import quote

import pytest
import pytest_asyncio

from core import automatic, lapses, out
from core.channels import Act, Asker, Contact, ContactKind
from core.errors import Busy
from core.schema import code, event, file, message, outbox, raw, ticket
from tests.gateway.mail.letters import NEW, SUBJECT, b64, head, parts, plain
from tests.gateway.mail.robots import ROBOTS
from tests.gateway.mail.system import INFO, running
from tests.gateway.mail.test_bounce import dsn
from tests.gateway.mail.test_channel import deliver
from tests.gateway.mail.test_pool import SLOW
from tests.gateway.mail.winmail import winmail
from tests.worlds.mail import Mailbox

pytestmark = pytest.mark.slow


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def system(reactor, tmp_path_factory):
    folder = tmp_path_factory.mktemp("defects")
    box = Mailbox(folder / "box")
    box.port = await box.start_smtp()
    async with running(folder / "data", box) as found:
        yield found
    await box.stop()


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def a_calm_minute(system):
    """Each test begins as if nothing automatic had gone out."""
    meta = automatic.meta
    tripped = meta.delete().where(meta.c.key == automatic.BREAKER)
    await system.store.write(lambda s: [s.execute(deed).rowcount for deed in (automatic.automatic.delete(), tripped)])


async def texts(system, since: int = 0) -> list[str]:
    return [row.text for row in await system.rows(message.c.id, message.c.text, where=message.c.id > since)]


async def last(system) -> int:
    rows = await system.rows(message.c.id)
    return max((row.id for row in rows), default=0)


async def tickets(system) -> int:
    return len(await system.rows(ticket.c.id))


async def new_ticket(system, sender: str, text: str = "متن"):
    """A ticket by mail and its receipt: (ticket, code, receipt)."""
    first = await system.box.send(sender, INFO, "درخواست", text)
    receipt = (await system.arrived(sender, 1))[0]
    assert receipt.in_reply_to == first
    shown = re.search(r"\d{3}-\d{4}-\d{4}", receipt.text)
    assert shown is not None
    tracking = shown[0].replace("-", "")
    number = (await system.rows(code.c.ticket, where=code.c.value == tracking))[0].ticket
    return number, tracking, receipt


async def send(system, data: bytes, to=(INFO,), sender="a@one.example") -> None:
    assert (await deliver(system.mail, data, to, sender))[0] == 250


async def test_01_one_letter_blocks_no_other(system):
    since = await last(system)
    hostile = b"From: a@one.example\r\nTo: " + b"(" * 50_000 + b"\r\n\r\nx"
    deep = b"".join(b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(1000))
    letters = [hostile, b"From: a@one.example\r\n" + deep, SLOW, *(plain(f"{NEW} {n}") for n in range(5))]
    await asyncio.gather(*(send(system, letter) for letter in letters))
    found = await texts(system, since)
    assert len(found) == len(letters)
    assert {f"{NEW} {n}" for n in range(5)} <= set(found)


async def test_02_a_right_charset_stands_against_any_guess(system):
    since = await last(system)
    said = {
        "iso-8859-1": "Der Bürgermeister möchte über die Straße und den Müll reden",
        "windows-1252": "L’élève a reçu une réponse à sa requête",
        "windows-1251": "Улица без воды уже три дня",
        "windows-1256": "لطفا رسيدگي کنيد، آب شهر قطع است",
    }
    for name, text in said.items():
        top = head(kind=f"text/plain; charset={name}")
        await send(system, top + b"\r\n" + text.encode(name))
    want = [text.replace("ي", "ی") for text in said.values()]
    assert await texts(system, since) == want


async def test_03_a_bad_content_type_or_address_is_no_reason_to_stop(system):
    since = await last(system)
    bad = [
        b"From: a@one.example\r\nContent-Type: ;;;=text/\x00 plain\r\n\r\n",
        b'From: a@one.example\r\nContent-Type: text/plain; charset="no such charset"\r\n\r\n',
        b"From: a@one.example\r\nContent-Type: multipart/mixed\r\n\r\n",
        b'From: "unclosed <a@one.example\r\nTo: <<>>,,;:\r\n\r\n',
        b"From: =?utf-8?b?!!!?= <a@@one..example>\r\nReply-To: @\r\n\r\n",
    ]
    for n, top in enumerate(bad):
        await send(system, top + f"سلام {n}".encode())
    assert await texts(system, since) == [f"سلام {n}" for n in range(len(bad))]


async def test_04_slow_html_costs_its_own_letter_only_its_form(system):
    since = await last(system)
    anchors = b"From: a@one.example\r\nContent-Type: text/html\r\n\r\n<p>salam</p>" + b"<a " * 50_000
    await send(system, anchors)
    await send(system, SLOW.replace(b"x@", b"y@"))
    found = await texts(system, since)
    assert len(found) == 2 and "salam" in found[0] and found[1].startswith("w w w")


async def test_05_an_automatic_answer_to_an_automatic_answer_ends(system):
    person = next(robot for robot in ROBOTS if robot.name == "person")
    _, _, receipt = await new_ticket(system, person.address)
    since = await tickets(system)
    for n in range(10):
        said = person.answer(receipt, n)
        await send(system, said.data, (said.to,), said.sender)
    assert await tickets(system) == since
    assert len(await system.rows(automatic.automatic.c.id)) == 1


async def test_06_a_bounce_makes_no_ticket_no_notice_and_so_no_bounce(system):
    before, sent = await tickets(system), len(await system.rows(outbox.c.id))
    for n in range(50):
        await send(system, dsn(ids=f"<{n}@one.example>"), (INFO,), "")
        await send(system, dsn().replace(b"boundary", b"x-boundary").replace(b"sorry", b"sorry %d" % n), (INFO,), "")
    assert await tickets(system) == before
    assert len(await system.rows(outbox.c.id)) == sent
    assert len(await system.rows(raw.c.id, where=raw.c.message.is_(None))) == 100


async def test_07_a_breaker_stops_what_nobody_foresaw(system, monkeypatch, caplog):
    monkeypatch.setattr(automatic, "ALL", 3)
    since, before = await tickets(system), len(await system.rows(outbox.c.id))
    for n in range(6):
        await send(system, plain(f"{NEW} {n}").replace(b"maryam@mailbox.example", b"m@%d.example" % n))
    assert await tickets(system) - since == 6
    assert len(await system.rows(outbox.c.id)) - before == 3
    assert any(record.levelname == "ERROR" and "held back" in record.getMessage() for record in caplog.records)
    held = await system.rows(message.c.id, message.c.marks)
    assert [one.marks for one in held[-6:]] == [[]] * 3 + [["no_receipt"]] * 3


async def test_08_a_ticket_number_does_not_let_a_stranger_in(system):
    number, tracking, _ = await new_ticket(system, "owner@eight.example", "سخن من")
    mine = [row.id for row in await system.rows(message.c.id, where=message.c.ticket == number)]
    shown = f"{tracking[:3]}-{tracking[3:7]}-{tracking[7:]}"
    for subject in (f"Re: [#{shown}]", f"[#{tracking}]", f"Re: درخواست [#{shown.translate(PERSIAN)}]"):
        await send(system, plain("پاسخ را برای من بفرستید", subject=subject.encode()), sender="thief@bad.example")
    assert [row.id for row in await system.rows(message.c.id, where=message.c.ticket == number)] == mine


PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")


async def test_09_a_forwarded_or_foreign_thread_joins_nothing_by_itself(system):
    number, tracking, receipt = await new_ticket(system, "owner@nine.example", "سخن من")
    other, _, _ = await new_ticket(system, "second@nine.example", "سخن دیگر")
    stranger = plain("این را ببینید", more=f"References: <x@y.example> {receipt.id}\r\n")
    await send(system, stranger, sender="friend@elsewhere.example")
    rows = await system.rows(message.c.id, message.c.text, message.c.marks, where=message.c.ticket == number)
    assert [(row.text, row.marks) for row in rows] == [("سخن من", []), ("این را ببینید", ["beside"])]
    assert len(await system.rows(message.c.id, where=message.c.ticket == other)) == 1
    asker = Asker("mail", "owner@nine.example", Contact(ContactKind.MAIL, "owner@nine.example", True))
    answer = await system.parts.door.answer_for(tracking, asker)
    assert answer is not None and answer.proven
    assert [one.text for one in answer.words] == ["سخن من"], "the citizen is not shown what stands beside"
    assert Act.OBJECT not in answer.can


async def test_10_references_alone_lead_back(system):
    number, _, receipt = await new_ticket(system, "owner@ten.example")
    top = f"References: <old@ten.example> {receipt.id} <newer@ten.example>\r\n"
    letter = plain("دنبالهٔ سخن", more=top).replace(b"maryam@mailbox.example", b"owner@ten.example")
    await send(system, letter, sender="owner@ten.example")
    found = await system.rows(message.c.id, message.c.text, where=message.c.ticket == number)
    assert [row.text for row in found] == ["متن", "دنبالهٔ سخن"]


async def test_11_several_of_our_addresses_are_one_ticket(system):
    since = await tickets(system)
    units = [str(one) for one in system.mail._units.values()][:3]
    assert len(units) == 3
    await send(system, plain(f"{NEW} یازده"), tuple(units))
    for each in units:  # servers in front deliver each by itself
        hop = b"Received: by mx.example\r\nDelivered-To: " + each.encode() + b"\r\n"
        await send(system, hop + plain(f"{NEW} یازده"), (each,))
    assert await tickets(system) - since == 1


async def test_12_what_comes_again_after_a_crash_is_not_twice(reactor, tmp_path, box):
    async with running(tmp_path / "data", box) as before:
        await send(before, plain(NEW))
    async with running(tmp_path / "data", box) as after:
        await send(after, b"Received: from queue by mx; again\r\n" + plain(NEW))
        assert await tickets(after) == 1
        assert len(await after.rows(message.c.id)) == 1


async def test_13_what_is_not_stored_is_not_acknowledged(system, monkeypatch):
    """A sender's server deletes its copy at our 250: so there is none before the commit."""
    since = await tickets(system)

    async def full(item):
        raise Busy(5)

    with monkeypatch.context() as broken:
        broken.setattr(system.parts.door, "take", full)
        assert (await deliver(system.mail, plain(f"{NEW} سیزده"), (INFO,)))[0] == 451
    assert await tickets(system) == since
    await send(system, plain(f"{NEW} سیزده"))
    assert await tickets(system) == since + 1


async def test_14_an_answer_that_failed_is_seen_and_its_ticket_open(system):
    sender = "gone@fourteen.example"
    number, _, _ = await new_ticket(system, sender)
    system.box.behave[sender] = "refuse"
    await system.answer(number, "پاسخ")

    async def lost():
        rows = await system.rows(outbox.c.id, outbox.c.state, where=outbox.c.ticket == number)
        return rows[-1].state == "failed"

    await system.until(lost)
    await lapses.fire(system.store)
    row = (await system.rows(ticket.c.state, ticket.c.tags, where=ticket.c.id == number))[0]
    assert tuple(row) == ("open", ["undelivered"])
    dead = await out.dead_with_tickets(system.store, await system.who("director"))
    assert [(about, one.why) for about, one in dead if about == number] == [(number, "RCPT 550")]
    kinds = [one.kind for one in await system.rows(event.c.id, event.c.kind, where=event.c.ticket == number)]
    assert kinds[-2:] == ["delivery", "reopen"]


async def test_15_no_file_loses_its_name_and_folding_hides_nothing_new(system):
    since = await last(system)
    packed = winmail([("نقشهٔ پل.pdf".encode(), b"%PDF-1.4 x"), ("قرارداد.txt".encode("cp1256"), b"x")], b"salam")
    star = "attachment; filename*=utf-8''" + quote("گزارش نهایی.docx")
    letter = parts(
        b"Content-Type: text/plain; charset=utf-8\r\n" + b64(f"> شما نوشتید\n{NEW}\n> ادامه\nپایان".encode()),
        f"Content-Type: application/octet-stream\r\nContent-Disposition: {star}\r\n".encode() + b64(b"PK"),
        b'Content-Type: application/ms-tnef; name="winmail.dat"\r\n' + b64(packed),
        b"Content-Type: text/calendar; charset=utf-8; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\nEND:VCALENDAR",
    )
    await send(system, letter)
    row = (await system.rows(message.c.id, message.c.text, message.c.quoted, where=message.c.id > since))[0]
    assert row.text == f"{NEW}\nپایان"
    assert row.quoted == "> شما نوشتید\n> ادامه"
    names = [one.label for one in await system.rows(file.c.id, file.c.label, where=file.c.message == row.id)]
    assert names == ["گزارش نهایی.docx", "نقشهٔ پل.pdf", "قرارداد.txt", "message.txt", "file-5.ics"]
    subject = (await system.rows(ticket.c.subject, where=ticket.c.id == row.id))[0].subject
    assert subject == SUBJECT
