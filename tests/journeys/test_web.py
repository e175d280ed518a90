"""A complaint on the portal without an account or JavaScript; and a walk-in typed at the desk."""

from __future__ import annotations

import re

from tests.journeys.running import Browser, Demo, Operator, code_in, pin_in


def speak_up(browser: Browser, words: str, **more: str):
    page = browser.get("/new")
    checked = browser.submit(page, "/new", kind="complaint", text=words, answer_by="here", step="check", **more)
    return browser.submit(checked, "/new", step="send")


def test_complaint_answer_and_tracking_without_javascript(demo: Demo):
    citizen = Browser(demo)
    done = speak_up(citizen, "زبالهٔ کوچهٔ نمونه یک هفته است جمع نشده")
    assert done.status == 201, done.text[:1000]
    assert re.search(r"\d{3}-\d{4}-\d{4}|[۰-۹]{3}-[۰-۹]{4}-[۰-۹]{4}", done.text)
    code, pin = code_in(done.text), pin_in(done.text)
    operator = Operator(demo, "manager")
    ticket = operator.ticket(code)
    assert operator.reply(ticket, "امروز جمع شد.").status == 200
    state = citizen.submit(citizen.get("/track"), "/track", code=code)
    assert "امروز جمع شد" not in state.text
    whole = citizen.submit(citizen.get("/track"), "/track", code=code, proof=pin)
    assert "امروز جمع شد" in whole.text
    wrong = "0000" if pin != "0000" else "1111"
    assert "امروز جمع شد" not in citizen.submit(citizen.get("/track"), "/track", code=code, proof=wrong).text


def test_an_operator_sees_only_the_own_unit(demo: Demo):
    done = speak_up(Browser(demo), "چراغ خیابان خاموش است")
    code = code_in(done.text)
    admin = Operator(demo, "manager")
    page = admin.get(f"/console/t/{admin.ticket(code)}")
    assert page.status == 200
    stranger = Browser(demo)
    assert "چراغ خیابان" not in stranger.get(f"/console/t/{admin.ticket(code)}").text


def test_a_walk_in_is_typed_at_the_desk_and_its_slip_has_a_qr(demo: Demo):
    operator = Operator(demo, "operator")
    page = operator.get("/console/new")
    done = operator.submit(
        page, "/console/new", kind="request", text="رونوشت پرونده را می‌خواهم", name="مراجع نمونه", channel="desk"
    )
    assert done.status in (200, 201), done.text[:1000]
    code = code_in(done.text)
    slip = operator.get(f"/console/t/{operator.ticket(code)}/slip")
    assert "<svg" in slip.html
    assert code_in(slip.text) == code
    assert pin_in(slip.text)
