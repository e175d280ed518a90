"""Who wrote is a claim until it is proven: by a signature, or by answering the letter we sent there."""

from __future__ import annotations

import re

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from core.channels import Trust
from core.schema import contact, event, message, outbox, ticket
from gateway.mail import dkim, proof
from tests.gateway.mail.letters import plain
from tests.gateway.mail.system import INFO, running
from tests.gateway.mail.test_channel import deliver
from tests.gateway.mail.test_defects import new_ticket

SARA = "sara@mailbox.example"
ANSWER = "لولهٔ کوی بهار عوض شد."


@pytest.fixture
async def system(reactor, tmp_path, box):
    async with running(tmp_path / "data", box) as found:
        yield found


@pytest.fixture
async def announced(system):
    """(program, ticket, the letter that says that there is an answer): the address is only a claim so far."""
    number, _, _ = await new_ticket(system, SARA)
    await system.answer(number, ANSWER)
    return system, number, (await system.arrived(SARA, 2))[1]


async def proven(system):
    return [row.proven_by for row in await system.rows(contact.c.id, contact.c.proven_by)]


@pytest.mark.slow
async def test_contents_go_to_an_address_only_once_it_has_answered_our_letter(announced):
    system, number, notice = announced
    assert ANSWER not in notice.text and "آماده است" in notice.text
    assert await proven(system) == [None]
    await system.box.send(SARA, "", notice.subject, "بفرستید", in_reply_to=notice.id)
    answer = (await system.arrived(SARA, 3))[2]
    assert ANSWER in answer.text and answer.envelope_from.startswith("b+")
    assert await proven(system) == ["reply"]
    kinds = [row.kind for row in await system.rows(event.c.seq, event.c.kind, where=event.c.ticket == number)]
    assert "proof" in kinds
    await system.answer(number, "و یک پاسخ دیگر")
    assert "و یک پاسخ دیگر" in (await system.arrived(SARA, 4))[3].text


@pytest.mark.slow
@pytest.mark.parametrize(
    "sender,more",
    [("thief@bad.example", ""), (SARA, "Auto-Submitted: auto-replied\r\n")],
    ids=["another address with the token", "a robot of that address"],
)
async def test_what_proves_nothing_gets_no_contents(announced, sender, more):
    system, _, notice = announced
    token = re.search(r"<(.+)>", notice.headers["Reply-To"])
    assert token is not None
    letter = plain("بفرستید", more=more).replace(b"maryam@mailbox.example", sender.encode())
    assert (await deliver(system.mail, letter, (token[1],), sender))[0] == 250
    assert None in await proven(system) and "reply" not in await proven(system)
    assert all(ANSWER not in row.text for row in await system.rows(outbox.c.id, outbox.c.text))


@pytest.mark.slow
async def test_a_letter_never_changes_where_answers_go(announced):
    system, number, notice = announced
    before = await system.rows(ticket.c.contact, ticket.c.answer_to, ticket.c.answer_by, where=ticket.c.id == number)
    letter = plain("نشانی من این است", more="Reply-To: other@bad.example\r\nSender: x@bad.example\r\n")
    letter = letter.replace(b"maryam@mailbox.example", SARA.encode())
    token = re.search(r"<(.+)>", notice.headers["Reply-To"])
    assert token is not None
    assert (await deliver(system.mail, letter, (token[1],), SARA))[0] == 250
    after = await system.rows(ticket.c.contact, ticket.c.answer_to, ticket.c.answer_by, where=ticket.c.id == number)
    assert [tuple(row) for row in after] == [tuple(row) for row in before]


# ---------------------------------------------------------------- signatures


@pytest.fixture(scope="module")
def key():
    return dkim.Key("mailbox.example", "s1", rsa.generate_private_key(65537, 2048))


def dns(key):
    def txt(name, timeout=5):
        return dkim.record(key).encode() if name.startswith(b"s1._domainkey.mailbox.example") else None

    return txt


def letter(sender: str = SARA) -> bytes:
    return plain("سخن من").replace(b"maryam@mailbox.example", sender.encode())


@pytest.mark.parametrize(
    "raw,trust",
    [
        (lambda key: dkim.sign(letter(), key, 1_700_000_000), Trust.PASS),
        (lambda key: dkim.sign(letter("a@sub.mailbox.example"), key, 1_700_000_000), Trust.PASS),
        (lambda key: dkim.sign(letter("a@other.example"), key, 1_700_000_000), Trust.NONE),
        (lambda key: dkim.sign(letter(), key, 1_700_000_000) + b"more", Trust.NONE),
        (lambda key: letter(), Trust.NONE),
        (lambda key: b"DKIM-Signature: v=1; a=x; b=\r\n" + letter(), Trust.NONE),
    ],
    ids=["signed", "by the parent", "by another", "changed", "unsigned", "broken"],
)
async def test_a_signature_of_its_domain_proves_a_sender(key, raw, trust):
    from gateway.mail import mime

    data = raw(key)
    assert await proof.judge(mime.parse(data), data, dns(key)) is trust


@pytest.mark.slow
async def test_where_signatures_are_looked_at_a_valid_one_proves_the_address(reactor, tmp_path, box, key):
    async with running(tmp_path / "data", box, verify_dkim=True) as system:
        object.__setattr__(system.mail._letters, "dns", dns(key))
        signed = dkim.sign(letter(), key, 1_700_000_000)
        assert (await deliver(system.mail, signed, (INFO,), SARA))[0] == 250
        assert (await deliver(system.mail, letter("reza@mailbox.example"), (INFO,), "reza@mailbox.example"))[0] == 250
        assert await proven(system) == ["mail", None]
        assert len(await system.rows(outbox.c.id)) == 1, "a forged sender is sent nothing"
        trusts = [row.meta.get("trust") for row in await system.rows(message.c.id, message.c.meta)]
        assert trusts == ["pass", None]


@pytest.mark.slow
async def test_an_objection_as_the_first_line_of_a_reply_goes_one_level_up(announced):
    system, number, notice = announced
    state = ticket.c.state, ticket.c.level
    await system.box.send(SARA, "", notice.subject, "این پاسخ درست نیست و من اعتراض دارم", in_reply_to=notice.id)
    assert tuple((await system.rows(*state, where=ticket.c.id == number))[0]) == ("open", 0), (
        "only a first line objects"
    )
    await system.answer(number, "پاسخ دوم")
    second = (await system.arrived(SARA, 4))[-1]
    token = re.search(r"<(.+)>", second.headers["Reply-To"])
    assert token is not None
    words = "اعتراض دارم.\nلوله هنوز نشت می‌کند"
    thief = plain(words, subject=second.subject.encode()).replace(b"maryam@mailbox.example", b"thief@bad.example")
    assert (await deliver(system.mail, thief, (token[1],), "thief@bad.example"))[0] == 250
    assert (await system.rows(*state, where=ticket.c.id == number))[0].state == "answered"
    await system.box.send(SARA, "", second.subject, words, in_reply_to=second.id)
    assert tuple((await system.rows(*state, where=ticket.c.id == number))[0]) == ("disputed", 1)
    await system.box.send(SARA, "", second.subject, words + " و باز هم", in_reply_to=second.id)
    assert (await system.rows(*state, where=ticket.c.id == number))[0].level == 1, "once an answer; the words are kept"
    assert len(await system.rows(message.c.id, where=message.c.text == words + " و باز هم")) == 1


@pytest.mark.slow
async def test_a_letter_of_nothing_but_a_code_is_told_the_state_and_no_contents(system):
    number, code, _ = await new_ticket(system, SARA, "سخن محرمانهٔ من")
    before = len(await system.rows(ticket.c.id))
    shown = f" {code[:3]}-{code[3:7]}-{code[7:]} ".translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"))
    for n in range(5):
        ask = plain(shown, more=f"X-N: {n}\r\n").replace(b"maryam@mailbox.example", b"reza@other.example")
        assert (await deliver(system.mail, ask, (INFO,), "reza@other.example"))[0] == 250
    told = (await system.arrived("reza@other.example", 3))[0]
    assert "در نوبت است" in told.text and f"{code[:3]}-{code[3:7]}-{code[7:]}" in told.text
    assert "سخن محرمانه" not in told.text + told.subject and "درخواست" not in told.subject
    assert "feedback+" not in str(told.headers) and told.references == [] and told.envelope_from == ""
    assert len(await system.rows(ticket.c.id)) == before and number
    states = await system.rows(outbox.c.id, where=outbox.c.key == "state")
    assert len(states) == 3, "three a day"
    wrong = plain(f"{code[:-1]}{(int(code[-1]) + 1) % 10}")
    assert (await deliver(system.mail, wrong, (INFO,), SARA))[0] == 250
    assert len(await system.rows(ticket.c.id)) == before + 1, "what is no code is a letter"
