"""A letter to a manager's address becomes a ticket; acknowledgement, answer and reply stay in one thread."""

from __future__ import annotations

import requests

from tests.journeys.running import Demo, Operator, code_in, until

WRITER = "maryam@mailbox.example.ir"


def test_letter_acknowledgement_answer_and_reply_in_one_thread(demo: Demo):
    to = demo.facts["addresses"][0]["email"]
    first = demo.write(WRITER, to, "درخواست گواهی", "سلام\nلطفاً گواهی سکونت من را بفرستید.")
    receipt = until(lambda: demo.letters(WRITER))[0]
    assert receipt["in_reply_to"] == first
    code = code_in(receipt["text"])
    operator = Operator(demo, "manager")
    ticket = operator.ticket(code)
    operator.reply(ticket, "گواهی شما آماده است.")
    answer = until(lambda: [row for row in demo.letters(WRITER) if "آماده است" in row["text"]], 30)[0]
    assert first in answer["references"]
    demo.write(WRITER, answer["headers"].get("Reply-To", to), "Re: " + answer["subject"], "سپاسگزارم", answer["id"])
    until(lambda: "سپاسگزارم" in operator.get(f"/console/t/{ticket}").text)


def test_whoever_is_on_holiday_opens_nothing_and_a_letter_that_comes_back_stands_on_its_ticket(demo: Demo):
    to, mailbox = demo.facts["addresses"][0]["email"], demo.facts["mailbox"]
    away, gone = "away@mailbox.example.ir", "gone@mailbox.example.ir"
    operator = Operator(demo, "manager")
    tickets = {}
    for who in (away, gone):
        demo.write(who, to, "پرسش", f"کی نوبت من می‌شود؟ {who}")
        receipt = until(lambda who=who: demo.letters(who))[0]
        tickets[who] = operator.ticket(code_in(receipt["text"]))
        demo.write(who, receipt["headers"]["Reply-To"], "Re: پرسش", "منتظرم", receipt["id"])
        until(lambda who=who: "منتظرم" in operator.get(f"/console/t/{tickets[who]}").text)
    page = requests.post(f"{mailbox}/mode", data={"address": away, "mode": "holiday"})
    assert '<option value="holiday" selected>' in page.text
    assert requests.post(f"{mailbox}/mode.json", json={"address": gone, "mode": "hard"}).ok
    for who in (away, gone):
        operator.reply(tickets[who], "نوبت شما فرداست.")
    noted = "نامه برگشت خورد یا گزارشی از آن رسید"
    for who in (away, gone):
        until(lambda who=who: noted in operator.get(f"/console/t/{tickets[who]}").text, 40)
    assert "پاسخ داده شد" in operator.get(f"/console/t/{tickets[away]}").text
    until(lambda: "رایانامه: نرسید" in operator.get(f"/console/t/{tickets[gone]}").text)
    found = operator.get("/console/queue?view=all")
    assert sum(who in found.text for who in (away, gone)) == 2
    assert found.html.count("پرسش</a>") == 2, "no ticket came of what machines wrote"
