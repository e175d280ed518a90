"""Letters through the real port: acknowledged after commit, threaded back, kept when nobody can read them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import smtplib
import ssl

import pytest

from core import store
from core.channels import Auto, HintKind, Outbound, Purpose, Sent, Trust
from core.clock import HandClock
from core.drawer import StoredDrawer
from core.errors import Busy
from gateway.mail import address
from tests.blank import blank_file
from tests.gateway.mail.door import CODE

CITIZEN = "sara@mailbox.example"


def receipt(number: int = 7, **given) -> Outbound:
    facts = {"code": CODE, "pin": "4321", "unit": "آب و فاضلاب", "unit_slug": "water", "subject": "قطعی آب"}
    base = Outbound(number, "mail", CITIZEN, Purpose.RECEIPT, 1, 1, line="main", key="received", facts=facts)
    return dataclasses.replace(base, **given)


async def deliver(channel, data: bytes, to=("water@agency.example.ir",), sender=CITIZEN) -> tuple[int, bytes]:
    """Hand a letter over with the standard library's client; the reply to the dot."""

    def hand_over():
        client = smtplib.SMTP("127.0.0.1", channel.port(), timeout=20)
        try:
            client.ehlo()
            assert client.mail(sender)[0] == 250
            for each in to:
                code, text = client.rcpt(each)
                if code != 250:
                    return code, text
            return client.data(data)
        finally:
            client.close()

    return await asyncio.to_thread(hand_over)


LETTER = (
    "From: =?utf-8?b?2LPYp9ix2Kc=?= <Sara@Mailbox.example>\r\nTo: water@agency.example.ir\r\n"
    "Subject: قطعی آب\r\nMessage-ID: <1@mailbox.example>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    "آب خیابان ما قطع است.\r\n"
).encode()


async def test_a_letter_becomes_a_ticket_and_the_answer_comes_back_in_its_thread(channel, door, box):
    number = await box.send(f"سارا رضایی <{CITIZEN}>", "water@agency.example.ir", "قطعی آب در کوی بهار", "سه روز است.")
    taken = door.taken[0]
    assert (taken.text, taken.subject) == ("سه روز است.", "قطعی آب در کوی بهار")
    assert (taken.contact.value, taken.name, taken.to) == (CITIZEN, "سارا رضایی", ("water@agency.example.ir",))
    assert (taken.message_id, taken.trust, taken.auto) == (number, Trust.UNJUDGED, Auto.NO)
    assert taken.raw is not None and b"Subject:" in taken.raw
    thread = {"in_reply_to": number, "references": []}
    sent = await channel.send(receipt(thread=thread))
    assert isinstance(sent, Sent)
    got = box.of(CITIZEN)[-1]
    assert (got.id, got.in_reply_to, got.references) == (sent.ref, number, [number])
    assert got.subject == "Re: قطعی آب [#123-4567-8903]"
    assert "123-4567-8903" in got.text and "4321" in got.text
    assert got.text.startswith("لطفاً پاسخ خود را بالای این خط بنویسید")
    assert '<bdi dir="ltr">123-4567-8903</bdi>' in got.html and 'dir="rtl"' in got.html
    assert (got.headers["Auto-Submitted"], got.envelope_from) == ("auto-replied", "")
    assert "آب و فاضلاب" in got.from_ and "water@agency.example.ir" in got.from_
    await box.send(CITIZEN, "", got.subject, "هنوز قطع است.", in_reply_to=got.id)
    reply = door.taken[1]
    assert (reply.text, reply.to) == ("هنوز قطع است.", ())
    assert [(h.kind, h.value) for h in reply.hints][:2] == [(HintKind.TICKET, "1"), (HintKind.OWN_ID, sent.ref)]
    assert (HintKind.SEEN_ID, number) in [(h.kind, h.value) for h in reply.hints]
    assert "قطعی" not in reply.text and reply.quoted


async def test_an_operators_answer_has_a_bounce_address_and_no_automatic_marks(channel, box):
    row = receipt(8, purpose=Purpose.ANSWER, key=None, text="سلام\nلوله عوض شد.")
    assert isinstance(await channel.send(row), Sent)
    got = box.of(CITIZEN)[-1]
    assert "لوله عوض شد." in got.text and "Auto-Submitted" not in got.headers
    assert got.envelope_from.startswith("b+")
    assert got.headers["Reply-To"].count("feedback+") == 1


async def test_the_same_row_has_the_same_bytes_and_goes_only_once_more_when_in_doubt(channel, box):
    assert isinstance(await channel.send(receipt()), Sent)
    again = await channel.send(receipt(in_doubt=True, attempt=2))
    assert isinstance(again, Sent)
    first, second = box.of(CITIZEN)
    assert (first.id, first.headers, first.text) == (second.id, second.headers, second.text)
    third = await channel.send(receipt(in_doubt=True, attempt=3))
    assert type(third).__name__ == "Unknown" and third.park
    assert len(box.of(CITIZEN)) == 2


@pytest.mark.parametrize(
    "way,outcome,why",
    [
        ("refuse", "Refused", "RCPT 550"),
        ("later", "TryLater", "RCPT 451"),
        ("spam", "Refused", "dot 554"),
        ("drop", "Unknown", "connection lost after the dot"),
    ],
)
async def test_what_came_of_a_try_is_told_apart(channel, box, way, outcome, why):
    box.behave[CITIZEN] = way
    got = await channel.send(receipt())
    assert (type(got).__name__, got.why) == (outcome, why)


async def test_no_relay_is_try_later(open_channel, box):
    channel = await open_channel()
    await box.stop()
    assert type(await channel.send(receipt())).__name__ == "TryLater"


async def test_a_line_break_in_a_subject_never_becomes_a_header(channel, box):
    facts = {**receipt().facts, "subject": "x\r\nBcc: evil@example.ir", "unit": "a\r\nBcc: evil@example.ir"}
    assert isinstance(await channel.send(receipt(facts=facts)), Sent)
    assert "Bcc" not in box.of(CITIZEN)[-1].headers
    assert type(await channel.send(receipt(9, to="a@b.ir\r\nBcc: x@y.ir"))).__name__ == "Refused"


async def test_250_comes_only_after_the_commit(channel, door):
    door.gate.clear()
    task = asyncio.create_task(deliver(channel, LETTER))
    await asyncio.wait_for(door.begun.wait(), 20)
    assert not task.done()
    door.gate.set()
    code, text = await task
    assert code == 250 and b"2.0.0" in text and CODE.encode() not in text


async def test_busy_and_faults_are_never_5xx_and_the_letter_can_come_again(channel, door):
    door.fault = Busy(3)
    assert (await deliver(channel, LETTER))[0] == 451
    door.fault = RuntimeError("the store is broken")
    code, text = await deliver(channel, LETTER)
    assert code == 451 and b"broken" not in text
    door.fault = None
    assert (await deliver(channel, LETTER))[0] == 250
    assert (await deliver(channel, b"Received: from relay\r\n" + LETTER))[0] == 250
    assert len(door.taken) == 1, "what hops write does not make it another letter"


async def test_a_peer_that_goes_away_does_not_undo_the_commit(channel, door):
    door.gate.clear()
    _, writer = await asyncio.open_connection("127.0.0.1", channel.port())
    writer.write(b"EHLO c\r\nMAIL FROM:<sara@mailbox.example>\r\nRCPT TO:<water@agency.example.ir>\r\nDATA\r\n")
    writer.write(LETTER + b".\r\n")
    await asyncio.wait_for(door.begun.wait(), 20)
    writer.transport.abort()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    door.gate.set()
    async with asyncio.timeout(10):
        while not door.taken:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_letter_that_goes_round_is_refused(channel, door):
    code, said = await deliver(channel, b"Received: by mx\r\n" * 101 + LETTER)
    assert (code, said.split()[0]) == (554, b"5.4.6") and not door.taken
    assert (await deliver(channel, b"Received: by mx\r\n" * 100 + LETTER))[0] == 250


async def test_a_letter_to_two_units_is_one_ticket(channel, door):
    assert (await deliver(channel, LETTER, ("Water@agency.example.ir", "roads@AGENCY.example.ir")))[0] == 250
    assert [m.to for m in door.taken] == [("water@agency.example.ir", "roads@agency.example.ir")]


@pytest.mark.parametrize(
    "to,code", [("nobody@agency.example.ir", 550), ("x@elsewhere.ir", 550), ("postmaster@agency.example.ir", 250)]
)
async def test_a_letter_to_nobody_is_refused_at_once(channel, to, code):
    assert (await deliver(channel, LETTER, (to,)))[0] == code


async def test_a_forged_token_is_nobodys_address(channel, door):
    local = address.mint(address.new_keys(), address.Purpose.FEEDBACK, 1, 0)
    assert (await deliver(channel, LETTER, (f"{local}@agency.example.ir",)))[0] == 550
    good = address.mint(channel._keys, address.Purpose.FEEDBACK, 5, 2)
    assert (await deliver(channel, LETTER, (f"{good.upper()}@agency.example.ir",)))[0] == 250
    assert [(h.kind, h.value) for h in door.taken[0].hints] == [(HintKind.TICKET, "5")]


async def test_a_letter_without_a_sender_is_kept_and_acknowledged(channel, door):
    assert (await deliver(channel, b"\r\nno fields at all\r\n"))[0] == 250
    taken = door.taken[0]
    assert taken.contact is None and "no_from" in taken.defects and taken.quiet
    assert taken.raw is not None and b"no fields at all" in taken.raw


async def test_what_robots_send_makes_no_ticket_of_its_own(channel, door):
    robot = LETTER.replace(b"Subject:", b"Auto-Submitted: auto-replied\r\nSubject:")
    assert (await deliver(channel, robot))[0] == 250
    assert not door.taken and door.raws[0][2] == "automatic"
    bounce = address.mint(channel._keys, address.Purpose.BOUNCE, 7)
    assert (await deliver(channel, LETTER, (f"{bounce}@agency.example.ir",), ""))[0] == 250
    assert door.raws[1][2] == "orphan" and door.back[0].row == 7
    assert (await deliver(channel, LETTER.replace(b"Subject: ", b"Precedence: bulk\r\nSubject: ")))[0] == 250
    assert [m.auto for m in door.taken] == [Auto.WEAK]


async def test_a_big_letter_is_spooled_and_its_file_kept(channel, door):
    import base64

    data = bytes(range(256)) * 8000
    head = "From: sara@mailbox.example\r\nSubject: نقشه\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    part = (
        "--b\r\n\r\nپیوست\r\n--b\r\nContent-Type: application/pdf; name=x\r\nContent-Transfer-Encoding: base64\r\n"
        "Content-Disposition: attachment; filename*=utf-8''%D9%86%D9%82%D8%B4%D9%87.pdf\r\n\r\n"
    )
    letter = (head + part).encode() + base64.encodebytes(data).replace(b"\n", b"\r\n") + b"--b--\r\n"
    assert (await deliver(channel, letter))[0] == 250
    taken = door.taken[0]
    assert (taken.text, taken.files[0].name) == ("پیوست", "نقشه.pdf")
    assert door.kept[taken.files[0].key] == data
    assert taken.raw is None and door.kept[taken.raw_key] == letter


async def test_over_the_cap_of_a_peer_is_421(open_channel):
    channel = await open_channel(connections_a_peer=1, peer_allow=())
    reader, writer = await asyncio.open_connection("127.0.0.1", channel.port())
    assert (await reader.readline()).startswith(b"220")
    second, other = await asyncio.open_connection("127.0.0.1", channel.port())
    assert (await second.readline()).startswith(b"421 4.7.0")
    for each in (writer, other):
        each.close()
        await each.wait_closed()


async def test_an_idle_peer_is_told_421(open_channel):
    channel = await open_channel(idle_s=1.0)
    reader, writer = await asyncio.open_connection("127.0.0.1", channel.port())
    await reader.readline()
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"421 4.4.2")
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_stop_tells_idle_peers_and_waits_for_the_open_verdict(open_channel, door):
    channel = await open_channel()
    door.gate.clear()
    idle, idle_writer = await asyncio.open_connection("127.0.0.1", channel.port())
    await idle.readline()
    task = asyncio.create_task(deliver(channel, LETTER))
    await asyncio.wait_for(door.begun.wait(), 20)
    stopping = asyncio.create_task(channel.stop(10))
    assert (await asyncio.wait_for(idle.readline(), 10)).startswith(b"421 4.3.2")
    door.gate.set()
    assert (await task)[0] == 250
    await stopping
    idle_writer.close()
    await idle_writer.wait_closed()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    import trustme

    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    one = ca.issue_cert("localhost", "127.0.0.1")
    one.private_key_and_cert_chain_pem.write_to_path(str(folder / "both.pem"))
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    return folder


async def test_starttls_and_a_letter_inside(open_channel, door, certificate):
    channel = await open_channel(certificate=str(certificate / "both.pem"))

    def hand_over():
        context = ssl.create_default_context(cafile=str(certificate / "ca.pem"))
        with smtplib.SMTP("localhost", channel.port(), timeout=20, source_address=("127.0.0.1", 0)) as client:
            client.starttls(context=context)
            client.ehlo()
            assert not client.has_extn("starttls")
            return client.sendmail(CITIZEN, ["water@agency.example.ir"], LETTER)

    assert await asyncio.to_thread(hand_over) == {}
    assert door.taken[0].facts["tls"] is True


async def test_clear_bytes_behind_starttls_close_the_connection(open_channel, door, certificate):
    channel = await open_channel(certificate=str(certificate / "both.pem"))
    reader, writer = await asyncio.open_connection("127.0.0.1", channel.port())
    writer.write(b"EHLO c\r\nSTARTTLS\r\nMAIL FROM:<evil@example.ir>\r\n")
    said = await asyncio.wait_for(reader.read(), 10)
    assert said.endswith(b"503 5.5.1 Bad sequence of commands\r\n")
    writer.close()
    await writer.wait_closed()


async def test_notes_of_sent_letters_go_after_seven_days_and_no_others(open_channel, door, tmp_path):
    clock = HandClock(1_723_620_600_000)
    opened = await store.open(blank_file(tmp_path / "pasokh.db"), clock, tmp_path)
    door.drawer = StoredDrawer(opened)
    try:
        channel = await open_channel(clock=clock)
        assert isinstance(await channel.send(receipt(1)), Sent)
        await door.drawer.put("another channel's", "slot", b"1")
        clock.advance(6 * 86_400)
        assert isinstance(await channel.send(receipt(2)), Sent)
        assert await channel.sweep() == 0
        clock.advance(86_400 + 1)
        assert await channel.sweep() == 1
        assert await door.drawer.get("sent.0.1") == {}
        assert "at" in await door.drawer.get("sent.0.2")
        assert await door.drawer.get("another channel's")
    finally:
        await opened.close()
