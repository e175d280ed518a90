"""Wrong proofs: contacts and codes are shut, a whole channel is only made slower, and nobody honest is kept out."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import pytest

from core import codes, office
from core.channels import Act, Asker, Inbound
from core.clock import HandClock
from core.errors import Locked, NotFound
from core.intake import Desk
from core.model import Contact, ContactKind
from core.store import Store

PHONE = Contact(ContactKind.PHONE, "+989120000000", proven=True)
OTHER = Contact(ContactKind.PHONE, "+989120000001", proven=True)


def sms(ref: str, **more) -> Inbound:
    return Inbound("sms", ref, "آب قطع است", contact=PHONE, line="main", **more)


def wrong(pin: str) -> str:
    return "0000" if pin != "0000" else "1111"


@pytest.fixture
def waited(desk: Desk, store: Store) -> list[float]:
    """Seconds that guesses were made to wait, instead of waiting."""
    told: list[float] = []

    async def sleep(seconds: float) -> None:
        told.append(seconds)

    office.bind(store, replace(office.of(store), sleep=sleep))
    return told


async def spoil(desk: Desk, channel: str = "web", many: int = 200) -> None:
    """Somebody with many addresses guesses codes nobody has."""
    for number in range(many):
        assert await desk.answer_for(codes.new(), Asker(channel, f"192.0.2.{number}", proof="1234")) is None


async def test_a_channel_full_of_guesses_is_slower_but_honest_people_are_served(
    desk: Desk, waited: list[float], caplog, clock: HandClock
):
    receipt = await desk.take(sms("k"))
    await spoil(desk)
    assert waited == []
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            honest = await desk.answer_for(receipt.code, Asker("web", f"198.51.100.{number}", proof=receipt.pin))
            assert honest is not None and honest.proven
    assert len(waited) == 3 and all(0 < seconds <= 5 for seconds in waited)
    add = Inbound("web", "a", "افزوده", act=Act.ADD, code=receipt.code, proof=receipt.pin)
    assert (await desk.take(add)).ticket == receipt.ticket
    assert len(waited) == 4
    assert [record.channel for record in caplog.records if "guesses" in record.message] == ["web"]
    own = await desk.answer_for(receipt.code, Asker("web", PHONE.value, contact=PHONE))
    assert own is not None and own.proven and len(waited) == 4


@pytest.mark.slow
async def test_the_alert_comes_again_after_an_hour_not_before(desk: Desk, waited, caplog, clock: HandClock):
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            await spoil(desk, many=210)
            clock.advance(1800)
            await spoil(desk, many=210)
            clock.advance(1801)
    assert sum("guesses" in record.message for record in caplog.records) == 2


async def test_a_contact_that_guesses_is_shut_out_though_the_channel_is_not(desk: Desk, waited):
    receipt = await desk.take(sms("k"))
    asker = Asker("sms", OTHER.value, contact=OTHER, proof=wrong(receipt.pin))
    for _ in range(10):
        await desk.answer_for(codes.new(), asker)
    with pytest.raises(Locked):
        await desk.answer_for(receipt.code, asker)
    own = await desk.answer_for(receipt.code, Asker("sms", PHONE.value, contact=PHONE))
    assert own is not None and own.proven


async def test_a_proven_number_may_not_guess_the_pin_of_somebody_elses_ticket(desk: Desk):
    receipt = await desk.take(sms("k"))
    guess = Inbound("phone", "g", act=Act.WITHDRAW, code=receipt.code, contact=OTHER, proof=wrong(receipt.pin))
    for number in range(10):
        with pytest.raises(NotFound):
            await desk.take(replace(guess, ref=f"g{number}"))
    with pytest.raises(Locked):
        await desk.take(replace(guess, ref="right", proof=receipt.pin))
    own = replace(guess, ref="own", contact=PHONE, proof=wrong(receipt.pin), act=Act.ADD, text="افزوده")
    assert (await desk.take(own)).ticket == receipt.ticket


async def test_a_thousand_guesses_at_once_are_ten_guesses(desk: Desk):
    receipt = await desk.take(sms("k"))
    pins = [f"{pin:04}" for pin in range(1000) if f"{pin:04}" != receipt.pin]
    guesses = [Inbound("web", pin, act=Act.WITHDRAW, code=receipt.code, proof=pin) for pin in pins]
    found = await asyncio.gather(*(desk.take(guess) for guess in guesses), return_exceptions=True)
    assert sum(isinstance(one, NotFound) for one in found) == 10
    assert sum(isinstance(one, Locked) for one in found) == len(pins) - 10


@pytest.mark.parametrize("proof", ["\ud800", "\x00", "1" * 100_000, "۱۲۳۴", "@", "\u202e1234"])
async def test_a_proof_may_be_any_text(desk: Desk, proof: str):
    receipt = await desk.take(sms("k"))
    told = await desk.answer_for(receipt.code, Asker("web", "192.0.2.1", proof=proof))
    assert told is not None and (not told.proven or proof == "۱۲۳۴")
    with pytest.raises(NotFound):
        await desk.take(Inbound("web", "a", "x", act=Act.ADD, code=codes.new(), proof=proof))
    with pytest.raises(NotFound):
        await desk.take(Inbound("web", "b", "x", act=Act.ADD, code=receipt.code, proof=f"{proof}\ud800"))


async def test_an_unknown_code_takes_the_same_questions_to_the_store(desk: Desk, store: Store):
    """As many statements for a code nobody has as for one with a wrong PIN."""
    import sqlalchemy as sa

    receipt = await desk.take(sms("k"))
    asked: list[str] = []
    backend = store._backend
    engine = backend._reading if store.dialect == "sqlite" else backend._engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", lambda c, cursor, sql, *more: asked.append(sql))
    await desk.answer_for(receipt.code, Asker("web", "192.0.2.1", proof=wrong(receipt.pin)))
    known = len(asked)
    await desk.answer_for(codes.new(), Asker("web", "192.0.2.1", proof=wrong(receipt.pin)))
    assert len(asked) == 2 * known
