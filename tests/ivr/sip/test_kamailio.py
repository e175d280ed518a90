"""The line behind and at Kamailio, which was written by others: dispatcher, Record-Route, probing, registrar."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.channels import TryLater
from ivr.leg import HungUp
from ivr.settings import Peer
from ivr.sip.outgoing import NotReached
from tests.ivr.sip.house import house, until
from tests.ivr.sip.kamailio import PASSWORD, running
from tests.ivr.sip.test_sipp import run, sipp

__all__ = ["sipp"]
pytestmark = [pytest.mark.peer]


def at(line, transport: str = "udp") -> str:
    return f"sip:127.0.0.1:{line.port};transport={transport}"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_call_by_the_dispatcher_ends_by_the_route_set(reactor, tmp_path, sipp, transport):
    async with house(reactor, bind=(f"{transport}:127.0.0.1:0",)) as home:
        with running(tmp_path / "front", [at(home.line, transport)]) as front:
            await run(sipp, tmp_path, "routed", f"127.0.0.1:{front.port}")
        await until(lambda: home.line.calls == 0)
        [leg] = home.legs
        assert home.events == [HungUp("caller")] and len(leg.dialog.routes) == (1 if transport == "udp" else 2)


async def test_our_bye_finds_its_way_back_through_kamailio(reactor, tmp_path, sipp):
    async with house(reactor) as home:
        with running(tmp_path / "front", [at(home.line)]) as front:
            far = asyncio.ensure_future(run(sipp, tmp_path, "hung_up_on", f"127.0.0.1:{front.port}"))
            await until(lambda: home.answered, 10)
            home.legs[0].hang_up()
            await far
            await until(lambda: home.line.calls == 0)
        assert home.events == [HungUp("us")]


async def test_each_asks_the_other_whether_it_lives(reactor, tmp_path, monkeypatch):
    """Our OPTIONS to Kamailio as a peer, its dispatcher's to us; both are answered, and a draining node says 503."""
    async with house(reactor) as home:
        asked: list[bytes] = []
        feed = home.line.exchange.feed
        monkeypatch.setattr(home.line.exchange, "feed", lambda data, peer: (asked.append(data), feed(data, peer))[1])
        with running(tmp_path / "front", [at(home.line)]) as front:
            peer = Peer("front", allow=("127.0.0.0/8",), address=f"127.0.0.1:{front.port}")
            home.line.exchange.renew(replace(home.line.settings, peer=(peer,)))
            await until(lambda: any(data.startswith(b"OPTIONS ") for data in asked), 10)
            await until(lambda: any(b"SIP/2.0 200" in data and b" OPTIONS\r\n" in data for data in asked), 10)
            [ours] = home.line.exchange.trunks
            assert ours.up and home.line.silent == []
            assert home.line.counts["503"] == 0
            home.line.exchange.draining = True
            await until(lambda: home.line.counts["503"] > 0, 10)  # the dispatcher asks again and is told


@pytest.mark.parametrize("gone", [False, True])
async def test_kamailio_moves_on_from_a_node_that_drains_or_is_gone(reactor, tmp_path, sipp, gone):
    async with house(reactor) as one, house(reactor) as two:
        with running(tmp_path / "front", [at(one.line), at(two.line)]) as front:
            address = f"127.0.0.1:{front.port}"
            await run(sipp, tmp_path, "routed", address, "-m", "4")
            assert one.line.counts["calls"] == two.line.counts["calls"] == 2
            if gone:
                await one.line.stop(0)
            else:
                one.line.exchange.draining = True
            await run(sipp, tmp_path, "routed", address, "-m", "4")
            assert one.line.counts["calls"] == 2 and two.line.counts["calls"] == 6


@pytest.mark.parametrize(("algorithm", "transport"), [("MD5", "udp"), ("SHA-256", "udp"), ("SHA-256", "tcp")])
async def test_a_line_is_registered_called_and_un_registered(reactor, tmp_path, sipp, algorithm, transport):
    (tmp_path / "password").write_text(PASSWORD + "\n")
    with running(tmp_path / "trunk", algorithm=algorithm) as trunk:
        peer = Peer(
            "trunk", address=f"127.0.0.1:{trunk.port}", domain="trunk.example.ir", user="1888", register=True,
            password_file=str(tmp_path / "password"), dial=True, transport=transport,
        )  # fmt: skip
        async with house(reactor, peer=(peer,), bind=(f"{transport}:127.0.0.1:0",)) as home:
            [ours] = home.line.exchange.trunks
            await until(lambda: ours.registered)
            assert home.line.silent == []
            await run(sipp, tmp_path, "routed", f"127.0.0.1:{trunk.port}")
            await until(lambda: home.line.calls == 0 and home.events == [HungUp("caller")])
            assert home.legs[0].called == "1888"
            result = await home.line.dial("echo")
            assert isinstance(result, NotReached) and result.outcome == TryLater("busy")
        await run(sipp, tmp_path, "busy_line", f"127.0.0.1:{trunk.port}")  # 503: nobody is registered any more


async def test_a_wrong_password_is_an_alarm_and_the_line_works_on(reactor, tmp_path, sipp, caplog):
    (tmp_path / "password").write_text("wrong\n")
    with running(tmp_path / "trunk") as trunk:
        peer = Peer(
            "trunk", address=f"127.0.0.1:{trunk.port}", domain="trunk.example.ir", user="1888", register=True,
            password_file=str(tmp_path / "password"),
        )  # fmt: skip
        async with house(reactor, peer=(peer, Peer("all", allow=("127.0.0.0/8",)))) as home:
            await until(lambda: any("not registered" in record.message for record in caplog.records))
            assert home.line.silent == ["trunk"]
            await run(sipp, tmp_path, "call", f"127.0.0.1:{home.line.port}")
