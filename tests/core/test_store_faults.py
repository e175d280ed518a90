"""The store when its own parts fail: nobody waits for ever, nothing accepted is lost, nobody gets a strange error."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager

import asyncpg
import pytest
import sqlalchemy as sa

from core import store_sqlite
from core.channels import Act, Inbound, Receipt
from core.errors import Busy
from core.intake import Desk
from core.model import KeptFile
from core.schema import file, message, ticket
from core.store import Store

TEXT = "آب محلهٔ ما قطع است"


def form(ref: str, text: str = TEXT, **more) -> Inbound:
    return Inbound("web", ref, text, **more)


@asynccontextmanager
async def held(store: Store, place: str, number: int):
    """Somebody else's transaction that holds ticket `number`."""
    if store.dialect != "postgresql":
        pytest.skip("SQLite has one writer")
    other = await asyncpg.connect(place)
    try:
        async with other.transaction():
            await other.execute("SELECT id FROM ticket WHERE id = $1 FOR UPDATE", number)
            yield
    finally:
        await other.close()


class Dies(BaseException):
    """What no code expects."""


async def test_a_writer_that_dies_leaves_nobody_waiting_and_says_so(desk: Desk, store: Store, monkeypatch):
    async def dies(*args: object) -> None:
        raise Dies

    with monkeypatch.context() as patch:
        patch.setattr(store._backend, "intake", dies)
        patch.setattr(store._backend, "take_new", dies)
        async with asyncio.timeout(5):
            found = await asyncio.gather(*(desk.take(form(f"f{n}")) for n in range(3)), return_exceptions=True)
    assert all(isinstance(one, Busy) for one in found)
    assert store.broken.is_set() and store.health() == "down"
    with pytest.raises(Busy):
        await desk.take(form("after"))
    store._writer.exception()


async def test_a_ticket_that_somebody_holds_keeps_only_its_own_messages(desk: Desk, store: Store, place: str):
    first, second = await asyncio.gather(desk.take(form("f1")), desk.take(form("f2")))

    def more(ref: str, to: Receipt):
        return desk.take(form(ref, f"افزودهٔ {ref}", act=Act.ADD, code=to.code, proof=to.pin))

    async with held(store, place, first.ticket):
        waits = [asyncio.create_task(more(f"w{n}", first)) for n in range(3)]
        async with asyncio.timeout(5):
            await asyncio.gather(more("b", second), desk.take(form("f3")))
        assert not any(wait.done() for wait in waits)
    found = await asyncio.gather(*waits)
    texts = sa.select(message.c.id).where(message.c.ticket == first.ticket).order_by(message.c.seq)
    assert await store.read(lambda s: list(s.execute(texts).scalars())[1:]) == [one.message for one in found]


async def test_whoever_waits_too_long_for_a_held_ticket_is_told_busy_alone(
    desk: Desk, store: Store, place: str, monkeypatch
):
    monkeypatch.setattr("core.store.HELD", 0.1)
    first = await desk.take(form("f1"))
    added = form("a", "افزوده", act=Act.ADD, code=first.code, proof=first.pin)
    async with held(store, place, first.ticket):
        found = await asyncio.gather(desk.take(added), desk.take(form("f2")), return_exceptions=True)
    assert isinstance(found[0], Busy) and isinstance(found[1], Receipt)
    assert (await desk.take(added)).ticket == first.ticket


async def test_a_closed_store_is_busy_for_everybody(desk: Desk, store: Store):
    await desk.take(form("f"))
    await store.close()
    with pytest.raises(Busy):
        await desk.take(form("late"))
    with pytest.raises(Busy):
        await desk.drawer.put("sms", "s", b"x")
    with pytest.raises(Busy):
        await desk.drawer.get("sms")


async def test_a_close_that_is_cut_short_still_writes_what_was_accepted(desk: Desk, store: Store):
    taking = [asyncio.create_task(desk.take(form(f"f{n}"))) for n in range(30)]
    await asyncio.sleep(0)
    while desk._came:  # noqa: ASYNC110 turns in which they are prepared
        await asyncio.sleep(0)
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    closing.cancel()
    async with asyncio.timeout(10):
        found = await asyncio.gather(*taking)
        await store._writer
    assert len({receipt.code for receipt in found}) == 30
    await store._backend.close()


async def test_a_batch_tried_anew_marks_a_reused_id_once(desk: Desk, store: Store):
    await desk.take(Inbound("sms", "k", TEXT))
    bad = KeptFile("0" * 64, "a.bin", "x/y", 2**70)
    found = await asyncio.gather(
        desk.take(Inbound("sms", "k", "متن دیگر")), desk.take(Inbound("sms", "bad", "بد", files=[bad]))
    )
    marks = await store.read(
        lambda s: s.execute(sa.select(message.c.marks).where(message.c.id == found[0].message)).scalar_one()
    )
    assert marks == ["same_id"]


async def test_what_is_kept_raw_keeps_its_files_and_its_original(desk: Desk, store: Store, monkeypatch):
    kept = await desk.keep("پیوست".encode(), "نامه.txt")
    original = await desk.keep(b"From: zahra@example.ir", "letter.eml")
    heard = form("f", files=[kept], raw_key=original.key, facts={"n": 1})
    real = desk._preparer.prepare

    def prepare(*args: object):
        item = real(*args)
        item.ticket["budget"] = object()  # no store can keep it
        return item

    monkeypatch.setattr(desk._preparer, "prepare", prepare)
    monkeypatch.setattr("core.prepared.Prepared.rescued", _without_budget)
    receipt = await desk.take(heard)
    row = await store.read(
        lambda s: s.execute(sa.select(message).where(message.c.id == receipt.message)).mappings().one()
    )
    assert row["marks"] == ["unreadable"] and row["raw_key"] == original.key
    keys = await store.read(
        lambda s: list(s.execute(sa.select(file.c.key).where(file.c.message == receipt.message)).scalars())
    )
    assert keys == [kept.key]
    assert await store.read(lambda s: s.execute(sa.select(sa.func.count()).select_from(ticket)).scalar_one()) == 1


def _without_budget(item, *args: object, **more: object):
    from core.prepared import Prepared

    made = _RESCUED(item, *args, **more)
    assert isinstance(made, Prepared)
    made.ticket["budget"] = None
    return made


from core.prepared import Prepared as _Prepared  # noqa: E402

_RESCUED = _Prepared.rescued


async def test_a_log_that_cannot_be_copied_home_is_copied_later_and_closing_lets_go_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(store_sqlite, "IDLE", 0.01)
    asked = []

    def full(how: str) -> None:
        asked.append(how)
        raise sqlite3.OperationalError("disk I/O error")

    opened = await store_sqlite.open_file(tmp_path / "a.db", {})
    monkeypatch.setattr(opened, "_checkpoint", full)
    await opened.write(lambda s: s.exec_driver_sql("CREATE TABLE t (n)") and None)
    async with asyncio.timeout(5):
        while len(asked) < 2:  # noqa: ASYNC110 it is asked in a thread
            await asyncio.sleep(0.01)
    await opened.close()
    await (await store_sqlite.open_file(tmp_path / "a.db", {})).close()
