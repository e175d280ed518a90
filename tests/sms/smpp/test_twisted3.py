"""Our client bound to the server of an independent library: texts, parts, receipts, a wrong password."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from config.positions import Document, Where
from config.shape import read
from core.channels import DeliveryState
from sms.providers.base import Accepted, Arrival, LineState, Part, Report
from sms.providers.smpp import Settings
from sms.providers.smpp.provider import Smpp
from tests.sms.smpp import peers
from tests.sms.smpp.conftest import Desk, text, until

pytestmark = pytest.mark.peer
LONG = "آب خیابان نمونه از دیروز قطع است و کسی پاسخ نمی‌دهد. " * 4


def provider(folder: Path, port: int, **more: Any) -> Smpp:
    (folder / "password").write_text(more.pop("password", "secret"))
    table = {"kind": "smpp", "host": "127.0.0.1", "port": port, "system_id": "pasokh"}
    table |= {"password_file": str(folder / "password"), **more}
    return Smpp("op", read(Settings, table, Where(Document("lines.toml", {}))))


@pytest.mark.parametrize("bind", ["trx", "tx+rx"])
async def test_our_client_exchanges_texts_and_receipts_with_it(tmp_path: Path, reactor: Any, bind: str):
    peers.needed()
    with peers.server() as port:
        desk, made = Desk(reactor, str(tmp_path)), provider(tmp_path, port, bind=bind)
        await made.start(desk)
        await until(lambda: made.health().link == "up")
        outcomes = await made.send([text("سلام"), text("plain a[]€"), text(LONG)])
        assert all(isinstance(each, Accepted) for each in outcomes)
        if bind == "trx":  # it answers on the connection a text came by
            await until(lambda: sum(each.state is DeliveryState.DELIVERED for each in desk.reports) == 3)
            assert {each.ref for each in desk.reports} == {each.ref for each in outcomes}
            assert isinstance(desk.reports[0], Report)
            whole = [each.text for each in desk.arrivals if isinstance(each, Arrival)]
            parts = sorted((each for each in desk.arrivals if isinstance(each, Part)), key=lambda each: each.number)
            assert sorted(whole) == sorted(["سلام", "plain a[]€"])
            assert "".join(each.data.decode("utf-16-be") for each in parts) == LONG
        await made.stop(3)


async def test_it_refuses_a_wrong_password_and_the_line_pauses(tmp_path: Path, reactor: Any):
    peers.needed()
    with peers.server() as port:
        desk, made = Desk(reactor, str(tmp_path)), provider(tmp_path, port, password="wrong")
        await made.start(desk)
        await until(lambda: LineState.PAUSED in [state for state, _ in desk.states])
        await asyncio.wait_for(made.stop(1), 5)
