"""swaks, a client that is not ours, hands letters over."""

from __future__ import annotations

import asyncio
import shutil

import pytest

pytestmark = pytest.mark.peer


@pytest.fixture
def swaks(channel):
    if shutil.which("swaks") is None:
        pytest.skip("swaks is not installed: tools/debian-packages")

    async def run(*arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            "swaks", "--server", f"127.0.0.1:{channel.port()}", "--from", "sara@mailbox.example", *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        return process.returncode or 0, out.decode("utf-8", "replace")

    return run


async def test_swaks_hands_over_a_letter(swaks, door):
    code, out = await swaks("--to", "water@agency.example.ir", "--h-Subject", "قطعی آب", "--body", "آب قطع است")
    assert code == 0 and "250 2.0.0" in out
    assert (door.taken[0].text, door.taken[0].subject) == ("آب قطع است", "قطعی آب")


async def test_swaks_pipelines(swaks, door):
    code, _ = await swaks("--to", "water@agency.example.ir", "--pipeline", "--body", "x")
    assert code == 0 and len(door.taken) == 1


async def test_swaks_is_told_that_nobody_lives_there(swaks):
    code, out = await swaks("--to", "nobody@agency.example.ir")
    assert code == 24 and "550 5.1.1" in out
