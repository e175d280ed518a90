"""An answer by two persons at the console and by the API: submitted, seen by whoever approves, sent back, let go."""

from __future__ import annotations

from typing import Any

from aiohttp import CookieJar
from aiohttp.test_utils import TestClient

from core import people
from core.channels import Inbound, Kind
from tests.web.conftest import PASSWORD, Browser, Page, Site
from tests.web.test_api import bearer, call
from tests.web.test_portal import TEXT, track

ANSWER = "کنتور شما روز شنبه عوض می‌شود."


async def taken(site: Site) -> Any:
    return await site.parts.door.take(Inbound("web", "1", TEXT, Kind.COMPLAINT, unit="subscribers"))


async def signed_in(site: Site, login: str) -> Browser:
    await people.set_password(site.store, login, PASSWORD)
    browser = site.browser()
    browser.client = TestClient(site.client.server, cookie_jar=CookieJar(unsafe=True))  # another person's cookies
    assert (await browser.sign_in(login)).status == 200
    return browser


def offers(page: Page, action: str) -> bool:
    return f'action="{action}"' in page.html


async def test_a_draft_goes_to_a_second_person_comes_back_and_goes_out(site: Site):
    receipt = await taken(site)
    at = f"/console/t/{receipt.ticket}"
    writer, lead = await signed_in(site, "writer"), await signed_in(site, "services")
    page = await writer.get(at)
    assert 'value="submit" checked' in page.html
    assert 'value="reply"' not in page.html, "who may not answer is not offered it"
    refused = await writer.submit(page, f"{at}/reply", way="reply", text=ANSWER)
    assert refused.status == 409
    assert ANSWER in refused.html
    page = await writer.submit(refused, f"{at}/reply", way="submit", text=ANSWER)
    assert page.status == 200, page.text
    assert offers(page, f"{at}/take_back")
    assert not offers(page, f"{at}/approve")
    assert (await writer.get("/console/approvals")).status == 403
    waits = await lead.get("/console/approvals")
    assert ANSWER in waits.text
    assert TEXT in waits.text
    assert str(receipt.ticket) in (await lead.get("/console/queue?view=approvals")).html
    empty = await lead.submit(waits, f"{at}/send_back", text=" ")
    assert empty.status == 422
    back = await lead.submit(waits, f"{at}/send_back", text="ساعت را هم بنویسید")
    assert back.status == 200
    assert "ساعت را هم بنویسید" in (await writer.get(at)).text
    assert ANSWER not in (await lead.get("/console/approvals")).text
    page = await writer.get(at)
    await writer.submit(page, f"{at}/reply", way="submit", text=ANSWER + " ساعت ۹")
    citizen = await track(site.browser(), receipt.code, receipt.pin)
    assert ANSWER not in citizen.text
    sent = await lead.submit(await lead.get("/console/approvals"), f"{at}/approve")
    assert sent.status == 200, sent.text
    assert site.parts.say("console.approval.by", "fa", who="رضا کریم‌زاده") in sent.text
    assert ANSWER + " ساعت ۹" in (await track(site.browser(), receipt.code, receipt.pin)).text
    for browser in (writer, lead):
        await browser.client.session.close()


async def test_the_same_by_the_api(site: Site):
    receipt = await taken(site)
    at = f"/tickets/{receipt.ticket}"
    scopes = ["tickets.read", "tickets.write"]
    writer, lead, clerk = [
        bearer(await people.add_token(site.store, one, scopes)) for one in ("writer", "services", "subscribers")
    ]
    body = {"text": ANSWER, "version": 1}
    assert (await call(site, "POST", f"{at}/messages", body, **writer))[0] == 403
    status, draft, _ = await call(site, "POST", f"{at}/drafts", body, **writer, **{"Idempotency-Key": "d1"})
    assert status == 201, draft
    again = await call(site, "POST", f"{at}/drafts", body, **writer, **{"Idempotency-Key": "d1"})
    assert again[:2] == (201, draft)
    assert (await call(site, "POST", f"{at}/approval", {"version": 2}, **writer))[0] == 403
    assert (await call(site, "POST", f"{at}/approval", {"version": 2}, **clerk))[0] == 403
    status, page, _ = await call(site, "GET", "/tickets?view=approvals", **lead)
    assert [(row["id"], row["state"]) for row in page["tickets"]] == [(str(receipt.ticket), "approval")]
    status, problem, _ = await call(site, "POST", f"{at}/approval", {"version": 1}, **lead)
    assert (status, problem["code"]) == (409, "stale")
    status, back, _ = await call(site, "POST", f"{at}/approval", {"version": 2, "back": "ساعت؟"}, **lead)
    assert (status, back["message"]) == (201, None)
    assert (await call(site, "POST", f"{at}/drafts", body | {"version": 3}, **writer))[0] == 201
    status, sent, _ = await call(site, "POST", f"{at}/approval", {"version": 4}, **lead)
    assert (status, bool(sent["message"])) == (201, True)
    status, problem, _ = await call(site, "POST", f"{at}/approval", {"version": 5}, **lead)
    assert (status, problem["code"]) == (409, "wrong_state")
