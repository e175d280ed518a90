"""Text messages in the console: parts and cost before an answer goes, its delivery after, the page of lines."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from core import outbox, outcomes
from core.channels import Contact, ContactKind, DeliveryState, Gear, Inbound, Kind
from core.outcomes import Result
from sms import channel as sms
from tests.sms.house import LINE, PAPER
from tests.web.conftest import Site
from tests.web.test_console import first_ticket, operator

WHO = Contact(ContactKind.PHONE, "+989120000001", proven=True)


@pytest_asyncio.fixture
async def texting(site: Site, tmp_path) -> AsyncIterator[Site]:
    """The site with one SMS line, and a ticket that came by it."""
    tables = {"line": {"main": {**LINE, "price": 1200, "credit_floor": 10}}, "provider": {"paper": PAPER}}
    channel = sms.make(Gear("sms", tables, site.parts.say, str(tmp_path), clock=site.clock))
    await channel.start(site.parts.door)
    site.parts.channels["sms"] = channel
    site.parts.measures["sms"] = channel
    await site.parts.door.take(Inbound("sms", "1", "آب کوچه قطع است", Kind.COMPLAINT, contact=WHO, line="main"))
    yield site
    await channel.stop(0)


async def test_an_answer_is_counted_in_parts_before_it_goes_and_its_words_stay(texting: Site):
    browser = await operator(texting)
    number = await first_ticket(browser)
    page = await browser.get(f"/console/t/{number}")
    assert "شمارش بخش‌های پیامک" in page.text
    fields = {**page.fields(f"/console/t/{number}/reply"), "text": "وصل شد. " * 20, "way": "reply"}
    counted = await browser.post(f"/console/t/{number}/measure", fields)
    assert counted.status == 200
    assert "بخش پیامک می‌شود" in counted.text
    assert "۴٬۸۰۰ ریال" in counted.text or "۴۸۰۰ ریال" in counted.text
    assert "وصل شد. وصل شد." in counted.html
    fields["text"] = "بلند " * 400
    assert "بقیه فقط در درگاه" in (await browser.post(f"/console/t/{number}/measure", fields)).text
    after = await browser.get(f"/console/t/{number}")
    assert "وصل شد." not in after.text


async def test_parts_cost_and_delivery_stand_beside_the_answer(texting: Site):
    browser = await operator(texting)
    number = await first_ticket(browser)
    page = await browser.get(f"/console/t/{number}")
    await browser.post(f"/console/t/{number}/reply", {**page.fields(f"/console/t/{number}/reply"), "text": "وصل شد."})
    texting.clock.advance(11)
    store, channel = texting.store, texting.parts.channels["sms"]
    for claim in await store.write(outbox.claim, "sms", 9, texting.clock.now(), "w"):
        sent = await channel.send(claim.open(texting.parts.keyring))
        await store.write(outcomes.record, [Result(claim.id, claim.fence, sent)], texting.clock.now())
        await texting.parts.door.delivered("sms", sent.ref, DeliveryState.DELIVERED)
    page = await browser.get(f"/console/t/{number}")
    assert "۱ بخش" in page.text
    assert "رسید" in page.text


async def test_who_may_set_things_sees_the_lines_and_pauses_them(texting: Site):
    browser = texting.browser()
    await browser.sign_in("admin")
    page = await browser.get("/console/lines")
    assert (page.status, "30001234" in page.text or "۳۰۰۰۱۲۳۴" in page.text) == (200, True)
    paused = await browser.submit(page, "/console/lines/sms/main/pause", why="تعویض شماره")
    assert "نگه داشته شده: تعویض شماره" in paused.text
    assert (await texting.parts.channels["sms"].lines())[0].paused.startswith("تعویض شماره")
    resumed = await browser.submit(paused, "/console/lines/sms/main/resume")
    assert "نگه داشته شده" not in resumed.text
    fields = resumed.fields("/console/lines/sms/main/resume")
    assert (await browser.post("/console/lines/sms/none/resume", fields)).status == 404


@pytest.mark.parametrize("path", ["/console/lines"])
async def test_others_do_not_see_the_lines(texting: Site, path: str):
    browser = await operator(texting, "desk")
    assert (await browser.get(path)).status == 403
