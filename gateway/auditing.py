"""`pasokh audit`: looks through the chain of every ticket for what was changed, cut, swapped or put in unseen.

While the program runs it looks itself; else the store is opened for the time.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core import audit, store
from core.cipher import BadKeyring, Keyring
from core.clock import SystemClock
from core.refusal import Refusal
from core.store import Store
from gateway import control
from gateway.control import Deed

BROKEN, FAULT = 1, 2  # exit status: chains that do not hold; nothing could be looked at
MOST = 100  # faults told


def deeds(opened: Store) -> dict[str, Deed]:
    """What the command may ask of the running program."""

    async def look(asked: Mapping[str, Any]) -> dict[str, Any]:
        return await _look(opened)

    return {"audit": look}


def add_arguments(parser: Any) -> None:
    """`pasokh audit --data D`."""
    parser.add_argument("--data", type=Path, required=True, help="data folder of the system")
    parser.add_argument("--database", help="PostgreSQL URL instead of SQLite in the data folder")


def run(options: argparse.Namespace) -> int:
    """Look, print each fault, return the exit status."""
    try:
        told = asyncio.run(_asked(options.data, options.database))
    except (Refusal, BadKeyring, RuntimeError) as fault:
        print(f"pasokh audit: {fault}", file=sys.stderr)
        return FAULT
    for ticket, seq, what in told["broken"]:
        print(f"ticket {ticket}, event {seq}: {what}")
    print(f"{told['tickets']} tickets, {told['faults']} faults")
    return BROKEN if told["faults"] else 0


async def _asked(folder: Path, database: str | None) -> dict[str, Any]:
    try:
        return dict(await control.ask(folder, "audit"))
    except control.NotRunning:
        ring = Keyring.read(folder / "keyring")
    opened = await store.open(database, SystemClock(), folder, ring.key("chain", min(ring.keys)))
    try:
        return await _look(opened)
    finally:
        await opened.close()


async def _look(opened: Store) -> dict[str, Any]:
    found = await audit.verify_all(opened)
    told = [[one.ticket, one.seq, one.what] for one in found.broken[:MOST]]
    return {"tickets": found.tickets, "faults": len(found.broken), "broken": told}
