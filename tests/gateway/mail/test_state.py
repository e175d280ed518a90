"""The console's page of mail lines: how they stand, and a trial of each that sends nothing."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime

import pytest

from core import people
from core.channels import Gear
from core.errors import NotFound
from gateway.mail.channel import make
from tests.gateway.mail.conftest import UNITS, say
from tests.gateway.mail.system import running
from tests.web.conftest import PASSWORD


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_the_page_tells_how_lines_stand_and_a_trial_sends_nothing(reactor, tmp_path, box):
    async with running(tmp_path / "data", box) as system, system.browser("director") as browser:
        assert (await browser.get("/console/mail")).status == 403, "it is for who may change settings"
        await people.set_password(system.store, "admin", PASSWORD)
        await browser.sign_in("admin")
        page = await browser.get("/console/mail")
        assert page.status == 200 and "خط‌های نامه" in page.text and "smtp 127.0.0.1:" in page.text
        assert "باز" in page.text and "ویروس‌یابی تنظیم نشده" in page.text
        tried = await browser.submit(page, "/console/mail/main/trial")
        assert "ورودی پاسخ می‌دهد" in tried.text and "سرور فرستنده پاسخ می‌دهد" in tried.text
        assert [each.way for each in box.letters] == []


async def test_a_trial_says_what_does_not_answer(open_channel, tmp_path):
    channel = await open_channel(kind="lmtp", socket=str(tmp_path / "lmtp"), relay_port=_free())
    good, bad = await channel.trial("main")
    assert (good.way, good.why) == ("in", "")
    assert bad.way == "out" and bad.why.startswith("ConnectionRefusedError")
    with pytest.raises(NotFound):
        await channel.trial("no such")
    (way,) = channel.ways_in()
    assert (way.name, way.kind, way.place, way.state) == ("main", "lmtp", str(tmp_path / "lmtp"), "up")
    assert channel.hands()["alive"] == 1


async def test_a_mailbox_that_is_not_there_is_told(reactor, tmp_path, door):
    table = {
        "domain": "agency.example.ir",
        "kind": "imap",
        "relay_port": _free(),
        "imap": {"host": "127.0.0.1", "port": _free(), "user": "u", "password_file": "/x", "tls": "none"},
    }
    table["imap"]["since"] = datetime.now(UTC).date()
    channel = make(Gear("mail", {"line": {"box": table}}, say, str(tmp_path), reactor, extra={"units": UNITS}))
    await channel.start(door)
    try:
        async with asyncio.timeout(10):
            while channel.ways_in()[0].state != "down":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert "ConnectionRefusedError" in channel.ways_in()[0].why
        assert all(each.why.startswith("ConnectionRefusedError") for each in await channel.trial("box"))
    finally:
        await channel.stop(1)
