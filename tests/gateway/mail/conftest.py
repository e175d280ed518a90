"""A mail channel on a free port, its door, and the made-up mailbox outside."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from core.channels import Gear
from gateway.mail.settings import LineSettings
from tests.gateway.mail.door import Door
from tests.worlds.mail import Mailbox

ROOT = Path(__file__).resolve().parents[3]
TEXTS = {lang: tomllib.loads((ROOT / f"config/texts/{lang}/mail.toml").read_text("utf-8")) for lang in ("fa", "en")}
UNITS = {"water": "water", "roads": "roads@agency.example.ir"}


def say(key: str, lang: str, /, **facts) -> str:
    words = TEXTS[lang].get(key.removeprefix("mail."), key)
    return re.sub(r"\{(\w+)\}", lambda m: str(facts[m[1]]), words)


@pytest.fixture
async def box(tmp_path):
    box = Mailbox(tmp_path / "box")
    box.port = await box.start_smtp()
    yield box
    await box.stop()


@pytest.fixture
def door():
    return Door()


@pytest.fixture
async def open_channel(reactor, tmp_path, door, box):
    """`await open_channel(port=…, …)` starts a channel with these settings; all are stopped at the end."""
    from gateway.mail.channel import make

    opened = []

    async def start(clock=None, **settings):
        folder = tmp_path / f"mail{len(opened)}"
        folder.mkdir()
        given = {"domain": "agency.example.ir", "port": 0, "relay_port": box.port, "workers": 1, "disk_free": 0.0}
        line = LineSettings(**(given | settings))
        channel = make(Gear("mail", {"main": line}, say, str(folder), reactor, clock, extra={"units": UNITS}))
        await channel.start(door)
        opened.append(channel)
        box.target = ("127.0.0.1", channel.port())
        return channel

    yield start
    for channel in opened:
        await channel.stop(0.5)


@pytest.fixture
async def channel(open_channel):
    return await open_channel()
