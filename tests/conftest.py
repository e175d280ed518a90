"""Shared by all tests: one loop with Twisted as its guest, and a PostgreSQL of their own where it is installed."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.leaks import pytest_configure  # what is written down is looked through

os.environ.setdefault("PASOKH_UNSAFE", "1")
DATA = Path(os.environ.get("PASOKH_TEST_DATA", ""))
__all__ = ["pytest_configure"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def reactor() -> AsyncIterator[Any]:
    """Twisted's reactor as a guest of the one session loop; without its threads a run in one process can end."""
    from gateway import loop

    yield loop.guest(asyncio.get_running_loop())
    loop.stop_guest()


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of public letters, SIP messages and sentences."""
    if not os.environ.get("PASOKH_TEST_DATA") or not DATA.is_dir():
        pytest.skip("test letters not present")
    return DATA


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of an empty PostgreSQL server of this test run: `postgresql://…/postgres`; make databases inside it."""
    from tests.postgres import Server, find

    folder = find()
    if folder is None:
        if os.environ.get("PASOKH_MUST_PEERS"):
            pytest.fail("PostgreSQL is not installed: tools/debian-packages")
        pytest.skip("PostgreSQL is not installed: tools/debian-packages")
    with Server(folder, durable=False) as server:
        yield server.url


assert sys.version_info >= (3, 11)


LONGEST = ("tests/journeys/test_phone.py", "tests/journeys/")  # begun first, so that no worker is left with them


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    return next((n for n, start in enumerate(LONGEST) if item.nodeid.startswith(start)), len(LONGEST))
