"""A text to the short code becomes a ticket, the code comes back, the operator's answer arrives on the handset."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import requests

from core.text import digits
from tests.journeys.running import ROOT, Demo, Operator, code_in, until

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


def pasokh(demo: Demo, *words: str) -> subprocess.CompletedProcess[str]:
    """`pasokh sms …` beside the running demo."""
    command = [sys.executable, "-m", "gateway", "sms", "--data", str(demo.folder), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
def test_commands_send_follow_pause_resume_and_fetch(demo):
    sent = pasokh(demo, "send", "09120000077", "پیام آزمون از خط فرمان")
    assert sent.returncode == 0, sent.stderr
    until(lambda: demo.texts("09120000077"))
    assert demo.texts("09120000077")[0]["text"] == "پیام آزمون از خط فرمان"
    row = json.loads(until(lambda: accepted(pasokh(demo, "status", sent.stdout.strip()).stdout)))
    assert (row["parts"], row["cost"], row["attempt"]) == (1, 1200, 1)
    assert json.loads(pasokh(demo, "lines").stdout)[0]["ways"][0]["link"] == "up"
    assert pasokh(demo, "pause", "main", "--why", "آزمون").stdout == "paused\n"
    held = pasokh(demo, "send", "09120000077", "باید صبر کند").stdout.strip()
    until(lambda: json.loads(pasokh(demo, "status", held).stdout)["why"] == "line paused")
    assert len(demo.texts("09120000077")) == 1
    assert pasokh(demo, "resume", "main").returncode == 0
    assert int(pasokh(demo, "fetch", "main", "--since", "1h").stdout) >= 0
    assert "2 parts, ucs2" in pasokh(demo, "parts", "آ" * 71).stdout
    assert pasokh(demo, "pause", "moon").returncode == 2


def accepted(status: str) -> str:
    """The status once the provider has it, else nothing yet."""
    return status if json.loads(status)["state"] in ("accepted", "sent", "delivered") else ""


def test_an_answer_by_text_is_accepted_by_one_digit(demo):
    demo.text("09120000078", "درخت کوچه افتاده است")
    code = code_in(until(lambda: demo.texts("09120000078"))[0]["text"])
    operator = Operator(demo, "manager")
    ticket = operator.ticket(code)
    operator.reply(ticket, "درخت جمع شد.")
    until(lambda: len(demo.texts("09120000078")) > 1, 40)
    demo.text("09120000078", "۱")
    told = until(lambda: [one["text"] for one in demo.texts("09120000078")[2:]])
    assert "پذیرش" in told[0]
    page = until(lambda: (page := operator.get(f"/console/t/{ticket}")) and "رسید" in page.text and page)
    assert "بخش" in page.text


@pytest.mark.slow
def test_the_made_up_provider_has_a_page_that_sets_its_faults(demo):
    base = demo.facts["handset"].rsplit("/", 1)[0]
    wanted = {"method": "sendarray", "fault": "reset_after", "count": "1"}
    shown = requests.post(f"{base}/provider", data=wanted, timeout=10)
    assert "reset_after" in shown.text
    demo.text("09120000079", "چالهٔ بزرگی در خیابان است")
    until(lambda: demo.texts("09120000079"), 10)
    waiting = requests.get(f"{base}/provider", timeout=10).text.split("<table>")[1].split("</table>")[0]
    assert "reset_after" not in waiting
    assert requests.post(f"{base}/provider", data={"credit": "x", "ahead": "0"}, timeout=10).status_code == 400
    phones = requests.get(demo.facts["handset"], timeout=10).text
    assert phones.count('<section class="phone') >= 3
