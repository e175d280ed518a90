"""The real application over a real store (SQLite, a file of the test), with a browser that knows only forms."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientResponse, CookieJar, FormData
from aiohttp.test_utils import TestClient, TestServer

import config as configuration
from config.values import Config
from core import office, people, store
from core.cipher import Keyring
from core.clock import HandClock
from core.files import Files
from core.intake import Desk
from core.seed import seed
from core.store import Store
from core.throttle import Throttle
from tests.blank import blank_file
from web import app as web_app
from web.ports import Parts

PASSWORD = "گذرواژهٔ بلند نمونه"
NOON = 1_723_620_600_000  # 14 August 2024, a Wednesday morning in Tehran


@cache
def sample() -> Config:
    """The sample agency, signing in by password alone."""
    from dataclasses import replace

    read = configuration.read()
    return replace(read, settings=replace(read.settings, second_factor="optional"))


@dataclass
class Page:
    """What a browser without scripts sees of an answer."""

    status: int
    html: str
    headers: Any

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", self.html)))

    def fields(self, action: str) -> dict[str, str]:
        """Hidden and filled fields of the form for `action`."""
        for attributes, body in re.findall(r"<form\b([^>]*)>(.*?)</form>", self.html, flags=re.S):
            if f'action="{action}"' in attributes:
                found = {}
                for tag in re.findall(r"<input\b[^>]*>", body):
                    values = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
                    if values.get("type", "text") in ("hidden", "text", "tel") and "name" in values:
                        found[html.unescape(values["name"])] = html.unescape(values.get("value", ""))
                return found
        raise AssertionError(f"no form for {action} in {self.text[:500]}")


class Browser:
    """Cookies, forms, no scripts. `site` is what it says in Sec-Fetch-Site; None says nothing."""

    def __init__(self, client: TestClient[Any, Any], site: str | None = "same-origin") -> None:
        self.client, self.site = client, site

    def _headers(self) -> dict[str, str]:
        return {"Sec-Fetch-Site": self.site} if self.site else {}

    async def get(self, path: str, **more: Any) -> Page:
        return await self._page(await self.client.get(path, headers=self._headers(), **more))

    async def post(self, path: str, data: Any, follow: bool = True, **headers: str) -> Page:
        sent = await self.client.post(path, data=data, headers=self._headers() | headers, allow_redirects=follow)
        return await self._page(sent)

    async def submit(self, page: Page, action: str, **fields: Any) -> Page:
        return await self.post(action, {**page.fields(action), **fields})

    async def multipart(self, page: Page, action: str, files: list[tuple[str, bytes]], **fields: str) -> Page:
        form = FormData(quote_fields=False, default_to_multipart=True)
        for name, value in {**page.fields(action), **fields}.items():
            form.add_field(name, value)
        for name, data in files:
            form.add_field("files", BytesIO(data), filename=name, content_type="application/octet-stream")
        return await self.post(action, form)

    async def sign_in(self, user: str) -> Page:
        page = await self.get("/console/login")
        return await self.submit(page, "/console/login", user=user, password=PASSWORD)

    async def _page(self, answer: ClientResponse) -> Page:
        return Page(answer.status, await answer.text(errors="replace"), answer.headers)


@dataclass
class Site:
    """The running site and what it stands on."""

    client: TestClient[Any, Any]
    store: Store
    clock: HandClock
    parts: Parts

    def browser(self, site: str | None = "same-origin") -> Browser:
        return Browser(self.client, site)


@pytest.fixture
def settings() -> Config:
    """The configuration; tests may give another."""
    return sample()


@pytest_asyncio.fixture
async def site(settings: Config, tmp_path: Path) -> AsyncIterator[Site]:
    clock, ring = HandClock(NOON), Keyring({1: b"k" * 32})
    opened = await store.open(blank_file(tmp_path / "pasokh.db"), clock, tmp_path)
    throttle = Throttle(settings.settings.limits, clock)
    office.bind(opened, office.Office(settings, ring, clock, throttle))
    await seed(opened, settings)
    for login in ("director", "secretary", "desk", "admin"):
        await people.set_password(opened, login, PASSWORD)
    files = Files(tmp_path / "files", ring, opened)
    door = Desk(opened, settings, ring, files, clock, throttle)
    parts = Parts(
        store=opened, door=door, config=settings, say=settings.texts, clock=clock, files=files, keyring=ring,
        throttle=throttle, health=lambda: {"store": "up"},
    )  # fmt: skip
    client = TestClient(TestServer(web_app.make(parts)), cookie_jar=CookieJar(unsafe=True))
    await client.start_server()
    yield Site(client, opened, clock, parts)
    await client.close()
    files.close()
    await opened.close()
