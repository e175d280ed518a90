"""Senders that mean no good or are broken: never a fault of ours, never somebody else's page."""

from __future__ import annotations

import asyncio
import re

import pytest

from core.channels import Contact, ContactKind, Inbound, KeptFile, Kind
from tests.web.conftest import PASSWORD, Site
from tests.web.test_console import first_ticket, operator
from tests.web.test_portal import PNG, TEXT, code_and_pin, track
from web import uploads

pytestmark = [
    pytest.mark.filterwarnings("ignore:unread_data"),
    pytest.mark.filterwarnings("ignore::aiohttp.multipart.BadContentDispositionHeader"),
]

OURS = {"Sec-Fetch-Site": "same-origin"}
FORM = "application/x-www-form-urlencoded"
NINES = "9" * 30


def parts(*some: bytes) -> bytes:
    """A multipart body of these raw parts, ended well."""
    return b"".join(b"--b\r\n" + one + b"\r\n" for one in some) + b"--b--\r\n"


FIELD = b'Content-Disposition: form-data; name="text"\r\n\r\nx'
BROKEN = {
    "bytes that are no UTF-8": (FORM, b"text=\xff\xfe\xfa"),
    "a charset nobody knows": (FORM + "; charset=klingon", b"text=a"),
    "a charset that is no charset of text": (FORM + "; charset=zlib", b"text=a"),
    "multipart without a boundary": ("multipart/form-data", parts(FIELD)),
    "a boundary too long": ("multipart/form-data; boundary=" + "b" * 80, parts(FIELD)),
    "multipart cut in the middle": ("multipart/form-data; boundary=b", parts(FIELD)[:40]),
    "multipart that never begins": ("multipart/form-data; boundary=b", b"hello"),
    "a part without a name": ("multipart/form-data; boundary=b", parts(b"Content-Type: text/plain\r\n\r\nx")),
    "a part inside a part": (
        "multipart/form-data; boundary=b",
        parts(b'Content-Disposition: form-data; name="a"\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--'),
    ),
    "a transfer encoding nobody knows": (
        "multipart/form-data; boundary=b",
        parts(b'Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: rot13\r\n\r\nx'),
    ),
    "a part whose length is a word": (
        "multipart/form-data; boundary=b",
        parts(b'Content-Disposition: form-data; name="a"\r\nContent-Length: much\r\n\r\nx'),
    ),
    "a header without a colon": ("multipart/form-data; boundary=b", parts(b"nonsense\r\n\r\nx")),
}


@pytest.mark.parametrize(("kind", "body"), BROKEN.values(), ids=BROKEN.keys())
async def test_a_form_that_is_broken_is_the_senders_fault(site: Site, kind: str, body: bytes):
    answer = await site.client.post("/new", data=body, headers=OURS | {"Content-Type": kind})
    assert 400 <= answer.status < 500, answer.status
    assert "Content-Security-Policy" in answer.headers


async def test_ten_thousand_empty_fields_are_too_many(site: Site):
    empty = b'Content-Disposition: form-data; name="' + b"n" * 20 + b'"\r\n\r\n'
    body = parts(*[empty] * 10_000)
    answer = await site.client.post(
        "/new", data=body, headers=OURS | {"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert answer.status == 413


async def test_a_form_in_chunks_is_measured_too(site: Site):
    async def body():
        for _ in range(80):
            yield b"text=" + b"x" * 1000 + b"&"

    answer = await site.client.post("/new", data=body(), headers=OURS | {"Content-Type": FORM})
    assert answer.status == 413


@pytest.mark.parametrize(
    "path",
    [f"/console/t/{NINES}", f"/console/t/{NINES}/slip", f"/console/file/k?t={NINES}", "/console/queue?after=%00",
     "/console/queue?q=%00", "/console/find?q=%ED%A0%80", "/people?q=%00%FF", "/services/%00"],
)  # fmt: skip
async def test_numbers_and_words_that_lead_nowhere_are_no_fault_of_ours(site: Site, path: str):
    await operator(site)
    assert (await site.client.get(path)).status in (200, 404, 422)


@pytest.mark.parametrize("path", [f"/console/t/{NINES}/take", f"/console/out/{NINES}/resend", "/console/t/1/unsend"])
async def test_deeds_on_numbers_that_lead_nowhere_are_no_fault_of_ours(site: Site, path: str):
    await operator(site)
    answer = await site.client.post(path, data={"version": "1", "message": NINES}, headers=OURS)
    assert answer.status in (400, 404)


async def test_a_range_of_five_thousand_digits_is_not_heeded(site: Site):
    kept = await site.parts.door.keep(PNG, "عکس.png")
    await site.parts.door.take(Inbound("mail", "1", TEXT, files=[kept]))
    browser = await operator(site)
    page = await browser.get(f"/console/t/{await first_ticket(browser)}")
    source = re.search(r'href="(/console/file/[^"]+)"', page.html)
    assert source
    answer = await site.client.get(source[1], headers={"Range": "bytes=" + "1" * 5000 + "-"})
    assert answer.status in (200, 416)


# ---------------------------------------------------------------- sessions


async def test_a_cookie_planted_before_sign_in_is_not_the_session_after(site: Site):
    planted = await site.client.get("/console/login", cookies={"pasokh": "planted-by-somebody"})
    page = await planted.text()
    token = re.search(r'name="csrf" value="([^"]+)"', page)
    assert token
    form = {"user": "director", "password": PASSWORD, "csrf": token[1]}
    sent = await site.client.post("/console/login", data=form, headers=OURS, allow_redirects=False)
    assert sent.status == 303
    given = sent.cookies["pasokh"].value
    assert given != "planted-by-somebody"
    assert len(given) >= 43  # 256 bits


async def test_signing_in_anew_ends_the_session_before(site: Site):
    browser = await operator(site)
    before = {one.key: one.value for one in site.client.session.cookie_jar}
    await browser.sign_in("desk")
    site.client.session.cookie_jar.clear()
    answer = await site.client.get("/console/", cookies=before, allow_redirects=False)
    assert answer.status == 303


async def test_a_signed_out_cookie_opens_nothing_though_it_is_kept(site: Site):
    browser = await operator(site)
    kept = {one.key: one.value for one in site.client.session.cookie_jar}
    await browser.submit(await browser.get("/console/"), "/console/logout")
    answer = await site.client.get("/console/", cookies=kept, allow_redirects=False)
    assert answer.status == 303


async def test_sign_in_leads_back_to_the_whole_address(site: Site):
    answer = await site.client.get("/console/queue?view=all&q=آب", allow_redirects=False)
    page = await site.client.get(answer.headers["Location"])
    wanted = re.search(r'name="next" value="([^"]+)"', await page.text())
    assert wanted
    assert "view=all" in wanted[1]
    assert "q=" in wanted[1]


@pytest.mark.parametrize(
    "after",
    ["https://evil.example.ir/", "//evil.example.ir", "/\\evil.example.ir", "/console/\\evil", "javascript:alert(1)",
     "/console/\r\nSet-Cookie: a=b", "/console/\rX", "/console/\x00", "/new"],
)  # fmt: skip
async def test_sign_in_leads_nowhere_else(site: Site, after: str):
    form = {"user": "director", "password": PASSWORD, "next": after}
    sent = await site.client.post("/console/login", data=form, headers=OURS, allow_redirects=False)
    assert (sent.status, sent.headers["Location"]) == (303, "/console/")


# ---------------------------------------------------------------- whose page it is


async def test_another_units_ticket_gives_nothing_whatever_is_asked(site: Site):
    kept = await site.parts.door.keep(PNG, "عکس.png")
    await site.parts.door.take(Inbound("web", "r1", TEXT, Kind.COMPLAINT, files=[kept], unit="public-relations"))
    await site.parts.door.take(Inbound("web", "r2", TEXT, Kind.COMPLAINT, unit="secretariat"))
    director = await operator(site)
    rows = re.findall(r"/console/t/(\d+)", (await director.get("/console/queue?view=all")).html)
    desk = await operator(site, "desk")
    own = set(re.findall(r"/console/t/(\d+)", (await desk.get("/console/queue?view=all")).html))
    foreign = next(one for one in rows if one not in own)
    mine = next(iter(own))
    for path in (f"/console/t/{foreign}", f"/console/t/{foreign}/slip", f"/console/file/{kept.key}?t={foreign}"):
        assert (await desk.get(path)).status == 404, path
    assert (await desk.get(f"/console/file/{kept.key}?t={mine}")).status == 404
    for deed in ("take", "reply", "note", "close", "route", "unsend"):
        fields = {
            "version": "1",
            "text": "سلام",
            "ref": "r",
            "reason": "duplicate",
            "unit": "secretariat",
            "message": "1",
        }
        assert (await desk.post(f"/console/t/{foreign}/{deed}", fields)).status == 404, deed


CANARY = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


async def test_canaries_of_every_channel_are_words(site: Site):
    take, keep = site.parts.door.take, site.parts.door.keep
    phone, mail = Contact(ContactKind.PHONE, "+989120000000", True), Contact(ContactKind.MAIL, '"<b>"@example.ir')
    image = await keep(PNG, "a.png")
    named = KeptFile(image.key, CANARY, "image/png", image.size)
    voice = KeptFile(image.key, CANARY, "audio/x-wav", image.size, 3.0)
    await take(Inbound("sms", "1", CANARY, contact=phone, to=(CANARY,)))
    await take(Inbound("mail", "2", CANARY, contact=mail, name=CANARY, subject=CANARY, quoted=CANARY, files=[named]))
    await take(Inbound("phone", "3", "", contact=phone, files=[voice], facts={"from": CANARY}))
    browser = await operator(site)
    queue = await browser.get("/console/queue?view=all")
    pages = [queue, await browser.get("/console/"), await browser.get("/console/queue?view=all&q=" + CANARY)]
    for number in set(re.findall(r"/console/t/(\d+)", queue.html)):
        pages += [await browser.get(f"/console/t/{number}"), await browser.get(f"/console/t/{number}/slip")]
    assert len(pages) == 9
    for page in pages:
        assert page.status == 200
        assert not re.search(r"<script|<img[^>]*onerror", page.html)
    assert sum(CANARY in page.text for page in pages) >= 3


async def test_a_file_is_handed_out_under_its_name_and_runs_nothing(site: Site):
    image = await site.parts.door.keep(PNG, "a.png")
    name = 'نامه/"; x="\u202eلیست.png'
    await site.parts.door.take(Inbound("mail", "1", TEXT, files=[KeptFile(image.key, name, "text/html", image.size)]))
    browser = await operator(site)
    source = f"/console/file/{image.key}?t={await first_ticket(browser)}"
    answer = await site.client.get(source)
    assert await answer.read() == PNG
    said = answer.headers["Content-Disposition"]
    assert re.fullmatch(r"attachment; filename\*=UTF-8''[A-Za-z0-9%._~-]+", said), said
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert (await site.client.head(source)).status == 200


# ---------------------------------------------------------------- the same form, often and at once


async def test_a_form_sent_fifty_times_at_once_is_one_ticket_and_fifty_equal_receipts(site: Site):
    browser = site.browser()
    page = await browser.get("/new")
    site.clock.advance(20)
    sent = [browser.submit(page, "/new", kind="complaint", text=TEXT, step="send") for _ in range(50)]
    done = await asyncio.gather(*sent)
    assert {one.status for one in done} == {201}
    assert len({code_and_pin(one) for one in done}) == 1
    state = await track(browser, *code_and_pin(done[0]))
    assert state.text.count(TEXT) == 1
    staff = await operator(site)
    assert len(set(re.findall(r"/console/t/(\d+)", (await staff.get("/console/queue?view=all")).html))) == 1


async def test_a_known_form_with_other_words_shows_the_first_receipt_and_offers_them(site: Site):
    browser = site.browser()
    page = await browser.get("/new")
    site.clock.advance(20)
    first = await browser.submit(page, "/new", kind="complaint", text=TEXT, step="send")
    other = await browser.submit(page, "/new", kind="complaint", text="متن تازهٔ دیگری", step="send")
    assert code_and_pin(first) == code_and_pin(other)
    assert "متن تازهٔ دیگری" in other.html
    assert other.fields("/track/act")["act"] == "add"
    assert "متن تازهٔ دیگری" not in (await track(browser, *code_and_pin(first))).text


# ---------------------------------------------------------------- a store that is not there


@pytest.mark.parametrize("fault", [ConnectionRefusedError("the database"), TimeoutError(), OSError("disk")])
async def test_a_store_that_is_gone_is_a_page_with_the_numbers_to_call(
    site: Site, monkeypatch: pytest.MonkeyPatch, fault: Exception
):
    async def gone(self, *more):
        raise fault

    browser = site.browser()
    page = await browser.get("/new")
    site.clock.advance(20)
    monkeypatch.setattr(type(site.parts.door), "take", gone)
    monkeypatch.setattr(type(site.parts.store), "read", gone)
    for sent in (
        await browser.submit(page, "/new", kind="complaint", text=TEXT, step="send"),
        await browser.post("/track", {"code": "72940518364", "proof": "1234"}),
        await browser.get("/console/", cookies={"pasokh": "a"}),
    ):
        assert sent.status in (500, 503)
        assert "۰۲۴" in sent.text
    for path in ("/", "/new", "/track", "/help", "/en/", "/static/none.css"):
        assert (await browser.get(path)).status in (200, 404), path


def test_a_label_never_holds_a_folder_or_a_control_character():
    assert uploads.label("../\x00/نامه\u202e.png") == "نامه.png"


async def test_slow_bodies_of_programs_are_cut_like_those_of_forms(site: Site, monkeypatch: pytest.MonkeyPatch):
    from dataclasses import replace

    from aiohttp.test_utils import TestClient, TestServer

    from tests.web.test_safety import Hook
    from web import app as web_app

    monkeypatch.setattr(uploads, "SLOWEST", 0.3)

    async def drip():
        yield b"{"
        await asyncio.Event().wait()

    parts = replace(site.parts, hooks={"sms": Hook()})
    kinds = {"/new": FORM, "/api/v1/tickets": "application/json", "/hooks/sms/main/right": FORM, "/csp": "text/plain"}
    async with TestClient(TestServer(web_app.make(parts))) as client:
        for path, kind in kinds.items():
            async with asyncio.timeout(10):
                sent = await client.post(path, data=drip(), headers=OURS | {"Content-Type": kind})
            assert sent.status == 408, path


async def test_english_pages_are_whole_and_lead_to_english_pages(site: Site):
    browser = site.browser()
    seen, todo = set(), {"/en/"}
    while todo:
        path = todo.pop()
        seen.add(path)
        page = await browser.get(path)
        assert page.status == 200, path
        assert '<html lang="en" dir="ltr">' in page.html, path
        inside = re.sub(r'<a [^>]*hreflang="fa"[^>]*>.*?</a>|<bdi.*?</bdi>', "", page.html, flags=re.S)
        links = [link.split("#")[0] for link in re.findall(r'(?:href|action)="(/[^"]*)"', inside)]
        strange = {one for one in links if not one.startswith(("/en/", "/static/", "/console", "/openapi"))}
        assert not {one for one in strange if f'hreflang="fa" href="{one}"' not in page.html}, (path, strange)
        found = re.findall(r"[\u0600-\u06ff][^<]*", re.sub(r"<(script|style|title).*?</\1>", "", inside, flags=re.S))
        assert not found, (path, found[:5])
        todo |= {one for one in links if one.startswith("/en/") and "?" not in one and "/track/" not in one} - seen
    assert {"/en/new", "/en/track", "/en/people", "/en/services", "/en/units", "/en/help"} <= seen


async def test_past_thirty_files_an_hour_an_address_keeps_no_more_sent_or_not(site: Site):
    async def check(count: int) -> str:
        body = [
            f'Content-Disposition: form-data; name="files"; filename="p{n}.png"\r\n\r\n'.encode() + PNG
            for n in range(count)
        ]
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        answer = await site.client.post("/new", data=parts(*body), headers=OURS | kind)
        return await answer.text()

    said = site.parts.say("core.error.too_often", "fa")
    for _ in range(6):
        assert said not in await check(5)
    kept = len(list(site.parts.files.folder.rglob("*")))
    assert said in await check(1)
    assert len(list(site.parts.files.folder.rglob("*"))) == kept
