"""Who calls and what was dialled, as numbers; keys in INFO."""

from __future__ import annotations

import pytest

from ivr.sip import message as sip
from ivr.sip import rules
from ivr.sip.rules import Caller, Refusal
from tests.ivr.sip.test_transaction import asked


def invite(*headers: tuple[str, str], sender: str = "<sip:09120000000@x>", body: bytes = b"", uri: str = "sip:1888@h"):
    core = [("via", "SIP/2.0/UDP h;branch=z9hG4bKa"), ("from", f"{sender};tag=t"), ("to", "<sip:c@d>"),
            ("call-id", "x"), ("cseq", "1 INVITE"), *headers]  # fmt: skip
    return sip.request("INVITE", uri, core, body)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("09120000000", "+989120000000"), ("9120000000", "+989120000000"), ("+989120000000", "+989120000000"),
        ("00989120000000", "+989120000000"), ("989120000000", "+989120000000"), ("021-3333 0000", "+982133330000"),
        ("00498912345678", "+498912345678"), ("33330000", None), ("1234", None), ("anonymous", None), ("", None),
        ("+", None), ("0912000000000000000", None), ("۰۹۱۲۰۰۰۰۰۰۰", None),
    ],
)  # fmt: skip
def test_numbers_become_international(text, number):
    assert rules.e164(text, "98") == number


PAI = ("p-asserted-identity", '"a, b" <sip:a@x>, <tel:+98-21-3333-0000>')
RPID = ("remote-party-id", "<sip:02133330000@x>;party=calling;privacy=off")


@pytest.mark.parametrize(
    ("headers", "trusted", "caller"),
    [
        ((PAI,), True, Caller("+982133330000", True)),
        ((RPID,), True, Caller("+982133330000", True)),
        ((PAI, RPID), False, Caller("+989120000000", False)),
        ((PAI, ("privacy", "id;header")), True, Caller(None, False)),
        ((("remote-party-id", "<sip:02133330000@x>;privacy=full"),), True, Caller("+989120000000", False)),
    ],
)
def test_only_a_trusted_peer_vouches(headers, trusted, caller):
    assert rules.caller(invite(*headers), trusted, "98") == caller


@pytest.mark.parametrize(
    ("uri", "dialled"),
    [("sip:1888@h", "1888"), ("tel:+98-1888", "+98-1888"), ("sip:h", ""), ("sips:a%20b@h", "a b"), ("mailto:x", "")],
)
def test_what_was_dialled(uri, dialled):
    assert rules.dialled(invite(uri=uri)) == dialled


@pytest.mark.parametrize(
    ("kind", "body", "key"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", "5"),
        ("application/dtmf-relay", b"signal = *", "*"),
        ("application/dtmf-relay", b"Signal=11", "#"), ("application/dtmf", b"7\r\n", "7"),
        ("application/dtmf", b"d", "D"),
        ("application/dtmf", b"x", None), ("application/dtmf-relay", b"", None),
    ],
)  # fmt: skip
def test_keys_in_info(kind, body, key):
    assert rules.key_of(invite(("content-type", kind), body=body)) == key


def test_another_info_is_refused():
    refused = rules.key_of(invite(("content-type", "text/plain"), body=b"5"))
    assert isinstance(refused, Refusal) and refused.status == 415


def test_an_ack_is_never_answered():
    assert rules.refusal(asked("ACK")) is None
