"""Bad input in the terms of its channel, through the running demo: refused with a clear error, or kept and taken."""

from __future__ import annotations

import smtplib
import socket

import pytest
import requests

from tests.journeys.load import messages
from tests.journeys.running import Browser, Demo, Operator, until


def tickets(demo: Demo, **body: object) -> requests.Response:
    whole = {"kind": "complaint", "text": "متن درست و کافی", **body}
    return requests.post(f"{demo.facts['web']}/api/v1/tickets", json=whole, timeout=10)


@pytest.mark.parametrize(
    ("change", "field"),
    [({"kind": "nonsense"}, "kind"), ({"text": ""}, "text"), ({"phone": "صفر"}, "phone"), ({"unit": "moon"}, "unit")],
)
def test_the_api_says_which_field_is_wrong_as_problem_json(demo: Demo, change, field):
    answer = tickets(demo, **change)
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert field in answer.text
    assert answer.json()["code"]


def test_a_form_keeps_what_was_typed_and_names_the_field(demo: Demo):
    citizen = Browser(demo)
    page = citizen.submit(
        citizen.get("/new"), "/new", kind="complaint", text="کم", phone="abc", answer_by="sms", step="check"
    )
    assert page.status == 422
    assert 'value="abc"' in page.html
    assert "کم" in page.html
    assert "aria-describedby" in page.html


def test_a_form_over_64_kib_is_413(demo: Demo):
    answer = requests.post(
        f"{demo.facts['web']}/new", data={"text": "ا" * 40_000}, headers={"Origin": demo.facts["web"]}
    )
    assert answer.status_code == 413


def test_a_wrong_code_and_a_wrong_pin_look_alike(demo: Demo):
    made = tickets(demo).json()
    wrong = "0000" if made["pin"] != "0000" else "1111"
    unknown = requests.post(f"{demo.facts['web']}/api/v1/track", json={"code": "72940518364", "proof": wrong})
    known = requests.post(f"{demo.facts['web']}/api/v1/track", json={"code": made["code"], "proof": wrong})
    assert "متن درست" not in known.text
    assert unknown.status_code in (404, 200)
    digit = requests.post(f"{demo.facts['web']}/api/v1/track", json={"code": "72940518365"})
    assert digit.status_code == 422


def test_html_and_control_characters_are_text(demo: Demo):
    made = tickets(demo, text="<script>alert(1)</script>\u202e\x07 متن").json()
    operator = Operator(demo, "manager")
    page = operator.get(f"/console/t/{operator.ticket(made['code'])}")
    assert "<script>alert" not in page.html
    assert "&lt;script&gt;" in page.html
    assert "\u202e" not in page.html
    assert "\x07" not in page.html


def smtp(demo: Demo) -> smtplib.SMTP:
    host, _, port = demo.facts["smtp"].rpartition(":")
    return smtplib.SMTP(host, int(port), timeout=10)


def test_a_letter_to_nobody_is_550_at_rcpt(demo: Demo):
    with smtp(demo) as session:
        session.ehlo()
        session.mail("maryam@mailbox.example.ir")
        assert session.rcpt("nobody-here@example.ir")[0] == 550
        assert session.rcpt("info@elsewhere.example.com")[0] == 550


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        (b"Subject: x\r\n\r\nnaame bi ferestande alef\r\n", "naame bi ferestande alef"),
        (b"\x00\xff\xfe not a letter at all\r\n", None),
        (
            b"Content-Type: multipart/mixed; boundary=\r\nFrom: a@mailbox.example.ir\r\n\r\n--\r\nnaame pare be\r\n",
            None,
        ),
    ],
)
def test_a_letter_without_sense_is_kept_and_acknowledged(demo: Demo, raw, seen):
    before = sum(messages(demo).values())
    with smtp(demo) as session:
        session.ehlo()
        session.mail("maryam@mailbox.example.ir")
        session.rcpt(demo.facts["addresses"][0]["email"])
        assert session.data(raw)[0] == 250
    assert sum(messages(demo).values()) == before + 1
    if seen:
        assert any(seen in text for text in messages(demo))


def test_noise_on_the_sip_port_is_dropped_and_the_line_still_answers(demo: Demo):
    host, _, port = demo.facts["sip"].partition("@")[2].rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        for noise in (b"", b"\x00" * 1000, b"INVITE", b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 4):
            s.sendto(noise, (host, int(port)))
        here = f"127.0.0.1:{s.getsockname()[1]}" if s.getsockname()[1] else "127.0.0.1"
        ask = (
            f"OPTIONS sip:1888@{host}:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKbad1;rport\r\n"
            f"From: <sip:t@{here}>;tag=1\r\nTo: <sip:1888@{host}>\r\nCall-ID: noise@{here}\r\nCSeq: 1 OPTIONS\r\n"
            "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
        s.sendto(ask.encode(), (host, int(port)))
        assert s.recv(4096).startswith(b"SIP/2.0 200")


def test_a_taken_port_is_an_error_that_names_the_option(demo: Demo, tmp_path):
    port = demo.facts["web"].rpartition(":")[2]
    other = Demo(tmp_path / "data", "--web", port)
    with pytest.raises(AssertionError, match="choose another with --web"):
        other.start()
    assert other._gone(10) == 2


def test_a_wrong_login_is_one_sentence(demo: Demo):
    browser = Browser(demo)
    for user in ("director", "nobody"):
        page = browser.submit(browser.get("/console/login"), "/console/login", user=user, password="نادرست۱۲۳۴۵۶۷")
        assert page.status in (401, 403, 422), page.text[:300]
    until(lambda: browser.get("/console/login").status == 200)
