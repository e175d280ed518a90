"""Pages in a real browser: nothing sticks out at 320 pixels, nothing is refused by the policy, all without scripts."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from tests.web.conftest import PASSWORD, Site
from tests.web.test_portal import TEXT, speak_up

CHROMIUM = Path("/usr/bin/chromium")
PAGES = ("/", "/new", "/track", "/people", "/units", "/services", "/services/new-connection", "/help", "/en/", "/no")
STAFF = ("/console/", "/console/queue?view=all", "/console/new", "/console/out")

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
