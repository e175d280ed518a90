"""The second factor: RFC 6238's own codes, each taken once, recovery codes, misses, resetting; on both stores."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core import factors, office, people, schema
from core.errors import NotFound, WrongState
from core.people import Denied, Enrolled, NeedSecond
from core.views import Session
from tests.core.staff.conftest import World

PASSWORD = "گذرواژهٔ بلند نمونه"
PEER = "192.0.2.7"
RFC = (  # RFC 6238 appendix B, SHA-1, the last six digits
    (59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"),
    (2000000000, "279037"), (20000000000, "353130"),
)  # fmt: skip


@pytest.mark.parametrize(("at", "wanted"), RFC)
def test_codes_are_those_of_the_rfc(at, wanted):
    assert factors.code(b"12345678901234567890", at // factors.STEP) == wanted


def now(world: World, secret: bytes, drift: int = 0) -> str:
    return factors.code(secret, world.clock.now() // 1000 // factors.STEP + drift)


async def half(world: World, login: str = "services") -> NeedSecond:
    found = await people.sign_in(world.store, login, PASSWORD, PEER)
    assert isinstance(found, NeedSecond), found
    return found


async def enrolled(world: World) -> tuple[int, bytes, tuple[str, ...]]:
    """Staff number, secret, recovery codes of somebody who has just signed in for the first time."""
    await people.set_password(world.store, "services", PASSWORD)
    found = await half(world)
    assert found.enrols
    secret = await factors.begin(world.store, found.staff)
    assert await factors.begin(world.store, found.staff) == secret, "the same until it is confirmed"
    done = await people.second(world.store, found.staff, now(world, secret), PEER)
    assert isinstance(done, Enrolled)
    return found.staff, secret, done.recovery


async def test_the_first_right_code_enrols_and_a_code_works_once(world: World):
    number, secret, recovery = await enrolled(world)
    assert len(set(recovery)) == 10
    assert not (await half(world)).enrols
    used = now(world, secret)
    assert isinstance(await people.second(world.store, number, used, PEER), Denied), "a code works once"
    world.clock.advance(30)
    fresh = now(world, secret)
    found = await asyncio.gather(*(people.second(world.store, number, fresh, PEER) for _ in range(2)))
    assert sorted(type(one).__name__ for one in found) == ["Denied", "Session"]
    with pytest.raises(WrongState):
        await factors.begin(world.store, number)


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
async def test_a_telephone_may_be_half_a_minute_off_and_no_more(world: World):
    number, secret, _ = await enrolled(world)
    for ahead, drift in ((300, -1), (300, 1), (300, 0)):
        world.clock.advance(ahead)
        assert isinstance(await people.second(world.store, number, now(world, secret, drift), PEER), Session)
    for drift in (-2, 2):
        world.clock.advance(300)
        assert isinstance(await people.second(world.store, number, now(world, secret, drift), PEER), Denied)


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
async def test_persian_digits_and_blanks_are_read(world: World):
    number, secret, _ = await enrolled(world)
    world.clock.advance(60)
    typed = now(world, secret).translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"))
    assert isinstance(await people.second(world.store, number, f" {typed[:3]} {typed[3:]} ", PEER), Session)


async def test_a_recovery_code_works_once_however_it_is_typed(world: World):
    number, secret, recovery = await enrolled(world)
    typed = recovery[3].lower().replace("-", " ")
    assert isinstance(await people.second(world.store, number, typed, PEER), Session)
    assert isinstance(await people.second(world.store, number, typed, PEER), Denied)
    assert (await factors.standing(world.store, number)).left == 9
    world.clock.advance(60)
    who = await world.who("services")
    renewed = await people.prove(world.store, who, now(world, secret), PEER)
    assert isinstance(renewed, tuple)
    assert not set(renewed) & set(recovery)
    assert isinstance(await people.second(world.store, number, recovery[0], PEER), Denied)
    (row,) = await world.rows(schema.factor)
    kept = f"{row['recovery']} {row['secret']!r}"
    assert secret not in bytes(row["secret"])
    assert not any(one.replace("-", "") in kept for one in renewed)


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
async def test_five_misses_shut_the_account_and_the_password_does_not_open_it_again(world: World):
    number, secret, _ = await enrolled(world)
    world.clock.advance(60)
    for n in range(5):
        assert isinstance(await people.second(world.store, number, f"{n:06}", f"192.0.2.{n}"), Denied)
        await people.sign_in(world.store, "services", PASSWORD, f"192.0.2.{n}")
    shut = await people.second(world.store, number, now(world, secret), PEER)
    assert isinstance(shut, Denied)
    assert shut.after > 0
    assert isinstance(await people.sign_in(world.store, "services", PASSWORD, PEER), Denied)


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
async def test_a_reset_ends_the_sessions_and_asks_to_enrol(world: World):
    number, secret, _ = await enrolled(world)
    world.clock.advance(60)
    session = await people.second(world.store, number, now(world, secret), PEER)
    assert isinstance(session, Session)
    await factors.reset(world.store, "services")
    assert await people.session_of(world.store, session.token) is None
    assert (await half(world)).enrols
    assert await factors.begin(world.store, number) != secret
    with pytest.raises(NotFound):
        await factors.reset(world.store, "nobody")


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
async def test_where_it_is_optional_only_those_who_have_one_are_asked(world: World):
    settings = replace(world.office.config.settings, second_factor="optional")
    office.bind(world.store, replace(world.office, config=replace(world.office.config, settings=settings)))
    await people.set_password(world.store, "services", PASSWORD)
    session = await people.sign_in(world.store, "services", PASSWORD, PEER)
    assert isinstance(session, Session)
    secret = await factors.begin(world.store, session.actor.staff)
    assert isinstance(await people.sign_in(world.store, "services", PASSWORD, PEER), Session), "not confirmed yet"
    assert await people.prove(world.store, session.actor, now(world, secret), PEER)
    assert not (await half(world)).enrols
