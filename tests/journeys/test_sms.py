"""A text to the short code becomes a ticket, the code comes back, the operator's answer arrives on the handset."""

from __future__ import annotations

import pytest
import requests

from core.text import digits
from tests.journeys.running import Demo, Operator, code_in, until

PHONE = "09120000001"


@pytest.fixture(scope="module")
def code(demo: Demo) -> str:
    demo.text(PHONE, "آب خیابان نمونه از دیروز قطع است")
    return code_in(until(lambda: demo.texts(PHONE))[0]["text"])


def test_the_answer_arrives_on_the_handset_and_the_code_returns_the_state(demo, code):
    operator = Operator(demo, "manager")
    done = operator.reply(operator.ticket(code), "لولهٔ اصلی امروز تعمیر شد.")
    assert done.status == 200, done.text
    answer = until(lambda: [row for row in demo.texts(PHONE) if "تعمیر شد" in row["text"]], 30)
    assert code in digits(answer[0]["text"]).replace("-", "")
    demo.text(PHONE, code)
    until(lambda: [row for row in demo.texts(PHONE) if "وضعیت" in row["text"]])


def test_the_same_text_pushed_twice_is_one_ticket_and_one_code(demo, code):
    before = len(demo.texts(PHONE))
    hook = f"{demo.facts['web']}/hooks/sms/main/{(demo.folder / 'hook.secret').read_text().strip()}"
    fields = {"messageid": "77", "from": PHONE, "to": "30001234", "message": "برق هم قطع است"}
    answers = [requests.post(hook, data=fields) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    until(lambda: len(demo.texts(PHONE)) > before)
    assert len(demo.texts(PHONE)) == before + 1


def test_a_wrong_secret_is_404_and_a_push_without_fields_is_kept_and_acknowledged(demo):
    base = f"{demo.facts['web']}/hooks/sms/main/"
    assert requests.post(base + "x" * 64, data={"from": "1"}).status_code == 404
    right = (demo.folder / "hook.secret").read_text().strip()
    assert requests.post(base + right, data={"nonsense": "1"}).status_code == 200
