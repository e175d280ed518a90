"""A door for the mail channel's tests: it keeps what it is given in memory and answers as core would."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

from core.channels import Inbound, KeptFile, Receipt, Returned, State

CODE = "12345678903"


class Drawer:
    def __init__(self) -> None:
        self.all: dict[str, dict[str, bytes]] = {}

    async def put(self, box: str, slot: str, data: bytes) -> dict[str, bytes]:
        self.all.setdefault(box, {})[slot] = data
        return dict(self.all[box])

    async def get(self, box: str) -> dict[str, bytes]:
        return dict(self.all.get(box, {}))

    async def close(self, box: str, until: int | None = None) -> None:
        self.all.pop(box, None)

    async def boxes(self, before: int) -> list[str]:
        return list(self.all)


class Door:
    """`fault` is raised by `take`; `gate`, while clear, holds every commit back."""

    def __init__(self) -> None:
        self.drawer = Drawer()
        self.taken: list[Inbound] = []
        self.raws: list[tuple[str, bytes, str]] = []
        self.kept: dict[str, bytes] = {}
        self.back: list[Returned] = []
        self.fault: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = asyncio.Event()

    async def take(self, message: Inbound) -> Receipt:
        self.begun.set()
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        seen = {m.ref: n for n, m in enumerate(self.taken, 1)}
        if message.ref not in seen:
            self.taken.append(message)
        number = seen.get(message.ref, len(self.taken))
        return Receipt(CODE, "4321", "water", None, number, number, State.NEW, first=message.ref not in seen)

    async def keep(self, data: bytes | AsyncIterator[bytes], kind: str) -> KeptFile:
        whole = data if isinstance(data, bytes) else b"".join([piece async for piece in data])
        key = hashlib.sha256(whole).hexdigest()
        self.kept[key] = whole
        return KeptFile(key, kind, "application/octet-stream", len(whole))

    async def returned(self, back: Returned) -> int | None:
        self.back.append(back)
        return None

    async def raw(self, channel: str, ref: str, data: bytes, why: str) -> int:
        self.raws.append((ref, data, why))
        return len(self.raws)

    async def answer_for(self, code: str, asker: Any) -> None:
        return None

    async def look_up(self, what: str, key: str, asker: Any = None) -> None:
        return None

    async def spend(self, rule: str, key: str) -> bool:
        return True

    async def delivered(self, channel: str, ref: str, state: Any, why: str = "") -> None: ...
