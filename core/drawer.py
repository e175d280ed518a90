"""A channel's small durable scratch: boxes of named slots, on disk when `put` returns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from core.schema import box as boxes
from core.schema import drawer
from core.store import Store
from core.text import clean

ASKED, HOLDER, UNTIL = "asked", "holder", "until"  #: slots of a lease


class StoredDrawer:
    """The drawer in the store (`core.channels.Drawer`)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._holders: set[str] = set()  # of this process

    async def put(self, box: str, slot: str, data: bytes) -> Mapping[str, bytes]:
        """Keep `data`; all slots of the box, once it is on disk; {} while the box is shut."""
        return await self._store.write(_put, clean(box), clean(slot), data)

    async def get(self, box: str) -> Mapping[str, bytes]:
        """All slots of the box."""
        return await self._store.read(_slots, clean(box))

    async def close(self, box: str, until: int | None = None) -> None:
        """Empty the box; with `until` (ms UTC) it stays shut till then."""
        await self._store.write(_close, clean(box), until)

    async def boxes(self, before: int) -> Sequence[str]:
        """Open boxes whose first slot was put before `before` (ms UTC), the oldest first."""
        return await self._store.read(_old, before)

    async def lease(self, box: str, holder: str, seconds: float) -> bool:
        """Take `box` for `holder`, or keep it on; False while another has it. On disk when it returns."""
        self._holders.add(holder)
        alone = self._holders if self._store.dialect == "sqlite" else None
        return await self._store.write(_lease, clean(box), holder, round(seconds * 1000), alone)

    async def release(self, box: str, holder: str) -> None:
        """Let go of it, if it is `holder`'s."""
        await self._store.write(_release, clean(box), holder)

    async def change(self, box: str, slots: Mapping[str, bytes | None]) -> None:
        """Put several slots at once, take out those that are None; on disk when it returns."""
        await self._store.write(_change, clean(box), {clean(slot): data for slot, data in slots.items()})


def _put(s: Connection, box: str, slot: str, data: bytes) -> Mapping[str, bytes]:
    now = s.info["clock"].now()
    insert = _insert(s)
    made = insert(boxes).values(box=box, at=now).on_conflict_do_update(index_elements=["box"], set_={"box": box})
    until = s.execute(made.returning(boxes.c.closed_until)).scalar_one()
    if until is not None and until > now:
        return {}
    if until is not None:
        s.execute(sa.update(boxes).where(boxes.c.box == box).values(at=now, closed_until=None))
    kept = insert(drawer).values(box=box, slot=slot, at=now, bytes=data)
    s.execute(kept.on_conflict_do_update(index_elements=["box", "slot"], set_={"bytes": data}))
    return _slots(s, box)


def _lease(s: Connection, box: str, holder: str, span: int, alone: Collection[str] | None) -> bool:
    """The box's row is held till commit, so of two who ask at once the second sees the first. `alone`: the only ones
    there can be, where one process has the store; what another one held is nobody's."""
    now = s.info["clock"].now()
    held = _put(s, box, ASKED, b"")
    other = held.get(HOLDER, holder.encode()).decode()
    if other != holder and (alone is None or other in alone) and int(held.get(UNTIL, b"0")) > now:
        return False
    _put(s, box, HOLDER, holder.encode())
    _put(s, box, UNTIL, str(now + span).encode())
    return True


def _release(s: Connection, box: str, holder: str) -> None:
    if _put(s, box, ASKED, b"").get(HOLDER) == holder.encode():
        s.execute(sa.delete(drawer).where(drawer.c.box == box))


def _change(s: Connection, box: str, slots: Mapping[str, bytes | None]) -> None:
    gone = [slot for slot, data in slots.items() if data is None]
    s.execute(sa.delete(drawer).where(drawer.c.box == box, drawer.c.slot.in_(gone)))
    for slot, data in slots.items():
        if data is not None:
            _put(s, box, slot, data)


def _slots(s: Connection, box: str) -> Mapping[str, bytes]:
    ask = sa.select(drawer.c.slot, drawer.c.bytes).where(drawer.c.box == box).order_by(drawer.c.at, drawer.c.slot)
    return {row.slot: row.bytes for row in s.execute(ask)}


def _close(s: Connection, box: str, until: int | None) -> None:
    now = s.info["clock"].now()
    s.execute(sa.delete(drawer).where(drawer.c.box == box))
    if until is None:
        s.execute(sa.delete(boxes).where(boxes.c.box == box))
    else:
        shut = _insert(s)(boxes).values(box=box, at=now, closed_until=until)
        s.execute(shut.on_conflict_do_update(index_elements=["box"], set_={"closed_until": until}))
    s.execute(sa.delete(boxes).where(boxes.c.closed_until < now))


def _old(s: Connection, before: int) -> Sequence[str]:
    ask = sa.select(boxes.c.box).where(boxes.c.at < before, boxes.c.closed_until.is_(None)).order_by(boxes.c.at)
    return list(s.execute(ask).scalars())


def _insert(s: Connection) -> Any:
    return sqlite.insert if s.dialect.name == "sqlite" else postgresql.insert
