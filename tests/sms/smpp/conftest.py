"""A made-up message centre on a free port, our provider bound to it, and a desk that notes what came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from config.positions import Document, Where
from config.shape import read
from core.clock import SystemClock
from sms.providers.base import Accepted, Arrival, LineState, Part, Report, Text
from sms.providers.smpp import Settings
from sms.providers.smpp.provider import Smpp
from tests.leaks import hide
from tests.worlds import smsc as world
from tests.worlds.network import Network

PASSWORD = "made-key"  # as long as SMPP lets one be
hide(PASSWORD)


@dataclass
class Desk:
    """`base.Sink`: notes all; `fail` is raised in turn."""

    reactor: Any
    folder: str
    clock: Any = field(default_factory=SystemClock)
    arrivals: list[Arrival | Part] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    states: list[tuple[LineState, str]] = field(default_factory=list)
    found_: list[tuple[int, Accepted]] = field(default_factory=list)
    fail: list[Exception] = field(default_factory=list)
    shut: asyncio.Event | None = None

    async def arrived(self, item: Arrival | Part) -> None:
        if self.shut is not None:
            await self.shut.wait()
        if self.fail:
            raise self.fail.pop(0)
        self.arrivals.append(item)

    async def reported(self, report: Report) -> None:
        if self.fail:
            raise self.fail.pop(0)
        self.reports.append(report)

    async def found(self, key: int, accepted: Accepted) -> None:
        self.found_.append((key, accepted))

    def line_state(self, line: str, state: LineState, why: str = "") -> None:
        self.states.append((state, why))


@dataclass
class House:
    """Everything of one test."""

    folder: Path
    reactor: Any
    desk: Desk
    network: Network
    centre: world.Smsc
    port: Any
    authority: Path | None
    providers: list[Smpp] = field(default_factory=list)

    async def provider(self, **more: Any) -> Smpp:
        """Bound, or not where `up` is False."""
        up = more.pop("up", True)
        made = Smpp("op", self.settings(**more))
        self.providers.append(made)
        await made.start(self.desk)
        if up:
            await until(lambda: made.health().link == "up")
        return made

    def settings(self, **more: Any) -> Settings:
        password = self.folder / "password"
        if not password.exists():
            password.write_text(self.centre.ways.password + "\n")
        table = {"kind": "smpp", "host": "127.0.0.1", "port": self.port.getHost().port, "system_id": "pasokh"}
        table |= {"password_file": str(password)}
        if self.authority is not None:
            table |= {"tls": True, "ca_file": str(self.authority)}
        return read(Settings, {**table, **more}, Where(Document("lines.toml", {})))

    def fault(self, method: str, *faults: str) -> None:
        self.network.faults.setdefault(method, []).extend(faults)

    def got(self, number: str = "09120000001") -> list[str]:
        """What lies on a telephone."""
        return [row["message"] for row in self.network.sent.rows if row["receptor"] == number]

    async def close(self) -> None:
        for provider in self.providers:
            await provider.stop(0)
        await self.hang_up()
        await self.network.close()

    async def hang_up(self) -> None:
        """The centre goes away."""
        stopped = self.port.stopListening()
        if stopped is not None:
            await stopped.asFuture(asyncio.get_running_loop())
        self.centre.close()
        await until(lambda: not self.centre._clients)


Build = Callable[..., Awaitable[House]]


@pytest_asyncio.fixture(loop_scope="session")
async def house(tmp_path: Path, reactor: Any) -> AsyncIterator[Build]:
    """`await house(ids="hex", tls=True, …)`: a centre of these ways."""
    built: list[House] = []

    async def build(tls: bool = False, **ways: Any) -> House:
        folder = tmp_path / str(len(built))
        network = Network(folder / "sms", "key")
        centre = world.Smsc(network, folder / "sms", world.Ways(**{"password": PASSWORD, **ways}))
        context, authority = world.certificate(folder) if tls else (None, None)
        port = world.listen(reactor, centre, 0, context)
        desk = Desk(reactor, str(folder))
        built.append(House(folder, reactor, desk, network, centre, port, authority))
        return built[-1]

    yield build
    for each in built:
        await each.close()


async def until(found: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait until it is so; fails after `seconds`."""
    ends = asyncio.get_running_loop().time() + seconds
    while not found():
        assert asyncio.get_running_loop().time() < ends, f"not within {seconds} s"
        await asyncio.sleep(0.005)


def text(words: str = "سلام", to: str = "+989120000001", key: int = 1, purpose: str = "answer") -> Text:
    return Text(key, to, "30001234", words, purpose)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between tries are short."""
    monkeypatch.setattr("sms.providers.smpp.sending.PAUSE", 0.02)
    monkeypatch.setattr("sms.providers.smpp.session.LONGEST_WAIT", 0.05)
