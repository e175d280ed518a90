"""Kept files and the drawer: sealed on disk before they are named, whole or not at all."""

from __future__ import annotations

import asyncio
import os
import struct
from pathlib import Path

import pytest
import pytest_asyncio
import sqlalchemy as sa

from core import files as kept_files
from core import filetype
from core.channels import DeliveryState, Inbound, Note
from core.cipher import Keyring
from core.clock import HandClock
from core.errors import NotFound, WrongInput
from core.files import CHUNK, Damaged, Files
from core.intake import Desk
from core.schema import delivery
from core.store import Store

VOICE = b"\x55" * 8000


def wav(code: int, data: bytes, told: int | None = None) -> bytes:
    """A WAV file of 8000 octets a second: code 6 A-law, 7 µ-law."""
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, code, 1, 8000, 8000, 1, 8)
    length = len(data) if told is None else told
    return (
        b"RIFF"
        + struct.pack("<I", min(36 + length, 2**32 - 1))
        + b"WAVE"
        + head
        + b"data"
        + struct.pack("<I", length)
        + data
    )


@pytest_asyncio.fixture
async def files(tmp_path: Path, ring: Keyring):
    made = Files(tmp_path / "kept", ring)
    yield made
    made.close()


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
async def test_what_is_kept_is_read_again_and_lies_sealed(files: Files, size: int):
    data = os.urandom(size)
    kept = await files.keep(data, "پیوست.bin")
    assert (kept.size, kept.name) == (size, "پیوست.bin")
    assert await files.read(kept.key) == data
    on_disk = files.path(kept.key).read_bytes()
    assert files.path(kept.key).parent == files.folder / kept.key[:2] / kept.key[2:4]
    assert not size or size < 16 or data[:16] not in on_disk
    assert not list(files.folder.glob("draft-*"))


async def test_a_stream_is_kept_as_it_comes(files: Files):
    parts = [os.urandom(n) for n in (10, 70_000, 1, 65_536)]

    async def stream():
        for part in parts:
            await asyncio.sleep(0)
            yield part

    kept = await files.keep(stream(), "ضبط.bin")
    assert await files.read(kept.key) == b"".join(parts)


async def test_a_stream_that_breaks_off_leaves_nothing(files: Files):
    async def stream():
        yield b"x" * 100_000
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await files.keep(stream(), "a")
    assert [path for path in files.folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(("start", "end"), [(0, 1), (5, 70_000), (65_535, 65_537), (70_000, None), (10, 10)])
async def test_a_part_of_a_file_is_read(files: Files, start: int, end: int | None):
    data = os.urandom(100_000)
    kept = await files.keep(data, "a")
    assert await files.read(kept.key, start, end) == data[start:end]


async def test_a_cut_or_changed_file_is_told_from_a_whole_one(files: Files):
    kept = await files.keep(os.urandom(2 * CHUNK), "a")
    path = files.path(kept.key)
    whole = path.read_bytes()
    for broken in (whole[:-1], whole[: CHUNK + 47], whole[:40] + b"\x00" + whole[41:], b"PSK1", b""):
        path.write_bytes(broken)
        with pytest.raises(Damaged):
            await files.read(kept.key)


async def test_no_key_leads_out_of_the_folder(files: Files):
    for key in ("../../etc/passwd", "0" * 64, "", "a" * 63 + "/"):
        with pytest.raises(NotFound):
            await files.read(key)


async def test_a_file_that_is_too_long_is_refused(files: Files, monkeypatch):
    monkeypatch.setattr(kept_files, "LARGEST", 1000)
    with pytest.raises(WrongInput):
        await files.keep(b"x" * 1001, "a")


@pytest.mark.parametrize(
    ("data", "hint", "kind", "name"),
    [
        (wav(6, VOICE), "audio/x-wav", "audio/x-wav", "file.wav"),
        (wav(7, VOICE), "صدا.wav", "audio/x-wav", "صدا.wav"),
        (b"%PDF-1.7\n\xe2\xe3", "../../نامه.pdf", "application/pdf", "نامه.pdf"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "عکس.exe", "image/png", "عکس.exe"),
        (b"\xff\xd8\xff\xe0" + bytes(20), "image/jpeg", "image/jpeg", "file.jpg"),
        (b"<svg onload=alert(1)>", "عکس.svg", "text/plain", "عکس.svg"),
        (b"<html><script>", "a\u202e\x00b.html", "text/plain", "ab.html"),
        ("سلام".encode() * 900, "یادداشت.txt", "text/plain", "یادداشت.txt"),
        (b"From: zahra@example.ir\r\n\r\n", "message/rfc822", "message/rfc822", "file.eml"),
        (bytes(range(256)), "چیز.dat", "application/octet-stream", "چیز.dat"),
    ],
)
async def test_the_type_is_told_by_content_and_the_name_made_safe(files: Files, data, hint, kind, name):
    kept = await files.keep(data, hint)
    assert (kept.type, kept.name) == (kind, name)


async def test_a_long_name_keeps_its_ending(files: Files):
    kept = await files.keep(b"x", "ن" * 200 + ".pdf")
    assert len(kept.name.encode()) <= 150 and kept.name.endswith(".pdf")


@pytest.mark.parametrize(("told", "seconds"), [(None, 1.0), (0xFFFFFFFF, 1.0), (4000, 0.5)])
def test_a_recording_knows_its_length(told: int | None, seconds: float):
    data = wav(6, VOICE, told)
    assert filetype.of(data[: filetype.HEAD], len(data)).seconds == seconds


async def test_only_old_files_without_a_row_are_swept(desk: Desk, store: Store, tmp_path: Path):
    named, orphan = await desk.keep(b"named", "a"), await desk.keep(b"orphan", "b")
    original = await desk.keep(b"From: a", "message/rfc822")
    await desk.take(Inbound("mail", "m", "سلام", files=[named], raw_key=original.key))
    files = Files(tmp_path / "files", Keyring({1: b"k" * 32}), store)
    assert await files.sweep() == 0
    later = files.path(orphan.key).stat().st_mtime + kept_files.ORPHAN + 60
    assert await files.sweep(later) == 1
    with pytest.raises(NotFound):
        await files.read(orphan.key)
    assert await files.read(named.key) == b"named" and await files.missing() == []
    files.path(named.key).unlink()
    assert await files.missing() == [named.key]
    files.close()


# ---------------------------------------------------------------- the drawer, and what is told once


async def test_a_box_gives_back_all_its_slots(desk: Desk):
    assert await desk.drawer.put("sms:1", "2", b"b") == {"2": b"b"}
    assert await desk.drawer.put("sms:1", "1", b"a") == {"1": b"a", "2": b"b"}
    assert await desk.drawer.put("sms:1", "1", b"c") == {"1": b"c", "2": b"b"}
    assert await desk.drawer.get("sms:1") == {"1": b"c", "2": b"b"} and await desk.drawer.get("none") == {}


async def test_a_shut_box_takes_nothing_till_its_time(desk: Desk, clock: HandClock):
    await desk.drawer.put("b", "1", b"a")
    await desk.drawer.close("b", clock.now() + 60_000)
    assert await desk.drawer.put("b", "2", b"late") == {}
    clock.advance(61)
    assert await desk.drawer.put("b", "3", b"new") == {"3": b"new"}
    await desk.drawer.close("b")
    assert await desk.drawer.put("b", "4", b"again") == {"4": b"again"}


async def test_old_boxes_are_listed_by_their_first_slot(desk: Desk, clock: HandClock):
    await desk.drawer.put("old", "1", b"")
    first = clock.now()
    clock.advance(60)
    await desk.drawer.put("old", "2", b"")
    await desk.drawer.put("new", "1", b"")
    assert await desk.drawer.boxes(first + 1) == ["old"]
    await desk.drawer.close("old", clock.now() + 1000)
    assert await desk.drawer.boxes(first + 1) == []


async def test_parts_put_at_once_are_all_seen_by_the_last(desk: Desk):
    found = await asyncio.gather(*(desk.drawer.put("parts", str(n), b"x") for n in range(12)))
    assert max(len(slots) for slots in found) == 12


async def test_a_sentence_is_told_once(desk: Desk):
    note = Note("sms", "r-1", "+989120000000", "help")
    assert await desk.tell(note)
    assert not await desk.tell(note)


async def test_a_report_before_its_send_is_kept(desk: Desk, store: Store):
    await desk.delivered("sms", "unknown-ref", DeliveryState.DELIVERED)
    await desk.delivered("sms", "unknown-ref", DeliveryState.DELIVERED)
    rows = await store.read(lambda s: s.execute(sa.select(delivery.c.ref, delivery.c.state)).all())
    assert rows == [("unknown-ref", "delivered")]


async def test_a_folder_that_somebody_else_made_is_put_on_disk_all_the_same(tmp_path, ring, monkeypatch):
    """Another thread may have made it and not come to its fsync."""
    from core import files as module

    synced: list[str] = []
    real = module._fsync
    monkeypatch.setattr(module, "_fsync", lambda folder: (synced.append(folder.name), real(folder)))
    kept = Files(tmp_path / "files", ring)
    made = await kept.keep(b"one", "a.txt")
    first, second = made.key[:2], made.key[2:4]
    assert synced == ["files", first, second]
    module._ON_DISK.clear()
    module._make(tmp_path / "files" / first / second, tmp_path / "files")
    assert synced[3:] == ["files", first]
    module._make(tmp_path / "files" / first / second, tmp_path / "files")
    assert len(synced) == 5
    kept.close()


@pytest.mark.parametrize("end", [0, 1, 70_000])
async def test_whoever_reads_a_part_or_nothing_leaves_no_file_open(tmp_path, ring, end: int):
    kept = Files(tmp_path / "files", ring)
    made = await kept.keep(b"x" * 200_000, "a.bin")
    reading = kept.stream(made.key, 0, end)
    async for _ in reading:
        break
    await reading.aclose()
    opened = [os.readlink(f"/proc/self/fd/{one}") for one in os.listdir("/proc/self/fd") if _is_link(one)]
    assert not any(made.key in path for path in opened)
    kept.close()


def _is_link(number: str) -> bool:
    return os.path.islink(f"/proc/self/fd/{number}")
