"""Pages in a real browser: nothing sticks out at 320 pixels, nothing is refused by the policy, all without scripts."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from core.channels import Inbound, Kind
from ivr.media.messages import Law
from ivr.media.record import Spool
from tests.web.conftest import PASSWORD, Site
from tests.web.test_phone import folder, phone, talks
from tests.web.test_portal import TEXT, speak_up

__all__ = ["folder", "phone"]

CHROMIUM = Path("/usr/bin/chromium")
PAGES = ("/", "/new", "/track", "/people", "/units", "/services", "/services/new-connection", "/help", "/en/", "/no")
TELEPHONE = ("", "/simulator", "/prompts", "/menu/main", "/calls", "/operators")
STAFF = ("/console/", "/console/queue?view=all", "/console/new", "/console/out")

LENGTH = """() => new Promise((done, failed) => {
    const audio = document.querySelector("audio");
    audio.onloadedmetadata = () => done(audio.duration);
    audio.onerror = () => failed(new Error("audio error " + audio.error.code));
    audio.preload = "metadata"; audio.load();
})"""
SEEK = """() => new Promise((done, failed) => {
    const audio = document.querySelector("audio");
    audio.onseeked = () => done(audio.currentTime);
    audio.onerror = () => failed(new Error("audio error " + audio.error.code));
    audio.currentTime = 3;
})"""

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium (Debian package chromium) is not installed"),
]


async def look(page: Page, address: str) -> None:
    """Open a page and hold it against what every page promises."""
    await page.goto(address)
    for width in (320, 1280):
        await page.set_viewport_size({"width": width, "height": 800})
        wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{address} sticks out by {wide} pixels at {width}"
    assert await page.evaluate("document.querySelectorAll('h1').length") == 1, address
    assert await page.evaluate("document.documentElement.dir") in ("rtl", "ltr")
    unnamed = await page.evaluate(
        "[...document.querySelectorAll('input:not([type=hidden]),select,textarea')]"
        ".filter(e => !e.labels?.length && !e.ariaLabel).map(e => e.name)"
    )
    assert not unnamed, f"{address}: fields without a label: {unnamed}"


async def test_a_scanned_receipt_puts_its_code_into_the_field_and_no_request_has_it(site: Site):
    asked: list[str] = []
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        page = await browser.new_page(locale="fa")
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"http://{site.client.host}:{site.client.port}/track#69804452930")
        assert await page.input_value("#code") == "69804452930"
        assert await page.evaluate("document.activeElement.name") == "proof"
        await browser.close()
    assert asked and not [url for url in asked if "69804452930" in url.partition("#")[0]]


async def test_every_page_fits_and_breaks_no_policy(site: Site):
    await speak_up(site, site.browser())
    base = f"http://{site.client.host}:{site.client.port}"
    said: list[str] = []
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        page = await browser.new_page(locale="fa")
        page.on("console", lambda message: said.append(message.text) if "404" not in message.text else None)
        page.on("request", lambda request: said.append(request.url) if not request.url.startswith(base) else None)
        for path in PAGES:
            await look(page, base + path)
        await page.goto(base + "/console/login")
        await page.fill("#user", "director")
        await page.fill("#password", PASSWORD)
        await page.click("main button[type=submit]")
        for path in STAFF:
            await look(page, base + path)
        await page.goto(base + "/console/queue?view=all")
        await page.click("tbody td.subject a")
        await look(page, page.url)
        await browser.close()
    assert not said


@pytest.mark.slow
@pytest.mark.parametrize(("who", "pages"), [("admin", TELEPHONE[:4]), ("desk", TELEPHONE[4:])])
async def test_the_telephones_pages_fit_while_an_operator_talks(site: Site, phone, who: str, pages: tuple[str, ...]):
    talks(site, phone, "desk")
    base = f"http://{site.client.host}:{site.client.port}"
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        page = await browser.new_page(locale="fa")
        await page.goto(base + "/console/login")
        await page.fill("#user", who)
        await page.fill("#password", PASSWORD)
        await page.click("main button[type=submit]")
        for path in pages:
            await look(page, f"{base}/console/phone{path}")
        if who == "desk":
            await page.goto(f"{base}/console/phone/operators")
            assert await page.locator(".ringing select option").count() > 0
        await browser.close()


@pytest.mark.parametrize("law", ["pcma", "pcmu"])
async def test_a_recording_of_the_phone_plays_in_the_console_from_any_place(site: Site, tmp_path: Path, law: Law):
    spool = Spool(lambda event: None)
    reel = spool.open(1, str(tmp_path / "a.wav"), law)
    spool.write(reel, bytes(range(256)) * 125)  # four seconds at 8,000 octets
    spool.end(reel, 32_000, "key")
    spool.work()
    kept = await site.parts.door.keep((tmp_path / "a.wav").read_bytes(), "پیام.wav")
    await site.parts.door.take(Inbound("phone", "call", "", Kind.COMPLAINT, files=[kept]))
    base = f"http://{site.client.host}:{site.client.port}"
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        page = await browser.new_page(locale="fa")
        statuses: list[int] = []
        page.on("response", lambda answer: statuses.append(answer.status) if "/console/file/" in answer.url else None)
        await page.goto(base + "/console/login?next=/console/queue?view=all")
        await page.fill("#user", "director")
        await page.fill("#password", PASSWORD)
        await page.click("main button[type=submit]")
        await page.click("tbody td.subject a")
        length = await page.evaluate(LENGTH)
        place = await page.evaluate(SEEK)
        await browser.close()
    assert length == pytest.approx(4, abs=0.1)
    assert place >= 3
    assert 206 in statuses


async def test_a_complaint_goes_through_with_scripts_switched_off(site: Site):
    base = f"http://{site.client.host}:{site.client.port}"
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        page = await (await browser.new_context(java_script_enabled=False, locale="fa")).new_page()
        await page.goto(base + "/new")
        await page.check("input[name=kind][value=complaint]")
        await page.fill("#text", TEXT)
        await page.click("button[value=check]")
        site.clock.advance(20)
        await page.click("button[value=send]")
        code, pin = await page.inner_text("#receipt-code"), await page.inner_text("#receipt-pin")
        await page.goto(base + "/track")
        await page.fill("#code", code)
        await page.fill("#proof", pin)
        await page.click("main button[type=submit]")
        assert TEXT in await page.inner_text("main")
        await browser.close()
