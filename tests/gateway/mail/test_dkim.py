"""Our signatures, judged by dkimpy, another's implementation, with a made-up DNS."""

from __future__ import annotations

import re

import dkim as witness
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from core.channels import Purpose
from gateway.mail import dkim
from tests.gateway.mail.test_channel import CITIZEN, receipt

DOMAIN = "agency.example.ir"


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    path = tmp_path_factory.mktemp("dkim") / "key.pem"
    key = rsa.generate_private_key(65537, 2048)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture(scope="module")
def key(pem):
    return dkim.read(str(pem), DOMAIN, "s1")


def holds(letter: bytes, key) -> bool:
    def dns(name, timeout=5):
        return dkim.record(key).encode() if name == f"s1._domainkey.{DOMAIN}.".encode() else None

    return bool(witness.verify(letter, dnsfunc=dns))


LETTER = (
    b"From: =?utf-8?b?2KLYqA==?=\r\n <water@agency.example.ir>\r\nTo:  <a@b.ir>\r\nSubject: x \r\n  y\r\n"
    b"Date: Thu, 01 Jan 1970 00:00:00 +0000\r\nMessage-ID: <1@agency.example.ir>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain\r\n\r\nsalam \t  donya  \r\n\r\n. dot\r\n\r\n\r\n"
)


@pytest.mark.parametrize("body", [b"", b"\r\n", b"x", b"x\r\n", b" \r\n\r\n", LETTER.partition(b"\r\n\r\n")[2]])
def test_an_independent_verifier_accepts_the_signature(key, body):
    letter = LETTER.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body
    signed = dkim.sign(letter, key, 1_700_000_000)
    assert signed.endswith(letter) and holds(signed, key)
    assert signed == dkim.sign(letter, key, 1_700_000_000), "the same bytes when it goes again"


@pytest.mark.parametrize(
    "old,new",
    [
        (b"salam", b"sallm"),
        (b"Subject: x", b"Subject: z"),
        (b"From: ", b"From: <evil@example.ir>\r\nFrom: "),
        (b"Subject: x", b"Subject: other\r\nSubject: x"),
        (b"<a@b.ir>", b"<c@b.ir>"),
        (b". dot\r\n", b". dot\r\nmore\r\n"),
    ],
)
def test_what_is_changed_or_added_breaks_it(key, old, new):
    signed = dkim.sign(LETTER, key, 1_700_000_000)
    head, _, rest = signed.partition(b"From: =?")
    changed = head + (b"From: =?" + rest).replace(old, new, 1)
    assert changed != signed and not holds(changed, key)


def test_a_key_that_cannot_sign_is_refused_at_start(tmp_path):
    curve = ec.generate_private_key(ec.SECP256R1())
    private = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for name, data in (("curve", curve.private_bytes(*private)), ("junk", b"not a key")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=r"key|PEM|deserialize"):
            dkim.read(str(tmp_path / name), DOMAIN, "s1")


@pytest.mark.parametrize("purpose", [Purpose.RECEIPT, Purpose.ANSWER])
async def test_what_leaves_is_signed(open_channel, box, pem, key, purpose):
    channel = await open_channel(dkim_key=str(pem), dkim_selector="s1")
    row = (
        receipt(9, purpose=purpose)
        if purpose is Purpose.RECEIPT
        else receipt(9, purpose=purpose, key=None, text="سلام\nلوله عوض شد. https://example.ir/")
    )
    assert type(await channel.send(row)).__name__ == "Sent"
    assert box.raw[-1].startswith(b"DKIM-Signature: v=1;") and holds(box.raw[-1], key)
    signed = re.search(rb"h=([^;]+);", box.raw[-1])
    assert signed is not None
    names = re.sub(rb"\s", b"", signed[1]).split(b":")
    assert names.count(b"from") == names.count(b"subject") == 2
    written = {
        line.split(b":")[0].lower() for line in re.split(rb"\r\n(?![ \t])", box.raw[-1].partition(b"\r\n\r\n")[0])
    }
    assert written - {b"dkim-signature"} == set(names), "every field we write"
    assert box.of(CITIZEN)
