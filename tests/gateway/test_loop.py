"""Twisted is a guest on asyncio's loop."""

from __future__ import annotations

import asyncio


async def test_a_twisted_delay_fires_on_the_asyncio_loop(reactor):
    fired = asyncio.Event()
    reactor.callLater(0, fired.set)
    await asyncio.wait_for(fired.wait(), 2)


async def test_the_tests_postgresql_starts(postgres):
    import asyncpg

    connection = await asyncpg.connect(postgres)
    assert await connection.fetchval("SHOW server_encoding") == "UTF8"
    await connection.close()
