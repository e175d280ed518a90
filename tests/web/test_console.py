"""Staff at the console: sign-in, queues, replies, deeds, walk-ins, files, what did not get out."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from core.channels import Contact, ContactKind, Inbound, Kind
from core.text import digits
from tests.web.conftest import PASSWORD, Browser, Site
from tests.web.test_portal import TEXT, code_and_pin, speak_up, track

WAV = b"RIFF" + (36 + 8000).to_bytes(4, "little") + b"WAVEfmt " + bytes.fromhex(
    "1000000001000100401f0000401f00000100080064617461"
) + (8000).to_bytes(4, "little") + bytes(range(250)) * 32  # fmt: skip


async def operator(site: Site, user: str = "director") -> Browser:
    browser = site.browser()
    page = await browser.sign_in(user)
    assert page.status == 200
    return browser


async def first_ticket(browser: Browser) -> int:
    page = await browser.get("/console/queue?view=all")
    found = re.search(r"/console/t/(\d+)", page.html)
    assert found, page.text
    return int(found[1])


async def test_a_wrong_password_and_an_unknown_name_get_the_same_sentence(site: Site):
    browser = site.browser()
    page = await browser.get("/console/login")
    wrong = await browser.submit(page, "/console/login", user="director", password="نادرست است این")
    nobody = await browser.submit(page, "/console/login", user="nobody", password="نادرست است این")
    assert wrong.status == nobody.status == 422
    assert wrong.text == nobody.text
    assert "نادرست است این" not in wrong.html


async def test_five_misses_make_an_account_wait(site: Site):
    browser = site.browser()
    page = await browser.get("/console/login")
    for _ in range(5):
        await browser.submit(page, "/console/login", user="director", password="گذرواژهٔ نادرست")
    shut = await browser.submit(page, "/console/login", user="director", password=PASSWORD)
    assert shut.status == 429
    assert int(shut.headers["Retry-After"]) > 0


async def test_without_a_session_a_page_leads_to_sign_in_and_a_deed_is_refused(site: Site):
    browser = site.browser()
    page = await site.client.get("/console/queue?view=mine", allow_redirects=False)
    assert page.status == 303
    assert page.headers["Location"].startswith("/console/login?next=/console/queue")
    assert (await browser.post("/console/t/1/take", {"version": "1"})).status == 401


async def test_sign_in_goes_on_to_a_page_of_the_console_only(site: Site):
    browser = site.browser()
    page = await browser.get("/console/login?next=https://example.ir/")
    sent = await browser.post(
        "/console/login",
        page.fields("/console/login") | {"user": "director", "password": PASSWORD},
        follow=False,
    )
    assert sent.status == 303
    assert sent.headers["Location"] == "/console/"
    assert "HttpOnly" in sent.headers["Set-Cookie"]
    assert "SameSite=Lax" in sent.headers["Set-Cookie"]


async def test_signing_out_ends_the_session(site: Site):
    browser = await operator(site)
    await browser.submit(await browser.get("/console/"), "/console/logout")
    page = await site.client.get("/console/", allow_redirects=False)
    assert page.status == 303


async def test_an_answer_reaches_the_citizen_by_code_and_pin(site: Site):
    citizen = site.browser()
    code, pin = code_and_pin(await speak_up(site, citizen))
    browser = await operator(site)
    number = await first_ticket(browser)
    page = await browser.get(f"/console/t/{number}")
    assert TEXT in page.text
    sent = await browser.submit(page, f"/console/t/{number}/reply", way="reply", text="نامهٔ شما امروز پاسخ گرفت.")
    assert sent.status == 200, sent.text
    whole = await track(citizen, code, pin)
    assert "نامهٔ شما امروز پاسخ گرفت." in whole.text
    objected = await citizen.submit(whole, "/track/act", act="object", text="پاسخ کامل نیست")
    assert site.parts.say("core.state.disputed", "fa") in objected.text, objected.text


async def test_an_answer_goes_by_the_channel_that_the_operator_chose_among_proven_points(site: Site):
    phone = Contact(ContactKind.PHONE, "+989120000000", True)
    mail = Contact(ContactKind.MAIL, "maryam@example.ir", True)
    await site.parts.door.take(Inbound("sms", "1", TEXT, Kind.REQUEST, contact=phone, answer_to=mail, answer_by="mail"))
    browser = await operator(site)
    number = await first_ticket(browser)
    page = await browser.get(f"/console/t/{number}")
    chosen = re.search(r'<select id="channel".*?</select>', page.html, re.S)
    assert chosen
    options = re.findall(r'<option value="(\w*)">([^<]*)</option>', chosen[0])
    assert [value for value, _ in options] == ["", "sms", "web"]
    assert "maryam@example.ir" in options[0][1]
    assert "0912" in digits(options[1][1]).replace(" ", "")
    typed = {"way": "reply", "text": "با پیامک پاسخ دادیم", "channel": "sms"}
    sent = await browser.submit(page, f"/console/t/{number}/reply", **typed)
    assert sent.status == 200, sent.text
    answer = sent.html.split('<li class="said said-out"')[-1].split("</li>")[0]
    assert "۰۹۱۲ ۰۰۰ ۰۰۰۰" in answer
    assert "maryam@example.ir" not in answer


async def test_an_hour_for_the_call_is_offered_where_the_answer_goes_by_telephone(site: Site):
    object.__setattr__(site.parts, "telephone", SimpleNamespace(call_hours=lambda: (9, 19)))
    caller = Contact(ContactKind.PHONE, "+989120000000", proven=True)
    await site.parts.door.take(Inbound("phone", "1", TEXT, Kind.REQUEST, contact=caller))
    browser = await operator(site)
    number = await first_ticket(browser)
    page = await browser.get(f"/console/t/{number}")
    chosen = re.search(r'<select id="hour".*?</select>', page.html, re.S)
    assert chosen
    assert re.findall(r'value="(\d*)"', chosen[0]) == ["", *map(str, range(9, 20))]
    wrong = await browser.submit(page, f"/console/t/{number}/reply", way="reply", text="زنگ می‌زنیم", hour="99")
    assert wrong.status == 422
    right = await browser.submit(wrong, f"/console/t/{number}/reply", way="reply", text="زنگ می‌زنیم", hour="17")
    assert right.status == 200


async def test_an_answer_whose_only_way_is_the_portal_offers_no_choice(site: Site):
    await speak_up(site, site.browser())
    browser = await operator(site)
    page = await browser.get(f"/console/t/{await first_ticket(browser)}")
    assert 'id="channel"' not in page.html


async def test_a_note_stays_inside(site: Site):
    citizen = site.browser()
    code, pin = code_and_pin(await speak_up(site, citizen))
    browser = await operator(site)
    number = await first_ticket(browser)
    await browser.submit(
        await browser.get(f"/console/t/{number}"), f"/console/t/{number}/reply", way="note", text="از بایگانی بپرسید"
    )
    assert "از بایگانی بپرسید" in (await browser.get(f"/console/t/{number}")).text
    assert "از بایگانی بپرسید" not in (await track(citizen, code, pin)).text


async def test_a_reply_to_a_stale_ticket_is_refused_and_its_words_are_kept(site: Site):
    await speak_up(site, site.browser())
    browser = await operator(site)
    number = await first_ticket(browser)
    old = await browser.get(f"/console/t/{number}")
    await browser.submit(old, f"/console/t/{number}/take")
    late = await browser.submit(old, f"/console/t/{number}/reply", way="reply", text="پاسخی که نباید گم شود")
    assert late.status == 409
    assert "پاسخی که نباید گم شود" in late.html
    again = await browser.submit(late, f"/console/t/{number}/reply", way="reply", text="پاسخی که نباید گم شود")
    assert again.status == 200


async def test_a_reply_is_taken_back_within_ten_seconds_and_not_later(site: Site):
    await site.parts.door.take(
        Inbound("sms", "1", TEXT, Kind.REQUEST, contact=Contact(ContactKind.PHONE, "+989120000000", True))
    )
    browser = await operator(site)
    number = await first_ticket(browser)
    page = await browser.get(f"/console/t/{number}")
    sent = await browser.submit(page, f"/console/t/{number}/reply", way="reply", text="زود فرستادم")
    undone = await browser.submit(sent, f"/console/t/{number}/unsend")
    assert undone.status == 200, undone.text
    assert site.parts.say("console.withdrawn", "fa") in undone.text
    sent = await browser.submit(undone, f"/console/t/{number}/reply", way="reply", text="این بار درست")
    site.clock.advance(11)
    fields = sent.fields(f"/console/t/{number}/unsend")
    assert (await browser.post(f"/console/t/{number}/unsend", fields)).status == 409


@pytest.mark.parametrize(
    ("deed", "fields"),
    [
        ("take", {}),
        ("route", {"unit": "secretariat", "reason": "کار دبیرخانه است"}),
        ("close", {"reason": "duplicate"}),
        ("outside", {"until": "1403/06/01", "text": "نامه به شهرداری"}),
        ("junk", {"reason": "تبلیغ است"}),
    ],
)
async def test_each_deed_is_done_and_logged(site: Site, deed: str, fields: dict[str, str]):
    await speak_up(site, site.browser(), unit="public-relations")
    browser = await operator(site)
    number = await first_ticket(browser)
    page = await browser.get(f"/console/t/{number}")
    done = await browser.submit(page, f"/console/t/{number}/{deed}", **fields)
    assert done.status == 200, done.text
    assert site.parts.say(f"core.event.{deed}", "fa") in done.text


@pytest.mark.parametrize(
    ("deed", "fields", "word"),
    [
        ("route", {"unit": "secretariat", "reason": ""}, "empty"),
        ("outside", {"until": "1403/13/41", "text": "نامه"}, "no_such_day"),
        ("outside", {"until": "فردا", "text": "نامه"}, "shape"),
        ("close", {"reason": "tired"}, "unknown"),
        ("reply", {"way": "reply", "text": " "}, "empty"),
    ],
)
async def test_a_deed_with_wrong_input_changes_nothing(site: Site, deed: str, fields: dict[str, str], word: str):
    await speak_up(site, site.browser())
    browser = await operator(site)
    number = await first_ticket(browser)
    before = await browser.get(f"/console/t/{number}")
    refused = await browser.submit(before, f"/console/t/{number}/{deed}", **fields)
    assert refused.status == 422
    assert 'role="alert"' in refused.html
    form = f"/console/t/{number}/reply"
    assert (await browser.get(f"/console/t/{number}")).fields(form)["version"] == before.fields(form)["version"]


async def test_another_units_ticket_is_not_there(site: Site):
    await speak_up(site, site.browser(), unit="public-relations")
    number = await first_ticket(await operator(site))
    stranger = await operator(site, "desk")
    assert (await stranger.get(f"/console/t/{number}")).status == 404
    assert (await stranger.get(f"/console/t/{number}/slip")).status == 404


async def test_an_administrator_reads_no_tickets(site: Site):
    browser = site.browser()
    page = await browser.sign_in("admin")
    assert page.status == 200
    assert "پرونده‌های شهروندان را نمی‌بیند" in page.text
    assert "/console/phone" in page.html
    assert (await browser.get("/console/queue?view=all")).status == 403


async def test_a_walk_in_gets_a_slip_with_code_pin_and_qr_and_it_prints_again(site: Site):
    browser = await operator(site, "desk")
    page = await browser.get("/console/new")
    slip = await browser.submit(
        page, "/console/new", kind="request", text=TEXT, channel="desk", name="مراجع", unit="secretariat"
    )
    assert slip.status == 201, slip.text
    code, pin = code_and_pin(slip)
    number = await first_ticket(browser)
    again = await browser.get(f"/console/t/{number}/slip")
    assert code_and_pin(again) == (code, pin)
    assert "<svg" in again.html
    assert TEXT in (await track(site.browser(), code, pin)).text


async def test_a_walk_in_from_tomorrow_is_refused_with_its_words(site: Site):
    browser = await operator(site, "desk")
    page = await browser.get("/console/new")
    refused = await browser.submit(
        page, "/console/new", kind="request", text=TEXT, channel="letter", arrived="1403/06/01"
    )
    assert refused.status == 422
    assert TEXT in refused.html


async def voice(site: Site) -> tuple[Browser, str]:
    kept = await site.parts.door.keep(WAV, "voice.wav")
    await site.parts.door.take(Inbound("phone", "call-1", "", Kind.COMPLAINT, files=[kept], unit="secretariat"))
    browser = await operator(site)
    page = await browser.get(f"/console/t/{await first_ticket(browser)}")
    source = re.search(r'<audio[^>]* src="([^"]+)"', page.html)
    assert source, page.text
    return browser, source[1]


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ("bytes=0-43", WAV[:44]),
        ("bytes=100-199", WAV[100:200]),
        ("bytes=8000-", WAV[8000:]),
        ("bytes=-100", WAV[-100:]),
    ],
    ids=["head", "middle", "tail", "last"],
)
async def test_a_voice_message_plays_by_range(site: Site, span: str, expected: bytes):
    _, source = await voice(site)
    answer = await site.client.get(source, headers={"Range": span})
    assert answer.status == 206
    assert await answer.read() == expected
    assert answer.headers["Content-Range"].endswith(f"/{len(WAV)}")


async def test_a_range_past_the_end_is_416_and_no_range_is_the_whole(site: Site):
    _, source = await voice(site)
    assert (await site.client.get(source, headers={"Range": f"bytes={len(WAV)}-"})).status == 416
    assert await (await site.client.get(source)).read() == WAV


async def test_another_units_recording_is_not_there(site: Site):
    kept = await site.parts.door.keep(WAV, "voice.wav")
    await site.parts.door.take(Inbound("phone", "call-2", "", Kind.COMPLAINT, files=[kept], unit="public-relations"))
    number = await first_ticket(await operator(site))
    stranger = await operator(site, "desk")
    assert (await stranger.get(f"/console/file/{kept.key}?t={number}")).status == 404


async def test_the_box_leads_from_a_code_to_its_ticket(site: Site):
    code, _ = code_and_pin(await speak_up(site, site.browser()))
    browser = await operator(site)
    found = await browser.get(f"/console/find?q={code[:3]}-{code[3:7]}-{code[7:]}")
    assert code in digits(found.text).replace("-", "")
    assert TEXT in found.text


async def test_a_page_of_what_did_not_get_out_says_so_when_there_is_nothing(site: Site):
    page = await (await operator(site)).get("/console/out")
    assert page.status == 200
    assert site.parts.say("console.nothing", "fa") in page.text


async def test_a_slip_printed_by_another_has_no_pin(site: Site):
    desk = await operator(site, "desk")
    await desk.submit(
        await desk.get("/console/new"), "/console/new", kind="request", text=TEXT, channel="desk", unit="secretariat"
    )
    number = await first_ticket(desk)
    assert 'id="receipt-pin"' in (await desk.get(f"/console/t/{number}/slip")).html
    other = await (await operator(site)).get(f"/console/t/{number}/slip")
    assert 'id="receipt-code"' in other.html
    assert 'id="receipt-pin"' not in other.html


async def test_the_path_of_a_call_and_that_it_broke_off_are_on_its_ticket(site: Site):
    await site.parts.door.take(
        Inbound("phone", "1", "پیام صوتی", facts={"path": ["welcome", "complaint"], "recovered": True})
    )
    browser = await operator(site)
    page = await browser.get(f"/console/t/{await first_ticket(browser)}")
    assert "welcome › complaint" in page.text
    assert "بازیافته" in page.text
