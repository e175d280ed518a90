"""What is past its keeping goes, and nothing else."""

from __future__ import annotations

import os

import sqlalchemy as sa

from core import schema
from core.files import Files
from core.tidy import DAY, tidy
from tests.core.staff.conftest import World


async def test_old_marks_sessions_and_nameless_files_go_and_young_ones_stay(world: World, tmp_path):
    files = Files(tmp_path / "files", world.ring, world.store)
    old, young = [await files.keep(text, "note.txt") for text in (b"old", b"young")]
    now = world.clock.now()
    stale = now / 1000 - 2 * 86_400
    os.utime(files.path(old.key), (stale, stale))
    os.utime(files.path(young.key), (now / 1000, now / 1000))

    def plant(s: sa.Connection) -> None:
        for n, at in enumerate((now - 91 * DAY, now - 89 * DAY)):
            mark = {
                "channel": "sms",
                "ref": bytes([n]) * 16,
                "body_hash": b"b" * 16,
                "at": at,
                "ticket": 1,
                "message": 1,
            }
            s.execute(sa.insert(schema.seen).values(mark))

    await world.store.write(plant)
    assert await tidy(world.store, files, now) == 2
    assert not files.path(old.key).exists()
    assert files.path(young.key).exists()

    def left(s: sa.Connection) -> list[bytes]:
        return list(s.execute(sa.select(schema.seen.c.ref)).scalars())

    assert await world.store.read(left) == [b"\x01" * 16]
    files.close()
