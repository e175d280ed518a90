"""The words of the shipped texts, for tables of readings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from config.faults import Fault
from config.read import SEEDS
from config.texts import Texts, read_texts
from core.clock import SystemClock
from sms import keywords
from sms.providers import base
from sms.providers.kavenegar import Kavenegar
from sms.settings import ProviderSettings
from sms.tables import LANGS, vocabulary
from tests.leaks import hide
from tests.worlds import kavenegar as world
from tests.worlds import magfa, melipayamak

KEY = "made-up-key"
hide(KEY, magfa.PASSWORD, melipayamak.PASSWORD)


class Heard:
    """A sink that only remembers."""

    reactor = None
    clock = SystemClock()

    def __init__(self) -> None:
        self.items: list[base.Arrival | base.Part] = []
        self.reports: list[base.Report] = []
        self.states: list[tuple[str, base.LineState, str]] = []

    async def arrived(self, item: base.Arrival | base.Part) -> None:
        self.items.append(item)

    async def reported(self, report: base.Report) -> None:
        self.reports.append(report)

    async def found(self, key: int, accepted: base.Accepted) -> None:
        raise AssertionError("nothing was in doubt")

    def line_state(self, line: str, state: base.LineState, why: str = "") -> None:
        self.states.append((line, state, why))


@pytest.fixture(scope="session")
def texts() -> Texts:
    faults: list[Fault] = []
    return read_texts([SEEDS / "texts"], LANGS, faults)


@pytest.fixture(scope="session")
def words(texts: Texts) -> keywords.Vocabulary:
    return vocabulary(texts, {})


@pytest_asyncio.fixture(loop_scope="session")
async def network(tmp_path: Path) -> AsyncIterator[world.Network]:
    """The made-up provider over TLS on a free port; `network.host` says where."""
    network = world.Network(tmp_path / "world", KEY)
    context, network.authority = world.certificate(tmp_path)
    runner = web.AppRunner(world.application(network), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    network.host = f"127.0.0.1:{runner.addresses[0][1]}"
    yield network
    await runner.cleanup()
    await network.close()


@pytest_asyncio.fixture(loop_scope="session")
async def provider(network: world.Network, tmp_path: Path) -> AsyncIterator[Kavenegar]:
    """The real client against it."""
    key = tmp_path / "key"
    key.write_text(f"{KEY}\n")
    made = Kavenegar("k", ProviderSettings("kavenegar", str(key), network.host, str(network.authority)))
    await made.start(Heard())
    yield made
    await made.stop(0)
