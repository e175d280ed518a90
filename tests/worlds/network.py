"""The made-up mobile network behind made-up providers: handsets, their texts, what is blocked, call-backs.

The ledger of what handsets got is the judge: what lies there twice was sent twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from tests.worlds.ledger import Ledger

QUEUED, SCHEDULED, SENT, FAILED, DELIVERED, UNDELIVERED, CANCELLED, BLOCKED = 1, 2, 5, 6, 10, 11, 13, 14
COST = 1200  # rial a part
STOP = ("لغو۱۱", "لغو11", "لغو ۱۱", "لغو 11")


def national(number: str) -> str:
    """09… as the provider writes numbers."""
    digits = "".join(c for c in number if c.isdigit())
    for prefix in ("0098", "98"):
        if digits.startswith(prefix) and len(digits) > 10:
            digits = digits[len(prefix) :]
    return digits if digits.startswith("0") or len(digits) < 10 else "0" + digits


def parts_of(text: str) -> int:
    """Parts as the network bills them: UCS-2 when any letter is no ASCII."""
    alone, each = (160, 153) if text.isascii() else (70, 67)
    size = len(text.encode("utf-16-be")) // 2
    return 1 if size <= alone else -(-size // each)


class Network:
    """Handsets and the provider's books. `hook`: where texts and reports are pushed to."""

    def __init__(self, folder: Path, key: str) -> None:
        self.key = key
        self.hook: str | None = None
        self.smsc: Any = None  #: a message centre that carries texts to its numbers instead of a call-back
        self.host = ""  #: host:port of the API, once it listens
        self.authority = folder / "ca.pem"
        self.sent = Ledger(folder / "sent.jsonl")
        self.inbox = Ledger(folder / "inbox.jsonl")
        self.read: set[int] = set()
        self.by_local = {row["localid"]: row for row in self.sent.rows if row.get("localid")}
        self.by_id = {row["messageid"]: row for row in self.sent.rows}
        self.faults: dict[str, list[str]] = {}
        self.off: set[str] = set()  #: handsets that are switched off
        self.blocked: dict[str, int] = {}  #: number → when it blocked our lines, seconds
        self.credit = 10_000_000  #: rial
        self.config = {"apilogs": "disabled", "debugmode": "disabled", "resendfailed": "disabled"}
        self.ahead = 0  #: seconds its clock goes ahead
        self.pushed: list[tuple[int, str]] = []
        self.push: Callable[[dict[str, Any]], Awaitable[None]] = self._post
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self._last = max([0, *(row["messageid"] for row in (*self.sent.rows, *self.inbox.rows))])

    def number(self) -> int:
        self._last = max(self._last + 1, int(time.time() * 1000))
        return self._last

    def now(self) -> int:
        """Its own clock, seconds."""
        return int(time.time()) + self.ahead

    def fault(self, method: str) -> str:
        """The next fault that waits for a method, '' for none."""
        waiting = self.faults.get(method, [])
        return waiting.pop(0) if waiting else ""

    # ---- a citizen's thumb

    async def text(self, sender: str, to: str, message: str) -> int:
        """A citizen sends; it lies in the inbox and is pushed, as the provider would."""
        row = self.inbox.add(
            messageid=self.number(), sender=national(sender), receptor=to, message=message, date=self.now()
        )
        if message.strip() in STOP:
            self.blocked[national(sender)] = self.now()
        if self.smsc is not None and self.smsc.serves(to):
            self.smsc.text(row)
            return int(row["messageid"])
        await self._deliver({"messageid": row["messageid"], "from": row["sender"], "to": to, "message": message})
        return int(row["messageid"])

    async def _deliver(self, fields: dict[str, Any]) -> None:
        """A call-back with the faults set for call-backs: never, twice, late."""
        fault = self.fault("push")
        if fault == "never":
            return
        if fault == "late":
            self.later(self._late(fields))
            return
        await self.push(fields)
        if fault == "twice":
            await self.push(fields)

    async def _late(self, fields: dict[str, Any]) -> None:
        await asyncio.sleep(0.5)
        await self.push(fields)

    async def _post(self, fields: dict[str, Any]) -> None:
        if self.hook is None:
            return
        status = "no connection"
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self.session().post(self.hook, data=fields) as answer:
                status = str(answer.status)
        self.pushed.append((int(fields["messageid"]), status))

    def session(self) -> aiohttp.ClientSession:
        self._session = self._session or aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        return self._session

    # ---- the provider's side

    def accept(self, receptor: str, sender: str, message: str, localid: str = "", at: int = 0) -> dict[str, Any]:
        """Store and 'deliver'; a local id seen before returns the old record as success. `at`: scheduled for then."""
        if localid and localid in self.by_local:
            return self.by_local[localid]
        to, parts = national(receptor), parts_of(message)
        blocked = to in self.blocked
        arrives = UNDELIVERED if to in self.off else DELIVERED
        status = BLOCKED if blocked else SCHEDULED if at > self.now() else arrives
        row = self.sent.add(
            messageid=self.number(), receptor=to, sender=sender, message=message, localid=localid, status=status,
            date=self.now(), cost=COST * parts, parts=parts,
        )  # fmt: skip
        self.credit -= 0 if blocked else row["cost"]
        self.by_id[row["messageid"]] = row
        if localid:
            self.by_local[localid] = row
        self.later(self._report(row))
        return row

    async def _report(self, row: dict[str, Any]) -> None:
        if row["status"] == SCHEDULED:
            return
        fields = {"messageid": row["messageid"], "status": row["status"]}
        fault = self.fault("report")
        if fault == "never":
            return
        if fault == "reversed":
            await self._deliver({**fields, "status": row["status"]})
            fields["status"] = SENT
        await self._deliver(fields)
        if fault == "twice":
            await self._deliver(fields)

    def later(self, work: Any) -> None:
        """Run beside the answer."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def thread(self, phone: str) -> list[dict[str, Any]]:
        """All texts of a handset, oldest first; what it was too dead or unwilling to get is not there."""
        mine = national(phone)
        got = [
            _shown(row, "in", row["sender"], mine)
            for row in self.sent.rows
            if row["receptor"] == mine and row["status"] not in (BLOCKED, SCHEDULED, CANCELLED, UNDELIVERED)
        ]
        wrote = [_shown(row, "out", mine, row["receptor"]) for row in self.inbox.rows if row["sender"] == mine]
        return sorted([*got, *wrote], key=lambda row: row["id"])

    def phones(self) -> list[str]:
        return sorted({row["receptor"] for row in self.sent.rows} | {row["sender"] for row in self.inbox.rows})

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._session is not None:
            await self._session.close()
        self.sent.close()
        self.inbox.close()


def _shown(row: dict[str, Any], way: str, sender: str, to: str) -> dict[str, Any]:
    at = row["date"] * 1000
    parts, cost = row.get("parts", 1), row.get("cost", 0)
    return {
        "id": row["messageid"], "from": sender, "to": to, "text": row["message"], "at": at, "way": way,
        "parts": parts, "cost": cost,
    }  # fmt: skip
