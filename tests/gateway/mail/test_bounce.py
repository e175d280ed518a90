"""Letters of ours that come back: read, noted on their ticket, opened again, tried another way; never a new ticket."""

from __future__ import annotations

import email
import re

import pytest

from core import lapses
from core.schema import event, outbox, raw, ticket
from gateway.mail import bounce
from gateway.mail.bounce import Said
from tests.gateway.mail.system import INFO, running
from tests.gateway.mail.test_channel import deliver

SARA = "sara@mailbox.example"


def dsn(action: str = "failed", status: str = "5.1.1", more: str = "", ids: str = "<x@y>") -> bytes:
    """A report as Postfix writes it."""
    return (
        "From: MAILER-DAEMON@relay.example (Mail Delivery System)\r\nTo: b@example.ir\r\n"
        "Subject: Undelivered Mail Returned to Sender\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="r"\r\n\r\n'
        "--r\r\nContent-Type: text/plain\r\n\r\nI'm sorry to have to inform you\r\n"
        "--r\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; relay.example\r\n\r\n"
        f"Final-Recipient: rfc822; {SARA}\r\nAction: {action}\r\nStatus: {status}\r\n{more}\r\n"
        f"--r\r\nContent-Type: text/rfc822-headers\r\n\r\nFrom: x\r\nMessage-ID: {ids}\r\n\r\n--r--\r\n"
    ).encode()


def mdn(disposition: str) -> bytes:
    """A notification as Dovecot writes it of what a rule refuses, or a person's program of what was read."""
    return (
        "From: Mail Delivery Subsystem <admin@mailbox.example>\r\nTo: b@example.ir\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=disposition-notification; boundary="r"\r\n\r\n'
        "--r\r\nContent-Type: text/plain\r\n\r\nYour message was rejected\r\n"
        f"--r\r\nContent-Type: message/disposition-notification\r\n\r\nFinal-Recipient: rfc822; {SARA}\r\n"
        f"Original-Message-ID: <x@y>\r\nDisposition: {disposition}\r\n\r\n--r--\r\n"
    ).encode()


QMAIL = (
    "From: MAILER-DAEMON@mx.example.ir\r\nTo: b@example.ir\r\nSubject: failure notice\r\n\r\n"
    "Hi. This is the qmail-send program at mx.example.ir.\r\n"
    "I'm afraid I wasn't able to deliver your message to the\r\n"
    f"following addresses. This is a permanent error; I've given up.\r\n\r\n<{SARA}>:\r\n"
    "Sorry, no mailbox here by that name. (#5.1.1)\r\n\r\n--- Below this line is a copy of the message.\r\n"
).encode()


@pytest.mark.parametrize(
    "raw_,said,status",
    [
        (dsn(), Said.HARD, "5.1.1"),
        (dsn(status="5.2.2"), Said.SOFT, "5.2.2"),
        (dsn(status="4.4.1"), Said.SOFT, "4.4.1"),
        (dsn("delayed", "4.4.1"), Said.DELAYED, "4.4.1"),
        (dsn("delivered", "2.0.0"), Said.DELIVERED, "2.0.0"),
        (dsn("relayed", "2.0.0"), Said.DELIVERED, "2.0.0"),
        (dsn(status="5.0.0", more="Diagnostic-Code: smtp; 550 5.7.1 blocked\r\n"), Said.HARD, "5.7.1"),
        (QMAIL, Said.HARD, "5.1.1"),
        (dsn("failure", "553 too big"), Said.HARD, ""),
        (dsn("error", "5.0.0"), Said.HARD, "5.0.0"),
        (
            dsn().replace(SARA.encode(), b"box7@inside.example\r\nOriginal-Recipient: rfc822;" + SARA.encode()),
            Said.HARD,
            "5.1.1",
        ),
        (mdn("automatic-action/MDN-sent-automatically; deleted"), Said.SOFT, ""),
        (mdn("manual-action/MDN-sent-manually; displayed"), Said.DELIVERED, ""),
    ],
)
def test_what_a_report_says(raw_, said, status):
    found = bounce.report(email.message_from_bytes(raw_), True)
    assert found is not None
    assert (found.said, found.status, found.recipient) == (said, status, SARA)


def test_a_server_whose_name_is_beyond_ascii_is_understood_too():
    named = QMAIL.replace(b"To: b@", "X-Mailer: نامه‌رسان\r\nTo: b@".encode(), 1)
    found = bounce.report(email.message_from_bytes(named), True)
    assert found is not None and (found.said, found.recipient) == (Said.HARD, SARA)


def test_a_letter_of_a_person_is_no_report():
    letter = email.message_from_bytes(QMAIL)
    assert bounce.report(letter, False) is None


def test_the_worst_of_many_recipients_counts():
    twice = dsn("delivered", "2.0.0").replace(
        b"Action: delivered", b"Action: delivered\r\n\r\nFinal-Recipient: rfc822; b@c.ir\r\nAction: failed"
    )
    found = bounce.report(email.message_from_bytes(twice), True)
    assert found is not None and (found.said, found.recipient) == (Said.HARD, "b@c.ir")


@pytest.fixture
async def answered(reactor, tmp_path, box):
    """A ticket by mail whose answer has left: (program, ticket, the answer as it arrived)."""
    async with running(tmp_path / "data", box) as system:
        await box.send(SARA, INFO, "قطعی آب", "آب قطع است")
        await system.arrived(SARA, 1)
        number = (await system.rows(ticket.c.id))[0].id
        await system.answer(number, "لوله عوض شد.")
        answer = (await system.arrived(SARA, 2))[1]
        await system.until(lambda: accepted(system, number))
        yield system, number, answer


async def accepted(system, number):
    found = await system.rows(outbox.c.id, outbox.c.state, where=outbox.c.ticket == number)
    return all(row.state == "accepted" for row in found)


async def state(system, number):
    return (await system.rows(ticket.c.state, ticket.c.tags, where=ticket.c.id == number))[0]


@pytest.mark.slow
async def test_a_hard_bounce_is_on_the_ticket_flagged_and_opens_it_again(answered):
    system, number, answer = answered
    assert (await state(system, number)).state == "answered"
    assert answer.envelope_from.startswith("b+")
    for _ in range(2):  # servers repeat themselves
        assert (await deliver(system.mail, dsn(), (answer.envelope_from,), ""))[0] == 250
    rows = await system.rows(outbox.c.id, outbox.c.state, outbox.c.why, where=outbox.c.purpose == "answer")
    assert [(row.state, row.why) for row in rows] == [("undelivered", "5.1.1")]
    bounces = await system.rows(event.c.data, where=event.c.kind == "bounce")
    assert [one.data["said"] for one in bounces] == ["hard"]
    assert [one.why for one in await system.rows(raw.c.why, where=raw.c.why == "report")] == ["report"]
    assert await lapses.fire(system.store) == 1
    assert tuple(await state(system, number)) == ("open", ["undelivered"])
    assert len(await system.rows(ticket.c.id)) == 1
    assert len(await system.rows(outbox.c.id)) == 2, "a bounce is told nobody by mail"


@pytest.mark.slow
async def test_the_returned_message_id_names_the_letter_too(answered):
    system, number, answer = answered
    assert (await deliver(system.mail, dsn(ids=answer.id), (INFO,), ""))[0] == 250
    assert "undelivered" in (await state(system, number)).tags
    forged = re.sub(r"\.[a-z2-7]{17}@", ".aaaaaaaaaaaaaaaaa@", answer.id)
    assert (await deliver(system.mail, dsn(ids=forged), (INFO,), ""))[0] == 250
    assert [one.why for one in await system.rows(raw.c.id, raw.c.why, where=raw.c.message.is_(None))] == ["orphan"]


@pytest.mark.slow
async def test_delays_soft_bounces_and_holidays_are_noted_and_change_nothing(answered):
    system, number, answer = answered
    holiday = f"From: {SARA}\r\nSubject: away\r\nAuto-Submitted: auto-replied\r\n\r\naway".encode()
    for letter in (dsn("delayed", "4.4.1"), dsn(status="5.2.2"), holiday):
        assert (await deliver(system.mail, letter, (answer.envelope_from,), ""))[0] == 250
    said = [one.data["said"] for one in await system.rows(event.c.id, event.c.data, where=event.c.kind == "bounce")]
    assert sorted(said) == ["delayed", "noted", "soft"]
    assert tuple(await state(system, number)) == ("answered", [])
    assert await accepted(system, number)
    assert await lapses.fire(system.store) == 0
