"""Pages about letters, and those of two-person answers, in a real browser: nothing sticks out on a telephone or a desk,
nothing is refused by the policy, every deed can be pressed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from core import approvals, desk, people
from tests.gateway.mail.letters import NEW, plain
from tests.gateway.mail.system import INFO, Running, running
from tests.gateway.mail.test_bounce import dsn
from tests.gateway.mail.test_channel import deliver
from tests.gateway.mail.test_defects import new_ticket
from tests.web.conftest import PASSWORD

CHROMIUM = Path("/usr/bin/chromium")
LONG = "https://example.ir/" + "a-very-long-address-without-any-blank" * 4
VIEWS = ("beside", "unreadable", "no_receipt", "automatic", "orphan")
PAGES = (*(f"/console/letters?view={view}" for view in VIEWS), "/console/approvals", "/console/queue?view=approvals")
WIDTHS = (360, 1280)

pytestmark = [
    pytest.mark.peer,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium (Debian package chromium) is not installed"),
]


@pytest.fixture
async def system(reactor, tmp_path, box):
    async with running(tmp_path / "data", box) as found:
        yield found


async def fill(system: Running) -> int:
    """Something in each list, long words too; the ticket on which an answer waits."""

    async def send(data: bytes, to: str = INFO, sender: str = "maryam@mailbox.example") -> None:
        assert (await deliver(system.mail, data, (to,), sender))[0] == 250

    number, _, receipt = await new_ticket(system, "sara@mailbox.example", "آب کوچهٔ ما قطع است")
    token = receipt.headers["Reply-To"].split("<")[1][:-1]
    await send(
        plain(f"من هم شاهد بودم. {LONG}", more=f"In-Reply-To: {receipt.id}\r\n"), token, "friend@elsewhere.example"
    )
    for n in range(2):
        await send(plain(f"{NEW} {n} {LONG}"))
        await system.arrived("maryam@mailbox.example", 1)
    await send(plain("در مرخصی هستم", more="Auto-Submitted: auto-replied\r\n"))
    await send(dsn(ids=f"<{'x' * 120}@elsewhere.example>"), INFO, "")
    await unreadable(system)
    store, writer = system.store, await people.actor(system.store, "director")
    view = await desk.ticket(store, writer, number)
    await desk.route(store, writer, number, view.version, "subscribers", "مربوط به مشترکین است")
    clerk = await people.actor(store, "writer")
    await approvals.submit(store, clerk, number, None, f"لوله فردا تعمیر می‌شود. {LONG}")
    return number


async def unreadable(system: Running) -> None:
    """A letter that its reader could not read: the worker's word for it, not ours."""
    from gateway.mail.events import Envelope
    from gateway.mail.paths import Rcpt

    raw = plain("چیزی که خوانده نشد", subject="خواندنی نیست".encode())
    envelope = Envelope("", "maryam@mailbox.example", (Rcpt("info", "example.ir"),), False, False)
    await system.mail._letters.unread("main", envelope, "192.0.2.1", raw)


async def sign_in(page: Page, base: str) -> None:
    await page.goto(base + "/console/login")
    await page.fill("[name=user]", "director")
    await page.fill("[name=password]", PASSWORD)
    await page.click("main button[type=submit]")


async def look(page: Page, address: str, width: int) -> None:
    """Nothing sticks out, every field has a name, what is pressed is big enough for a finger."""
    await page.set_viewport_size({"width": width, "height": 800})
    await page.goto(address)
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{address} sticks out by {wide} pixels at {width}"
    unnamed = await page.evaluate(
        "[...document.querySelectorAll('input:not([type=hidden]),select,textarea')]"
        ".filter(e => !e.labels?.length && !e.ariaLabel).map(e => e.name)"
    )
    assert not unnamed, f"{address}: fields without a label: {unnamed}"
    small = await page.evaluate(
        "[...document.querySelectorAll('main .deeds .button, main summary')]"
        ".filter(e => e.offsetParent && e.getBoundingClientRect().height < 24).map(e => e.textContent)"
    )
    assert not small, f"{address}: too small to press at {width}: {small}"


async def test_lists_of_letters_and_drafts_fit_and_break_no_policy(system: Any):
    number = await fill(system)
    await people.set_password(system.store, "director", PASSWORD)
    base, said = f"http://127.0.0.1:{system.parts.web_port}", []
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        page = await browser.new_page(locale="fa-IR")
        page.on("console", lambda message: said.append(message.text))
        await sign_in(page, base)
        for address in (*PAGES, f"/console/t/{number}"):
            for width in WIDTHS:
                await look(page, base + address, width)
                empty = await page.get_by_text(system.parts.config.texts("console.nothing", "fa"), exact=True).count()
                assert not empty, f"{address} shows nothing"
        await page.set_viewport_size({"width": 360, "height": 800})
        await page.goto(base + "/console/approvals")
        await page.get_by_role("button", name=system.parts.config.texts("console.do.approve", "fa")).click()
        assert f"/console/t/{number}" in page.url
        await browser.close()
    assert said == []
    assert (await desk.ticket(system.store, await people.actor(system.store, "director"), number)).state == "answered"


def test_every_word_about_a_letter_that_is_odd_is_said_in_words():
    import re

    import config

    root, said = Path(__file__).resolve().parents[3], config.read().texts
    source = "".join((root / "gateway/mail" / name).read_text() for name in ("mime.py", "receive.py", "worker.py"))
    words = set(re.findall(r'(?:note\(|defects\[|defect=|defects, )"([a-z_]+)"', source))
    assert {"encrypted", "file_refused", "html_unread", "broken_field"} <= words
    assert [word for word in sorted(words) if not said.has(f"console.defect.{word}")] == []
