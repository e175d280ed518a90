"""The telephone in the console: menus, pictures, trial calls, prompts, the known incident; who may, and who may not."""

from __future__ import annotations

import io
import re
import shutil
import wave
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

import config as configuration
from core import people
from core.channels import Gear
from ivr import channel
from ivr.channel import Phone
from ivr.media import g711
from ivr.operators import Operators, PopUp
from ivr.queue import Duty
from ivr.roster import Queue, Roster
from tests.web.conftest import PASSWORD, Site


@pytest_asyncio.fixture
async def folder(tmp_path) -> Path:
    """The site's own menus, to be changed."""
    shutil.copytree(configuration.SEEDS / "menus", tmp_path / "site" / "menus")
    return tmp_path / "site"


@pytest_asyncio.fixture
async def phone(site: Site, folder: Path, tmp_path) -> AsyncIterator[Phone]:
    """A phone without lines behind the console's pages."""
    (tmp_path / "phone").mkdir()
    extra = {
        "menus_folder": str(folder / "menus"),
        "reread": lambda: configuration.read(site=folder),
        "cards": {"emergency": {}},
    }
    made = channel.make(
        Gear("phone", {"line": {}}, site.parts.say, str(tmp_path / "phone"), None, site.clock, {}, extra)
    )
    assert isinstance(made, Phone)
    await made.start(site.parts.door)
    object.__setattr__(site.parts, "telephone", made.panel)
    for login in ("publisher", "auditor"):
        await people.set_password(site.store, login, PASSWORD)
    yield made
    await made.stop(0)


async def admin(site: Site):
    browser = site.browser()
    page = await browser.sign_in("admin")
    assert page.status == 200
    return browser


async def test_the_administrator_is_shown_the_way_to_the_telephone(site, phone):
    browser = site.browser()
    page = await browser.sign_in("admin")
    assert page.status == 200
    assert 'href="/console/phone"' in page.html
    assert "/console/phone/menu/main" in (await browser.get("/console/phone")).html
    assert "/console/queue" not in page.html  # what an administrator may not open is not offered


async def test_a_menu_is_shown_as_a_picture(site, phone):
    page = await (await admin(site)).get("/console/phone/menu/main")
    assert page.status == 200
    assert "<svg " in page.html
    assert 'id="node-verdict"' in page.html
    assert (await (await admin(site)).get("/console/phone/menu/moon")).status == 404


async def test_a_trial_call_is_the_very_machine_of_the_line(site, phone):
    browser = await admin(site)
    page = await browser.get("/console/phone/simulator", params={"menu": "main", "in": "fa", "keys": "1 0 r5"})
    assert "پیامِ شما پنج ثانیه است" in page.text
    assert "می‌فشارد ۱" in page.text and "می‌فشارد 1" not in page.text
    page = await browser.get(
        "/console/phone/simulator", params={"menu": "main", "in": "fa", "keys": "1 0 r5", "press": "3"}
    )
    assert "هفت، دو، نُه؛ چهار، صفر، پنج، یک؛ هشت، سه، شش، چهار" in page.text
    assert "phone: hands over new (complaint, 5 s)" in page.text  # the transcript, for a test
    assert 'src="/console/phone/sound/fa/ivr.menu.record"' in page.html
    back = await browser.get("/console/phone/simulator", params={"keys": "1 0 r5 3", "press": "undo", "in": "fa"})
    assert "هفت، دو، نُه" not in back.text
    night = await browser.get("/console/phone/simulator", params={"keys": "", "closed": "on", "in": "fa"})
    assert "بیرون از ساعتِ کاری" in night.text


@pytest.mark.parametrize("query", [{"keys": "<script>1</script> dance 1"}, {"press": "dance"}, {"keys": "1 " * 500}])
async def test_a_trial_call_takes_nothing_but_its_own_words(site, phone, query):
    page = await (await admin(site)).get("/console/phone/simulator", params=query)
    assert page.status == 200
    assert "<script>1" not in page.html


async def test_unknown_menus_and_languages_are_404(site, phone):
    browser = await admin(site)
    for query in ({"menu": "moon"}, {"in": "de"}):
        assert (await browser.get("/console/phone/simulator", params=query)).status == 404
    assert (await browser.get("/console/phone/prompts", params={"in": "de"})).status == 404
    assert (await browser.get("/console/phone/sound/fa/core.error.error")).status == 404


async def test_every_sentence_is_played_and_said_to_be_synthetic(site, phone):
    browser = await admin(site)
    page = await browser.get("/console/phone/prompts?in=fa")
    keys = re.findall(r'src="/console/phone/sound/fa/([a-z_.]+)"', page.html)
    assert {"ivr.menu.main", "ivr.wrong", "ivr.code_right"} <= set(keys)
    assert page.html.count("صدای ساختگی") == len(keys) + 1
    heard = await browser.client.get("/console/phone/sound/fa/ivr.menu.goodbye")
    assert heard.content_type == "audio/x-wav"
    with wave.open(io.BytesIO(await heard.read())) as sound:
        assert 1 < sound.getnframes() / sound.getframerate() < 10


async def test_a_sentence_is_recorded_with_a_permit_shown_as_recorded_and_withdrawn(site, phone, tmp_path):
    browser = await admin(site)
    page = await browser.get("/console/phone/prompts?in=fa")
    page = await browser.post(
        "/console/phone/prompts", {**page.fields("/console/phone/prompts"), "key": "ivr.menu.goodbye", "lang": "fa"}
    )
    digits = re.search(r'class="permit"><bdi dir="ltr">([۰-۹]{8})<', page.html)[1]
    plain = digits.translate(str.maketrans("۰۱۲۳۴۵۶۷۸۹", "0123456789"))
    place = phone.shelf.fresh("ab" * 16, 1)
    place.write_bytes(g711.wav("pcma", b"\xaa" * 16_000))
    assert phone.shelf.publish("ivr.menu.goodbye", "fa", str(place), plain)
    page = await browser.get("/console/phone/prompts?in=fa")
    assert "شیرین بهرامی‌فر" in page.text.split("ivr.menu.goodbye")[1][:80]
    done = await browser.post(
        "/console/phone/prompts/withdraw",
        {**page.fields("/console/phone/prompts/withdraw"), "key": "ivr.menu.goodbye", "lang": "fa"},
    )
    assert "ضبط‌شده" not in done.text


async def test_a_unit_gets_its_own_greeting_and_only_where_a_message_is_left(site, phone):
    browser = await admin(site)
    page = await browser.get("/console/phone/prompts?in=fa")
    fields = page.fields("/console/phone/prompts")
    asked = {**fields, "key": "ivr.menu.mailbox", "lang": "fa", "unit": "emergency"}
    told = await browser.post("/console/phone/prompts", asked)
    digits = re.search(r'class="permit"><bdi dir="ltr">([۰-۹]{8})<', told.html)[1]
    plain = digits.translate(str.maketrans("۰۱۲۳۴۵۶۷۸۹", "0123456789"))
    assert phone.shelf.allows(plain).text == "ivr.menu.mailbox.emergency"
    place = phone.shelf.fresh("cd" * 16, 1)
    place.write_bytes(g711.wav("pcma", b"\xaa" * 16_000))
    assert phone.shelf.publish("ivr.menu.mailbox.emergency", "fa", str(place), plain)
    page = await browser.get("/console/phone/prompts?in=fa")
    assert "امداد و حوادث" in page.text.split("ivr.menu.mailbox.emergency")[1][:40]
    heard = await browser.client.get("/console/phone/sound/fa/ivr.menu.mailbox.emergency")
    assert heard.status == 200
    for wrong in ({"unit": "moon"}, {"key": "ivr.menu.main"}):
        assert (await browser.post("/console/phone/prompts", {**asked, **wrong})).status == 404


async def test_a_changed_menu_is_read_again_and_a_faulty_one_is_named(site, phone, folder):
    browser = await admin(site)
    place = folder / "menus" / "main.toml"
    good = place.read_text()
    page = await browser.get("/console/phone")
    place.write_text(good.replace('key.1 = "complaint"', 'key.1 = "nowhere"'))
    told = await browser.submit(page, "/console/phone/reload")
    assert re.search(r"main\.toml:\d+: unknown-target", told.text)
    assert phone.house.menus.trees["main"].nodes["main"].keys["1"] == "complaint"
    place.write_text(
        good.replace('key.1 = "complaint"', 'key.1 = "request"').replace('key.3 = "request"', 'key.3 = "complaint"')
    )
    told = await browser.submit(page, "/console/phone/reload")
    assert "دوباره خوانده شدند" in told.text
    assert phone.house.menus.trees["main"].nodes["main"].keys["1"] == "request"


async def test_an_incident_is_announced_followed_and_told_to_be_mended(site, phone):
    browser = site.browser()
    await browser.sign_in("publisher")
    page = await browser.get("/console/phone/notice")
    page = await browser.submit(page, "/console/phone/notice", text="آبِ منطقهٔ سه قطع است.", hours="۶")
    assert "آبِ منطقهٔ سه قطع است." in page.text
    assert phone.notices.told() == {"fa": "آبِ منطقهٔ سه قطع است."}
    assert await phone.notices.follow("+989120000000", "fa")
    done = await browser.submit(page, "/console/phone/mended", text="آب وصل شد.")
    assert "به ۱ نفر پیامک می‌رود" in done.text
    assert phone.notices.told() == {}


@pytest.mark.parametrize(
    "fields", [{"text": "", "hours": "6"}, {"text": "x" * 301, "hours": "6"}, {"text": "آب", "hours": "0"}]
)
async def test_a_wrong_announcement_is_told_and_not_made(site, phone, fields):
    browser = site.browser()
    await browser.sign_in("publisher")
    page = await browser.submit(await browser.get("/console/phone/notice"), "/console/phone/notice", **fields)
    assert page.status == 422
    assert phone.notices.current() is None


@pytest.mark.parametrize(
    "path", ["/console/phone", "/console/phone/menu/main", "/console/phone/simulator", "/console/phone/prompts"]
)
async def test_who_may_not_change_settings_sees_none_of_it(site, phone, path):
    browser = site.browser()
    await browser.sign_in("auditor")
    assert (await browser.get(path)).status == 403


async def test_calls_in_progress_are_for_those_who_take_calls(site, phone):
    browser = site.browser()
    await browser.sign_in("secretary")
    assert "اکنون تماسی برقرار نیست" in (await browser.get("/console/phone/calls")).text
    assert (await (await admin(site)).get("/console/phone/calls")).status == 403


async def test_another_site_cannot_reload_record_or_announce(site, phone):
    browser = await admin(site)
    browser.site = "cross-site"
    for path in ("reload", "prompts", "prompts/withdraw"):
        assert (await browser.post(f"/console/phone/{path}", {"key": "ivr.wrong", "lang": "fa"})).status == 403


async def test_a_body_without_a_phone_has_no_such_pages(site):
    browser = await admin_without(site)
    assert (await browser.get("/console/phone")).status == 404


async def admin_without(site: Site):
    browser = site.browser()
    await browser.sign_in("admin")
    return browser


async def test_an_operator_comes_on_duty_pauses_with_a_reason_and_goes(site, phone):
    browser = site.browser()
    await browser.sign_in("secretary")
    page = await browser.get("/console/phone/operators")
    assert "شما پاسخ‌گوی هیچ صفی نیستید" in page.text
    given = {"main": Queue(("secretary", "desk"), name={"fa": "پاسخ‌گویی"}), "other": Queue()}
    phone.operators = Operators(Roster(given), list, lambda: phone.house)
    phone.panel.operators = phone.operators
    page = await browser.get("/console/phone/operators")
    assert "بیرون از کار" in page.text and "مینا رضوانی" in page.text
    assert "صفِ پاسخ‌گویی" in page.text and "صفِ main" not in page.text and "صفِ other" in page.text  # no name: its key
    page = await browser.submit(page, "/console/phone/operators", do="on")
    assert "آماده" in page.text and page.headers["Refresh"] == "5"
    page = await browser.submit(page, "/console/phone/operators", do="pause", reason="prayer")
    assert "در مکث" in page.text and "نماز" in page.text
    assert [one.duty for one in phone.operators.duties()] == ["off", "paused"]
    page = await browser.submit(page, "/console/phone/operators", do="off")
    assert phone.operators.duties()[1].duty == "off"
    assert (await browser.submit(page, "/console/phone/operators", do="fly")).status == 422


async def test_who_rings_is_shown_with_the_way_to_their_tickets(site, phone):
    browser = site.browser()
    await browser.sign_in("secretary")
    phone.panel.operators = Operators(Roster({"main": Queue(("secretary",))}), list, lambda: phone.house)
    phone.panel.operators.come("secretary")
    shown = PopUp("c", "main", "", "+989120000000", True, ("main", "line"), site.clock.now(), True)
    phone.panel.operators._pop_ups["secretary"] = shown
    page = await browser.get("/console/phone/operators")
    assert "/console/find?q=%2B989120000000" in page.html
    assert "خواسته است با او تماس بگیرید" in page.text and "به صف آمد" in page.text
    csrf = re.search(r'name="csrf" value="([^"]+)"', page.html)[1]
    told = await browser.post("/console/phone/operators/pass", {"csrf": csrf, "to": "main"})
    assert "گفت‌وگویی برای شنیدن نیست" in told.text  # it only rings


def talks(site: Site, phone: Phone, login: str) -> None:
    """Let this operator talk with somebody, as far as the console sees."""
    desk = phone.panel.operators = Operators(Roster({"main": Queue((login,))}), list, lambda: phone.house)
    desk.come(login)
    desk.hall = replace(desk.hall, operators={login: replace(desk.hall.operators[login], duty=Duty.TALKING)})
    desk._pop_ups[login] = PopUp("c", "main", "", "+989120000000", True, ("main", "line"), site.clock.now(), False)


async def test_a_lead_sees_talks_anew_and_hears_them_an_operator_who_talks_has_time_to_choose(site, phone):
    browser = site.browser()
    await browser.sign_in("secretary")
    phone.panel.operators = Operators(Roster({"main": Queue(("desk",))}), list, lambda: phone.house)
    assert "Refresh" not in (await browser.get("/console/phone/operators")).headers
    talks(site, phone, "desk")
    page = await browser.get("/console/phone/operators")
    assert page.headers["Refresh"] == "5"
    for right in ("listen", "whisper"):
        assert f'action="/console/phone/operators/{right}"' in page.html
    other = site.browser()
    await other.sign_in("desk")
    page = await other.get("/console/phone/operators")
    assert page.headers["Refresh"] == "30"
    assert "صفِ main" in page.text and 'action="/console/phone/operators/pass"' in page.html


async def test_listening_is_for_leads_and_needs_a_talk(site, phone):
    browser = site.browser()
    await browser.sign_in("secretary")  # a lead
    page = await browser.get("/console/phone/operators")
    csrf = re.search(r'name="csrf" value="([^"]+)"', page.html)[1]
    told = await browser.post("/console/phone/operators/listen", {"csrf": csrf, "operator": "desk"})
    assert "گفت‌وگویی برای شنیدن نیست" in told.text
    other = site.browser()
    await other.sign_in("desk")
    csrf = re.search(r'name="csrf" value="([^"]+)"', (await other.get("/console/phone/operators")).html)[1]
    for deed in ("listen", "whisper"):
        answer = await other.post(f"/console/phone/operators/{deed}", {"csrf": csrf, "operator": "secretary"})
        assert answer.status == 403


async def test_a_lead_of_another_unit_hears_nobody_of_this_one(site, phone):
    await people.set_password(site.store, "services", PASSWORD)
    talks(site, phone, "desk")
    browser = site.browser()
    await browser.sign_in("services")
    page = await browser.get("/console/phone/operators")
    assert "/console/phone/operators/listen" not in page.html
    csrf = re.search(r'name="csrf" value="([^"]+)"', page.html)[1]
    for deed in ("listen", "whisper"):
        answer = await browser.post(f"/console/phone/operators/{deed}", {"csrf": csrf, "operator": "desk"})
        assert answer.status == 403
