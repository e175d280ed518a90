"""A citizen on the portal: writes, gets a code, follows, adds, objects; wrong input keeps what was typed."""

from __future__ import annotations

import re

import pytest

from core import codes
from core.text import digits
from tests.web.conftest import Browser, Page, Site

TEXT = "سه هفته است که پاسخ نامهٔ من داده نشده است."
# aiohttp reads a part whose boundary falls between two chunks by a call of its own that it calls deprecated
pytestmark = pytest.mark.filterwarnings("ignore:unread_data")

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 200


async def speak_up(site: Site, browser: Browser, text: str = TEXT, **more: str) -> Page:
    page = await browser.get("/new")
    checked = await browser.submit(page, "/new", kind="complaint", text=text, step="check", **more)
    assert checked.status == 200, checked.text
    site.clock.advance(20)
    return await browser.submit(checked, "/new", step="send")


def code_and_pin(page: Page) -> tuple[str, str]:
    code = re.search(r'id="receipt-code"[^>]*>(.*?)</p>', page.html)
    pin = re.search(r'id="receipt-pin"[^>]*>(.*?)</p>', page.html)
    assert code and pin, page.text
    return re.sub(r"\D", "", digits(code[1])), re.sub(r"\D", "", digits(pin[1]))


async def track(browser: Browser, code: str, proof: str = "") -> Page:
    return await browser.submit(await browser.get("/track"), "/track", code=code, proof=proof)


async def test_a_complaint_gets_a_code_of_11_digits_a_pin_and_a_qr(site: Site):
    done = await speak_up(site, site.browser())
    assert done.status == 201
    code, pin = code_and_pin(done)
    assert codes.ok(code)
    assert len(pin) == 4
    assert "<svg" in done.html


async def test_the_state_needs_the_code_and_the_words_need_the_pin(site: Site):
    browser = site.browser()
    code, pin = code_and_pin(await speak_up(site, browser))
    state = await track(browser, code)
    assert state.status == 200
    assert TEXT not in state.text
    assert re.search(r"<title>پروندهٔ [۰-۹]{3}-[۰-۹]{4}-[۰-۹]{4} – ", state.html)
    proven = await track(browser, code, pin)
    assert TEXT in proven.text


async def test_an_unknown_code_and_a_wrong_pin_get_the_same_page(site: Site):
    browser = site.browser()
    code, pin = code_and_pin(await speak_up(site, browser))
    wrong = "0000" if pin != "0000" else "1111"
    refused = await track(browser, code, wrong)
    unknown = await track(browser, codes.new(), wrong)
    assert refused.status == unknown.status == 422
    assert digits(refused.text).replace(code, "") != ""
    assert re.sub(r"\d{11}", "", refused.text) == re.sub(r"\d{11}", "", unknown.text)


async def test_one_wrong_digit_is_told_as_such(site: Site):
    code, _ = code_and_pin(await speak_up(site, site.browser()))
    broken = code[:-1] + str((int(code[-1]) + 1) % 10)
    page = await track(site.browser(), broken)
    assert page.status == 422
    assert site.parts.say("core.error.check", "fa") in page.text
    assert f'value="{broken}"' in page.html


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"text": "  "}, "empty"),
        ({"text": "آه"}, "short"),
        ({"kind": "misconduct"}, "choice"),
        ({"answer_by": "sms"}, "empty"),
        ({"phone": "خانه"}, "shape"),
        ({"mail": "nobody@"}, "shape"),
        ({"unit": "no-such-unit"}, "choice"),
        ({"lat": "36.5"}, "empty"),
        ({"lat": "136.5", "long": "48"}, "range"),
        ({"text": "ب" * 10_001}, "long"),
    ],
)
async def test_wrong_input_is_named_and_all_values_are_kept(site: Site, fields: dict[str, str], word: str):
    browser = site.browser()
    typed = {"kind": "complaint", "text": TEXT, "name": "مریم نمونه", "place": "خیابان بهار"} | fields
    page = await browser.submit(await browser.get("/new"), "/new", step="send", **typed)
    assert page.status == 422
    assert site.parts.say(f"core.error.{word}", "fa") in page.text
    for name in ("name", "place"):
        assert typed[name] in page.html
    assert fields.get("text", TEXT).strip() in page.html


async def test_the_same_form_twice_is_one_ticket_and_other_words_are_offered_as_an_addition(site: Site):
    browser = site.browser()
    page = await browser.get("/new")
    site.clock.advance(20)
    first = await browser.submit(page, "/new", kind="complaint", text=TEXT, step="send")
    again = await browser.submit(page, "/new", kind="complaint", text=TEXT, step="send")
    other = await browser.submit(page, "/new", kind="complaint", text=TEXT + " باز هم.", step="send")
    assert code_and_pin(first) == code_and_pin(again) == code_and_pin(other)
    code, pin = code_and_pin(first)
    added = await browser.submit(other, "/track/act", text="باز هم.")
    assert added.status == 200
    assert "باز هم." in (await track(browser, code, pin)).text


async def test_files_ride_along_by_a_signed_list_and_can_be_fetched_with_the_pass(site: Site):
    browser = site.browser()
    checked = await browser.multipart(
        await browser.get("/new"), "/new", [("عکس کوچه.png", PNG)], kind="complaint", text=TEXT, step="check"
    )
    assert "عکس کوچه.png" in checked.text
    site.clock.advance(20)
    code, pin = code_and_pin(await browser.submit(checked, "/new", step="send"))
    whole = await track(browser, code, pin)
    fetched = await site.client.post(
        "/track/file", data=whole.fields("/track/file"), headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert fetched.status == 200
    assert await fetched.read() == PNG
    assert fetched.headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in fetched.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ([("a.svg", b"<svg onload=alert(1)>")], "type"),
        ([("a.png", b"<html><script>1</script>")], "type"),
        ([(f"{n}.png", PNG) for n in range(6)], "many"),
        ([("a.png", PNG + b"\0" * 10 * 1024 * 1024)], "big"),
    ],
    ids=["svg", "html named png", "six", "eleven megabytes"],
)
async def test_files_that_cannot_be_taken_are_named(site: Site, files: list[tuple[str, bytes]], word: str):
    browser = site.browser()
    page = await browser.multipart(await browser.get("/new"), "/new", files, kind="complaint", text=TEXT, step="send")
    assert page.status == 422
    assert site.parts.say(f"core.error.{word}", "fa") in page.text
    assert TEXT in page.html


async def test_a_forged_list_of_files_is_no_list(site: Site):
    browser = site.browser()
    page = await browser.get("/new")
    site.clock.advance(20)
    forged = "WzAsW1siYSIsImIiLCJjIiwxXV1d.AAAAAAAAAAAAAAAAAAAAAA"
    done = await browser.submit(page, "/new", kind="complaint", text=TEXT, step="send", kept=forged)
    assert done.status == 201


async def test_edit_goes_back_with_everything_typed(site: Site):
    browser = site.browser()
    page = await browser.get("/new")
    checked = await browser.submit(page, "/new", kind="request", text=TEXT, name="رضا", step="check")
    back = await browser.submit(checked, "/new", step="edit")
    assert TEXT in back.html
    assert 'value="رضا"' in back.html


async def test_a_form_of_yesterday_is_shown_afresh_with_its_words(site: Site):
    browser = site.browser()
    page = await browser.get("/new")
    site.clock.advance(25 * 3600)
    old = await browser.submit(page, "/new", kind="complaint", text=TEXT, step="send")
    assert old.status == 422
    assert TEXT in old.html
    site.clock.advance(20)
    assert (await browser.submit(old, "/new", kind="complaint", text=TEXT, step="send")).status == 201


async def test_a_machine_that_fills_the_trap_is_taken_and_waits_for_a_person(site: Site):
    browser = site.browser()
    done = await speak_up(site, browser, website="http://example.ir")
    assert done.status == 201
    state = await track(browser, code_and_pin(done)[0])
    assert site.parts.say("core.state.held", "fa") in state.text


async def test_sixty_forms_an_hour_from_an_address_are_enough(site: Site):
    browser = site.browser()
    page = await browser.get("/new")
    site.clock.advance(20)
    for n in range(60):
        done = await browser.submit(page, "/new", kind="thanks", text=f"سپاس {n}", step="send", ref=f"r{n}")
        assert done.status == 201
    shut = await browser.submit(page, "/new", kind="thanks", text="سپاس بسیار", step="send", ref="r60")
    assert shut.status == 429
    assert int(shut.headers["Retry-After"]) > 0
    assert "سپاس بسیار" in shut.html


async def test_the_citizen_adds_and_withdraws_with_the_pass(site: Site):
    browser = site.browser()
    code, pin = code_and_pin(await speak_up(site, browser))
    page = await track(browser, code, pin)
    added = await browser.submit(page, "/track/act", act="add", text="شمارهٔ نامه ۱۲ است.")
    assert "شمارهٔ نامه ۱۲ است." in added.text
    gone = await browser.submit(added, "/track/act", act="withdraw")
    assert site.parts.say("core.state.closed", "fa") in gone.text


async def test_a_pass_is_over_after_half_an_hour_and_the_words_are_kept(site: Site):
    browser = site.browser()
    code, pin = code_and_pin(await speak_up(site, browser))
    page = await track(browser, code, pin)
    site.clock.advance(31 * 60)
    late = await browser.submit(page, "/track/act", act="add", text="هنوز پاسخی نیامده.")
    assert late.status == 422
    assert "هنوز پاسخی نیامده." in late.html


async def test_too_many_misses_shut_the_way_by_code(site: Site):
    browser = site.browser()
    statuses = [(await track(browser, codes.new(), "1234")).status for _ in range(12)]
    assert statuses[0] == 422
    assert statuses[-1] == 429


async def test_html_is_text_wherever_it_is_shown(site: Site):
    canary = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    browser = site.browser()
    page = await browser.get("/new")
    checked = await browser.submit(page, "/new", kind="complaint", text=canary, name=canary, place=canary, step="check")
    site.clock.advance(20)
    done = await browser.submit(checked, "/new", step="send")
    code, pin = code_and_pin(done)
    operator = site.browser()
    await operator.sign_in("director")
    queue = await operator.get("/console/queue?view=all")
    ticket = re.search(r"/console/t/(\d+)", queue.html)
    assert ticket
    shown = [checked, done, await track(browser, code, pin), queue, await operator.get(f"/console/t/{ticket[1]}")]
    for one in shown:
        assert "<script" not in one.html
        assert "<img src=x" not in one.html
    assert canary in shown[2].text.replace("&lt;", "<") or "alert(1)" in shown[2].text


async def test_pages_exist_in_english_and_name_their_language(site: Site):
    page = await site.browser().get("/en/new")
    assert '<html lang="en" dir="ltr">' in page.html
    assert "Service desk" in page.text
    assert 'hreflang="fa" href="/new"' in page.html


async def test_public_pages_are_cached_a_minute_and_answer_304(site: Site):
    page = await site.browser().get("/help")
    assert page.headers["Cache-Control"] == "public, max-age=60"
    again = await site.client.get("/help", headers={"If-None-Match": page.headers["ETag"]})
    assert again.status == 304


async def test_no_page_of_the_portal_sets_a_cookie(site: Site):
    for path in ("/", "/new", "/track", "/people", "/services"):
        page = await site.browser().get(path)
        assert "Set-Cookie" not in page.headers


async def test_a_services_own_fields_are_asked_at_the_check_and_told_with_the_message(site: Site):
    browser = site.browser()
    page = await browser.get("/new?service=new-connection")
    checked = await browser.submit(page, "/new", kind="request", text=TEXT, service="new-connection", step="check")
    assert checked.status == 200
    site.clock.advance(20)
    missing = await browser.submit(checked, "/new", step="send")
    assert missing.status == 422
    assert TEXT in missing.text
    wrong = await browser.submit(missing, "/new", step="send", s_postal_code="۱۲۳", s_use="home")
    assert site.parts.say("core.error.short", "fa") in wrong.text
    done = await browser.submit(wrong, "/new", step="send", s_postal_code="۴۵۱۳۷-۱۲۳۴۵", s_use="home")
    code, pin = code_and_pin(done)
    assert "4513712345" in (await track(browser, code, pin)).text


async def test_the_language_of_the_page_is_the_tickets(site: Site):
    browser = site.browser()
    page = await browser.get("/en/new")
    site.clock.advance(20)
    done = await browser.submit(page, "/en/new", kind="thanks", text="Thank you all", step="send")
    assert done.status == 201
    assert "Your message has been taken" in done.text
