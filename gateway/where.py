"""Where everything stands, written to standard error when SIGUSR1 asks: each thread, and each task of the loop.

Lines of code only, no values: nothing of a citizen is in it.
"""

from __future__ import annotations

import asyncio
import faulthandler
import signal
import sys


def tell_on_signal() -> None:
    """From now on SIGUSR1 writes it: tasks once the loop turns, threads at once, even while it is stuck."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, _tasks)
    faulthandler.register(signal.SIGUSR1, all_threads=True, chain=True)  # it calls the loop's own, set before


def _tasks() -> None:
    for task in asyncio.all_tasks():
        task.print_stack(limit=8, file=sys.stderr)
