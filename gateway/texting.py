"""`pasokh sms`: look at lines, pause and resume them, send a text, follow it, fetch what a provider handed out."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import secrets
import sys
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from core import intake, phones
from core.channels import Channel, Door, Lined, Note
from core.errors import NotFound, WrongInput
from core.schema import delivery, outbox, seen
from core.store import Store
from gateway import control
from gateway.control import Deed

FAULT = 2
AGAIN = 48  # hours a provider can be asked for texts it handed out


def deeds(store: Store, door: Door, channels: Mapping[str, Channel]) -> dict[str, Deed]:
    """What commands may ask of the running program."""
    texting = Texting(store, door, channels)
    return {f"sms.{name}": getattr(texting, name) for name in ("lines", "send", "status", "pause", "resume", "fetch")}


class Texting:
    """The running side. Each deed takes the fields of a command."""

    def __init__(self, store: Store, door: Door, channels: Mapping[str, Channel]) -> None:
        self._store, self._door, self._channels = store, door, channels

    def _sms(self) -> Any:
        channel = self._channels.get("sms")
        if not isinstance(channel, Lined):
            raise NotFound("no SMS line is set up")
        return channel

    async def lines(self, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [dataclasses.asdict(line) for line in await self._sms().lines()]

    async def pause(self, asked: Mapping[str, Any]) -> str:
        await self._sms().pause(asked["line"], asked.get("why") or "by command")
        return "paused"

    async def resume(self, asked: Mapping[str, Any]) -> str:
        await self._sms().resume(asked["line"])
        return "resumed"

    async def fetch(self, asked: Mapping[str, Any]) -> int:
        return int(await self._sms().fetch(asked["line"], int(asked["since"])))

    async def send(self, asked: Mapping[str, Any]) -> int:
        """Queue a text like any other; the number of its row."""
        number = phones.parse(str(asked["to"]))
        if number is None or not phones.mobile(number):
            raise WrongInput("to", "unknown")
        if not str(asked["text"]).strip():
            raise WrongInput("text", "empty")
        self._sms()
        ref = f"command:{secrets.token_hex(16)}"
        note = Note("sms", ref, number, "plain", {"text": str(asked["text"])}, asked.get("line"))
        await self._door.tell(note)
        return int(await self._store.read(_row_of, ref))

    async def status(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return await self._store.read(_status, int(asked["id"]))


def _row_of(s: Connection, ref: str) -> int:
    mark = blake2b(ref.encode(), digest_size=16).digest()
    ask = sa.select(seen.c.message).where(seen.c.channel == f"{intake.TOLD}sms", seen.c.ref == mark)
    return int(s.execute(ask).scalar_one())


def _status(s: Connection, number: int) -> dict[str, Any]:
    """An outbox row without its address and words, and what was reported of it."""
    row = s.execute(sa.select(outbox).where(outbox.c.id == number)).mappings().first()
    if row is None:
        raise NotFound(f"no row {number}")
    names = ("id", "line", "purpose", "state", "attempt", "why", "ref", "parts", "cost", "at", "due_at", "done_at")
    reports = s.execute(sa.select(delivery.c.state, delivery.c.at).where(delivery.c.outbox == number)).all()
    return {**{name: row[name] for name in names}, "reports": [[state, at] for state, at in reports]}


# ---------------------------------------------------------------- the command line


def add_arguments(parser: Any) -> None:
    """`pasokh sms DEED …`."""
    parser.add_argument("--data", type=Path, default=Path(".demo"), help="data folder of the running program")
    deed = parser.add_subparsers(dest="deed", required=True, metavar="DEED")
    deed.add_parser("lines", help="how the lines stand")
    for name, sentence in (("pause", "send nothing by a line"), ("resume", "send by it again")):
        one = deed.add_parser(name, help=sentence)
        one.add_argument("line")
        one.add_argument("--why", default="")
    send = deed.add_parser("send", help="queue a text")
    send.add_argument("to", help="mobile number")
    send.add_argument("text")
    send.add_argument("--line", default=None)
    deed.add_parser("status", help="follow a text").add_argument("id", type=int, help="what `send` told")
    deed.add_parser("parts", help="count the parts of a text").add_argument("text")
    fetch = deed.add_parser("fetch", help="take again what a provider handed out")
    fetch.add_argument("line")
    fetch.add_argument("--since", default=f"{AGAIN}h", help="hours (`6h`) or a moment (`2024-08-14T11:00`)")


def run(options: argparse.Namespace) -> int:
    """Do it, print what came of it."""
    if options.deed == "parts":
        from sms import parts

        found = parts.measure(options.text)
        print(f"{found.parts} parts, {found.coding}, {found.units} units, {found.left} left in the last")
        return 0
    try:
        fields = {name: value for name, value in vars(options).items() if name in ("line", "why", "to", "text", "id")}
        if options.deed == "fetch":
            fields["since"] = moment(options.since)
        told = asyncio.run(control.ask(options.data, f"sms.{options.deed}", **fields))
    except (control.NotRunning, RuntimeError, ValueError) as fault:
        print(f"pasokh sms: {fault}", file=sys.stderr)
        return FAULT
    print(told if isinstance(told, str | int) else json.dumps(told, ensure_ascii=False, indent=1))
    return 0


def moment(text: str) -> int:
    """ms UTC of `6h` (ago) or an ISO moment in local time. Raises ValueError."""
    if text.endswith("h") and text[:-1].isdigit():
        return int((time.time() - timedelta(hours=int(text[:-1])).total_seconds()) * 1000)
    try:
        return int(datetime.fromisoformat(text).astimezone().timestamp() * 1000)
    except ValueError:
        raise ValueError(f"--since: {text!r} is neither hours like 6h nor a moment like 2024-08-14T11:00") from None
