"""`pasokh staff`: a first password for an account, and the second factor taken away from whoever lost it.

While the program runs it does this itself; else the store is opened for the time. What is printed is shown this once.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core import factors, people, store
from core.cipher import BadKeyring, Keyring
from core.clock import SystemClock
from core.errors import PasokhError
from core.refusal import Refusal
from core.store import Store
from gateway import control
from gateway.control import Deed

FAULT = 2
OCTETS = 12  # of a made password: 96 bits


def deeds(opened: Store) -> dict[str, Deed]:
    """What the command may ask of the running program."""

    async def password(asked: Mapping[str, Any]) -> str:
        return await _password(opened, str(asked["login"]))

    async def reset(asked: Mapping[str, Any]) -> str:
        return await _reset(opened, str(asked["login"]))

    return {"staff.password": password, "staff.reset": reset}


def add_arguments(parser: Any) -> None:
    """`pasokh staff --data D password|reset LOGIN`."""
    parser.add_argument("--data", type=Path, required=True, help="data folder of the system")
    parser.add_argument("--database", help="PostgreSQL URL instead of SQLite in the data folder")
    deed = parser.add_subparsers(dest="deed", required=True, metavar="DEED")
    for name, sentence in (
        ("password", "make a new password and print it; sessions end"),
        ("reset", "take the second factor away; it is enrolled anew at the next sign-in"),
    ):
        deed.add_parser(name, help=sentence).add_argument("login", help="as in staff.toml")


def run(options: argparse.Namespace) -> int:
    """Do it, print what came of it."""
    try:
        print(asyncio.run(_asked(options.data, options.database, options.deed, options.login)))
    except (Refusal, BadKeyring, RuntimeError, PasokhError) as fault:
        print(f"pasokh staff: {fault}", file=sys.stderr)
        return FAULT
    return 0


async def _asked(folder: Path, database: str | None, deed: str, login: str) -> str:
    try:
        return str(await control.ask(folder, f"staff.{deed}", login=login))
    except control.NotRunning:
        ring = Keyring.read(folder / "keyring")
    opened = await store.open(database, SystemClock(), folder, ring.key("chain", min(ring.keys)))
    try:
        return await (_password if deed == "password" else _reset)(opened, login)
    finally:
        await opened.close()


async def _password(opened: Store, login: str) -> str:
    made = secrets.token_urlsafe(OCTETS)
    await people.set_password(opened, login, made)
    return made


async def _reset(opened: Store, login: str) -> str:
    await factors.reset(opened, login)
    return f"{login} enrols anew at the next sign-in"
