"""The line against sipp, which was written by others: scenarios in tests/ivr/sipp, over loopback."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from ivr.leg import HungUp, Pressed
from ivr.sip.leg import SipLeg
from ivr.sip.outgoing import Wanted
from tests.ivr.sip.house import house, until
from tests.ivr.sip.test_phone import office

SCENARIOS = Path(__file__).parent.parent / "sipp"
pytestmark = [pytest.mark.peer]


@pytest.fixture
def sipp() -> str:
    found = shutil.which("sipp")
    if found is None:
        if os.environ.get("PASOKH_MUST_PEERS"):
            pytest.fail("sipp is not installed: tools/debian-packages")
        pytest.skip("sipp is not installed: tools/debian-packages")
    return found


async def run(sipp: str, folder: Path, scenario: str, *words: str, seconds: float = 30) -> None:
    """Run one scenario to its end; what sipp says of a failure is in the assertion."""
    command = [sipp, "-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", "127.0.0.1", "-nostdin", "-trace_err",
               "-error_file", str(folder / "errors"), "-m", "1", "-s", "1888", *words]  # fmt: skip
    child = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, cwd=folder
    )
    try:
        _, said = await asyncio.wait_for(child.communicate(), seconds)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    errors = (folder / "errors").read_text() if (folder / "errors").exists() else ""
    assert child.returncode == 0, (said.decode(), errors)


@pytest.mark.parametrize(
    ("scenario", "transport"), [("call", "udp"), ("late_ack", "udp"), ("hold", "udp"), ("call", "tcp"), ("hold", "tcp")]
)
async def test_a_call_by_scenario_leaves_nothing_behind(reactor, tmp_path, sipp, scenario, transport):
    async with house(reactor, bind=(f"{transport}:127.0.0.1:0",)) as home:
        await run(sipp, tmp_path, scenario, f"127.0.0.1:{home.line.port}", "-t", f"{transport[0]}1")
        await until(lambda: home.line.calls == 0)
        assert home.events == [HungUp("caller")] and home.plane.ports.out == 0


async def test_a_cancelled_call(reactor, tmp_path, sipp):
    async with house(reactor, answers=False) as home:
        await run(sipp, tmp_path, "cancel", f"127.0.0.1:{home.line.port}")
        await until(lambda: home.line.calls == 0)
        assert home.events == [HungUp("caller")] and home.plane.ports.out == 0


@pytest.mark.long
async def test_a_caller_who_never_acknowledges_gets_bye_after_32_seconds(reactor, tmp_path, sipp):
    async with house(reactor) as home:
        await run(sipp, tmp_path, "no_ack", f"127.0.0.1:{home.line.port}", seconds=45)
        assert home.events == [HungUp("no_ack")]


async def test_a_full_line(reactor, tmp_path, sipp):
    async with house(reactor) as home:
        home.line.exchange.draining = True
        await run(sipp, tmp_path, "busy_line", f"127.0.0.1:{home.line.port}")
        assert home.line.counts["503"] == 1 and not home.legs


async def test_fifty_calls_a_second(reactor, tmp_path, sipp):
    async with house(reactor) as home:
        await run(sipp, tmp_path, "call", f"127.0.0.1:{home.line.port}", "-m", "100", "-r", "50")
        await until(lambda: home.line.calls == 0)
        assert home.line.counts["calls"] == 100 and home.plane.ports.out == 0


async def test_a_call_of_ours_to_sipp(reactor, tmp_path, sipp):
    async with house(reactor) as home:
        port = 20_000 + os.getpid() % 20_000
        peer = ("127.0.0.1", port)
        far = asyncio.ensure_future(run(sipp, tmp_path, "answers", "-p", str(port)))
        leg = await home.line.call(Wanted(f"sip:09120000000@127.0.0.1:{port}", peer))
        assert isinstance(leg, SipLeg)
        leg.hang_up()
        assert [event async for event in leg.events()] == [HungUp("us")]
        await far
        await until(lambda: home.line.calls == 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="sipp sends telephone-events by a raw socket, as root only")
async def test_a_key_pressed_by_sipp_is_heard_once(reactor, tmp_path, sipp):
    async with office(reactor, tmp_path, said=0.2) as (line, events):
        await run(sipp, tmp_path, "key", f"127.0.0.1:{line.port}")
        await until(lambda: line.calls == 0)
        assert [event for event in events if isinstance(event, Pressed)] == [Pressed("1")]
