"""What was accepted and waits for its receipts: which part belongs to which text, how each part stands.

Appended to a file, so that receipts find their texts after a restart too; it is not fsynced, since all that a power cut
can lose is the news of a delivery. Numbers lie in it as two octets of a digest:
enough to tell two apart, not to find one.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec

from core.channels import DeliveryState
from sms.providers.base import Report
from sms.providers.smpp.report import Receipt, spellings

KEPT = 72 * 3600 * 1000  # ms a text or an early receipt is remembered
MOST = 200_000  # texts remembered; the oldest goes first
ROWS = 2 * MOST  # lines of a file until it is put aside
OLD = ".old"
_encode = msgspec.json.Encoder().encode
TAIL = 9  # last digits of a number, the same however it is written


@dataclass(slots=True)
class Entry:
    """One text: its ref, whom it was for, and the states of its parts."""

    ref: str
    ids: Sequence[str]
    mark: str
    at: int
    states: dict[str, DeliveryState] = field(default_factory=dict)


class Book:
    """`path` None: nothing is kept beyond this process."""

    def __init__(self, path: Path | None, now: int) -> None:
        self._entries: OrderedDict[str, Entry] = OrderedDict()  # by ref
        self._ids: dict[str, str] = {}  # id as it was given → ref
        self._spelt: dict[str, list[str]] = {}  # id in other spellings → ids as given
        self._early: OrderedDict[str, tuple[int, list[Receipt]]] = OrderedDict()
        self._file: IO[str] | None = None
        self._path: Path | None = None
        self._rows = 0
        if path is not None:
            self._read(path, now)

    def flush(self) -> None:
        """Hand what was noted to the system, so that it is there after a kill -9 too."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def accepted(self, ids: Sequence[str], number: str, now: int) -> tuple[str, list[Report]]:
        """A text was accepted part by part: its ref, and what receipts that came before say of it."""
        known = [id_ for id_ in ids if id_]
        entry = Entry(",".join(known), known, _mark(number), now)
        if not known:
            return "", []
        self._add(entry)
        self._write({"ref": entry.ref, "mark": entry.mark, "at": now})
        return entry.ref, self._early_of(entry)

    def received(self, receipt: Receipt, now: int) -> Report | None:
        """What a receipt says of its text; None when that is nothing. One that fits no text is told by its own id."""
        entry, id_ = self._find(receipt)
        if entry is None:
            _, waiting = self._early.pop(receipt.id, (now, []))
            self._early[receipt.id] = now, [*waiting, receipt][-10:]
            self._forget(now)
            return Report(receipt.id, receipt.state, receipt.why)
        return self._stand(entry, id_, receipt)

    # ------------------------------------------------------------ inside

    def _stand(self, entry: Entry, id_: str, receipt: Receipt) -> Report | None:
        """Delivered when every part is; any other end of a part is the end of the text."""
        if receipt.state is None:
            return None
        entry.states[id_] = receipt.state
        if len(entry.ids) > 1:
            self._write({"ref": entry.ref, "id": id_, "state": receipt.state})
        if receipt.state is DeliveryState.DELIVERED and any(
            entry.states.get(each) is not DeliveryState.DELIVERED for each in entry.ids
        ):
            return Report(entry.ref, DeliveryState.SENT)
        return Report(entry.ref, receipt.state, receipt.why)

    def _find(self, receipt: Receipt) -> tuple[Entry | None, str]:
        """By the id as it is; else in another spelling, for the same number only."""
        ref = self._ids.get(receipt.id)
        if ref is not None:
            return self._entries[ref], receipt.id
        mark = _mark(receipt.number)
        for spelling in spellings(receipt.id):
            for id_ in self._spelt.get(spelling, ()):
                entry = self._entries[self._ids[id_]]
                if entry.mark == mark:
                    return entry, id_
        return None, ""

    def _early_of(self, entry: Entry) -> list[Report]:
        if not self._early:
            return []
        mine = {spelling for id_ in entry.ids for spelling in (id_, *spellings(id_))}
        found: list[Report] = []
        for id_ in [id_ for id_ in self._early if id_ in mine or mine & set(spellings(id_))]:
            for receipt in self._early[id_][1]:
                known, part = self._find(receipt)
                if known is entry:
                    report = self._stand(entry, part, receipt)
                    found += [report] if report else []
                    self._early.pop(id_, None)
        return found

    def _add(self, entry: Entry) -> None:
        self._entries[entry.ref] = entry
        self._entries.move_to_end(entry.ref)
        for id_ in entry.ids:
            self._ids[id_] = entry.ref
            for spelling in spellings(id_):
                self._spelt.setdefault(spelling, []).append(id_)
        self._forget(entry.at)

    def _forget(self, now: int) -> None:
        while self._entries and (len(self._entries) > MOST or next(iter(self._entries.values())).at < now - KEPT):
            self._drop(self._entries.popitem(last=False)[1])
        while self._early and (len(self._early) > MOST or next(iter(self._early.values()))[0] < now - KEPT):
            self._early.popitem(last=False)

    def _drop(self, entry: Entry) -> None:
        for id_ in entry.ids:
            if self._ids.get(id_) == entry.ref:
                del self._ids[id_]
            for spelling in spellings(id_):
                left = [each for each in self._spelt.get(spelling, ()) if each in self._ids]
                self._spelt.pop(spelling, None)
                if left:
                    self._spelt[spelling] = left

    def _read(self, path: Path, now: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        for old in (path.with_suffix(OLD), path):
            for line in old.read_text().splitlines() if old.exists() else ():
                self._replay(_row(line), now)
                self._rows += old == path
        self._path, self._file = path, path.open("a", encoding="utf-8")

    def _replay(self, row: dict[str, Any], now: int) -> None:
        ref = str(row.get("ref", ""))
        if "at" in row and row["at"] > now - KEPT:
            self._add(Entry(ref, ref.split(","), str(row.get("mark", "")), int(row["at"])))
        elif "state" in row and ref in self._entries:
            self._entries[ref].states[str(row["id"])] = DeliveryState(row["state"])

    def _write(self, row: dict[str, Any]) -> None:
        """A file that has grown is put aside; the one put aside before it held nothing that is still known."""
        if self._file is None:
            return
        self._file.write(_encode(row).decode() + "\n")
        self._rows += 1
        if self._rows >= ROWS and self._path is not None:
            self._file.close()
            self._path.replace(self._path.with_suffix(OLD))
            self._file, self._rows = self._path.open("a", encoding="utf-8"), 0


def _row(line: str) -> dict[str, Any]:
    """A line of the file; empty for one that a crash cut short."""
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def _mark(number: str) -> str:
    return hashlib.blake2s("".join(filter(str.isdigit, number))[-TAIL:].encode(), digest_size=2).hexdigest()
