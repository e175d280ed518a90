"""A store on SQLite and on PostgreSQL, each test with one of its own, and the door in front of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path

import pytest
import pytest_asyncio

import config as configuration
from config.values import Config
from core import office, store
from core.cipher import Keyring
from core.clock import HandClock
from core.files import Files
from core.intake import Desk
from core.store import Store
from core.throttle import Throttle
from tests.blank import blank_file
from tests.postgres import blank_database, drop_database

KEY = b"k" * 32


@cache
def sample_config() -> Config:
    """The sample agency that ships."""
    return configuration.read()


@pytest.fixture
def clock() -> HandClock:
    """14 August 2024, a Wednesday morning in Tehran."""
    return HandClock(1_723_620_600_000)


@pytest.fixture
def ring() -> Keyring:
    return Keyring({1: KEY})


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store may be made: a file, or the server in which `place` makes a database."""
    return f"sqlite:///{tmp_path / 'pasokh.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres")


@pytest_asyncio.fixture
async def place(url: str, tmp_path: Path) -> AsyncIterator[str]:
    """URL of an empty place with the newest schema."""
    if not url.startswith("postgresql"):
        yield blank_file(tmp_path / "pasokh.db")
        return
    made = await blank_database(url, tmp_path)
    yield made
    await drop_database(url, made)


@pytest_asyncio.fixture
async def store_(place: str, clock: HandClock, tmp_path: Path, ring: Keyring) -> AsyncIterator[Store]:
    opened = await store.open(place, clock, tmp_path, ring.key("chain"))
    yield opened
    await opened.close()


@pytest.fixture(name="store")
def _store(store_: Store) -> Store:
    return store_


@pytest.fixture
def config() -> Config:
    return sample_config()


@pytest_asyncio.fixture
async def desk(store: Store, config: Config, ring: Keyring, clock: HandClock, tmp_path: Path) -> AsyncIterator[Desk]:
    """The door, with the sample agency behind it."""
    throttle = Throttle(config.settings.limits, clock)
    office.bind(store, office.Office(config, ring, clock, throttle))
    files = Files(tmp_path / "files", ring, store)
    yield Desk(store, config, ring, files, clock, throttle)
    files.close()
