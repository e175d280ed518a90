"""A child process is ended whatever it still has to say."""

from __future__ import annotations

import asyncio
import sys

from core import children

TALKS = "import sys, time; sys.stdout.write('x' * 1_000_000); sys.stdout.flush(); time.sleep(600)"


async def talking() -> asyncio.subprocess.Process:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", TALKS, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=4096
    )
    assert child.stdout is not None
    assert await child.stdout.readexactly(10) == b"x" * 10
    return child


async def test_a_child_whose_words_nobody_read_is_ended():
    child = await talking()
    async with asyncio.timeout(20):
        await children.end(child)
    assert child.returncode == -9


async def test_a_child_whom_somebody_listens_to_is_ended_and_the_listener_goes_on():
    child = await talking()
    assert child.stdout is not None
    listener = asyncio.create_task(child.stdout.read())
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await children.end(child)
        assert set(await listener) == {ord("x")}
    async with asyncio.timeout(20):
        await children.end(child)
