"""A running program says where it stands when SIGUSR1 asks, and runs on."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import asyncio
from gateway import loop, where

async def stuck_here(number):
    await asyncio.sleep(1)

async def main():
    where.tell_on_signal()
    task = asyncio.create_task(stuck_here("09120000000"), name="a text")
    await asyncio.sleep(0.1)
    print("ready", flush=True)
    await task

with asyncio.Runner(loop_factory=loop.new) as runner:
    runner.run(main())
"""


def test_threads_and_tasks_are_told_on_sigusr1_without_values():
    words = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGUSR1)
        _, told = child.communicate(timeout=20)
    assert child.returncode == 0
    assert "thread 0x" in told.lower()
    assert "name='a text'" in told
    assert "in stuck_here" in told
    assert "0912" not in told
