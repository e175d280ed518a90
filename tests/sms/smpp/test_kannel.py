"""Kannel, an independent client, bound to our message centre's side: texts and receipts both ways."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web

from tests.sms.smpp import kannel
from tests.sms.smpp.conftest import Build, until

pytestmark = pytest.mark.peer

LONG = "آب خیابان نمونه از دیروز قطع است و کسی پاسخ نمی‌دهد. " * 4


async def test_kannel_binds_sends_and_receives(house: Build):
    kannel.needed()
    here = await house(password="secret")  # as its configuration has it
    came: list[tuple[str, str, str]] = []

    async def take(request: web.Request) -> web.Response:
        came.append(read(request.rel_url.raw_query_string))
        return web.Response()

    app = web.Application()
    app.router.add_get("/in", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    box = kannel.Kannel(here.folder / "kannel", here.port.getHost().port, runner.addresses[0][1])
    await asyncio.to_thread(box.__enter__)
    try:
        await until(lambda: here.centre._clients, 15)
        assert here.centre.binds[0].system_type == "vms"
        for words, coding in (("plain a[]€", 0), ("سلام", 2), (LONG, 2)):
            await send(box.send, words, coding)
        await until(lambda: len(here.got("09120000001")) == 3, 15)
        assert sorted(here.got("09120000001")) == sorted(["plain a[]€", "سلام", LONG])
        await here.network.text("09120000001", "30001234", "آب قطع است")
        await here.network.text("09120000002", "30001234", "water is off {x}")
        await until(lambda: len(came) == 2, 15)
        assert sorted(came) == sorted(
            [("+989120000001", "30001234", "آب قطع است"), ("+989120000002", "30001234", "water is off {x}")]
        )
        await until(lambda: not here.centre.waiting)
    finally:
        await asyncio.to_thread(box.__exit__)
        await runner.cleanup()


async def send(port: int, words: str, coding: int) -> None:
    query = {
        "username": "made", "password": "up", "to": "+989120000001", "text": words, "charset": "UTF-8",
        "coding": str(coding), "dlr-mask": "3", "dlr-url": "http://127.0.0.1:9/nowhere",
    }  # fmt: skip
    url = f"http://127.0.0.1:{port}/cgi-bin/sendsms"
    async with aiohttp.ClientSession() as session, session.get(url, params=query) as answer:
        assert answer.status == 202, await answer.text()


def read(query: str) -> tuple[str, str, str]:
    """Kannel writes a text's octets percent-encoded: UTF-16 for coding 2, else its own charset."""
    from urllib.parse import unquote_to_bytes

    fields = dict(each.split("=", 1) for each in query.split("&"))
    raw = unquote_to_bytes(fields["text"].replace("+", " "))
    words = raw.decode("utf-16-be" if fields["coding"] == "2" else "utf-8", "replace")
    number = unquote_to_bytes(fields["from"]).decode()
    return number, unquote_to_bytes(fields["to"]).decode(), words
