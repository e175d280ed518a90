"""Accounts, sign-in, sessions, tokens, and the list of what did not get out."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core import desk, office, out, outbox, outcomes, people, schema, seed
from core.channels import Refused, Unknown
from core.errors import NotAllowed, NotFound, WrongInput, WrongState
from core.people import Denied
from core.views import Session
from tests.core.staff.conftest import World

PASSWORD = "باران-در-کوه ۱۴۰۴"
PEER = "192.0.2.9"


@pytest.fixture(autouse=True)
def by_password_alone(world: World) -> None:
    """As on the loopback demo; the second factor has its own file, test_factors.py."""
    settings = replace(world.office.config.settings, second_factor="optional")
    world.office = replace(world.office, config=replace(world.office.config, settings=settings))
    office.bind(world.store, world.office)


async def signed_in(world: World, login: str = "subscribers") -> Session:
    await people.set_password(world.store, login, PASSWORD)
    found = await people.sign_in(world.store, login, PASSWORD, PEER)
    assert isinstance(found, Session)
    return found


async def test_seeding_twice_changes_nothing(world: World):
    before = [await world.rows(table) for table in (schema.unit, schema.staff, schema.grant)]
    await seed.seed(world.store, world.office.config)
    after = [await world.rows(table) for table in (schema.unit, schema.staff, schema.grant)]
    assert before == after
    assert {row["login"] for row in after[1]} == set(world.office.config.staff)


async def test_nobody_signs_in_before_a_password_is_set(world: World):
    for password in ("", "!", "هرچه"):
        assert isinstance(await people.sign_in(world.store, "subscribers", password, PEER), Denied)


async def test_the_right_password_opens_a_session_and_signing_out_ends_it(world: World):
    made = await signed_in(world)
    assert made.actor.login == "subscribers"
    assert made.actor.grants[0].unit == "subscribers"
    kept = (await world.rows(schema.session))[0]
    assert made.token.encode() not in kept["hash"]
    again = await people.session_of(world.store, made.token)
    assert again is not None
    assert (again.actor, again.csrf, again.token) == (made.actor, made.csrf, "")
    assert await people.session_of(world.store, made.token + "x") is None
    await people.sign_out(world.store, made.token)
    assert await people.session_of(world.store, made.token) is None


async def test_a_session_ends_when_idle_and_in_any_case_after_twelve_hours(world: World):
    made = await signed_in(world)
    for _ in range(26):
        world.clock.advance(25 * 60)
        found = await people.session_of(world.store, made.token)
        if world.clock.now() < made.ends_at:
            assert found is not None
    assert world.clock.now() < made.ends_at
    world.clock.advance(29 * 60)
    assert await people.session_of(world.store, made.token) is not None
    world.clock.advance(31 * 60)
    assert await people.session_of(world.store, made.token) is None
    idle = await signed_in(world)
    world.clock.advance(30 * 60)
    assert await people.session_of(world.store, idle.token) is None


async def test_a_new_password_and_a_shut_account_end_sessions(world: World):
    made = await signed_in(world)
    world.clock.advance(1)
    await people.set_password(world.store, "subscribers", PASSWORD + "۲")
    assert await people.session_of(world.store, made.token) is None
    other = await signed_in(world)

    def shut(s):
        s.execute(schema.staff.update().where(schema.staff.c.login == "subscribers").values(active=False))

    await world.store.write(shut)
    assert await people.session_of(world.store, other.token) is None
    assert isinstance(await people.sign_in(world.store, "subscribers", PASSWORD, PEER), Denied)


async def test_five_misses_make_an_account_wait_and_known_names_look_like_unknown(world: World):
    await people.set_password(world.store, "subscribers", PASSWORD)
    for login in ("subscribers", "nobody"):
        told = [await people.sign_in(world.store, login, "نادرست", f"198.51.100.{n}") for n in range(6)]
        assert [one.after > 0 for one in told if isinstance(one, Denied)] == [False] * 4 + [True] * 2
    held = await people.sign_in(world.store, "subscribers", PASSWORD, PEER)
    assert isinstance(held, Denied)
    world.clock.advance(held.after + 1)
    assert isinstance(await people.sign_in(world.store, "subscribers", PASSWORD, PEER), Session)


async def test_guesses_at_once_are_counted_one_by_one(world: World):
    await people.set_password(world.store, "subscribers", PASSWORD)
    guesses = [*(f"نادرست {n}" for n in range(12)), PASSWORD]
    told = await asyncio.gather(
        *(people.sign_in(world.store, "subscribers", one, f"198.51.100.{n}") for n, one in enumerate(guesses))
    )
    assert isinstance(told[-1], Denied)
    assert told[-1].after > 0


async def test_twenty_misses_make_an_address_wait(world: World):
    await people.set_password(world.store, "subscribers", PASSWORD)
    for n in range(20):
        await people.sign_in(world.store, f"who{n}", "نادرست", PEER)
    assert isinstance(await people.sign_in(world.store, "subscribers", PASSWORD, PEER), Denied)
    assert isinstance(await people.sign_in(world.store, "subscribers", PASSWORD, "192.0.2.77"), Session)


async def test_weak_passwords_are_refused(world: World):
    for bad in ("کوتاه", "x" * 257, "my-subscribers-2025"):
        with pytest.raises(WrongInput):
            await people.set_password(world.store, "subscribers", bad)
    with pytest.raises(NotFound):
        await people.set_password(world.store, "nobody", PASSWORD)


async def test_ten_people_sign_in_at_once(world: World):
    await people.set_password(world.store, "subscribers", PASSWORD)
    made = await asyncio.gather(
        *(people.sign_in(world.store, "subscribers", PASSWORD, f"192.0.2.{n}") for n in range(10))
    )
    assert len({one.token for one in made if isinstance(one, Session)}) == 10


async def test_a_token_does_what_its_scopes_and_its_owner_may(world: World):
    token = await people.add_token(world.store, "subscribers", ["tickets.read"], "گزارش")
    assert token.startswith("pk_")
    who = await people.token_actor(world.store, token)
    assert who is not None
    ticket = await world.plant()
    assert (await desk.ticket(world.store, who, ticket)).events_allowed == frozenset()
    with pytest.raises(NotAllowed):
        await desk.take(world.store, who, ticket, 1)
    foreign = await world.plant(unit="permits")
    with pytest.raises(NotFound):
        await desk.ticket(world.store, who, foreign)
    writer = await people.token_actor(
        world.store, await people.add_token(world.store, "subscribers", ["tickets.write"])
    )
    assert writer is not None
    await desk.take(world.store, writer, ticket, 1)
    assert await people.token_actor(world.store, "pk_" + "x" * 43) is None
    with pytest.raises(WrongInput):
        await people.add_token(world.store, "subscribers", ["everything"])


async def test_a_token_ends_and_a_given_one_is_kept_once(world: World):
    given = "pk_" + "d" * 43
    for _ in range(2):
        await people.add_token(world.store, "desk", ["tickets.read"], "demo", world.clock.now() + 1000, given)
    assert await world.count(schema.api_token) == 1
    assert await people.token_actor(world.store, given) is not None
    world.clock.advance(2)
    assert await people.token_actor(world.store, given) is None


async def claim(world: World) -> outbox.Claimed:
    (one,) = await world.store.write(outbox.claim, "sms", 1, world.clock.now(), "w")
    return one


async def test_what_did_not_get_out_is_shown_until_somebody_deals_with_it(world: World):
    boss = await world.who("services")
    refused, parked = await world.plant(), await world.plant()
    for ticket, outcome in ((refused, Refused("blacklist")), (parked, Unknown("no answer", park=True))):
        await world.put(ticket)
        one = await claim(world)
        await world.store.write(outcomes.record, [outcomes.Result(one.id, one.fence, outcome)], world.clock.now())
    shown = await out.dead_with_tickets(world.store, boss)
    assert [(ticket, one.state, one.to) for ticket, one in shown] == [
        (refused, "failed", "+989120000000"), (parked, "parked", "+989120000000"),
    ]  # fmt: skip
    assert await out.dead(world.store, await world.who("permits")) == []
    with pytest.raises(NotFound):
        await out.resend(world.store, await world.who("permits"), shown[0][1].outbox)
    await out.by_hand(world.store, boss, shown[0][1].outbox)
    again = await out.resend(world.store, boss, shown[1][1].outbox)
    assert await out.dead(world.store, boss) == []
    assert (await claim(world)).id == again
    with pytest.raises(WrongState):
        await out.resend(world.store, boss, shown[0][1].outbox)
    with pytest.raises(NotFound):
        await out.by_hand(world.store, boss, 999_999_999)


async def test_known_unknown_and_shut_accounts_cost_one_check_each(world: World, monkeypatch):
    checked = []

    def counted(hashed: str, password: str) -> bool:
        checked.append(hashed.split("$")[:4])
        return real(hashed, password)

    real = people._fits
    monkeypatch.setattr(people, "_fits", counted)
    await people.set_password(world.store, "subscribers", PASSWORD)
    for login in ("subscribers", "nobody", "permits"):  # with a password, unknown, without one
        assert isinstance(await people.sign_in(world.store, login, "نادرست", PEER), Denied)
    assert len(checked) == 3
    assert checked[0] == checked[1]
