"""What many tests begin with, made once a process: a fresh SQLite store, copied for each; the sample agency, read."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from functools import cache
from pathlib import Path

import config
from config.values import Config
from core import store


@cache
def sample() -> Config:
    """The agency that ships."""
    return config.read()


def blank_file(path: Path) -> str:
    """Put a store with the newest schema at `path`, unless something is there; its URL."""
    if not path.exists():
        path.write_bytes(_blank())
    return f"sqlite:///{path}"


@cache
def _blank() -> bytes:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "pasokh.db"
        made = threading.Thread(target=asyncio.run, args=[store.migrate(f"sqlite:///{path}", Path(name))])
        made.start()  # in a loop of its own: who asks may stand in one
        made.join()
        return path.read_bytes()
