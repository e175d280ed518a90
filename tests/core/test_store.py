"""The store on both databases: nothing told before commit, nothing lost after, a full one says so."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from hashlib import blake2b
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

from core import events, ids, store
from core.audit import verify, verify_all
from core.channels import Act, Inbound
from core.cipher import Keyring
from core.clock import HandClock
from core.errors import Busy, WrongState
from core.files import Files
from core.intake import Desk
from core.model import Contact, ContactKind
from core.schema import code as codes
from core.schema import contact, cursor, event, file, message, meta, metadata, outbox, ticket
from core.schema import seen as seen_table
from core.store import Store
from tests.postgres import empty_database

TEXT = "چراغ خیابان ما یک هفته است که خاموش است"


def form(ref: str, text: str = TEXT, **more) -> Inbound:
    return Inbound("web", ref, text, **more)


async def scalar(opened: Store, ask):
    return await opened.read(lambda s: s.execute(ask).scalar_one())


def amount(table) -> sa.Select:
    return sa.select(sa.func.count()).select_from(table)


# ---------------------------------------------------------------- transactions


async def test_a_deed_that_fails_leaves_nothing(store: Store):
    def deed(s):
        s.execute(sa.insert(cursor).values(name="x", pos=1, event=1))
        raise WrongState("no")

    with pytest.raises(WrongState):
        await store.write(deed)
    assert await scalar(store, amount(cursor)) == 0


async def test_a_reader_cannot_write(store: Store):
    with pytest.raises(DBAPIError):
        await store.read(lambda s: s.execute(sa.insert(cursor).values(name="x")) and None)


async def test_deeds_at_once_each_get_their_numbers(store: Store):
    def deed(s, n):
        s.execute(sa.insert(cursor).values(name=f"c{n}", pos=ids.new(s), event=ids.outbox(s)))

    await asyncio.gather(*(store.write(deed, n) for n in range(60)))
    rows = await store.read(lambda s: s.execute(sa.select(cursor.c.pos, cursor.c.event)).all())
    assert len({row.pos for row in rows}) == len({row.event for row in rows}) == 60


async def test_a_process_without_numbers_draws_one_in_the_deed_itself(store: Store):
    while store.ids.next() is not None:
        pass
    first = await store.write(ids.new)
    second = await store.write(ids.new)
    assert second > first


async def test_whoever_finds_no_numbers_is_told_busy_and_the_next_is_served(desk: Desk, store: Store):
    while store.ids.next() is not None:
        pass
    with pytest.raises(Busy):
        await desk.take(form("f"))
    assert store._fetching is not None
    await asyncio.wait_for(store._fetching, 10)
    assert (await desk.take(form("f"))).first


async def test_a_new_start_never_repeats_a_number(store: Store, place: str, clock: HandClock, tmp_path: Path):
    first = await store.write(ids.new)
    await store.close()
    again = await _open(place, clock, tmp_path)
    assert await again.write(ids.new) > first
    await again.close()


async def _open(place: str, clock, folder: Path) -> Store:
    return await store.open(place, clock, folder, b"k" * 32)


# ---------------------------------------------------------------- a full queue, a full disk


async def test_a_full_queue_says_busy_and_loses_nothing(desk: Desk, store: Store, monkeypatch):
    monkeypatch.setattr("core.store.QUEUE_ITEMS", 50)
    found = await asyncio.gather(*(desk.take(form(f"f{n}")) for n in range(300)), return_exceptions=True)
    told = [receipt for receipt in found if not isinstance(receipt, Exception)]
    busy = [error for error in found if isinstance(error, Busy)]
    assert len(told) + len(busy) == 300 and busy and told and busy[0].after > 0
    assert await scalar(store, amount(ticket)) == len(told)


async def test_a_queue_counts_octets_too(desk: Desk, monkeypatch):
    monkeypatch.setattr("core.store.QUEUE_BYTES", 100_000)
    found = await asyncio.gather(*(desk.take(form(f"f{n}", "ا" * 9000)) for n in range(30)), return_exceptions=True)
    assert any(isinstance(error, Busy) for error in found)
    assert any(not isinstance(error, Exception) for error in found)


async def test_a_full_disk_is_busy_for_all_and_recovers(desk: Desk, store: Store):
    if store.dialect != "sqlite":
        pytest.skip("SQLite's own limit stands in for the disk")
    first = await desk.take(form("first"))
    pages = await store.write(lambda s: s.exec_driver_sql("PRAGMA page_count").scalar_one())
    await store.write(lambda s: s.exec_driver_sql(f"PRAGMA max_page_count = {pages + 10}").scalar_one())
    long = "ب" * 4000
    found = await asyncio.gather(*(desk.take(form(f"f{n}", long)) for n in range(80)), return_exceptions=True)
    assert any(isinstance(error, Busy) for error in found)
    told = [receipt for receipt in found if not isinstance(receipt, Exception)]
    with pytest.raises(Busy):
        await asyncio.gather(
            *(desk.take(form(f"a{n}", long, act=Act.ADD, code=first.code, proof=first.pin)) for n in range(80))
        )
    await store.write(lambda s: s.exec_driver_sql("PRAGMA max_page_count = 1000000").scalar_one())
    assert (await desk.take(form("after"))).first
    assert not store.broken.is_set()
    texts = await store.read(lambda s: set(s.execute(sa.select(codes.c.value)).scalars()))
    assert {receipt.code for receipt in told} <= texts and len(texts) == len(told) + 2
    assert (await verify_all(store)).broken == []


async def test_a_caller_that_went_away_does_not_stop_the_others(desk: Desk, store: Store):
    gone = asyncio.create_task(desk.take(form("gone")))
    others = [asyncio.create_task(desk.take(form(f"f{n}"))) for n in range(5)]
    await asyncio.sleep(0)
    gone.cancel()
    assert len({receipt.code for receipt in await asyncio.gather(*others)}) == 5
    await store.close()


async def test_closing_writes_what_was_accepted(desk: Desk, store: Store, place: str, clock, tmp_path: Path):
    taking = [asyncio.create_task(desk.take(form(f"f{n}"))) for n in range(40)]
    await asyncio.sleep(0)
    while desk._came:  # noqa: ASYNC110 turns in which they are prepared
        await asyncio.sleep(0)
    await store.close()
    told = [receipt.code for receipt in await asyncio.gather(*taking)]
    with pytest.raises(Busy):
        await desk.take(form("late"))
    again = await _open(place, clock, tmp_path)
    assert await scalar(again, amount(ticket)) == len(told) == 40
    await again.close()


# ---------------------------------------------------------------- the chain


async def test_the_chain_of_a_ticket_holds_through_its_life(desk: Desk, store: Store):
    receipt = await desk.take(form("f"))
    for number in range(4):
        await desk.take(form(f"a{number}", "افزوده", act=Act.ADD, code=receipt.code, proof=receipt.pin))
    await desk.take(form("w", "", act=Act.WITHDRAW, code=receipt.code, proof=receipt.pin))
    assert await store.read(verify, receipt.ticket) == []
    kinds = await store.read(lambda s: list(s.execute(sa.select(event.c.kind).order_by(event.c.seq)).scalars()))
    assert kinds == ["taken", "hear", "hear", "hear", "hear", "withdraw"]


async def test_events_are_never_changed_or_deleted_but_their_salt_may_go(desk: Desk, store: Store):
    receipt = await desk.take(form("f"))
    for deed in (sa.update(event).values(actor="staff:1"), sa.delete(event), sa.update(event).values(salt=b"x")):
        with pytest.raises(DBAPIError, match="never"):
            await store.write(lambda s, deed=deed: s.execute(deed) and None)
    await store.write(lambda s: s.execute(sa.update(event).values(salt=None)) and None)
    await store.write(lambda s: s.execute(sa.update(message).values(text="")) and None)
    assert await store.read(verify, receipt.ticket) == []


TAMPER = {
    "hash": "UPDATE event SET actor = 'staff:1' WHERE seq = 2",
    "gap": "DELETE FROM event WHERE seq = 2",
    "tail": "DELETE FROM event WHERE seq = 4",
    "seal": "UPDATE message SET text = 'چیز دیگر' WHERE seq = 3",
    "prev": "UPDATE event SET prev = hash WHERE seq = 3",
}


@pytest.mark.parametrize("what", TAMPER)
async def test_what_somebody_with_the_database_changes_is_found(desk: Desk, store: Store, what: str):
    receipt = await desk.take(form("f"))
    for number in range(3):
        await desk.take(form(f"a{number}", "افزوده", act=Act.ADD, code=receipt.code, proof=receipt.pin))

    def tamper(s):
        if s.dialect.name == "sqlite":
            s.exec_driver_sql("DROP TRIGGER event_stays")
            s.exec_driver_sql("DROP TRIGGER event_kept")
        else:
            s.exec_driver_sql("ALTER TABLE event DISABLE TRIGGER USER")
        s.exec_driver_sql(TAMPER[what])

    await store.write(tamper)
    assert what in {broken.what for broken in await store.read(verify, receipt.ticket)}


# ---------------------------------------------------------------- events in order


async def test_a_reader_of_events_misses_none_and_sees_none_twice(desk: Desk, store: Store):
    cursor_, got = (0, 0), []

    async def read_on() -> None:
        nonlocal cursor_
        rows = await store.read(events.after, cursor_, 20)
        got.extend(row.id for row in rows)
        if rows:
            cursor_ = (rows[-1].pos, rows[-1].id)

    def add(s, about):
        events.add(s, about, "note", "system", {"n": 1})

    first = await desk.take(form("f"))
    for turn in range(6):
        await asyncio.gather(
            *(desk.take(form(f"f{turn}-{n}")) for n in range(10)),
            *(store.write(add, first.ticket) for _ in range(3)),
            read_on(),
        )
    async with asyncio.timeout(10):
        while len(got) < 79:
            await read_on()
    assert len(set(got)) == len(got) == 79 == await scalar(store, amount(event))


async def test_the_bell_rings_after_commit(desk: Desk, store: Store):
    count = store.doorbell.count
    receipt = await desk.take(form("f"))
    async with asyncio.timeout(5):
        assert await store.doorbell.wait(count) > count
    rows = await store.read(events.after, (0, 0))
    assert [row.ticket for row in rows] == [receipt.ticket]


async def test_many_commits_at_once_ring_one_bell(store: Store):
    count = store.doorbell.count
    for _ in range(50):
        store.doorbell.ring()
    assert store.doorbell.count <= count + 1
    async with asyncio.timeout(5):
        while store.doorbell.count < count + 1:
            await store.doorbell.wait(timeout=0.1)
        store.doorbell.ring()
        await store.doorbell.wait(store.doorbell.count)


async def test_two_processes_at_once_make_one_contact_and_one_ticket_of_each_message(
    desk: Desk, store: Store, config, ring: Keyring, place: str, clock, tmp_path: Path
):
    if store.dialect != "postgresql":
        pytest.skip("SQLite has one process")
    other = await _open(place, clock, tmp_path)
    files = Files(tmp_path / "files2", ring, other)
    door = Desk(other, config, ring, files, clock, desk._throttle)
    who = [Contact(ContactKind.PHONE, f"+98912000000{n}", proven=bool(n % 2)) for n in range(4)]
    texts = [Inbound("sms", f"k{n}", f"{TEXT} {n}", contact=who[n % 4], line="main") for n in range(60)]
    found = await asyncio.gather(*(one.take(text) for text in texts for one in (desk, door)))
    assert len({receipt.code for receipt in found}) == 60 == sum(receipt.first for receipt in found)
    assert await scalar(store, amount(contact)) == 4
    lost = sa.select(sa.func.count()).select_from(ticket).where(ticket.c.contact.is_(None))
    assert await scalar(store, lost) == 0
    assert await scalar(store, amount(outbox)) == 60
    files.close()
    await other.close()


async def test_the_bell_is_heard_in_another_process(desk: Desk, store: Store, place: str, clock, tmp_path: Path):
    if store.dialect != "postgresql":
        pytest.skip("SQLite has one process")
    other = await _open(place, clock, tmp_path)
    count, number = other.doorbell.count, 0
    async with asyncio.timeout(20):
        while other.doorbell.count == count:  # its listening may not have begun when the first bell rang
            await desk.take(form(f"f{number}"))
            number += 1
            await other.doorbell.wait(count, timeout=0.2)
    await other.close()


# ---------------------------------------------------------------- opening, migrating


async def test_the_migrations_make_the_tables_of_the_code(store: Store):
    def differences(s):
        context = MigrationContext.configure(s, opts={"compare_server_default": False})
        return compare_metadata(context, metadata)

    assert await store.write(differences) == []


async def test_a_newer_schema_is_refused(store: Store, place: str, clock, tmp_path: Path):
    await store.write(lambda s: s.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'") and None)
    await store.close()
    with pytest.raises(_refusal(), match="newer program"):
        await _open(place, clock, tmp_path)


async def test_an_empty_database_is_refused_and_a_file_is_made(url: str, clock, tmp_path: Path):
    if url.startswith("sqlite"):
        opened = await _open(url, clock, tmp_path)
        assert await scalar(opened, sa.select(meta.c.value).where(meta.c.key == "base")) == "0"
        await opened.close()
    else:
        with pytest.raises(_refusal(), match="pasokh migrate"):
            await _open(await empty_database(url), clock, tmp_path)


async def test_migrating_twice_changes_nothing(place: str, tmp_path: Path, clock):
    await store.migrate(place, tmp_path)
    await store.migrate(place, tmp_path)
    opened = await _open(place, clock, tmp_path)
    await opened.close()


async def test_a_second_writer_is_refused_and_told_who_has_it(store: Store, place: str, clock, tmp_path: Path):
    if store.dialect != "sqlite":
        pytest.skip("PostgreSQL takes many")
    with pytest.raises(_refusal(), match=f"in use by process {os.getpid()}"):
        await _open(place, clock, tmp_path)


async def test_what_is_no_store_is_refused(clock, tmp_path: Path):
    with pytest.raises(_refusal(), match="must begin with"):
        await _open("mysql://x", clock, tmp_path)
    with pytest.raises(_refusal(), match="does not answer"):
        await _open("postgresql://nobody@127.0.0.1:1/x", clock, tmp_path)


async def test_sqlite_keeps_each_commit_on_disk(store: Store):
    if store.dialect != "sqlite":
        pytest.skip("PostgreSQL's own settings are checked at start")

    def settings(s):
        names = ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        return [s.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names]

    assert await store.write(settings) == ["wal", 2, 1, 1]


def _refusal() -> type[Exception]:
    return store.Refusal


# ---------------------------------------------------------------- kill -9


async def test_nothing_acknowledged_is_lost_by_kill_9(place: str, clock, tmp_path: Path, ring: Keyring):
    told: dict[str, tuple[str, str]] = {}
    for turn, enough in enumerate((40, 150, 90)):
        told |= await _hammer(place, tmp_path, f"r{turn}", enough)
    opened = await store.open(place, clock, tmp_path, ring.key("chain"))
    files = Files(tmp_path / "files", ring, opened)
    try:
        await _check(opened, files, told)
    finally:
        files.close()
        await opened.close()


async def _hammer(place: str, folder: Path, start: str, enough: int) -> dict[str, tuple[str, str]]:
    """Run the program until it has acknowledged `enough`, kill it, return all it printed."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.core.hammer", place, str(folder), start,
        stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert child.stdout is not None
    lines = [await asyncio.wait_for(child.stdout.readline(), 60) for _ in range(enough)]
    child.send_signal(signal.SIGKILL)
    lines += (await child.stdout.read()).splitlines()
    assert await child.wait() == -signal.SIGKILL, "it ended by itself"
    whole = [line.decode().split() for line in lines]
    return {parts[0]: (parts[1], parts[2]) for parts in whole if len(parts) == 3}


async def _check(opened: Store, files: Files, told: dict[str, tuple[str, str]]) -> None:
    def stored(s):
        ask = (
            sa.select(seen_table.c.ref, codes.c.value)
            .join(message, message.c.id == seen_table.c.message)
            .join(codes, codes.c.ticket == message.c.ticket)
        )
        return {row.ref: row.value for row in s.execute(ask)}

    known = await opened.read(stored)
    for ref, (code, key) in told.items():
        assert known[blake2b(f"web\0{ref}".encode(), digest_size=16).digest()] == code, ref
        if key != "-":
            assert (await files.read(key)).decode() == f"پیام {ref}"
    assert await files.missing() == []
    assert (await verify_all(opened)).broken == []
    assert await scalar(opened, amount(file)) >= sum(key != "-" for _, key in told.values())
