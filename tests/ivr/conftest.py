"""A store with the sample agency behind the phone's tests."""

from __future__ import annotations

import pytest_asyncio

from core import office, seed, store
from core.cipher import Keyring
from core.clock import SystemClock
from core.files import Files
from core.intake import Desk
from core.throttle import Throttle
from tests.blank import blank_file, sample

KEY = b"k" * 32


@pytest_asyncio.fixture
async def opened(tmp_path):
    """A store on SQLite with the sample agency, and its files."""
    ring, clock = Keyring({1: KEY}), SystemClock()
    made = await store.open(blank_file(tmp_path / "pasokh.db"), clock, tmp_path, ring.key("chain"))
    site = sample()
    throttle = Throttle(site.settings.limits, clock)
    office.bind(made, office.Office(site, ring, clock, throttle))
    await seed.seed(made, site)
    files = Files(tmp_path / "files", ring, made)
    yield made, files, Desk(made, site, ring, files, clock, throttle)
    files.close()
    await made.close()
