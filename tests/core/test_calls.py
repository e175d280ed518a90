"""Records of calls: once each, on the history of the number that called."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import sqlalchemy as sa

from core import calls, people, seed
from core.channels import CallRecord, Contact, ContactKind, Inbound
from core.cipher import Keyring
from core.files import Files
from core.schema import call, event
from core.showing import ticket_of
from core.tidy import DAY, tidy

NUMBER = Contact(ContactKind.PHONE, "+989120000000", True)


def record(ref: str, who: Contact | None = NUMBER, **facts) -> CallRecord:
    return CallRecord(ref, "main", "1888", 1_700_000_000_000, 65, "caller", who, None, {"path": ["main"], **facts})


def rows(s):
    return s.execute(sa.select(call)).mappings().all()


async def test_a_call_is_kept_once_whatever_is_repeated(desk, store):
    await desk.call_over(record("a", operator="sara"))
    await desk.call_over(record("a", operator="ali"))
    [row] = await store.read(rows)
    assert (row["seconds"], row["way"], row["facts"]["operator"], row["proven"]) == (65, "caller", "sara", True)
    assert b"989120000000" not in bytes(row["blind"])


async def test_a_withheld_number_leaves_a_record_of_nobody(desk, store):
    await desk.call_over(record("a", None))
    [row] = await store.read(rows)
    assert row["blind"] is None


async def test_the_ticket_shows_the_calls_of_its_own_number_only(desk, store, config):
    await seed.seed(store, config)
    receipt = await desk.take(Inbound("phone", "x-1", text="شکایت", contact=NUMBER))
    await desk.call_over(record("a"))
    await desk.call_over(record("b", Contact(ContactKind.PHONE, "+989120000001", True)))
    await desk.call_over(record("c", None))
    boss = await people.actor(store, "secretary")
    shown = await ticket_of(store, boss, receipt.ticket)
    assert [one.facts["path"] for one in shown.calls] == [["main"]]
    assert shown.calls[0].seconds == 65


async def test_records_past_their_time_go_and_their_ticket_says_so(desk, store, config, tmp_path):
    await seed.seed(store, config)
    receipt = await desk.take(Inbound("phone", "x-1", text="شکایت", contact=NUMBER))
    for ref in "abc":
        await desk.call_over(replace(record(ref), ticket=receipt.ticket))
    await desk.call_over(record("withheld", None))
    young = replace(record("young"), began_at=1_700_000_000_000 + 30 * DAY, ticket=receipt.ticket)
    await desk.call_over(young)
    before = 1_700_000_000_000 + DAY
    assert [await store.write(partial(calls.forget, now=before, most=3), before) for _ in range(3)] == [3, 1, 0]
    assert [row["ref"] for row in await store.read(rows)] == ["young"]
    told = [row for row in await store.read(of_events) if row["kind"] == "calls_forgotten"]
    assert sum(row["data"]["calls"] for row in told) == 3
    assert {row["actor"] for row in told} == {"system"}


async def test_how_long_records_are_kept_is_a_setting(desk, store, tmp_path, config):
    files = Files(tmp_path / "files", Keyring({1: b"k" * 32}), store)
    await desk.call_over(record("a"))
    began = 1_700_000_000_000
    await tidy(store, files, began + 9 * DAY, 10)
    assert len(await store.read(rows)) == 1
    assert await tidy(store, files, began + 9 * DAY, 8) == 1
    assert await store.read(rows) == []
    files.close()
    assert config.settings.retention.calls_days == 730


def of_events(s):
    return s.execute(sa.select(event)).mappings().all()


@pytest.mark.parametrize("seconds", [0, 86_400])
async def test_any_length_is_kept(desk, store, seconds):
    await desk.call_over(CallRecord("a", "main", "1888", 0, seconds, "us"))
    assert [row["seconds"] for row in await store.read(rows)] == [seconds]
