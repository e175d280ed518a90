"""`pasokh audit`: beside the running program and without it, what was changed in the store is told."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from config import read
from core import store
from core.channels import Inbound
from core.cipher import Keyring
from core.clock import SystemClock
from core.files import Files
from core.intake import Desk
from core.throttle import Throttle
from gateway import auditing
from gateway.__main__ import main
from gateway.control import Control


async def test_a_text_changed_in_the_file_is_found_with_and_without_the_program(tmp_path: Path, capsys):
    ring, clock, site = Keyring.create(tmp_path / "keyring"), SystemClock(), read()
    opened = await store.open(None, clock, tmp_path, ring.key("chain", 1))
    files = Files(tmp_path / "files", ring, opened)
    door = Desk(opened, site, ring, files, clock, Throttle(site.settings.limits, clock))
    await asyncio.gather(*(door.take(Inbound("web", f"r{n}", f"آب قطع است {n}")) for n in range(3)))
    running = Control(tmp_path, auditing.deeds(opened))
    await running.start()
    assert await asyncio.to_thread(main, ["audit", "--data", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "3 tickets, 0 faults\n"
    await running.stop(0)
    await opened.close()
    files.close()
    with sqlite3.connect(tmp_path / "pasokh.db") as other:
        (number,) = other.execute("SELECT min(id) FROM message").fetchone()
        other.execute("UPDATE message SET text = 'آب وصل است' WHERE id = ?", (number,))
    other.close()
    assert await asyncio.to_thread(main, ["audit", "--data", str(tmp_path)]) == auditing.BROKEN
    assert capsys.readouterr().out == f"ticket {number}, event 1: seal\n3 tickets, 1 faults\n"


async def test_where_nothing_can_be_looked_at_it_says_why(tmp_path: Path, capsys):
    assert await asyncio.to_thread(main, ["audit", "--data", str(tmp_path)]) == auditing.FAULT
    assert "keyring" in capsys.readouterr().err
