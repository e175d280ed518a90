"""The door: what channels may ask of core. A message taken here is on disk before its receipt is handed out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from core import (
    asking,
    budgets,
    calls,
    cipher,
    codes,
    hearing,
    ids,
    late,
    misses,
    optouts,
    outbox,
    points,
    questions,
    spending,
    transcripts,
)
from core.book import Book
from core.channels import (
    Act,
    Answer,
    Asker,
    CallRecord,
    Clock,
    DeliveryState,
    Facts,
    Heard,
    Inbound,
    Note,
    Receipt,
    Sent,
    Verdict,
)
from core.drawer import StoredDrawer
from core.errors import NotFound
from core.files import Files
from core.model import Contact, KeptFile
from core.office import of
from core.prepare import Preparer, cleaned
from core.returns import Returned, returned
from core.schema import AGENCY, raw, seen
from core.schema import outbox as outbox_table
from core.sending import LANES, WORTH
from core.store import Store
from core.text import clean
from core.throttle import Rule, Throttle

if TYPE_CHECKING:
    from config.values import Config

RAW = "raw:"  #: before the channel's name in `seen`: what is kept without a ticket
LONGEST = 10_000  #: characters of a message's text; a longer one is kept whole beside it as a file
SHARE = 32  #: messages prepared in one turn of the loop
TOLD = "note:"  #: before the channel's name in `seen`: automatic sentences, told once


class Desk:
    """`core.channels.Door` over the store."""

    def __init__(
        self, store: Store, config: Config, keyring: cipher.Keyring, files: Files, clock: Clock, throttle: Throttle
    ) -> None:
        self.drawer = StoredDrawer(store)
        self._came: list[tuple[Inbound, asyncio.Future[Receipt]]] = []
        self._store = store
        self._ring = keyring
        self._files = files
        self._clock = clock
        self._throttle = throttle
        self._guessed: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._judging = hearing.Judging(store, throttle.rules, keyring, clock)
        self._preparer = Preparer(Book(config), keyring, store.ids, store.chain_key)

    async def take(self, message: Inbound) -> Receipt:
        """Store `message` once and return its receipt, after commit.

        A repeat of the same (channel, ref, body) gets the first receipt, so a channel may call again after a
        time-out. On the web a changed text under a known ref gets it too, marked same_id: it is offered as an
        addition. Raises WrongInput(field, word), Busy; for acts on a ticket NotFound (no such code, or no proof),
        Locked, WrongState, Guarded(last_level, too_late, objected_once).
        """
        if len(message.text) > LONGEST:
            message = await self._shortened(message)
        if message.act is not Act.NEW and message.proof is not None and codes.ok(message.code or ""):
            return await self._take_proof(message, message.code or "")
        return await self._take(message)

    async def _shortened(self, message: Inbound) -> Inbound:
        """The first `LONGEST` characters, to the last blank in them, and the whole beside it as a file."""
        say = self._preparer.book.config.texts
        whole = await self._files.keep(message.text.encode(errors="replace"), "text.txt")
        start = message.text[:LONGEST]
        return replace(
            message,
            text=(start[: start.rfind(" ", LONGEST // 2)] if " " in start[LONGEST // 2 :] else start) + "…",
            files=(*message.files, replace(whole, name=say("core.long.name", message.lang))),
            defects=(*message.defects, "long_text"),
        )

    async def _take(self, message: Inbound) -> Receipt:
        """Prepared side by side with what else comes in this turn of the loop, which takes a third less time."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Receipt] = loop.create_future()
        if not self._came:
            loop.call_soon(self._prepare)
        self._came.append((message, waiter))
        return await waiter

    def _prepare(self) -> None:
        """A share of what came; the rest in the next turn, so that calls that run are not kept."""
        self._store.fetch_ids()
        now = self._clock.now()
        for message, waiter in self._came[:SHARE]:
            try:
                self._store.put(self._preparer.prepare(message, now), waiter)
            except Exception as error:  # noqa: BLE001 it is its sender's
                if not waiter.done():
                    waiter.set_exception(error)
        del self._came[:SHARE]
        if self._came:
            asyncio.get_running_loop().call_soon(self._prepare)

    async def keep(self, data: bytes | AsyncIterator[bytes], kind: str) -> KeptFile:
        """Keep bytes on disk before they are mentioned. `kind`: file name or type hint. Raises Busy, WrongInput."""
        return await self._files.keep(data, kind)

    async def answer_for(self, code: str, asker: Asker) -> Answer | None:
        """State, and contents with proof. None: no such code. Raises Locked, Busy."""
        return await asking.answer_for(self._store, code, asker)

    async def look_up(self, what: str, key: str, asker: Asker | None = None) -> Facts | None:
        """`unit`, `service`, `mine`: see `core.asking.look_up`; `spent` of today by `channel:line`."""
        if what == "spent":
            channel, _, line = key.partition(":")
            return Facts(what, [await self._store.read(spending.of_day, channel, line, self._clock.now())])
        return await asking.look_up(self._store, what, key, asker)

    async def spend(self, rule: str, key: str) -> bool:
        """Take one from budget `rule` of settings `[limits]` for `key`; False when it is empty."""
        if rule.startswith(budgets.KEPT):
            taken = self._store.write(budgets.take, self._throttle.rules, [(rule, key)], self._clock.now())
            return await taken is None
        return self._throttle.take(rule, key) is None

    async def judge(self, heard: Heard) -> Verdict:
        """What may be done with a short text; a repeat gets the first verdict."""
        return await self._judging.judge(heard)

    async def call_over(self, call: CallRecord) -> None:
        """Keep the record of a call on its caller's history. A repeat changes nothing. Raises Busy."""
        who = call.contact
        blind = cipher.blind(self._ring, who.kind, clean(who.value)) if who is not None else None
        await self._store.write(calls.over, call, blind)

    async def opt(self, channel: str, line: str, who: Contact, out: bool, why: str = "") -> None:
        """No notices and surveys by this line any more (`out`), or again."""
        blind = cipher.blind(self._ring, who.kind, clean(who.value))
        await self._store.write(optouts.set_out, channel, line, blind, out, why, self._clock.now())

    async def opted_out(self, channel: str, line: str, who: Contact) -> bool:
        """Are notices and surveys by this line unwanted?"""
        return await self._store.read(
            optouts.is_out, channel, line, cipher.blind(self._ring, who.kind, clean(who.value))
        )

    async def unreported(self, channel: str, since: int, until: int) -> Sequence[tuple[str, int]]:
        """(ref, accepted at) of what was taken in [since, until) ms UTC and has no final report."""
        return await self._store.read(outbox.unreported, channel, since, until)

    async def delivered(
        self, channel: str, ref: str, state: DeliveryState, why: str = "", also: Sequence[str] = ()
    ) -> None:
        """A peer's word about something sent; `also`: other spellings of `ref`."""
        await self._store.write(outbox.reported, channel, ref, state, why, self._clock.now(), also)

    async def sent_after_all(self, epoch: int, row: int, sent: Sent) -> None:
        """What was in doubt is with the outside, it says late; of another epoch's row nothing is known."""
        await self._store.write(late.sent, epoch, row, sent, self._clock.now())

    async def tell(self, note: Note) -> bool:
        """Queue an automatic sentence; False when (channel, ref) was told before, or over `note.once`."""
        return await self._store.write(_tell, note, self._ring, self._throttle.rules, self._clock.now())

    async def returned(self, back: Returned) -> int | None:
        """Note a report on what was sent; None when no such row is known."""
        return await self._store.write(returned, back, self._clock.now())

    async def transcribed(self, message: int, key: str, words: str, by: str) -> None:
        """A machine wrote down a voice message; shown as such. Raises NotFound, Busy."""
        await self._store.write(transcripts.write, message, key, words, by, self._clock.now())

    async def raw(self, channel: str, ref: str, data: bytes, why: str) -> int:
        """Keep raw bytes without a ticket, readable by no role; the row's id, once it is on disk. A repeat of the
        same (channel, ref) and bytes is the same row."""
        return await self._store.write(_raw, channel, ref, data, why, self._clock.now())

    async def _take_proof(self, message: Inbound, code: str) -> Receipt:
        """Proofs are guessed here as well as at `answer_for`: the same budgets hold. One at a time for each code, so
        that guesses at once are counted before the next is looked at."""
        office = of(self._store)
        async with self._guessed.setdefault(code, asyncio.Lock()):
            keys = _missed(message)
            if not await asking.is_own(self._store, code, message.contact):
                await misses.slow(office, message.channel)
                misses.shut(office, keys)
            try:
                return await self._take(message)
            except NotFound:
                misses.miss(office, message.channel, keys)
                raise


def _missed(message: Inbound) -> misses.Keys:
    """Budgets of wrong proofs: the code's way by PIN, and whoever it certainly is that guesses."""
    keys = [("miss_code", f"{message.channel}:{message.code}")]
    who = message.contact
    return [*keys, ("miss_contact", f"{message.channel}:{who.value}")] if who is not None and who.proven else keys


def _raw(s: Connection, channel: str, ref: str, data: bytes, why: str, now: int) -> int:
    number = ids.new(s)
    made = _mark(s, RAW + channel, ref, blake2b(data, digest_size=16).digest(), number, now)
    if made != number:
        return made
    row = {"id": number, "agency": AGENCY, "at": now, "channel": channel, "ref": clean(ref), "bytes": data}
    row["why"] = clean(why)
    s.execute(sa.insert(raw).values(row))
    return number


def _mark(s: Connection, channel: str, ref: str, body: bytes, number: int, now: int, about: int = 0) -> int:
    """Mark (channel, ref, body) as seen; `number`, or the number of whoever marked it first."""
    insert = sqlite.insert if s.dialect.name == "sqlite" else postgresql.insert
    key = {
        "agency": AGENCY, "channel": channel, "body_hash": body,
        "ref": blake2b(ref.encode(errors="backslashreplace"), digest_size=16).digest(),
    }  # fmt: skip
    put = insert(seen).values(**key, at=now, ticket=about, message=number)
    if s.execute(put.on_conflict_do_nothing().returning(seen.c.message)).first() is not None:
        return number
    same = (seen.c[name] == value for name, value in key.items())
    return int(s.execute(sa.select(seen.c.message).where(*same)).scalar_one())


def _tell(s: Connection, note: Note, ring: cipher.Keyring, rules: Mapping[str, Rule], now: int) -> bool:
    number = ids.outbox(s)
    if _mark(s, TOLD + note.channel, note.ref, b"", number, now, note.ticket or 0) != number:
        return False
    questions.close(s, note.answers)
    sentence = f"{note.to} {note.key} {sorted(note.facts.items())}"
    if note.once is not None and budgets.take(s, rules, [(note.once, sentence)], now) is not None:
        return False
    if note.asks is not None:
        kind = points.KIND_OF[note.channel]
        questions.ask(s, note.channel, note.line, cipher.blind(ring, kind, clean(note.to)), note.ticket, note.asks, now)
    s.execute(
        sa.insert(outbox_table).values(
            id=number, at=now, ticket=note.ticket, seq=0, channel=note.channel, line=note.line, purpose=note.purpose,
            to=cipher.seal(ring, "outbox", "to", number, clean(note.to)), lane=LANES[note.purpose], lang=note.lang,
            key=note.key, facts=cleaned(note.facts), due_at=now, not_after=now + WORTH[note.purpose] * 1000,
        )
    )  # fmt: skip
    return True
