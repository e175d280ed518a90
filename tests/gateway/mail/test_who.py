"""Who wrote, whether a machine did, and which ticket it continues: forged and real."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import codes
from core.channels import Auto, HintKind, Trust
from gateway.mail import address, automail, marks, mime, receive, smtp, thread, trust
from gateway.mail.address import Keys, Purpose, Token
from gateway.mail.settings import LineSettings

KEYS = Keys(3, {3: b"k" * 32, 1: b"o" * 32})
DOMAIN = "agency.example.ir"
OWN = frozenset({"water@agency.example.ir"})


def letter(*fields: str, sender: str = "Sara <sara@mailbox.example>") -> mime.Mail:
    return mime.parse("\r\n".join([f"From: {sender}", *fields, "", "متن"]).encode())


@given(st.integers(0, (1 << 64) - 1), st.integers(0, 999_999_999), st.sampled_from("+-="))
def test_a_token_says_what_it_was_given_in_any_case(number, participant, delimiter):
    local = address.mint(KEYS, Purpose.FEEDBACK, number, participant, delimiter=delimiter)
    assert address.read(KEYS, local.upper(), delimiter) == Token(Purpose.FEEDBACK, number, participant, KEYS.current)
    assert len(local) <= 64


@given(st.integers(0, 1 << 60), st.integers(0, 60))
def test_one_letter_changed_and_it_is_worth_nothing(number, place):
    local = address.mint(KEYS, Purpose.FEEDBACK, number, 2)
    at = min(place, len(local) - 1)
    other = "b" if local[at] == "a" else "a"
    if local[at] != "+":
        assert address.read(KEYS, local[:at] + other + local[at + 1 :]) is None


def test_purposes_never_mix_and_old_keys_hold_while_they_live():
    bounce = address.mint(KEYS, Purpose.BOUNCE, 7)
    assert address.read(KEYS, bounce) == Token(Purpose.BOUNCE, 7, key=3)
    assert address.read(KEYS, "feedback" + bounce[1:]) is None
    old = address.mint(Keys(1, {1: b"o" * 32}), Purpose.BOUNCE, 7)
    assert address.read(KEYS, old) == Token(Purpose.BOUNCE, 7, key=1)
    assert address.read(Keys(3, {3: b"k" * 32}), old) is None
    own = address.message_id(KEYS, 7, DOMAIN)
    assert address.read_message_id(KEYS, own, DOMAIN) == Token(Purpose.MESSAGE, 7, key=3)
    assert address.read_message_id(KEYS, own, "elsewhere.ir") is None
    assert address.read_message_id(KEYS, "<123@agency.example.ir>", DOMAIN) is None


AUTOMATIC = [
    (["Auto-Submitted: auto-replied"], Auto.STRONG),
    (["Auto-Submitted: auto-generated; x=y"], Auto.STRONG),
    (["Auto-Submitted: no"], Auto.NO),
    (["X-Loop: pasokh@agency.example.ir"], Auto.STRONG),
    (["X-Autoreply: yes"], Auto.STRONG),
    (["X-Autorespond: x"], Auto.STRONG),
    (["Content-Type: multipart/report; boundary=b"], Auto.STRONG),
    (["Precedence: bulk"], Auto.WEAK),
    (["Precedence: auto_reply"], Auto.WEAK),
    (["Precedence: first-class"], Auto.NO),
    (["List-Id: <x.example.ir>"], Auto.WEAK),
    (["X-Auto-Response-Suppress: All"], Auto.WEAK),
    (["Subject: پاسخ خودكار: مرخصي"], Auto.WEAK),
    (["Subject: Out of Office: until Monday"], Auto.WEAK),
    (["Subject: خارج از دفتر کار می‌کنم؟"], Auto.WEAK),
    (["Received: x"] * 31, Auto.WEAK),
    (["Subject: آب قطع است"], Auto.NO),
]


@pytest.mark.parametrize("fields,expected", AUTOMATIC)
def test_what_robots_write_is_known(fields, expected):
    found = automail.classify(
        letter(*fields), "sara@mailbox.example", marks.read().subjects, "pasokh@agency.example.ir", OWN
    )
    assert found is expected


@pytest.mark.parametrize(
    "sender,envelope,expected",
    [
        ("sara@mailbox.example", "", Auto.STRONG),
        ("MAILER-DAEMON@mailbox.example", "x@y.ir", Auto.STRONG),
        ("water@agency.example.ir", "x@y.ir", Auto.STRONG),
        ("no-reply@bank.example", "x@y.ir", Auto.WEAK),
        ("noreply.reza@mailbox.example", "x@y.ir", Auto.WEAK),
    ],
)
def test_robots_are_known_by_their_addresses(sender, envelope, expected):
    assert automail.classify(letter(sender=sender), envelope, marks.read().subjects, "x", OWN) is expected


HERE = "mx.agency.example.ir"
JUDGED = [
    (f"{HERE}; dmarc=pass header.from=mailbox.example", Trust.PASS),
    (f"{HERE}; dmarc=fail header.from=mailbox.example", Trust.FAIL),
    (f"{HERE}; dkim=pass header.d=mailbox.example", Trust.PASS),
    (f"{HERE}; dkim=pass header.d=evil.example", Trust.NONE),
    (f"{HERE}; spf=pass smtp.mailfrom=x@mailbox.example", Trust.PASS),
    (f"{HERE}; spf=pass smtp.mailfrom=x@evil.example", Trust.NONE),
    (f"{HERE}; dkim=fail header.d=mailbox.example", Trust.NONE),
    (f"{HERE}; dmarc=temperror header.from=mailbox.example", Trust.NONE),
    (f"{HERE}; none", Trust.NONE),
    ("evil.example; dmarc=pass header.from=mailbox.example", Trust.NONE),
    ("((((", Trust.NONE),
    ("", Trust.NONE),
]


@pytest.mark.parametrize("said,expected", JUDGED)
def test_only_our_own_judge_is_believed(said, expected):
    mail = letter(f"Authentication-Results: {said}")
    assert trust.judge(mail, "10.0.0.1", HERE, ["10.0.0.0/8"]) is expected
    assert trust.judge(mail, "192.0.2.1", HERE, ["10.0.0.0/8"]) is Trust.NONE
    assert trust.judge(mail, "192.0.2.1", "", []) is Trust.UNJUDGED


@pytest.mark.parametrize(
    "said",
    ["spf=fail smtp.mailfrom=<a b@x>; dmarc=fail", "dmarc=fail (unclosed", 'dmarc=fail reason="x', "dkim=fail @@"],
)
def test_a_verdict_that_cannot_be_read_is_none_and_lets_no_forged_one_below_it_count(said):
    forged = letter(
        f"Authentication-Results: {HERE}; {said}",
        f"Authentication-Results: {HERE}; dmarc=pass header.from=mailbox.example",
    )
    assert trust.judge(forged, "10.0.0.1", HERE, ["10.0.0.0/8"]) is Trust.NONE


def test_two_from_fields_are_two_senders():
    """A signature holds for the last of them, readers show the first."""
    two = letter(f"Authentication-Results: {HERE}; dmarc=pass", "From: thief@mailbox.example")
    assert two.senders == 2
    assert trust.judge(two, "10.0.0.1", HERE, ["10.0.0.0/8"]) is Trust.NONE
    assert letter("From: ((((").senders == 2


def test_the_topmost_verdict_counts_and_two_senders_never_pass():
    forged = letter(
        f"Authentication-Results: {HERE}; dmarc=fail header.from=mailbox.example",
        f"Authentication-Results: {HERE}; dmarc=pass header.from=mailbox.example",
    )
    assert trust.judge(forged, "10.0.0.1", HERE, ["10.0.0.0/8"]) is Trust.FAIL
    two = letter(f"Authentication-Results: {HERE}; dmarc=pass", sender="a@mailbox.example, b@mailbox.example")
    assert trust.judge(two, "10.0.0.1", HERE, ["10.0.0.0/8"]) is Trust.NONE


@pytest.mark.parametrize("domain", ["gov.ir", "co.ir", "ir", "com", "", "x.ir"])
def test_a_domain_of_everybody_proves_nothing(domain):
    assert not trust.aligned(domain, "water.gov.ir")


def test_hints_in_the_order_core_resolves_them():
    own = address.message_id(KEYS, 9, DOMAIN)
    older = address.message_id(KEYS, 8, DOMAIN)
    code = codes.new()
    mail = letter(
        "In-Reply-To: <their@mailbox.example>",
        f"References: {older}\r\n {own} <their@mailbox.example>",
        f"Subject: Re: x [#\u2066{codes.show(code)}\u2069]",
    )
    tokens = [Token(Purpose.FEEDBACK, 5, 1)]
    found = [(h.kind, h.value) for h in thread.hints(mail, tokens, KEYS, DOMAIN, Trust.PASS)]
    assert found == [
        (HintKind.TICKET, "5"),
        (HintKind.OWN_ID, own),
        (HintKind.OWN_ID, older),
        (HintKind.SEEN_ID, "<their@mailbox.example>"),
        (HintKind.CODE, code),
    ]
    unjudged = thread.hints(mail, [], KEYS, DOMAIN, Trust.UNJUDGED)
    assert HintKind.CODE not in {h.kind for h in unjudged}, "a code alone is no proof"


def test_the_reference_is_the_letters_own_and_not_the_ways():
    raw = b"Subject: x\r\nFrom: a@b.ir\r\n\r\nbody\r\n"
    way = (
        b"Return-Path: <a@b.ir>\r\nReceived: from x\r\n\tby y\r\nAuthentication-Results: z; none\r\nX-Spam-Flag: NO\r\n"
    )
    assert receive.reference(way + raw) == receive.reference(raw)
    assert receive.reference(raw.replace(b"body", b"other")) != receive.reference(raw)
    assert receive.reference(raw.replace(b"Subject: x", b"Subject: y")) != receive.reference(raw)


def test_more_than_a_hundred_hops_are_counted():
    assert receive.hops(b"Received: a\r\n\tb\r\n" * 101 + b"Subject: x\r\n\r\nReceived: in the body") == 101


def test_the_book_knows_units_and_tokens():
    book = receive.Book(LineSettings(domain=DOMAIN), KEYS, {"water": "water"})
    token = address.mint(KEYS, Purpose.FEEDBACK, 5, 1)
    codes_of = {
        local: book.judge(smtp.Rcpt(local, DOMAIN)).code
        for local in ("water", "WATER", "fire", token, token[:-1] + "1")
    }
    assert list(codes_of.values()) == [250, 250, 550, 250, 550]
    assert book.judge(smtp.Rcpt("postmaster", "")).code == 250
    assert book.judge(smtp.Rcpt("water", "elsewhere.ir")).status == "5.7.1"


def test_endless_fields_are_looked_through_at_their_beginning_only():
    """Each hop writes at the top; four megabytes of fields would hold the loop up."""
    endless = b"Subject: x\r\n" + b"X-Long: a\r\n b\r\n" * 250_000 + b"Received: z\r\n\r\nbody"
    assert receive.hops(b"Received: a\r\n\tb\r\n" * 101 + endless) == 101
    assert receive.reference(b"Received: a\r\n\tb\r\n" + endless) == receive.reference(endless)
    assert receive.reference(endless + b".") != receive.reference(endless)
