"""What is decided about a short text before anything is done with it, once, whatever repeats it. SQL only.

May it be answered, does it join a ticket because too many came, which open question may it answer? The verdict is on
disk: a repeat finds it and spends nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from core import budgets, cipher, questions, sets
from core.channels import Clock, Heard, Question, Verdict
from core.schema import contact, heard, ticket
from core.store import Store
from core.text import clean
from core.throttle import Rule

WEAK = 600_000  # ms in which a text without id counts as the same one
WEAK_POLLED = 48 * 3_600_000  # ms, when a poll brings with an id what a push brought without
KEPT = 7 * 86_400_000  # ms a verdict is kept; longer than any poll looks back
BATCH = 200  # texts judged in one transaction
FLOOD = ("sms_in_hour", "sms_in_day")
LOOP, SILENT = "sms_equal", "sms_silent"


class Judging:
    """Judges what comes together in one transaction: what arrives during a commit is the next batch."""

    def __init__(self, store: Store, rules: Mapping[str, Rule], ring: cipher.Keyring, clock: Clock) -> None:
        self._store, self._rules, self._ring, self._clock = store, rules, ring, clock
        self._waiting: list[tuple[Heard, asyncio.Future[Verdict]]] = []
        self._running: asyncio.Task[None] | None = None

    async def judge(self, item: Heard) -> Verdict:
        """The verdict, once it is on disk. Raises Busy."""
        told: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, told))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run(), name="judging texts")
        return await told

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            items = [item for item, _ in batch]
            try:
                verdicts = await self._store.write(judge_all, items, self._rules, self._ring, self._clock.now())
            except Exception as error:  # noqa: BLE001 each of them hears it
                for _, told in batch:
                    if not told.done():
                        told.set_exception(error)
                continue
            for (_, told), verdict in zip(batch, verdicts, strict=True):
                if not told.done():
                    told.set_result(verdict)


def judge_all(
    s: Connection, items: Sequence[Heard], rules: Mapping[str, Rule], ring: cipher.Keyring, now: int
) -> list[Verdict]:
    """Verdicts in the order of `items`, each seeing those before it; stored ones, `first=False`, for what was heard
    before. What all of them need is read at once, and written at once."""
    blinds = [_blind(ring, item) for item in items]
    channels = {item.channel for item in items}
    asked = questions.newest_of(s, channels, {blind for blind in blinds if blind is not None}, now)
    open_ = [asked(item.channel, item.line, blind) for item, blind in zip(items, blinds, strict=True)]
    purse = budgets.Purse(s, rules, [each for pair in zip(items, open_, strict=True) for each in _wanted(*pair)], now)
    book = _Book(s, items, now)
    verdicts = [
        book.known(item) or book.keep(item, _decide(s, purse, item, blind, question, now))
        for item, blind, question in zip(items, blinds, open_, strict=True)
    ]
    book.write()
    purse.write(s)
    return verdicts


def _blind(ring: cipher.Keyring, item: Heard) -> bytes | None:
    return cipher.blind(ring, item.who.kind, clean(item.who.value)) if item.who is not None else None


def _wanted(item: Heard, asked: Question | None) -> list[budgets.Wanted]:
    """Every budget the verdict may look at."""
    if item.who is None or item.exempt:
        return []
    own = [(rule, item.who.value) for rule in (*FLOOD, SILENT)]
    return [*own, _alike(item, item.who.value), *item.rules(asked)]


def _alike(item: Heard, who: str) -> budgets.Wanted:
    return (LOOP, f"{who} {item.mask}")


class _Book:
    """What was heard before: read once for a batch, written once."""

    def __init__(self, s: Connection, items: Sequence[Heard], now: int) -> None:
        self._s, self._now = s, now
        wanted = sorted({_hash(item.ref, item.body) for item in items if item.ref})
        ask = sa.select(heard.c.channel, heard.c.ref, heard.c.verdict).where(heard.c.ref.in_(wanted))
        self._known = {(row.channel, row.ref): row.verdict for row in s.execute(ask)}
        alike = sorted({_hash(item.body) for item in items if not item.ref})
        ask = sa.select(heard.c.channel, heard.c.weak, heard.c.verdict).where(heard.c.weak.in_(alike))
        ask = ask.where(heard.c.at > now - WEAK).order_by(heard.c.at)
        self._alike = {(row.channel, row.weak): row.verdict for row in (s.execute(ask) if alike else ())}
        self._new: list[dict[str, Any]] = []

    def known(self, item: Heard) -> Verdict | None:
        """The verdict on it, if it was heard before: by its id, or by its words where one of the two has none."""
        if item.ref:
            kept = self._known.get((item.channel, _hash(item.ref, item.body)))
            if kept is None and item.polled:
                self.write()
                return self._paired(item)
        else:
            kept = self._alike.get((item.channel, _hash(item.body)))
        return _again(kept) if kept is not None else None

    def _paired(self, item: Heard) -> Verdict | None:
        """A poll brings with an id what a push brought without: the same text, once."""
        ask = sa.select(heard.c.ref, heard.c.verdict).where(heard.c.channel == item.channel, heard.c.idless)
        ask = ask.where(heard.c.weak == _hash(item.body), heard.c.at > self._now - WEAK_POLLED)
        row = self._s.execute(ask.order_by(heard.c.at).limit(1)).first()
        if row is None:
            return None
        key = _hash(item.ref, item.body)
        mine = sa.and_(heard.c.channel == item.channel, heard.c.ref == row.ref)
        self._s.execute(sa.update(heard).where(mine).values(ref=key, idless=False))
        self._known[item.channel, key] = row.verdict
        return _again(row.verdict)

    def keep(self, item: Heard, verdict: Verdict) -> Verdict:
        asked = questions.plain(verdict.question)
        kept = {"ref": verdict.ref, "quiet": verdict.quiet, "joins": verdict.joins, "question": asked}
        key, weak = _hash(verdict.ref, item.body), _hash(item.body)
        row = {"channel": item.channel, "ref": key, "at": self._now, "weak": weak}
        self._new.append({**row, "idless": not item.ref, "verdict": kept})
        self._known[item.channel, key] = self._alike[item.channel, weak] = kept
        return verdict

    def write(self) -> None:
        if self._new:
            sets.insert(self._s, heard, self._new, unless_there=True)  # another process may have heard it too
            self._new = []


def _again(kept: Mapping[str, Any]) -> Verdict:
    asked = Question(**kept["question"]) if kept["question"] else None
    return Verdict(kept["ref"], kept["quiet"], kept["joins"], asked, first=False)


def _hash(*texts: str) -> bytes:
    return blake2b("\x00".join(texts).encode(errors="backslashreplace"), digest_size=16).digest()


def _decide(
    s: Connection, purse: budgets.Purse, item: Heard, blind: bytes | None, asked: Question | None, now: int
) -> Verdict:
    joins = _flooded(s, purse, item, blind)
    quiet = item.silent or ("flood" if joins else "") or _quiet(purse, item, asked)
    return Verdict(item.ref or f"weak:{_hash(item.body).hex()}:{now}", quiet, joins, asked)


def _flooded(s: Connection, purse: budgets.Purse, item: Heard, blind: bytes | None) -> int | None:
    """The number's last ticket, when too many texts came from it; None otherwise, or when it has none."""
    if item.who is None or item.exempt or purse.take([(rule, item.who.value) for rule in FLOOD]) is None:
        return None
    mine = sa.select(contact.c.id).where(contact.c.blind == blind)
    last = sa.select(ticket.c.id).where(ticket.c.contact.in_(mine)).order_by(ticket.c.at.desc(), ticket.c.id.desc())
    return s.execute(last.limit(1)).scalar()


def _quiet(purse: budgets.Purse, item: Heard, asked: Question | None) -> str:
    """Why it gets no automatic text, '' when it may."""
    if item.who is None:
        return "nobody"
    if item.exempt:
        return ""
    silent = (SILENT, item.who.value)
    if not purse.has(silent):
        return "silent"
    if item.echo or (item.mask and purse.take([_alike(item, item.who.value)])):
        purse.spend([silent])
        return "loop"
    return purse.take(item.rules(asked)) or ""


def forget(s: Connection, now: int, most: int) -> int:
    """Delete up to `most` verdicts that no repeat will ask for; how many."""
    key = sa.tuple_(heard.c.channel, heard.c.ref)
    old = sa.select(heard.c.channel, heard.c.ref).where(heard.c.at < now - KEPT).limit(most)
    return s.execute(sa.delete(heard).where(key.in_(old))).rowcount
