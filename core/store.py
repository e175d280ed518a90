"""The store: transactions and group commit, the same over SQLite and PostgreSQL. Nothing is told before commit.

A deed is a plain function `deed(s, …)` of SQL and arithmetic. SQLite runs it in the one writer thread, PostgreSQL on
the loop: whatever is slow (sealing, folding) happens before.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from core import batch, fresh, ids, store_postgresql, store_sqlite
from core.channels import Clock, Receipt
from core.errors import Busy, PasokhError
from core.events import Doorbell
from core.prepared import Prepared
from core.refusal import Fault, Refusal

__all__ = ["CannotOpen", "Refusal", "Store", "migrate", "open"]

CannotOpen = Refusal

P = ParamSpec("P")
T = TypeVar("T")
Pairs = list[tuple[Prepared, "asyncio.Future[Receipt]"]]
log = logging.getLogger(__name__)

QUEUE_ITEMS, QUEUE_BYTES = 2000, 64 << 20  #: in front of the writer; beyond: Busy
BATCH_ITEMS, BATCH_BYTES = 500, 8 << 20  #: of one transaction
SHARE = 16  #: receipts told in one turn of the loop
HELD, PAUSE = 2.0, 0.02  #: seconds a message waits for a ticket that is held; and between two looks
LOW = 2 * ids.BLOCK  #: fetch numbers when fewer are left
TRIES = 3  #: of a deed whose transaction lost a race (deadlock, serialization)


class Backend(Protocol):
    """What SQLite and PostgreSQL do differently."""

    dialect: str

    @property
    def doorbell(self) -> Doorbell: ...

    async def take_new(self, items: Sequence[Prepared]) -> set[int]: ...

    async def intake(self, deed: Callable[..., T], *args: Any) -> T: ...

    async def write(self, deed: Callable[..., T], *args: Any) -> T: ...

    async def read(self, query: Callable[..., T], *args: Any) -> T: ...

    async def close(self) -> None: ...

    def fault(self, error: BaseException) -> Fault: ...


class Store:
    """An open store. Made by `open`."""

    def __init__(self, backend: Backend, maker: ids.Maker, clock: Clock, chain_key: bytes) -> None:
        self.dialect = backend.dialect
        self.doorbell = backend.doorbell
        self.ids = maker
        self.chain_key = chain_key
        self._clock = clock
        self.broken = asyncio.Event()  #: the disk failed an fsync: stop the process (exit 70), never try again
        self._backend = backend
        self._queue: deque[tuple[Prepared, asyncio.Future[Receipt]]] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._closing = False
        self._fetching: asyncio.Task[None] | None = None
        self._writer = asyncio.create_task(self._write_batches())

    def put(self, item: Prepared, waiter: asyncio.Future[Receipt]) -> None:
        """Write `item` with the next batch; `waiter` gets the receipt after commit.

        Raises Busy when the queue is full. `waiter` gets Busy too when the disk is full or the store is away, and
        NotFound, WrongState, Guarded from a message to an existing ticket.
        """
        if self._closing or self.broken.is_set():
            raise Busy(5)
        if len(self._queue) >= QUEUE_ITEMS or (self._queue and self._bytes + item.size > QUEUE_BYTES):
            raise Busy(1)
        self._queue.append((item, waiter))
        self._bytes += item.size
        self._wake.set()

    async def write(self, deed: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `deed(s, …)` in one transaction of its own, between batches; returns what it returns, after commit.

        A deed must bear being run again: a lost race (deadlock) is tried anew. Raises Busy.
        """
        if self._closing or self.broken.is_set():
            raise Busy(5)
        for attempt in range(TRIES):
            try:
                result = await self._backend.write(lambda s: deed(s, *args, **kwargs))
                break
            except PasokhError:
                raise
            except Exception as error:  # noqa: BLE001 weighed, and raised
                self._weigh(error, last=attempt == TRIES - 1)
        self.doorbell.ring()
        self.fetch_ids()
        return result

    async def read(self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `query(s, …)` on a reader: one snapshot, never a write. Raises Busy."""
        if self._closing:
            raise Busy(5)
        try:
            return await self._backend.read(lambda s: query(s, *args, **kwargs))
        except PasokhError:
            raise
        except Exception as error:
            self._weigh(error, last=True)
            raise

    @property
    def is_full(self) -> bool:
        """Whether a message handed in now would be told to come back later."""
        return self._closing or self.broken.is_set() or len(self._queue) >= QUEUE_ITEMS or self._bytes >= QUEUE_BYTES

    def health(self) -> str:
        """`down` once the disk failed or the writer has ended: nothing more is taken."""
        return "down" if self.broken.is_set() or self._writer.done() else "up"

    async def close(self) -> None:
        """Write what was accepted, then close. Whatever comes meanwhile is told Busy."""
        if self._closing:
            return
        self._closing = True
        self._wake.set()
        await asyncio.wait([self._writer])  # not cancelled with us: what was accepted is written
        if self._fetching:
            await asyncio.wait([self._fetching])
        await self._backend.close()

    async def first_ids(self) -> None:
        """Fetch the first numbers, so that the first message finds some."""
        await self._fetch()

    def fetch_ids(self) -> None:
        """Start fetching numbers when few are left; costs nothing otherwise."""
        few = min(self.ids.left(ids.IDS), self.ids.left(ids.OUTBOX)) < LOW
        if few and not self._closing and (self._fetching is None or self._fetching.done()):
            self._fetching = asyncio.create_task(self._fetch())

    async def _fetch(self) -> None:
        try:
            for row in (ids.IDS, ids.OUTBOX):
                if self.ids.left(row) < LOW:
                    count = 4 * ids.BLOCK
                    first = await self._backend.write(ids.fetch, row, count)
                    self.ids.add(row, first, count)
        except Exception as error:  # noqa: BLE001 asked again by whoever needs a number next
            log.warning("no numbers", extra={"error": type(error).__name__})

    def _weigh(self, error: Exception, last: bool) -> None:
        """Let a lost race pass (unless it was the last try), raise Busy for a store that is full, busy or away."""
        fault = self._backend.fault(error)
        if fault is Fault.RACE and not last:
            return
        if fault is Fault.BROKEN:
            log.critical("disk failed a write", exc_info=error)
            self.broken.set()
        if fault is Fault.NONE:
            raise error
        raise Busy(1 if fault is Fault.RACE else 5) from error

    # ------------------------------------------------------------ group commit

    async def _write_batches(self) -> None:
        taken: Pairs = []
        try:
            while self._queue or not self._closing:
                if not self._queue:
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                taken = self._next_batch()
                outcomes = await self._outcomes([item for item, _ in taken])
                again = self._put_back(taken, outcomes)
                self._settle(taken, outcomes)
                self.doorbell.ring()
                self.fetch_ids()
                if again == len(taken):
                    await asyncio.sleep(PAUSE)
        finally:  # however it ends, nobody waits for ever, and nobody is let in any more
            left = [*taken, *self._queue]
            self._settle(left, [Busy(5)] * len(left))
            if not self._closing:
                log.critical("the writer ended")
                self.broken.set()

    async def _outcomes(self, items: list[Prepared]) -> list[Receipt | Exception]:
        try:
            return await self._commit(items)
        except Exception as error:
            log.exception("batch was lost")  # a fault of ours; callers must not wait for ever
            return [error] * len(items)

    def _next_batch(self) -> Pairs:
        taken: Pairs = []
        size = 0
        while self._queue and len(taken) < BATCH_ITEMS and (not taken or size + self._queue[0][0].size <= BATCH_BYTES):
            pair = self._queue.popleft()
            size += pair[0].size
            taken.append(pair)
        self._bytes -= size
        return taken

    async def _commit(self, items: list[Prepared]) -> list[Receipt | Exception]:
        """What is plainly new ahead, where the store can; then the rest, which may continue or repeat it."""
        try:
            new = await self._backend.take_new(items)
        except Exception as error:
            if self._is_everyones(error):  # it may be on disk all the same: whoever says it again gets its receipt
                return [Busy(5)] * len(items)
            log.warning("new tickets were not written at once", exc_info=error)
            new = set()
        rest = [item for item in items if item.number not in new]
        outcomes = iter(await self._commit_rest(rest) if rest else ())
        return [fresh.receipt(item) if item.number in new else next(outcomes) for item in items]

    async def _commit_rest(self, items: list[Prepared]) -> Sequence[Receipt | Exception]:
        """All in one transaction; if that fails, one by one. A lost race (deadlock) is tried anew as it was."""
        for attempt in range(TRIES):
            try:
                return await self._backend.intake(batch.write, items)
            except Exception as error:
                if self._is_race(error) and attempt < TRIES - 1:
                    continue
                if self._is_everyones(error):
                    return [Busy(5)] * len(items)
                log.warning("batch failed, writing one by one", exc_info=error)
                break
        return [await self._commit_one(item) for item in items]

    async def _commit_one(self, item: Prepared) -> Receipt | Exception:
        """Alone: a taken code is drawn anew; a message that cannot be written is kept raw, as a ticket."""
        last: Exception = Busy(1)
        for attempt in self._attempts(item):
            try:
                return (await self._backend.intake(batch.write, [attempt]))[0]
            except IntegrityError as error:
                last = error
                item.draw_code()
            except Exception as error:  # noqa: BLE001 it is returned to the caller
                if self._is_race(error) or self._is_everyones(error):
                    return Busy(5)
                last = error
        log.error("message could not be written", exc_info=last)
        return last

    def _attempts(self, item: Prepared) -> Iterator[Prepared]:
        """As it is, twice for the sake of its code; kept raw with its files; kept raw alone."""
        yield item
        yield item
        yield item.rescued(self._clock.now(), files=True)
        yield item.rescued(self._clock.now())

    def _is_everyones(self, error: Exception) -> bool:
        """Is it the store's trouble (full, busy, away) rather than one message's?"""
        fault = self._backend.fault(error)
        if fault is Fault.BROKEN:
            log.critical("disk failed a write", exc_info=error)
            self.broken.set()
        return fault not in (Fault.NONE, Fault.RACE)

    def _is_race(self, error: Exception) -> bool:
        return self._backend.fault(error) is Fault.RACE

    def _put_back(self, taken: Pairs, outcomes: list[Receipt | Exception]) -> int:
        """To the front of the queue with those whose ticket somebody else holds, in their order; how many.

        Who has waited long enough is told Busy.
        """
        now = asyncio.get_running_loop().time()
        again: Pairs = []
        for place, outcome in enumerate(outcomes):
            item, waiter = taken[place]
            if isinstance(outcome, batch.Held):
                item.wait_until = item.wait_until or now + HELD
                if now < item.wait_until:
                    again.append((item, waiter))
                else:
                    outcomes[place] = Busy(1)
        self._queue.extendleft(reversed(again))
        self._bytes += sum(item.size for item, _ in again)
        return len(again)

    def _settle(self, taken: Pairs, outcomes: Sequence[Receipt | Exception]) -> None:
        """Tell the outcomes, a share each turn of the loop: callers told at once would all come back at once."""
        for (_, waiter), outcome in zip(taken[:SHARE], outcomes, strict=False):
            if waiter.done() or isinstance(outcome, batch.Held):  # its caller has gone; the row stays
                continue
            if isinstance(outcome, Exception):
                waiter.set_exception(outcome)
            else:
                waiter.set_result(outcome)
        if len(taken) > SHARE:
            asyncio.get_running_loop().call_soon(self._settle, taken[SHARE:], outcomes[SHARE:])


async def open(url: str | None, clock: Clock, folder: Path, chain_key: bytes = b"") -> Store:
    """Open the store: `sqlite:///path`, `postgresql://…`, or None for `folder`/pasokh.db.

    SQLite is made or migrated here, PostgreSQL only by `migrate`. `chain_key` (≤ 64 octets) keys the events' hashes
    and must stay the same for the store's life. Raises Refusal with a sentence.
    """
    _check_process()
    maker = ids.Maker()
    info: dict[str, Any] = {"ids": maker, "clock": clock, "chain_key": chain_key, "pos": 0}
    backend: Backend
    if url is not None and url.startswith("postgresql"):
        backend = await store_postgresql.open_server(url, info)
    else:
        backend = await store_sqlite.open_file(_path(url, folder), info)
    store = Store(backend, maker, clock, chain_key)
    await store.first_ids()
    return store


async def migrate(url: str | None, folder: Path) -> None:
    """Bring the store to this program's schema. Raises Refusal."""
    if url is not None and url.startswith("postgresql"):
        await store_postgresql.migrate(url)
    else:
        await store_sqlite.migrate(_path(url, folder))


def _path(url: str | None, folder: Path) -> Path:
    if url is None:
        return folder / "pasokh.db"
    if not url.startswith("sqlite:///"):
        raise Refusal("The store's address must begin with sqlite:/// or postgresql://.")
    return folder / url.removeprefix("sqlite:///")


def _check_process() -> None:
    """libeatmydata makes fsync do nothing."""
    if os.environ.get("PASOKH_UNSAFE") == "1":
        return
    with contextlib.suppress(OSError):
        if "eatmydata" in Path("/proc/self/maps").read_text():
            raise Refusal("libeatmydata is loaded: what is acknowledged could be lost. Start without it.")
