"""How a child process is ended for good."""

from __future__ import annotations

import asyncio
import contextlib


async def end(process: asyncio.subprocess.Process) -> None:
    """Kill it and wait until it is gone.

    What it had still to say is read first: behind a full pipe asyncio never sees its end, and `wait` waits for both.
    """
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    if process.stdin is not None:
        process.stdin.close()
    if process.stdout is not None:
        with contextlib.suppress(RuntimeError):  # somebody reads it already
            while await process.stdout.read(1 << 16):
                pass
    await process.wait()
