"""PostgreSQL under the store: a pool for deeds and reads, one connection for intake, a doorbell by NOTIFY."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Any, TypeVar

import asyncpg
import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from core import migrations, store_statement
from core.events import BELL, Doorbell
from core.prepared import Prepared
from core.refusal import Fault, Refusal
from core.schema import meta

T = TypeVar("T")
log = logging.getLogger(__name__)

POOL = 8  #: connections for deeds and reads; intake and the doorbell have their own
OLDEST = 15
BELL_NAME = "pasokh_events"
AGAIN = 2.0  #: seconds before the doorbell's connection is tried anew
SETTINGS = {
    "lock_timeout": "2s",
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "10s",
    "application_name": "pasokh",
    "jit": "off",
}
MIGRATION_LOCK = 0x7061736F6B68


class Postgresql:
    """The store of one or many processes. Made by `open_server`."""

    dialect = "postgresql"

    def __init__(self, url: str, info: dict[str, Any]) -> None:
        self.doorbell: Bell = Bell(url)
        self._base = 0
        self._info = info | {"position": self._position, "horizon": self._horizon, "alone": _alone}
        self._engine = _engine(url, SETTINGS, pool_size=POOL, max_overflow=1)
        self._connection: AsyncConnection | None = None
        self._raw: asyncpg.Connection | None = None

        @sa.event.listens_for(self._engine.sync_engine, "connect")
        def connected(raw: Any, record: Any) -> None:
            record.info.update(self._info)

        @sa.event.listens_for(self._engine.sync_engine, "begin")
        def began(s: Connection) -> None:
            s.info["pos"] = 0

    async def start(self) -> None:
        """Check server and schema, ring the first bell. Raises Refusal."""
        try:
            await self.read(self._check)
        except (OSError, asyncpg.PostgresError, DBAPIError) as error:
            await self._engine.dispose()
            raise Refusal(f"PostgreSQL does not answer: {error}") from error
        except Refusal:
            await self._engine.dispose()
            raise
        self.doorbell.start()

    async def take_new(self, items: Sequence[Prepared]) -> set[int]:
        """Write those of `items` that are plainly new, in one statement and transaction; the numbers of their messages.

        Whatever fails, nothing of it is written.
        """
        fresh = store_statement.new_ones(items)
        if not fresh:
            return set()
        sql, args = store_statement.insert(fresh, self._base)
        raw = await self._driver()
        try:
            return {row[0] for row in await raw.fetch(sql, *args)}
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            if raw.is_closed():
                await self._drop()
            raise

    async def intake(self, deed: Callable[..., T], *args: Any) -> T:
        connection = await self._own()
        try:
            async with connection.begin():
                return await connection.run_sync(deed, *args)
        except DBAPIError as error:
            if error.connection_invalidated:
                await self._drop()
            raise

    async def write(self, deed: Callable[..., T], *args: Any) -> T:
        async with self._engine.begin() as connection:
            return await connection.run_sync(deed, *args)

    async def read(self, query: Callable[..., T], *args: Any) -> T:
        async with self._engine.connect() as connection:
            await connection.exec_driver_sql("SET TRANSACTION READ ONLY, ISOLATION LEVEL REPEATABLE READ")
            return await connection.run_sync(query, *args)

    async def close(self) -> None:
        await self.doorbell.close()
        await self._drop()
        await self._engine.dispose()

    def fault(self, error: BaseException) -> Fault:
        if isinstance(error, DBAPIError):
            if error.connection_invalidated:
                return Fault.AWAY
            code = str(getattr(error.orig, "sqlstate", None) or "")
        else:
            code = str(getattr(error, "sqlstate", None) or "")
            if isinstance(error, OSError | asyncpg.InterfaceError | sa.exc.TimeoutError):
                return Fault.AWAY
        if code in ("40001", "40P01", "55P03"):
            return Fault.RACE
        if code == "53100":
            return Fault.FULL
        if code[:2] in ("08", "53", "57"):
            return Fault.AWAY
        return Fault.BROKEN if code[:2] == "58" else Fault.NONE

    # ------------------------------------------------------------ inside transactions

    def _position(self, s: Connection) -> int:
        return self._base + int(s.exec_driver_sql("SELECT pg_current_xact_id()::text::bigint").scalar_one())

    def _horizon(self, s: Connection) -> int:
        ask = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
        return self._base + int(s.exec_driver_sql(ask).scalar_one())

    def _check(self, s: Connection) -> None:
        def show(name: str) -> str:
            return str(s.exec_driver_sql(f"SHOW {name}").scalar_one())

        if int(show("server_version_num")) < OLDEST * 10000:
            raise Refusal(f"PostgreSQL {show('server_version')} is too old: {OLDEST} or newer is needed.")
        if show("server_encoding") != "UTF8":
            raise Refusal(f"The database's encoding is {show('server_encoding')}, it must be UTF8.")
        if os.environ.get("PASOKH_UNSAFE") != "1" and "off" in (show("fsync"), show("synchronous_commit")):
            raise Refusal("PostgreSQL runs with fsync or synchronous_commit off: what is acknowledged could be lost.")
        version, head = migrations.current(s), migrations.head()
        if version is None:
            raise Refusal("The database is empty: run `pasokh migrate` first.")
        if not migrations.known(version):
            raise Refusal(f"The database was written by a newer program (schema {version}, ours is {head}).")
        if version != head:
            raise Refusal(f"The database has the older schema {version}, ours is {head}: run `pasokh migrate`.")
        self._base = int(s.execute(sa.select(meta.c.value).where(meta.c.key == "base")).scalar_one())

    async def _own(self) -> AsyncConnection:
        """Intake's own. It asks by index only, but a plan made while a table was small would scan it for ever."""
        if self._connection is None or self._connection.invalidated:
            await self._drop()
            connection = await self._engine.connect()
            await connection.exec_driver_sql("SET enable_seqscan = off")
            await connection.commit()
            self._connection = connection
        return self._connection

    async def _driver(self) -> asyncpg.Connection:
        """The same connection as its driver has it; kept, as asking for it anew costs as much as two tickets."""
        connection = await self._own()
        if self._raw is None:
            self._raw = (await connection.get_raw_connection()).driver_connection
            assert isinstance(self._raw, asyncpg.Connection)
        return self._raw

    async def _drop(self) -> None:
        connection, self._connection, self._raw = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(DBAPIError, OSError):
                await connection.invalidate()
                await connection.close()


class Bell(Doorbell):
    """A doorbell heard in all processes: NOTIFY on its own connection, at most each 20 ms, never in a transaction."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._serve())

    def ring(self) -> None:
        super().ring()
        self._wanted.set()

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _serve(self) -> None:
        while True:
            try:
                await self._notify()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("doorbell is away", extra={"error": type(error).__name__})
                await asyncio.sleep(AGAIN)

    async def _notify(self) -> None:
        connection = await asyncpg.connect(self._url, server_settings={"application_name": "pasokh doorbell"})
        try:
            await connection.add_listener(BELL_NAME, self._heard)
            own = connection.get_server_pid()
            self._own = own
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                await connection.execute(f"NOTIFY {BELL_NAME}")
                await asyncio.sleep(BELL)
        finally:
            connection.terminate()

    def _heard(self, connection: Any, pid: int, channel: str, payload: str) -> None:
        if pid != self._own:
            super().ring()


def _engine(url: str, settings: dict[str, str], **more: Any) -> AsyncEngine:
    return create_async_engine(
        sa.make_url(url).set(drivername="postgresql+asyncpg"), connect_args={"server_settings": settings}, **more
    )


def key_of(what: str) -> int:
    """The number of the advisory lock for `what`."""
    return int.from_bytes(blake2b(what.encode(errors="backslashreplace"), digest_size=8).digest(), signed=True)


def _alone(s: Connection, names: Iterable[str]) -> None:
    """Wait until no other transaction is at any of `names`; until this one ends, none will be."""
    keys = sorted({key_of(name) for name in names})
    if keys:
        s.exec_driver_sql("SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) AS key", (keys,)).all()


async def open_server(url: str, info: dict[str, Any]) -> Postgresql:
    """Connect to `postgresql://…`. Raises Refusal."""
    backend = Postgresql(url, info)
    await backend.start()
    return backend


async def migrate(url: str) -> None:
    """Bring the database to the newest schema. One at a time; waits ≤ 2 s for each table's lock."""
    engine = _engine(url, {"lock_timeout": "2s", "application_name": "pasokh migrate"})
    try:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(s: Connection) -> None:
    version = migrations.current(s)
    if version is not None and not migrations.known(version):
        raise Refusal(f"The database was written by a newer program (schema {version}, ours is {migrations.head()}).")
    migrations.upgrade(s)
