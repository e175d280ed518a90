"""Slow clients of the web as wiring starts it: half a request is cut, others are served meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import supervise, wiring
from web import app, uploads


def test_headers_have_ten_seconds_and_bodies_sixty():
    assert (app.KEEPALIVE, uploads.SLOWEST) == (10.0, 60.0)


async def test_half_a_request_is_cut_though_it_drips(tmp_path: Path, reactor, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(app, "KEEPALIVE", 1.0)
    site, parts = wiring.site(None), supervise.Parts()
    settings = replace(site.settings, web=replace(site.settings.web, bind="127.0.0.1", port=0))
    running = await wiring.start(replace(site, settings=settings, lines={}), tmp_path, None, parts)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.web_port)
        writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        closed = asyncio.create_task(reader.read())
        for n in range(60):
            if closed.done():
                break
            writer.write(b"X-%d: a\r\n" % n)
            await asyncio.wait([closed], timeout=0.1)
        assert closed.done(), "half a request is still open after six times its time"
        writer.close()
        quick, other = await asyncio.open_connection("127.0.0.1", running.web_port)
        other.write(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert (await quick.read()).startswith(b"HTTP/1.1 200")
        other.close()
    finally:
        await parts.stop(1)
