"""The mail channel on the real door: what is acknowledged is a ticket in the store, whatever it looked like."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from core.schema import message, outbox, raw, ticket
from tests.gateway.mail.test_channel import LETTER, deliver

DOMAIN = "example.ir"


@pytest.fixture
async def system(reactor, tmp_path, box):
    from gateway import supervise, wiring

    site = wiring.site(None)
    settings = replace(
        site.settings,
        loopback_exempt=True,
        second_factor="optional",
        web=replace(site.settings.web, bind="127.0.0.1", port=0),
    )
    line = {"domain": DOMAIN, "port": 0, "relay_port": box.port, "workers": 1, "disk_free": 0.0}
    site = replace(site, settings=settings, lines={"mail": {"line": {"main": line}}})
    parts = supervise.Parts()
    (tmp_path / "data").mkdir()
    system = await wiring.start(site, tmp_path / "data", None, parts)
    mail = system.channels["mail"]
    box.target = ("127.0.0.1", mail.port())
    yield SimpleNamespace(store=system.store, mail=mail)
    await parts.stop(2)


async def rows(system, *columns) -> list:
    return await system.store.read(lambda s: list(s.execute(sa.select(*columns).order_by(columns[0]))))


async def arrived(box, address: str, count: int) -> list:
    import asyncio

    async with asyncio.timeout(15):
        while len([each for each in box.of(address) if each.way == "in"]) < count:
            box.changed.clear()
            await box.changed.wait()
    return [each for each in box.of(address) if each.way == "in"]


ODD = {
    "no from": b"Subject: x\r\n\r\nbody",
    "nothing at all": b"",
    "only bytes": bytes(range(256)).replace(b"\r", b"").replace(b"\n", b"") * 4,
    "broken multipart": b"From: a@example.com\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--c\r\n\r\nx",
    "no body": b"From: a@example.com\r\nSubject: y\r\n\r\n",
    "two froms": b"From: a@example.com, b@example.com\r\n\r\nsalam",
    "strange address": "From: «آقا» <سارا@پست.ایران>\r\n\r\nسلام".encode(),
    "long subject": b"From: a@example.com\r\nSubject: " + b"s" * 12_000 + b"\r\n\r\nx",
    "bidi and controls": "From: a@example.com\r\nSubject: \u202eevil\r\n\r\n\x00\x08\u2066متن\ud7ff".encode(),
}


async def test_whatever_is_acknowledged_is_a_ticket_with_its_original(system):
    for name, data in ODD.items():
        assert (await deliver(system.mail, data, (f"info@{DOMAIN}",)))[0] == 250, name
    tickets = await rows(system, ticket.c.id, ticket.c.unit)
    assert len(tickets) == len(ODD)
    assert len(await rows(system, raw.c.id)) == len(ODD)


async def test_a_letter_its_receipt_and_the_reply_are_one_ticket(system, box):
    first = await box.send("sara@mailbox.example", f"info@{DOMAIN}", "قطعی آب", "آب قطع است")
    receipt = (await arrived(box, "sara@mailbox.example", 1))[0]
    assert receipt.in_reply_to == first
    assert re.search(r"\d{3}-\d{4}-\d{4}", receipt.text) and re.search(r"رمز: \d{4}", receipt.text)
    await box.send("sara@mailbox.example", "", receipt.subject, "هنوز قطع است", in_reply_to=receipt.id)
    assert len(await rows(system, ticket.c.id)) == 1
    texts = [text for _, text, way in await rows(system, message.c.id, message.c.text, message.c.way) if way == "in"]
    assert texts == ["آب قطع است", "هنوز قطع است"]


async def test_the_same_letter_twice_is_one_ticket(system):
    for _ in range(2):
        assert (await deliver(system.mail, LETTER, (f"info@{DOMAIN}",)))[0] == 250
    assert len(await rows(system, ticket.c.id)) == 1


async def test_our_own_letters_come_back_and_start_nothing(system, box):
    await box.send("sara@mailbox.example", f"info@{DOMAIN}", "آب", "قطع است")
    ours = (await arrived(box, "sara@mailbox.example", 1))[0]
    fields = "".join(f"{name}: {value}\r\n" for name, value in ours.headers.items() if value.isascii())
    back = (fields + "\r\n" + ours.text.replace("\n", "\r\n")).encode()
    assert (await deliver(system.mail, back, (f"info@{DOMAIN}",)))[0] == 250
    holiday = b"From: sara@mailbox.example\r\nAuto-Submitted: auto-replied\r\nSubject: away\r\n\r\naway"
    to = re.search(r"<(.+)>", ours.headers["Reply-To"])
    assert to is not None
    assert (await deliver(system.mail, holiday, (to[1],)))[0] == 250
    assert len(await rows(system, ticket.c.id)) == 1
    assert len(await rows(system, outbox.c.id)) == 1, "no receipt for a robot"
