"""What providers and forgers may send to the call-back address and answer to us: each is named, nothing is lost."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from core.channels import RawReply, RawRequest
from core.schema import delivery
from tests.sms.house import LINE, SECRET, House, house
from tests.worlds.kavenegar import Network

WORDS = {"messageid": "5", "from": "09120000001", "to": "30001234", "message": "آب کوچه قطع است"}


@pytest.fixture
def lines(tmp_path, network: Network):
    key = tmp_path / "key"
    key.write_text(network.key)
    way = {"kind": "kavenegar", "key_file": str(key), "host": network.host, "ca_file": str(network.authority)}
    return {"line": {"main": {**LINE, "providers": ["k"]}}, "provider": {"k": way}}


async def push(here: House, fields: object, secret: str = SECRET, kind: str = "application/json") -> RawReply:
    body = json.dumps(fields).encode() if kind == "application/json" else str(fields).encode()
    return await here.channel.hook("main", secret, RawRequest("POST", {}, {"content-type": kind}, body, "127.0.0.1"))


async def _rows(here: House, ask: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await here.store.read(lambda s: s.execute(sa.text(ask)).all())]


@pytest.mark.parametrize("gone", ["from", "message"])
async def test_a_missing_field_is_kept_raw_and_becomes_a_ticket(tmp_path, lines, gone):
    async with house(tmp_path, lines) as here:
        told = await push(here, {name: value for name, value in WORDS.items() if name != gone})
        assert told.status == 200
        assert len(await here.tickets()) == 1
        ((kept,),) = await _rows(here, "SELECT bytes FROM raw")
        assert b"09120000001" in kept or b"messageid" in kept
        assert await here.keys() == [], "nobody is told"


async def test_without_our_number_or_an_id_it_is_a_ticket_all_the_same(tmp_path, lines):
    async with house(tmp_path, lines) as here:
        for _ in range(2):
            await push(here, {"sender": WORDS["from"], "message": WORDS["message"]})
        assert await here.texts() == [WORDS["message"]]


async def test_of_a_repeated_field_the_last_counts(tmp_path, lines):
    async with house(tmp_path, lines) as here:
        form = urlencode([("from", "09350000009"), *WORDS.items(), ("message", "برق کوچه قطع است")])
        assert (await push(here, form, kind="application/x-www-form-urlencoded")).status == 200
        assert await here.texts() == ["برق کوچه قطع است"]


async def test_a_forged_push_is_404_and_a_replayed_one_the_same_ticket(tmp_path, lines):
    async with house(tmp_path, lines) as here:
        assert (await push(here, WORDS, secret=SECRET[:-1] + "x")).status == 404
        assert await here.tickets() == []
        for _ in range(3):
            assert (await push(here, WORDS)).status == 200
        assert (len(await here.tickets()), await here.keys()) == (1, ["received"])


async def test_a_known_id_with_other_words_is_a_new_message_and_marked(tmp_path, lines):
    async with house(tmp_path, lines) as here:
        await push(here, WORDS)
        await push(here, {**WORDS, "message": "برق کوچه قطع است"})
        assert sorted(await here.texts()) == sorted([WORDS["message"], "برق کوچه قطع است"])
        marked = await _rows(here, "SELECT text FROM message WHERE marks LIKE '%same_id%'")
        assert marked == [("برق کوچه قطع است",)]


@pytest.mark.parametrize("number", ["77", "0", "no number", "9" * 30])
async def test_a_report_of_an_unknown_id_waits_and_makes_no_ticket(tmp_path, lines, number):
    async with house(tmp_path, lines) as here:
        assert (await push(here, {"messageid": number, "status": "10"})).status == 200
        waiting = await here.store.read(lambda s: s.execute(sa.select(delivery.c.ref, delivery.c.outbox)).all())
        tickets = await here.tickets()
        if number in ("0", "no number"):  # no report at all: kept as it came, for the desk
            assert (list(waiting), len(tickets)) == ([], 1)
        else:
            assert (list(waiting), len(tickets)) == ([(f"k:{number}", None)], 0)


@pytest.mark.parametrize("status", ["", "x", "10.5", "1" * 20])
async def test_a_report_of_no_known_state_changes_nothing(tmp_path, lines, status):
    async with house(tmp_path, lines) as here:
        assert (await push(here, {"messageid": "5", "status": status})).status == 200
        assert await here.store.read(lambda s: s.execute(sa.select(delivery)).all()) == []
