"""Calls on disk from their beginning to their record: one that is cut off by a crash is found at the next start.

A file a call in the data folder, for us alone (0600), gone once the record is in the store. It is not fsynced: it
outlives the program's death, and a power cut takes the lines of calls that left nothing else.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from core.channels import CallRecord, Contact, ContactKind, Door
from core.errors import Busy, PasokhError

log = logging.getLogger(__name__)
OPEN = ""  # way of a call that goes on
CRASH = "crash"  # way of a call that was cut off with the program


class Ledger:
    """The folder of calls that have no record yet."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._here: set[str] = set()  # calls of ours that go on, or are being recorded

    def begin(self, record: CallRecord) -> None:
        """A call goes on (`way` OPEN). Said again with what is known since, it also tells how long it has lasted."""
        self._here.add(record.ref)
        try:
            self._write(record)
        except OSError:  # the call goes on; its record comes at its end
            log.warning("call not noted: the disk refuses", extra={"call": record.ref})

    async def over(self, door: Door, record: CallRecord) -> None:
        """A call is over: it goes into the store now, or at the next `settle` when that is too busy."""
        self.begin(record)
        try:
            await self._enter(door, record)
        finally:
            self._here.discard(record.ref)

    async def settle(self, door: Door) -> None:
        """Enter what lies here of calls that do not go on: those a crash cut off, and those of a busy store."""
        for record in await asyncio.to_thread(self._left):
            if record.ref not in self._here and not await self._enter(door, record):
                return

    async def _enter(self, door: Door, record: CallRecord) -> bool:
        """False: the store is too busy, the file stays."""
        try:
            await door.call_over(record)
        except Busy:
            log.warning("call not recorded yet: busy", extra={"call": record.ref})
            return False
        except PasokhError:
            log.exception("call not recorded", extra={"call": record.ref})
        self._path(record.ref).unlink(missing_ok=True)
        return True

    def _left(self) -> list[CallRecord]:
        """Of calls that do not go on, the oldest first."""
        paths = [path for path in self.folder.glob("*.json") if path.stem not in self._here]
        found = [self._read(path) for path in paths]
        return sorted((record for record in found if record is not None), key=lambda record: record.began_at)

    def _path(self, ref: str) -> Path:
        return self.folder / f"{ref}.json"

    def _write(self, record: CallRecord) -> None:
        draft = self._path(record.ref).with_suffix(".tmp")
        with open(draft, "w", encoding="utf-8", opener=_private) as file:
            json.dump(asdict(record), file)
        os.replace(draft, self._path(record.ref))

    def _read(self, path: Path) -> CallRecord | None:
        """The record of a file; what was going on when it was last written was cut off then."""
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            record = CallRecord(**{**data, "contact": _contact(data["contact"])})
            if record.way != OPEN:
                return record
            seconds = max(0, round(path.stat().st_mtime - record.began_at / 1000))
            return replace(record, way=CRASH, seconds=seconds)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError):
            log.warning("call's note cannot be read", extra={"call": path.stem})
            path.replace(path.with_suffix(".bad"))
            return None


def _contact(data: Mapping[str, Any] | None) -> Contact | None:
    return Contact(ContactKind(data["kind"]), data["value"], data["proven"]) if data else None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
