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
from sms.providers.smpp.tries import Tries, Try

KEPT = 72 * 3600 * 1000  # ms a text or an early receipt is remembered
MOST = 200_000  # texts remembered; the oldest goes first
ROWS = 4 * MOST  # lines of a file until it is put aside
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
    key: int = 0
    late: bool = (
        False  #: found after the doubt: told with each receipt, since a kill may have kept the first from the store
    )
    states: dict[str, DeliveryState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Early:
    """A receipt that fits no text yet: its text's answer is still to come, or never will after a kill -9."""

    id: str
    mark: str
    state: DeliveryState | None
    why: str = ""
    reference: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A text in doubt that was sent after all."""

    key: int
    ref: str
    parts: int


class Book:
    """`path` None: nothing is kept beyond this process."""

    def __init__(self, path: Path | None, now: int) -> None:
        self._entries: OrderedDict[str, Entry] = OrderedDict()  # by ref
        self._ids: dict[str, str] = {}  # id as it was given → ref
        self._spelt: dict[str, list[str]] = {}  # id in other spellings → ids as given
        self._early: OrderedDict[str, tuple[int, list[Early]]] = OrderedDict()
        self._keys: dict[int, str] = {}  # our key → ref
        self._tries = Tries()
        self._found: list[Found] = []
        self.told_before: list[Report] = []  #: what receipts of an earlier run say, now that no answer comes any more
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

    def tried(self, key: int, number: str, parts: int, now: int) -> None:
        """A text is about to leave; `flush` before it does."""
        one = Try(key, _mark(number), parts, now)
        self._tries.begin(one)
        self._write({"try": key, "mark": one.mark, "parts": parts, "at": now})

    def refused(self, key: int) -> None:
        """It certainly did not go."""
        if self._tries.over(key):
            self._write({"over": key})

    def doubted(self, key: int, ids: Sequence[str], now: int) -> list[Report]:
        """No answer is waited for any more; `ids` are of the parts that had theirs. What earlier receipts say."""
        one = self._tries.get(key)
        if one is None:
            return []
        one.live = False
        one.states = {id_: None for id_ in ids if id_}
        told: list[Report] = []
        for id_, (at, waiting) in list(self._early.items()):
            if any(self._tries.whose(id_, each.mark, each.reference) is one for each in waiting):
                self._early.pop(id_, None)
                for each in waiting:
                    told += self._placed(each, at, now)
        return told

    def late(self, key: int, id_: str, now: int) -> list[Report]:
        """The answer to a part came after all."""
        one = self._tries.get(key)
        return self._adopted(one, id_, None, "", now) if one is not None and id_ else []

    def known(self, key: int) -> tuple[str, int] | None:
        """Ref and parts of a text, if it was accepted, however late."""
        ref = self._keys.get(key)
        return None if ref is None else (ref, len(self._entries[ref].ids))

    @property
    def any_found(self) -> bool:
        """Is there something to take?"""
        return bool(self._found)

    def take_found(self) -> list[Found]:
        """Texts in doubt that turned out to be sent, since the last call."""
        found, self._found = self._found, []
        return found

    def found_again(self, found: Sequence[Found]) -> None:
        """These could not be told: whoever asks next gets them."""
        self._found = [*found, *self._found]

    def accepted(self, ids: Sequence[str], number: str, now: int, key: int = 0) -> tuple[str, list[Report]]:
        """A text was accepted part by part: its ref, and what receipts that came before say of it."""
        known = [id_ for id_ in ids if id_]
        if not known:
            return "", []
        entry = self._enter(known, _mark(number), now, key)
        return entry.ref, self._early_of(entry)

    def _enter(self, ids: Sequence[str], mark: str, now: int, key: int, late: bool = False) -> Entry:
        entry = Entry(",".join(ids), ids, mark, now, key, late)
        self._tries.over(key)
        self._add(entry)
        self._write({"ref": entry.ref, "mark": mark, "at": now, "key": key} | ({"late": True} if late else {}))
        return entry

    def _adopted(self, one: Try, id_: str, state: DeliveryState | None, why: str, now: int) -> list[Report]:
        """A part of a text in doubt has its id: once every part has, the text was sent after all."""
        if state is not None or id_ not in one.states:
            one.states[id_] = state
        if not one.whole:
            self._write({"try": one.key, "id": id_, "state": state})
            return []
        entry = self._enter(list(one.states), one.mark, now, one.key, late=True)
        self._found.append(Found(one.key, entry.ref, len(entry.ids)))
        said = [(each, told) for each, told in one.states.items() if told is not None]
        reports = [self._stand(entry, each, told, why) for each, told in said]
        return [*filter(None, reports), *self._early_of(entry)]

    def received(self, receipt: Receipt, now: int) -> Sequence[Report]:
        """What a receipt says of its text. One that fits no text is told by its own id."""
        mark = _mark(receipt.number)
        entry, id_ = self._find(receipt.id, mark)
        if entry is not None:
            if entry.late:
                self._found.append(Found(entry.key, entry.ref, len(entry.ids)))
            report = self._stand(entry, id_, receipt.state, receipt.why)
            return [report] if report is not None else []
        one = self._tries.whose(receipt.id, mark, receipt.reference)
        if one is not None:
            return self._adopted(one, receipt.id, receipt.state, receipt.why, now)
        early = Early(receipt.id, mark, receipt.state, receipt.why, receipt.reference)
        self._wait(early, now)
        self._write({"early": early, "at": now})
        return [Report(receipt.id, receipt.state, receipt.why)]

    # ------------------------------------------------------------ inside

    def _wait(self, early: Early, now: int) -> None:
        _, waiting = self._early.pop(early.id, (now, []))
        self._early[early.id] = now, [*waiting, early][-10:]
        self._forget(now)

    def _stand(self, entry: Entry, id_: str, state: DeliveryState | None, why: str) -> Report | None:
        """Delivered when every part is; any other end of a part is the end of the text."""
        if state is None:
            return None
        entry.states[id_] = state
        if len(entry.ids) > 1:
            self._write({"ref": entry.ref, "id": id_, "state": state})
        if state is DeliveryState.DELIVERED and any(
            entry.states.get(each) is not DeliveryState.DELIVERED for each in entry.ids
        ):
            return Report(entry.ref, DeliveryState.SENT)
        return Report(entry.ref, state, why)

    def _find(self, id_: str, mark: str) -> tuple[Entry | None, str]:
        """By the id as it is; else in another spelling, for the same number only."""
        ref = self._ids.get(id_)
        if ref is not None:
            return self._entries[ref], id_
        for spelling in spellings(id_):
            for known in self._spelt.get(spelling, ()):
                entry = self._entries[self._ids[known]]
                if entry.mark == mark:
                    return entry, known
        return None, ""

    def _early_of(self, entry: Entry) -> list[Report]:
        if not self._early:
            return []
        mine = {spelling for id_ in entry.ids for spelling in (id_, *spellings(id_))}
        found: list[Report] = []
        for id_ in [id_ for id_ in self._early if id_ in mine or mine & set(spellings(id_))]:
            for each in self._early[id_][1]:
                known, part = self._find(id_, each.mark)
                if known is entry:
                    report = self._stand(entry, part, each.state, each.why)
                    found += [report] if report else []
                    self._early.pop(id_, None)
        return found

    def _left_before(self, now: int) -> list[Report]:
        """What waited for an answer when an earlier run ended: it is known by now, or never will be."""
        told: list[Report] = []
        before, self._early = self._early, OrderedDict()
        for at, waiting in before.values():
            for each in waiting:
                told += self._placed(each, at, now)
        return told

    def _placed(self, early: Early, at: int, now: int) -> list[Report]:
        entry, part = self._find(early.id, early.mark)
        if entry is not None:
            return [*filter(None, [self._stand(entry, part, early.state, early.why)])]
        one = self._tries.whose(early.id, early.mark, early.reference)
        if one is not None:
            return self._adopted(one, early.id, early.state, early.why, now)
        self._wait(early, at)
        return []

    def _add(self, entry: Entry) -> None:
        self._entries[entry.ref] = entry
        self._entries.move_to_end(entry.ref)
        if entry.key:
            self._keys[entry.key] = entry.ref
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
        if self._keys.get(entry.key) == entry.ref:
            del self._keys[entry.key]
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
        self.told_before = self._left_before(now)

    def _replay(self, row: dict[str, Any], now: int) -> None:
        ref = str(row.get("ref", ""))
        if "try" in row or "over" in row:
            self._replay_try(row, now)
        elif "early" in row:
            if row["at"] > now - KEPT:
                self._wait(msgspec.convert(row["early"], Early), row["at"])
        elif "at" in row and row["at"] > now - KEPT:
            key = int(row.get("key", 0))
            self._tries.over(key)
            self._add(Entry(ref, ref.split(","), str(row.get("mark", "")), int(row["at"]), key, "late" in row))
        elif "state" in row and ref in self._entries:
            self._entries[ref].states[str(row["id"])] = DeliveryState(row["state"])

    def _replay_try(self, row: dict[str, Any], now: int) -> None:
        """Whatever was tried by a process that is gone gets no answer any more."""
        one = self._tries.get(int(row.get("try", 0)))
        if "over" in row:
            self._tries.over(int(row["over"]))
        elif "id" in row and one is not None:
            one.states[str(row["id"])] = DeliveryState(row["state"]) if row["state"] else None
        elif "at" in row and row["at"] > now - KEPT:
            parts, at = int(row.get("parts", 1)), int(row["at"])
            self._tries.begin(Try(int(row["try"]), str(row.get("mark", "")), parts, at, live=False))

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
