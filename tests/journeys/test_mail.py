"""A letter to a manager's address becomes a ticket; acknowledgement, answer and reply stay in one thread."""

from __future__ import annotations

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
