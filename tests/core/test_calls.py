"""Records of calls: once each, on the history of the number that called."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from core import people, seed
from core.channels import CallRecord, Contact, ContactKind, Inbound
from core.schema import call
from core.showing import ticket_of

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


@pytest.mark.parametrize("seconds", [0, 86_400])
async def test_any_length_is_kept(desk, store, seconds):
    await desk.call_over(CallRecord("a", "main", "1888", 0, seconds, "us"))
    assert [row["seconds"] for row in await store.read(rows)] == [seconds]
