"""Magfa and Melipayamak against made-up ones over TLS: what each can and cannot do, and texts there and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from core.channels import DeliveryState, RawRequest, Sent, Unknown
from sms.providers import base
from sms.providers import magfa as magfa_provider
from sms.providers import melipayamak as meli_provider
from sms.providers.base import Accepted, Arrival, Doubt, Rejected, Report, Text
from tests.sms.conftest import Heard
from tests.sms.house import LINE, SECRET, House, house, outbound
from tests.worlds import kavenegar as tls
from tests.worlds import magfa as magfa_world
from tests.worlds import melipayamak as meli_world
from tests.worlds.network import Network

ME, NUMBER = "09120000001", "30001234"


async def serve(world: ModuleType, folder: Path) -> tuple[Network, web.AppRunner, dict[str, str]]:
    """A made-up provider on a free port, and the fields of its table in lines.toml."""
    network = Network(folder / "world", "")
    context, authority = tls.certificate(folder)
    runner = web.AppRunner(world.application(network), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    (folder / "password").write_text(world.PASSWORD + "\n")
    table = {"user": world.USER, "password_file": str(folder / "password"), "ca_file": str(authority)}
    return network, runner, {**table, "host": f"127.0.0.1:{runner.addresses[0][1]}"}


@pytest_asyncio.fixture(loop_scope="session")
async def magfa(tmp_path: Path) -> AsyncIterator[tuple[Network, magfa_provider.Magfa]]:
    network, runner, table = await serve(magfa_world, tmp_path)
    made = magfa_provider.make("magfa", magfa_provider.Settings("magfa", **table))
    await made.start(Heard())
    yield network, made
    await made.stop(0)
    await runner.cleanup()
    await network.close()


@pytest_asyncio.fixture(loop_scope="session")
async def meli(tmp_path: Path) -> AsyncIterator[tuple[Network, meli_provider.Melipayamak]]:
    network, runner, table = await serve(meli_world, tmp_path)
    made = meli_provider.make("meli", meli_provider.Settings("melipayamak", **table))
    await made.start(Heard())
    yield network, made
    await made.stop(0)
    await runner.cleanup()
    await network.close()


def batch(n: int) -> list[Text]:
    return [Text(k, f"+9891200{k:05d}", NUMBER, f"متن {k}", "answer") for k in range(1, n + 1)]


# ---------------------------------------------------------------- Magfa


async def test_magfa_answers_in_any_order_and_each_text_has_its_own(magfa):
    network, made = magfa
    network.blocked = {"09120000002": 0}
    outcomes = await made.send([*batch(3), Text(9, "+982433000000", NUMBER, "x", "answer")])
    assert [type(each) for each in outcomes] == [Accepted, Rejected, Accepted, Rejected]
    assert isinstance(outcomes[1].error, base.Blocked)
    assert isinstance(outcomes[3].error, base.BadRecipient)
    assert outcomes[0].cost == 1200


@pytest.mark.parametrize("fault", ["reset_after", "html", "bare", "cut", "empty"])
async def test_magfa_is_asked_by_our_own_numbers_after_a_doubt(magfa, fault):
    network, made = magfa
    network.faults["send"] = [fault]
    assert all(isinstance(each, Doubt) for each in await made.send(batch(2)))
    found = await made.find([1, 2, 3])
    assert [bool(found[key]) for key in (1, 2, 3)] == [True, True, False]
    await made.send(batch(2))
    assert len(network.sent.rows) == 2


MAGFA = {
    base.Throttled: (8, 15, 23), base.AuthOrConfig: (2, 16, 17, 18, 19, 20, 22, 29, 34), base.NoCredit: (14,),
    base.BadRecipient: (1, 28), base.Blocked: (27, 33), base.BadContent: (3, 13, 30), base.Bug: (4, 6, 25, 31, 101),
    base.Ambiguous: (99,),
}  # fmt: skip


@pytest.mark.parametrize(("code", "kind"), [(code, kind) for kind, codes in MAGFA.items() for code in codes])
async def test_a_status_of_magfa_is_its_class_of_error(magfa, code, kind):
    network, made = magfa
    network.faults["send"] = [str(code)]
    (outcome,) = await made.send(batch(1))
    assert type(outcome.error) is kind
    assert network.sent.rows == []


async def test_magfa_is_polled_for_texts_and_states_and_asked_for_credit(magfa):
    network, made = magfa
    await network.text(ME, NUMBER, "آب قطع است")
    (arrival,) = await made.poll(NUMBER, None)
    assert (arrival.id, arrival.sender, arrival.to, arrival.text) == (None, "+989120000001", NUMBER, "آب قطع است")
    assert arrival.at is not None
    assert abs(arrival.at / 1000 - network.inbox.rows[0]["date"]) < 2
    assert await made.poll(NUMBER, None) == []
    (sent,) = await made.send(batch(1))
    assert await made.status([sent.ref]) == [Report(sent.ref, DeliveryState.DELIVERED)]
    assert (await made.credit()).rial == network.credit


# ---------------------------------------------------------------- Melipayamak


async def test_melipayamak_sends_one_by_one_and_a_lost_answer_is_a_doubt_for_a_person(meli, tmp_path):
    network, made = meli
    network.faults["SendSMS"] = ["reset_after"]
    first, second = await made.send(batch(2))
    assert {type(first), type(second)} == {Doubt, Accepted}
    with pytest.raises(base.Ambiguous):
        await made.find([1])


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("0", base.AuthOrConfig), ("2", base.NoCredit), ("3", base.Throttled), ("14", base.BadContent),
        ("16", base.BadRecipient), ("77", base.Ambiguous),
    ],
)  # fmt: skip
async def test_a_value_of_melipayamak_is_its_class_of_error(meli, code, kind):
    network, made = meli
    network.faults["SendSMS"] = [code]
    (outcome,) = await made.send(batch(1))
    assert type(outcome.error) is kind


async def test_melipayamak_tells_states_and_reads_pushes_without_an_id(meli):
    _, made = meli
    (sent,) = await made.send(batch(1))
    assert await made.status([sent.ref]) == [Report(sent.ref, DeliveryState.DELIVERED)]
    push = RawRequest("GET", {"From": ME, "To": NUMBER, "Text": "سلام"}, {}, b"", "127.0.0.1")
    assert made.read_push(push) == [Arrival(None, ME, NUMBER, "سلام")]
    with pytest.raises(ValueError, match="without"):
        made.read_push(RawRequest("GET", {"to": NUMBER}, {}, b"", "127.0.0.1"))


# ---------------------------------------------------------------- through the channel


async def story(home: House, get: Any) -> None:
    """Keywords over a provider: a ticket, its state, an addition, an answer accepted by one digit."""
    await get("آب کوچه قطع است")
    code = await home.code()
    await get(code)
    await get(f"{code} سه روز است")
    await home.answered()
    await get(f"{code} ۳۱")
    assert await home.keys() == ["received", "state", "added", "accepted"]
    assert [row["state"] for row in await home.tickets()] == ["closed"]


async def test_the_keywords_over_magfa_by_polling(tmp_path: Path):
    network, runner, table = await serve(magfa_world, tmp_path)
    lines = {"line": {"main": {**LINE, "providers": ["m"]}}, "provider": {"m": {"kind": "magfa", **table}}}
    async with house(tmp_path, lines) as home:

        async def get(words: str) -> None:
            await network.text(ME, NUMBER, words)
            await home.channel.fetch("main", 0)

        await story(home, get)
        sent = await home.channel.send(outbound())
        assert isinstance(sent, Sent)
        network.faults["send"] = ["reset_after"]
        assert isinstance(await home.channel.send(outbound(id=6)), Unknown)
        assert (await home.channel.send(outbound(id=6, in_doubt=True))).found
        assert len(network.sent.rows) == 2
    await runner.cleanup()
    await network.close()


async def test_the_keywords_over_melipayamak_by_pushes_without_id_and_polls_of_the_same(tmp_path: Path):
    network, runner, table = await serve(meli_world, tmp_path)
    lines = {"line": {"main": {**LINE, "providers": ["m"]}}, "provider": {"m": {"kind": "melipayamak", **table}}}
    async with house(tmp_path, lines) as home:

        async def get(words: str) -> None:
            await network.text(ME, NUMBER, words)
            push = RawRequest("GET", {"from": ME, "to": NUMBER, "text": words}, {}, b"", "127.0.0.1")
            answers = await asyncio.gather(*(home.channel.hook("main", SECRET, push) for _ in range(3)))
            assert {answer.status for answer in answers} == {200}
            await home.channel.fetch("main", 0)

        await story(home, get)
        assert isinstance(await home.channel.send(outbound()), Sent)
        network.faults["SendSMS"] = ["reset_after"]
        since = home.clock.now()
        assert isinstance(await home.channel.send(outbound(id=6)), Unknown)
        home.clock.advance(900)
        parked = await home.channel.send(outbound(id=6, in_doubt=True, doubt_at=since))
        assert parked.park
    await runner.cleanup()
    await network.close()
