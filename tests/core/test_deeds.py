"""Deeds that wait for the writer share a transaction: one of them that fails fails alone, and nothing is half done."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from core.errors import Busy, NotFound
from core.schema import drawer
from core.store import Store


def put(s: sa.Connection, box: str) -> str:
    s.execute(sa.insert(drawer).values(box=box, slot="s", at=1, bytes=b"x"))
    return box


def refused(s: sa.Connection, box: str) -> str:
    put(s, box)
    raise NotFound(box)


def broken(s: sa.Connection, box: str) -> str:
    put(s, box)
    raise ZeroDivisionError


async def together(store: Store, *deeds: tuple[Callable[..., Any], str]) -> list[Any]:
    return await asyncio.gather(*(store.write(*each) for each in deeds), return_exceptions=True)


async def boxes(store: Store) -> list[str]:
    return await store.read(lambda s: sorted(s.execute(sa.select(drawer.c.box)).scalars()))


@pytest.mark.parametrize(("deed", "error"), [(refused, NotFound), (broken, ZeroDivisionError)])
async def test_a_deed_that_fails_among_others_fails_alone(
    store: Store, deed: Callable[..., Any], error: type[Exception]
):
    found = await together(store, (put, "a"), (put, "b"), (deed, "c"), (put, "d"), (put, "b2"))
    assert [found[0], found[1], *found[3:]] == ["a", "b", "d", "b2"]
    assert isinstance(found[2], error)
    assert await boxes(store) == ["a", "b", "b2", "d"]


async def test_deeds_that_wait_share_one_commit(store: Store):
    if store.dialect != "sqlite":
        pytest.skip("PostgreSQL has a connection for each")
    commits: list[int] = []
    sa.event.listen(store._backend._engine, "commit", lambda s: commits.append(1))
    await together(store, *((put, f"{n}") for n in range(50)))
    assert len(await boxes(store)) == 50
    assert len(commits) == 1


async def test_a_disk_that_fails_a_commit_of_many_is_not_tried_again(store: Store, monkeypatch: pytest.MonkeyPatch):
    if store.dialect != "sqlite":
        pytest.skip("PostgreSQL's disk is its own")
    tries: list[int] = []

    def transact(deed: Callable[..., Any], *args: Any) -> Any:
        tries.append(1)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error

    monkeypatch.setattr(store._backend, "_transact", transact)
    found = await together(store, *((put, f"{n}") for n in range(5)))
    assert all(isinstance(one, Busy) for one in found)
    assert len(tries) == 1
    assert store.broken.is_set()
