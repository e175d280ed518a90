"""A lease of the drawer, on both stores: one holder at a time, whoever asks at once."""

from __future__ import annotations

import asyncio

from core.drawer import StoredDrawer
from core.store import Store


async def test_of_many_who_ask_at_once_one_has_it(store: Store, clock):
    drawer = StoredDrawer(store)
    told = await asyncio.gather(*(drawer.lease("b", f"p{n}", 60) for n in range(8)))
    assert sum(told) == 1
    mine = f"p{told.index(True)}"
    assert [await drawer.lease("b", mine, 60), await drawer.lease("b", "other", 60)] == [True, False]
    clock.advance(61)
    assert await drawer.lease("b", "other", 60)


async def test_after_a_crash_it_is_free_where_one_process_has_the_store_alone(store: Store):
    assert await StoredDrawer(store).lease("b", "before", 60)
    assert await StoredDrawer(store).lease("b", "next", 60) is (store.dialect == "sqlite")
