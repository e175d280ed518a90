"""A caller who waits for a unit hears what its exchange says before it answers, and the mailbox after."""

from __future__ import annotations

import asyncio
import os

import numpy as np
import pytest

from ivr.media import g711
from ivr.site import read_site
from tests.ivr.sip.test_sipp import SCENARIOS, sipp
from tests.ivr.test_channel import gear, until
from tests.ivr.test_operators import HERTZ, Trusting, outside, rows, spool, ticket

__all__ = ["sipp"]
pytestmark = [pytest.mark.peer, pytest.mark.slow]
MENU = """\
start = "bell"
[menu.bell]
do = "connect"
to = "services"
done = "goodbye"
busy = "mailbox"
away = "goodbye"
[menu.mailbox]
do = "record"
kind = "request"
ok = "send"
else = "goodbye"
[menu.send]
do = "take"
ok = "goodbye"
failed = "goodbye"
[menu.goodbye]
do = "hangup"
"""


async def test_an_announcement_before_the_answer_is_heard_by_who_waits_for_a_unit(opened, reactor, tmp_path, sipp):
    made, files, door = opened
    wave = 5000 * np.sin(np.arange(48_000) * 2 * np.pi * HERTZ["130"] / 8000)
    (tmp_path / "said.pcma").write_bytes(g711.frames(wave.astype(np.int16)).pcma)
    story = (SCENARIOS / "early.xml").read_text().replace("AUDIO", str(tmp_path / "said.pcma"))
    (tmp_path / "early.xml").write_text(story)
    port = 20_000 + os.getpid() % 20_000
    far = await asyncio.create_subprocess_exec(
        sipp, "-sf", "early.xml", "-i", "127.0.0.1", "-p", str(port), "-nostdin", "-m", "1",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, cwd=tmp_path,
    )  # fmt: skip
    unit = {"name": "office", "address": f"127.0.0.1:{port}", "dial": True, "ping": False}
    table = {"line": {"main": {"bind": ["udp:127.0.0.1:0"], "rtp": "0",
                               "peer": [{"name": "loopback", "allow": ["127.0.0.0/8"]}, unit]}}}  # fmt: skip
    (tmp_path / "phone").mkdir()
    given = gear(
        tmp_path / "phone", reactor, table, menus={"menus/main.toml": MENU}, bells={"services": "130"}, read=files.read
    )
    ours = Trusting(given, read_site(given))
    await ours.start(door)
    try:
        async with outside(reactor, tmp_path) as out:
            caller = await out.call(ours)
            await until(lambda: caller.hears("130", seconds=0.5), 20)
            await until(lambda: any(path.suffix == ".wav" and path.stat().st_size > 20_000 for path in spool(ours)), 30)
            await caller.hang_up()
        [row] = await until(lambda: made.read(rows, ticket))
        assert row["kind"] == "request"
        assert await asyncio.wait_for(far.wait(), 10) == 0
    finally:
        await ours.stop(0)
        if far.returncode is None:
            far.kill()
            await far.wait()
