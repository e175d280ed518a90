"""SQLite under the store: one writer thread, four readers, every commit fsynced, a lock that names its owner.

Deeds that wait while one transaction is under way share the next one: an fsync for all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from core import migrations
from core.batch import savepoint
from core.errors import Busy, PasokhError
from core.events import Doorbell
from core.prepared import Prepared
from core.refusal import Fault, Refusal
from core.schema import event

T = TypeVar("T")
log = logging.getLogger(__name__)

READERS = 4
CHECKPOINT = 16384  #: pages (64 MB) of the write-ahead log before a commit copies them home; sooner when idle
IDLE = 3.0  #: seconds between looks whether an idle writer may do so
WAITING = 1000  #: deeds in front of the writer; beyond: Busy
GROUP = 200  #: deeds of one transaction
OLDEST = (3, 35)  #: RETURNING
NETWORKS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph", "glusterfs", "fuse.glusterfs", "afs"}

_SET_UP = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA busy_timeout = 5000",
    "PRAGMA cache_size = -16000",
    f"PRAGMA wal_autocheckpoint = {CHECKPOINT}",
)


@dataclass(frozen=True, slots=True)
class Failed:
    """A deed that raised."""

    error: Exception


Deed = tuple[Callable[..., Any], "asyncio.Future[Any]"]


class Sqlite:
    """The one process's store in a file. Made by `open_file`, on the loop."""

    dialect = "sqlite"

    def __init__(self, path: Path, info: dict[str, Any]) -> None:
        self.path = path
        self.doorbell = Doorbell()
        self._info = info | {"position": self._position, "horizon": lambda s: None, "alone": lambda s, names: None}
        self._lock = _lock(path)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._engine = self._make(_SET_UP, "BEGIN IMMEDIATE", 1)
        self._reading = self._make(("PRAGMA query_only = ON", "PRAGMA busy_timeout = 5000"), "BEGIN", READERS)
        self._pos = 0
        self._deeds: list[Deed] = []
        self._grouping: asyncio.Task[None] | None = None
        self._dirty = False
        self._resting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Migrate, then keep the writer's connection. Raises Refusal."""
        try:
            await self._on_writer(self._prepare)
        except BaseException:
            await self.close()
            raise
        self._resting = asyncio.create_task(self._rest())

    async def take_new(self, items: Sequence[Prepared]) -> set[int]:
        """Nothing ahead of the batch: there are no round trips to spare."""
        return set()

    async def intake(self, deed: Callable[..., T], *args: Any) -> T:
        return await self._with_others(deed, args)

    async def write(self, deed: Callable[..., T], *args: Any) -> T:
        if len(self._deeds) >= WAITING:
            raise Busy(1)
        return await self._with_others(deed, args)

    async def read(self, query: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._query, query, *args)

    async def close(self) -> None:
        """Finish what is queued, copy the log home, let go of the lock."""
        if self._resting:
            self._resting.cancel()
            await asyncio.wait([self._resting])
        if self._grouping:
            await asyncio.wait([self._grouping])
        loop = asyncio.get_running_loop()
        await self._on_writer(self._finish)
        await loop.run_in_executor(None, self._threads.shutdown)
        await loop.run_in_executor(None, self._thread.shutdown)
        self._reading.dispose()
        os.close(self._lock)

    def fault(self, error: BaseException) -> Fault:
        cause = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(cause, "sqlite_errorcode", None)
        if code is None:
            return Fault.NONE
        primary = code & 0xFF
        if primary == sqlite3.SQLITE_FULL:
            return Fault.FULL
        if primary in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return Fault.BROKEN
        if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return Fault.AWAY
        return Fault.NONE

    # ------------------------------------------------------------ group commit of deeds

    async def _with_others(self, deed: Callable[..., T], args: Sequence[Any]) -> T:
        told: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._deeds.append((lambda s: deed(s, *args), told))
        if self._grouping is None or self._grouping.done():
            self._grouping = asyncio.create_task(self._write_groups(), name="deeds")
        return await told

    async def _write_groups(self) -> None:
        while self._deeds:
            group, self._deeds = self._deeds[:GROUP], self._deeds[GROUP:]
            outcomes = await self._on_writer(self._together, [deed for deed, _ in group])
            for (_, told), outcome in zip(group, outcomes, strict=True):
                if told.done():  # its caller has gone; what it did stays
                    continue
                if isinstance(outcome, Failed):
                    told.set_exception(outcome.error)
                else:
                    told.set_result(outcome)
            await asyncio.sleep(0)  # who was told has more to write: it goes with what waits already

    def _together(self, deeds: Sequence[Callable[..., Any]]) -> list[Any]:
        """Each deed's outcome. One that is refused takes back its own rows alone; a fault of its own ends the
        transaction, and each is tried by itself. A disk that failed is not tried again: nobody knows what is on it."""
        if len(deeds) > 1:
            try:
                return self._transact(_all, deeds)
            except Exception as error:  # noqa: BLE001 told to all of them, or each tells its own below
                if self.fault(error) is not Fault.NONE:
                    return [Failed(error)] * len(deeds)
        return [self._single(deed) for deed in deeds]

    def _single(self, deed: Callable[..., Any]) -> Any:
        try:
            return self._transact(deed)
        except Exception as error:  # noqa: BLE001 told to whoever waits for it
            return Failed(error)

    # ------------------------------------------------------------ in the threads

    async def _on_writer(self, call: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *args)

    def _make(self, set_up: tuple[str, ...], begin: str, size: int) -> Engine:
        engine = sa.create_engine(
            f"sqlite:///{self.path}",
            poolclass=sa.QueuePool,
            pool_size=size,
            max_overflow=0,
            connect_args={"isolation_level": None, "check_same_thread": False},
        )

        @sa.event.listens_for(engine, "connect")
        def connected(raw: sqlite3.Connection, record: Any) -> None:
            record.info.update(self._info)
            for line in set_up:
                raw.execute(line)

        @sa.event.listens_for(engine, "begin")
        def began(s: Connection) -> None:
            s.info["pos"] = 0
            s.exec_driver_sql(begin)

        return engine

    def _prepare(self) -> None:
        self._writer = self._engine.connect()
        with self._writer.begin():
            version = migrations.current(self._writer)
        head = migrations.head()
        if version is not None and not migrations.known(version):
            raise Refusal(f"The store {self.path} was written by a newer program (schema {version}, ours is {head}).")
        if version is not None and version != head:
            self._copy(version)
        with self._writer.begin():
            if version != head:
                migrations.upgrade(self._writer)
            self._pos = self._writer.execute(sa.select(sa.func.coalesce(sa.func.max(event.c.pos), 0))).scalar_one()

    def _copy(self, version: str) -> None:
        """A copy beside the store before it is migrated."""
        target = self.path.with_name(f"{self.path.name}.before-{migrations.head()}-{version}")
        with sqlite3.connect(target) as copy:
            raw = self._writer.connection.dbapi_connection
            assert isinstance(raw, sqlite3.Connection)
            raw.backup(copy)
        copy.close()

    def _transact(self, deed: Callable[..., T], *args: Any) -> T:
        # On a full disk SQLite has rolled back by itself; sqlite3's rollback() then does nothing, as it must.
        with self._writer.begin():
            result = deed(self._writer, *args)
        self._dirty = True
        return result

    def _position(self, s: Connection) -> int:
        """One more for each transaction that writes events; a number of a rolled back one is not missed."""
        self._pos += 1
        return self._pos

    def _query(self, query: Callable[..., T], *args: Any) -> T:
        with self._reading.begin() as s:
            return query(s, *args)

    async def _rest(self) -> None:
        while True:
            await asyncio.sleep(IDLE)
            if self._dirty and not self._deeds:
                self._dirty = False
                try:
                    await self._on_writer(self._checkpoint, "PASSIVE")
                except sqlite3.Error as error:  # what was written lies in the log; it is copied another time
                    log.error("the store's log was not copied home", extra={"error": type(error).__name__})
                    self._dirty = True

    def _checkpoint(self, how: str) -> None:
        raw = self._writer.connection.dbapi_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.execute(f"PRAGMA wal_checkpoint({how})").fetchall()

    def _finish(self) -> None:
        if hasattr(self, "_writer"):
            with contextlib.suppress(sqlite3.Error):  # the next start finds it in the log
                if not self._writer.invalidated:
                    self._checkpoint("PASSIVE")
            self._writer.close()
        self._engine.dispose()


def _all(s: Connection, deeds: Sequence[Callable[..., Any]]) -> list[Any]:
    return [_behind_savepoint(s, deed) for deed in deeds]


def _behind_savepoint(s: Connection, deed: Callable[..., Any]) -> Any:
    try:
        with savepoint(s):
            return deed(s)
    except PasokhError as error:
        return Failed(error)


async def open_file(path: Path, info: dict[str, Any]) -> Sqlite:
    """Open the store in `path`, made where there is none. Raises Refusal."""
    _check(path)
    backend = Sqlite(path, info)
    await backend.start()
    return backend


async def migrate(path: Path) -> None:
    """Bring the file to the newest schema (a start does the same)."""
    await (await open_file(path, {})).close()


def _check(path: Path) -> None:
    if sqlite3.sqlite_version_info < OLDEST:
        raise Refusal(f"SQLite {sqlite3.sqlite_version} is too old: 3.35 or newer is needed.")
    if os.environ.get("PASOKH_UNSAFE") == "1":
        return
    system = _file_system(path.parent)
    if system in NETWORKS:
        raise Refusal(f"The store {path} lies on a network file system ({system}), where SQLite loses data.")


def _file_system(folder: Path) -> str:
    """The type of the file system that holds `folder`, '' where it cannot be told."""
    best, kind = "", ""
    try:
        mounts = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return ""
    place = str(folder.resolve())
    for line in mounts:
        _, point, system, *_ = line.split(" ")
        point = point.replace("\\040", " ")
        if (place == point or place.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, kind = point, system
    return kind


def _lock(path: Path) -> int:
    """Hold `<path>.lock` as long as the store is open; a second is refused, with the pid of the first."""
    handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(handle)
        raise Refusal(f"The store {path} is in use by process {owner}.") from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return handle
