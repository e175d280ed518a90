"""Automatic letters are rationed by sender, ticket, domain and in all, on both stores, across restarts."""

from __future__ import annotations

import logging

from core import automatic
from core.automatic import OTHER, RECEIPT, Wish, domain_of

HERE = domain_of("sara@Mailbox.example")


def wish(number: int, sender: str = "sara", kind: str = RECEIPT, ticket: int = 0, domain: bytes = HERE) -> Wish:
    return Wish(number, kind, sender.encode().ljust(16), domain, ticket or number)


def far(number: int) -> bytes:
    return domain_of(f"a@{number // 20}.example")


async def granted(store, clock, *wishes: Wish) -> set[int]:
    return await store.write(automatic.grant, list(wishes), clock.now())


async def test_five_receipts_a_sender_in_any_24_hours(store, clock):
    for number in range(1, 6):
        assert await granted(store, clock, wish(number)) == {number}
        clock.advance(3600)
    assert await granted(store, clock, wish(6), wish(7, "reza")) == {7}
    clock.advance(19 * 3600 - 1)
    assert await granted(store, clock, wish(8)) == set()
    clock.advance(2)
    assert await granted(store, clock, wish(9)) == {9}
    assert await granted(store, clock, wish(10)) == set(), "the window slides: it does not open at once"


async def test_who_answers_within_a_minute_is_told_nothing(store, clock):
    assert await granted(store, clock, wish(1), wish(2)) == {1}
    clock.advance(59)
    assert await granted(store, clock, wish(3)) == set()
    clock.advance(2)
    assert await granted(store, clock, wish(4)) == {4}


async def test_other_sentences_go_to_who_got_none_today_and_three_a_ticket(store, clock):
    assert await granted(store, clock, wish(1, kind=OTHER, ticket=7)) == {1}
    clock.advance(3600)
    assert await granted(store, clock, wish(2, kind=OTHER, ticket=8)) == set()
    for number in (3, 4):
        clock.advance(86_400)
        assert await granted(store, clock, wish(number, kind=OTHER, ticket=7)) == {number}
    clock.advance(86_400)
    assert await store.write(automatic.forget, clock.now()) == 0
    assert await granted(store, clock, wish(5, kind=OTHER, ticket=7), wish(6, "reza", OTHER, 8)) == {6}


async def test_thirty_a_minute_to_one_domain(store, clock):
    many = [wish(number, f"s{number}") for number in range(1, 41)]
    assert len(await granted(store, clock, *many)) == 30
    assert await granted(store, clock, wish(50, "x", domain=domain_of("a@b.ir"))) == {50}
    clock.advance(61)
    assert await granted(store, clock, wish(51, "y")) == {51}


async def test_after_three_hundred_in_a_minute_all_is_held_back_and_somebody_told(store, clock, caplog):
    many = [wish(number, f"s{number}", domain=far(number)) for number in range(1, 302)]
    assert len(await granted(store, clock, *many)) == 300
    assert [record.levelno for record in caplog.records if record.name == "core.automatic"] == [logging.ERROR]
    clock.advance(14 * 60)
    assert await granted(store, clock, wish(400, "z")) == set()
    assert await store.read(automatic.shut_since, clock.now()) is not None
    clock.advance(2 * 60)
    assert await granted(store, clock, wish(401, "z")) == {401}
    assert await store.read(automatic.shut_since, clock.now()) is None


async def test_receipts_are_forgotten_after_a_day(store, clock):
    await granted(store, clock, wish(1), wish(2, "reza"))
    clock.advance(86_401)
    assert await store.write(automatic.forget, clock.now()) == 2
