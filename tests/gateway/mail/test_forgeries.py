"""Twelve ways to pass for somebody else, where a server in front judges: nothing joins a ticket, nothing is sent."""

# ruff: noqa: E501  letters made to deceive
from __future__ import annotations

import re

import pytest

from core.schema import automatic, message, outbox, ticket
from gateway.mail import address
from tests.gateway.mail.letters import plain
from tests.gateway.mail.system import DOMAIN, INFO, running
from tests.gateway.mail.test_channel import deliver
from tests.gateway.mail.test_defects import new_ticket

pytestmark = pytest.mark.slow
SARA, HOST = "sara@mailbox.example", "mx.example.ir"


def judged(result: str, host: str = HOST) -> str:
    return f"Authentication-Results: {host}; dmarc={result} header.from=mailbox.example\r\n"


def letter(more: str, sender: str = SARA, subject: str = "سلام", text: str = "سخن دروغ") -> bytes:
    raw = plain(text, subject=subject.encode(), more=more)
    raw = re.sub(rb"From: [^\r]*", b"From: " + sender.encode(), raw, count=1)
    top, _, rest = raw.partition(b"MIME-Version")
    first = "".join(line + "\r\n" for line in more.split("\r\n") if line.startswith("Authentication-Results"))
    return first.encode() + top.replace(first.encode(), b"") + b"MIME-Version" + rest


@pytest.fixture
async def mine(reactor, tmp_path, box):
    """(program, ticket, code, receipt) of a sender whom the server in front knows."""
    async with running(tmp_path / "first", box) as open_house:
        number, code, receipt = await new_ticket(open_house, SARA, "سخن من")
    async with running(tmp_path / "first", box, authserv_id=HOST) as system:
        yield system, number, code, receipt


def forgeries(code: str, receipt) -> dict[str, bytes]:
    shown = f"{code[:3]}-{code[3:7]}-{code[7:]}"
    thread = f"In-Reply-To: {receipt.id}\r\nReferences: {receipt.id}\r\n"
    return {
        "nobody judged it": letter(thread),
        "judged as failed": letter(judged("fail") + thread),
        "judged by a server of its own": letter(judged("pass", "mx.bad.example") + thread),
        "its own judgement below ours": letter(judged("fail") + judged("pass") + thread),
        "judged for another domain": letter(
            f"Authentication-Results: {HOST}; dkim=pass header.d=bad.example; spf=pass smtp.mailfrom=a@bad.example\r\n{thread}"
        ),
        "signed by a domain that everybody shares": letter(
            f"Authentication-Results: {HOST}; dkim=pass header.d=example\r\n{thread}"
        ),
        "two writers": letter(judged("pass") + thread, f"{SARA}, thief@bad.example"),
        "the address as a name": letter(judged("fail") + thread, f'"{SARA}" <thief@bad.example>'),
        "only the code in the subject": letter(judged("none"), SARA, f"Re: [#{shown}]"),
        "the code, and another sender": letter(judged("pass"), "thief@bad.example", f"Re: [#{shown}]"),
        "a letter that looks alike": letter(judged("none") + thread, "sаra@mailbox.example"),
        "a judgement that is broken": letter(f"Authentication-Results: {HOST}; dmarc==pass;;\r\n{thread}"),
    }  # fmt: skip


async def test_twelve_forgeries_join_nothing_and_are_sent_nothing(mine):
    system, number, code, receipt = mine
    sent = len(await system.rows(outbox.c.id))
    told = len(await system.rows(automatic.c.id))
    every = forgeries(code, receipt)
    assert len(every) == 12
    for name, raw in every.items():
        assert (await deliver(system.mail, raw, (INFO,), "thief@bad.example"))[0] == 250, name
        rows = await system.rows(message.c.id, message.c.marks, where=message.c.ticket == number)
        assert [row.id for row in rows if "beside" not in row.marks] == [rows[0].id], name
        state = (await system.rows(ticket.c.state, where=ticket.c.id == number))[0]
        assert state.state == "new", name
    assert len(await system.rows(outbox.c.id)) == sent
    assert len(await system.rows(automatic.c.id)) == told


async def test_tokens_that_are_not_ours_are_refused_at_once(mine):
    system, number, _, receipt = mine
    found = re.search(r"<(.+)@", receipt.headers["Reply-To"])
    assert found is not None
    good = found[1]
    other = address.mint(address.new_keys(), address.Purpose.FEEDBACK, number, 1)
    swapped = good.replace("feedback+", "b+")
    longer = good[:-1] + ("a" if good[-1] != "a" else "b")
    for local in (other, swapped, longer, good.replace(".1.", ".2."), "feedback+", "feedback+x"):
        assert (await deliver(system.mail, letter(judged("pass")), (f"{local}@{DOMAIN}",), SARA))[0] == 550, local
    assert (await deliver(system.mail, letter(judged("pass")), (f"{good}@{DOMAIN}",), SARA))[0] == 250
    assert len(await system.rows(message.c.id, where=message.c.ticket == number)) == 2


async def test_fifty_forged_senders_are_fifty_tickets_and_no_letter(mine):
    system, *_ = mine
    before, sent = len(await system.rows(ticket.c.id)), len(await system.rows(outbox.c.id))
    for n in range(50):
        raw = letter(judged("fail") if n % 2 else "", f"victim{n}@mailbox{n}.example", text=f"سخن {n}")
        assert (await deliver(system.mail, raw, (INFO,), "thief@bad.example"))[0] == 250
    assert len(await system.rows(ticket.c.id)) - before == 50
    assert len(await system.rows(outbox.c.id)) == sent
