"""What holds for every route: an Access, the headers, where forms come from, how big they are, how errors look."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from aiohttp import web
from multidict import CIMultiDict

from core import codes
from core.channels import RawReply, RawRequest
from core.errors import Busy
from tests.web.conftest import PASSWORD, Page, Site, sample
from tests.web.test_console import first_ticket, operator
from tests.web.test_portal import TEXT, speak_up, track
from web import app as web_app
from web import auth
from web.auth import Access, By
from web.headers import HEADERS
from web.routes import Route

SAMPLE = {"name": "nothing.css", "slug": "secretariat", "id": "1", "key": "k", "line": "main", "secret": "s"}


def table(site: Site) -> list[Route]:
    return web_app.table(web_app.build_site(site.parts))


def address(route: Route) -> str:
    """The route's path with something in each place."""
    path = re.sub(r"\{(\w+):(?:[^{}]|\{[^{}]*\})*\}", lambda m: "1" if m[1] in ("id", "row") else "take", route.path)
    return re.sub(r"\{(\w+)\}", lambda m: SAMPLE.get(m[1], "x"), path)


async def test_every_route_names_its_access(site: Site):
    for route in table(site):
        assert isinstance(route.access, Access), route.path
        inside = route.path.startswith("/console") and not route.path.startswith("/console/login")
        assert (route.access.by is By.SESSION) == inside, route.path


def test_a_route_without_an_access_stops_the_start():
    async def view(visit):
        raise AssertionError

    with pytest.raises(TypeError, match="names no Access"):
        web_app.mount(web.Application(), Route("GET", "/open", view, None))


async def test_every_answer_carries_the_headers(site: Site):
    for route in table(site):
        answer = await site.client.request(route.method, address(route), allow_redirects=False)
        for name in HEADERS:
            assert name in answer.headers, (route.path, name)
        assert "unsafe" not in answer.headers["Content-Security-Policy"]


async def test_no_page_of_the_console_opens_without_a_session(site: Site):
    for route in table(site):
        if route.access.by is By.SESSION:
            answer = await site.client.request(route.method, address(route), allow_redirects=False)
            assert answer.status in (303, 401), (route.path, answer.status)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:8080"},
        {"Origin": "https://evil.example.ir"},
        {"Origin": "null"},
    ],
)
async def test_no_form_is_taken_from_another_site(site: Site, headers: dict[str, str]):
    browser = await operator(site)
    await speak_up(site, browser)
    number = await first_ticket(browser)
    forms = {
        "/new": (await browser.get("/new")).fields("/new") | {"kind": "thanks", "text": TEXT, "step": "send"},
        f"/console/t/{number}/take": (await browser.get(f"/console/t/{number}")).fields(f"/console/t/{number}/take"),
    }
    for path, fields in forms.items():
        assert (await site.client.post(path, data=fields, headers=headers)).status == 403


async def test_every_unsafe_page_route_refuses_another_site(site: Site):
    await operator(site)
    for route in table(site):
        if route.method == "POST" and route.form is not None:
            answer = await site.client.post(address(route), data={"a": "b"}, headers={"Sec-Fetch-Site": "cross-site"})
            assert answer.status == 403, route.path


async def test_a_browser_that_says_nothing_needs_the_forms_own_token(site: Site):
    silent = site.browser(None)
    page = await silent.get("/new")
    assert (await silent.submit(page, "/new", kind="thanks", text=TEXT, step="check")).status == 200
    assert (await silent.submit(page, "/new", kind="thanks", text=TEXT, step="check", csrf="x.y")).status == 403
    signed_in = await operator(site)
    signed_in.site = None
    await speak_up(site, site.browser())
    number = await first_ticket(signed_in)
    page = await signed_in.get(f"/console/t/{number}")
    foreign = (await silent.get("/new")).fields("/new")["csrf"]
    assert (await signed_in.submit(page, f"/console/t/{number}/take", csrf=foreign)).status == 403
    assert (await signed_in.submit(page, f"/console/t/{number}/take")).status == 200


async def test_a_name_from_outside_is_not_ours_though_the_proxy_is_on_loopback(site: Site):
    page = await site.browser().get("/track")
    fields = page.fields("/track") | {"code": "1", "csrf": ""}
    foreign = {"Origin": "http://evil.example.ir", "Host": "evil.example.ir"}
    assert (await site.client.post("/track", data=fields, headers=foreign)).status == 403


async def test_the_cookie_is_secure_wherever_the_public_name_was_asked(site: Site):
    page = await site.browser().get("/console/login")
    fields = page.fields("/console/login") | {"user": "director", "password": PASSWORD}
    answer = await site.client.post(
        "/console/login", data=fields, headers={"Host": "pasokh.example.ir"}, allow_redirects=False
    )
    assert answer.status == 303
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-pasokh=")
    assert "Secure" in cookie


async def test_our_own_origin_is_ours(site: Site):
    base = f"http://{site.client.host}:{site.client.port}"
    page = await site.browser().get("/track")
    fields = page.fields("/track") | {"code": "1", "csrf": ""}
    assert (await site.client.post("/track", data=fields, headers={"Origin": base})).status == 422


@pytest.mark.parametrize("path", ["/new", "/track", "/console/login"])
async def test_a_form_over_64_kib_is_413_with_the_numbers_to_call(site: Site, path: str):
    page: Page = await site.browser().post(path, {"text": "x" * 66_000})
    assert page.status == 413
    assert "۰۲۴" in page.text


async def test_fields_over_64_kib_beside_files_are_413_too(site: Site):
    browser = site.browser()
    page = await browser.multipart(await browser.get("/new"), "/new", [], kind="thanks", text="x" * 70_000)
    assert page.status == 413


async def test_a_body_that_is_no_form_is_415(site: Site):
    answer = await site.client.post("/new", data=b"{}", headers={"Content-Type": "application/json"})
    assert answer.status == 415


async def test_unknown_pages_are_404_in_the_language_asked(site: Site):
    assert site.parts.say("portal.error.404.title", "fa") in (await site.browser().get("/nothing")).text
    assert site.parts.say("portal.error.404.title", "en") in (await site.browser().get("/en/nothing")).text
    assert (await site.client.delete("/new")).headers["Allow"]


async def test_a_full_store_is_503_with_a_time_and_the_words_kept(site: Site, monkeypatch: pytest.MonkeyPatch):
    async def full(message):
        raise Busy(7)

    browser = site.browser()
    page = await browser.get("/new")
    monkeypatch.setattr(type(site.parts.door), "take", lambda self, message: full(message))
    busy = await browser.submit(page, "/new", kind="complaint", text=TEXT, step="send")
    assert busy.status == 503
    assert busy.headers["Retry-After"] == "7"
    assert TEXT in busy.html


async def test_a_fault_of_ours_is_a_page_too_and_needs_no_store(site: Site, monkeypatch: pytest.MonkeyPatch):
    async def broken(self, code, asker):
        raise RuntimeError("broken")

    monkeypatch.setattr(type(site.parts.door), "answer_for", broken)
    page = await track(site.browser(), codes.new())
    assert page.status == 500
    assert "broken" not in page.html
    assert "۰۲۴" in page.text


INLINE = r'<script(?! type="module" src="/static/[^"]+"></script>)|<style|\sstyle=|\son\w+=|javascript:'


async def test_no_template_holds_inline_style_or_script(site: Site):
    browser = await operator(site)
    await speak_up(site, browser)
    number = await first_ticket(browser)
    for path in ("/", "/new", "/track", "/people", "/console/", "/console/queue", f"/console/t/{number}"):
        page = await browser.get(path)
        assert not re.search(INLINE, page.html), path
        assert 'dir="rtl"' in page.html


def test_styles_know_no_left_and_right():
    from web import assets

    for name in assets.BUNDLES:
        css = re.sub(r"/\*.*?\*/", "", assets.bundle(name), flags=re.S)
        assert not re.findall(r"(?:margin|padding|border|inset)-(?:left|right)|^\s*(?:left|right):|float:", css, re.M)


async def test_assets_are_kept_for_good_under_their_hash(site: Site):
    page = await site.browser().get("/")
    found = re.search(r'href="(/static/portal\.[0-9a-f]{10}\.css)"', page.html)
    assert found
    answer = await site.client.get(found[1])
    assert answer.status == 200
    assert "immutable" in answer.headers["Cache-Control"]
    assert (await site.client.get("/static/../app.py")).status == 404


async def test_a_report_of_broken_policy_is_counted_and_a_long_one_refused(site: Site):
    assert (await site.client.post("/csp", data=b"{}")).status == 204
    assert (await site.client.post("/csp", data=b"x" * 9000)).status == 413


@pytest.mark.parametrize(
    ("address", "expected"),
    [("192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"), ("unix", "unix")],
)
def test_an_address_is_counted_by_its_network(address: str, expected: str):
    assert auth.bucket(address) == expected


def test_a_proxy_that_adds_a_line_of_its_own_is_believed_and_not_the_callers():
    from aiohttp.test_utils import make_mocked_request

    sent = [("X-Forwarded-For", "203.0.113.7"), ("X-Forwarded-For", "198.51.100.9")]
    request = make_mocked_request("GET", "/", headers=CIMultiDict(sent)).clone(remote="10.0.0.1")
    assert auth.peer(request, ["10.0.0.0/8"]) == "198.51.100.9"


class Hook:
    """An SMS channel as far as web knows it."""

    async def hook(self, line: str, secret: str, request: RawRequest) -> RawReply:
        if secret != "right":
            return RawReply(404, b"")
        return RawReply(200, f"{request.method} {line} {dict(request.query)} {request.body.decode()}".encode())


async def test_a_provider_is_heard_by_get_and_post_up_to_64_kib(site: Site):
    from aiohttp.test_utils import TestClient, TestServer

    parts = replace(site.parts, hooks={"sms": Hook()})
    async with TestClient(TestServer(web_app.make(parts))) as client:
        assert await (await client.get("/hooks/sms/main/right?a=1")).text() == "GET main {'a': '1'} "
        assert await (await client.post("/hooks/sms/main/right", data=b"b=2")).text() == "POST main {} b=2"
        assert (await client.get("/hooks/sms/main/wrong")).status == 404
        assert (await client.post("/hooks/sms/main/right", data=b"x" * 66_000)).status == 413
    assert (await site.client.get("/hooks/sms/main/right")).status == 404


async def test_health_is_503_while_a_part_is_down(site: Site):
    from aiohttp.test_utils import TestClient, TestServer

    assert (await site.client.get("/health")).status == 200
    parts = replace(site.parts, health=lambda: {"store": "up", "sms": "down"})
    async with TestClient(TestServer(web_app.make(parts))) as client:
        assert (await client.get("/health")).status == 503
    assert sample().settings.second_factor == "optional"
