"""Recordings on disk: one writer thread for all calls, and the repair of what a crash left behind."""

from __future__ import annotations

import logging
import os
import queue
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ivr.media.g711 import HEADER, RATE, wav_header
from ivr.media.messages import Event, Law, Recorded

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Reel:
    """One recording being written. `broken` once the disk refused; it is reported by then."""

    row: int
    path: str
    law: Law
    channels: int = 1
    broken: bool = False
    file: BinaryIO | None = None
    written: int = 0


class Spool:
    """Writes recordings in the order they were handed in; everything that may block is done in `work`.

    `said` gets a Recorded for each reel once it is flushed and fsynced (or `why="disk"`, with what could be kept).
    `least_free` is the share of the disk below which nothing more is written.
    """

    def __init__(self, said: Callable[[Event], None], least_free: float = 0.0) -> None:
        self._said = said
        self._least_free = least_free
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="pasokh-spool", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write all that was handed in, then end the thread."""
        self._work.put(None)
        if self._thread is not None:
            self._thread.join()

    def open(self, row: int, path: str, law: Law, channels: int = 1) -> Reel:
        reel = Reel(row, path, law, channels)
        self._work.put(lambda: self._guard(reel, lambda: self._open(reel)))
        return reel

    def write(self, reel: Reel, octets: bytes) -> None:
        self._work.put(lambda: self._guard(reel, lambda: self._write(reel, octets)))

    def end(self, reel: Reel, octets: int, why: str) -> None:
        """The recording is `octets` long (what was written beyond that is cut) and ended for `why`."""
        self._work.put(lambda: self._guard(reel, lambda: self._end(reel, octets, why)))

    def after(self, event: Event) -> None:
        """Say `event` once everything handed in before is done."""
        self._work.put(lambda: self._said(event))

    def work(self) -> None:
        """Do all that waits, in this thread."""
        while not self._work.empty():
            deed = self._work.get()
            if deed is not None:
                deed()

    def _run(self) -> None:
        while (deed := self._work.get()) is not None:
            deed()

    def _guard(self, reel: Reel, deed: Callable[[], None]) -> None:
        if reel.broken:
            return
        try:
            deed()
        except OSError as error:
            reel.broken = True
            log.warning("recording stopped by the disk", extra={"row": reel.row, "errno": error.errno})
            self._said(Recorded(reel.row, "disk", self._save(reel), reel.path))

    def _open(self, reel: Reel) -> None:
        self._check_room(os.path.dirname(reel.path) or ".")
        reel.file = open(reel.path, "w+b", buffering=0, opener=_private)  # noqa: SIM115 - closed by _end or _save
        _whole(reel.file, wav_header(reel.law, 0, reel.channels))

    def _write(self, reel: Reel, octets: bytes) -> None:
        assert reel.file is not None
        self._check_room(os.path.dirname(reel.path) or ".")
        _whole(reel.file, octets)
        reel.written += len(octets)

    def _check_room(self, folder: str) -> None:
        if self._least_free and share_free(folder) < self._least_free:
            raise OSError(28, "the disk is nearly full")

    def _end(self, reel: Reel, octets: int, why: str) -> None:
        assert reel.file is not None
        _finish(reel.file, reel.law, octets, reel.channels)
        reel.file.close()
        _fsync_folder(reel.path)
        self._said(Recorded(reel.row, why, octets / RATE / reel.channels, reel.path))

    def _save(self, reel: Reel) -> float:
        """Keep what is on the disk of a broken reel; returns its seconds, 0 when nothing can be kept."""
        if reel.file is None:
            return 0.0
        try:
            octets = (os.fstat(reel.file.fileno()).st_size - HEADER) // 2 * 2
            _finish(reel.file, reel.law, max(0, octets), reel.channels)
            return max(0, octets) / RATE / reel.channels
        except OSError:
            return 0.0
        finally:
            reel.file.close()


def share_free(folder: str) -> float:
    """Share of the disk under `folder` that is free, 0 to 1."""
    disk = os.statvfs(folder)
    return disk.f_bavail / max(1, disk.f_blocks)


def recover(path: str | Path) -> float | None:
    """Repair a spool file that a crash left open: true sizes in its header, fsynced. Returns its seconds.

    None when there is no recording in it (cut within the header, or another kind of file); it is left as it is.
    """
    with open(path, "r+b", buffering=0) as file:
        head = file.read(HEADER)
        kind = _kind(head)
        if kind is None:
            return None
        law, channels = kind
        there = os.fstat(file.fileno()).st_size - HEADER
        claimed = struct.unpack_from("<I", head, HEADER - 4)[0]
        octets = claimed if 0 < claimed <= there else there // 2 * 2
        _finish(file, law, octets, channels)
    _fsync_folder(str(path))
    return octets / RATE / channels


def _kind(head: bytes) -> tuple[Law, int] | None:
    """Law and channels of a file of ours."""
    kinds: tuple[tuple[Law, int], ...] = (("pcma", 1), ("pcmu", 1), ("pcma", 2))
    return next((kind for kind in kinds if len(head) == HEADER and head[8:46] == _mould(*kind)), None)


def _mould(law: Law, channels: int) -> bytes:
    """The part of the header that no length is in."""
    return wav_header(law, 0, channels)[8:46]


def _finish(file: BinaryIO, law: Law, octets: int, channels: int) -> None:
    file.seek(0)
    _whole(file, wav_header(law, octets, channels))
    file.truncate(HEADER + octets)
    os.fsync(file.fileno())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _whole(file: BinaryIO, octets: bytes) -> None:
    """Write all of it: an unbuffered file may take a part, and says ENOSPC only to the next write."""
    left = memoryview(octets)
    while left:
        left = left[file.write(left) :]


def _fsync_folder(path: str) -> None:
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
