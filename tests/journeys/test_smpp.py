"""The SMS journey over SMPP, with the running program: a text in, its code back, the answer on the handset."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest
import requests

from core.text import digits
from tests.journeys.running import Demo, Operator, code_in, until

PHONE = "09120000071"
LONG = (
    "سلام. از دیروز عصر آب خیابان نمونه قطع است و کسی هم پاسخ تلفن را نمی‌دهد؛ "
    "لطفاً رسیدگی کنید و نتیجه را به همین شماره بفرستید."
)


def fault(demo: Demo, method: str, *faults: str) -> None:
    doors = demo.facts["handset"].replace("/handset", "/faults.json")
    for each in faults:
        answer = requests.post(doors, json={"method": method, "fault": each})
        assert answer.ok, answer.text


def rows(demo: Demo, ask: str) -> list[tuple[str, ...]]:
    """What the store says."""
    with contextlib.closing(sqlite3.connect(f"file:{demo.folder / 'pasokh.db'}?mode=ro", uri=True)) as s:
        return s.execute(ask).fetchall()


@pytest.fixture(scope="module")
def code(demo: Demo) -> str:
    demo.text(PHONE, LONG, demo.smpp_code)
    (told,) = until(lambda: demo.texts(PHONE))
    assert told["from"] == demo.smpp_code
    return code_in(told["text"])


def test_a_long_text_in_parts_is_one_ticket_and_its_answer_arrives_by_the_same_way(demo: Demo, code: str):
    operator = Operator(demo, "manager")
    ticket = operator.ticket(code)
    assert LONG in operator.get(f"/console/t/{ticket}").text
    operator.reply(ticket, "لولهٔ اصلی خیابان نمونه امروز تعمیر شد و آب وصل است. از شکیبایی شما سپاسگزاریم.")
    (answer,) = until(lambda: [row for row in demo.texts(PHONE) if "تعمیر شد" in row["text"]], 30)
    assert answer["from"] == demo.smpp_code
    assert code in digits(answer["text"]).replace("-", "")
    told = "SELECT ref FROM delivery WHERE state = 'delivered' AND outbox IS NOT NULL AND ref LIKE 'smpp:%,%'"
    until(lambda: rows(demo, told))


def test_the_code_alone_returns_the_state(demo: Demo, code: str):
    demo.text(PHONE, code, demo.smpp_code)
    until(lambda: [row for row in demo.texts(PHONE) if "وضعیت" in row["text"]])


def test_what_makes_no_sense_on_the_wire_is_a_ticket_and_the_next_text_is_taken(demo: Demo, code: str):
    fault(demo, "deliver_sm", "bad_numbers")
    demo.text("09120000072", "برق کوچهٔ نمونه قطع است", demo.smpp_code)
    until(lambda: demo.texts("09120000072"))


def test_throttled_and_answered_in_any_order_every_text_still_has_its_answer(demo: Demo):
    fault(demo, "submit_sm", "0x58", "0x08", "shuffle", "shuffle")
    phones = [f"0912000008{n}" for n in range(4)]
    for phone in phones:
        demo.text(phone, "چراغ کوچه خاموش است", demo.smpp_code)
    for phone in phones:
        (told,) = until(lambda phone=phone: demo.texts(phone), 30)
        assert code_in(told["text"])


def test_a_connection_dropped_in_mid_window_leaves_a_doubt_that_is_not_sent_again(demo: Demo):
    fault(demo, "submit_sm", "drop")
    demo.text("09120000091", "چراغ خیابان خاموش است", demo.smpp_code)
    until(lambda: rows(demo, "SELECT id FROM outbox WHERE state = 'unknown'"))
    demo.text("09120000092", "چراغ میدان خاموش است", demo.smpp_code)
    until(lambda: demo.texts("09120000092"))
    assert len(demo.texts("09120000091")) == 1
