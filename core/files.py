"""Recordings and attachments on disk: sealed, fsynced, named by the hash of what lies there, before any row names them.

A file is `PSK1`, the key's number (2 octets), secretstream's header (24), then chunks of 64 KiB, each 17 octets longer
sealed; the last is marked, so that a cut file is told from a whole one.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, TypeVar

import sqlalchemy as sa
from nacl import bindings
from nacl.exceptions import CryptoError
from sqlalchemy import Connection

from core import filetype
from core.cipher import Keyring
from core.errors import Busy, NotFound, PasokhError, WrongInput
from core.model import KeptFile
from core.schema import file, message
from core.store import Store
from core.text import clean

T = TypeVar("T")

MAGIC = b"PSK1"
CHUNK = 64 << 10  #: octets of plain content in one sealed chunk
MORE = bindings.crypto_secretstream_xchacha20poly1305_ABYTES  #: octets a chunk grows by
HEADER = bindings.crypto_secretstream_xchacha20poly1305_HEADERBYTES
FINAL = bindings.crypto_secretstream_xchacha20poly1305_TAG_FINAL
PLAIN = bindings.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
ORPHAN = 24 * 3600  #: seconds after which a file without a row is deleted
THREADS = 4
NAME = 150  #: octets of a file's name
LARGEST = 256 << 20  #: octets of one file


class Damaged(PasokhError):
    """The file is there but not as it was written."""

    word = "damaged"


class Files:
    """The folder of kept files. fsyncs and sealing run in threads of its own, never on the loop."""

    def __init__(self, folder: Path, ring: Keyring, store: Store | None = None) -> None:
        self.folder = folder
        self._ring = ring
        self._store = store
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="files")
        folder.mkdir(parents=True, exist_ok=True)

    async def keep(self, data: bytes | AsyncIterator[bytes], kind: str) -> KeptFile:
        """Put `data` on disk, fsynced, and say what it is. `kind`: file name or type hint.

        The same bytes twice are two files. Raises WrongInput(file, long), Busy when the disk is full.
        """
        draft: _Draft | None = None
        try:
            draft = await self._run(_Draft, self.folder, self._ring)
            if isinstance(data, bytes | bytearray | memoryview):
                await self._run(draft.write, bytes(data))
            else:
                async for part in data:
                    await self._run(draft.write, part)
            return await self._run(draft.finish, kind)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Busy(60) from error
            raise
        finally:
            if draft is not None:
                await self._run(draft.drop)

    async def read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        """Plain octets `start` to `end` (exclusive, None = to the last). Raises NotFound, Damaged."""
        return b"".join([part async for part in self.stream(key, start, end)])

    async def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The same in pieces of up to 64 KiB. Sealed chunks follow from each other, so it is read from the first."""
        handle, chunks = await self._run(self._open, key)
        place = 0
        try:
            while end is None or place < end:
                chunk = await self._run(next, chunks, b"")
                if not chunk:
                    return
                part = chunk[max(start - place, 0) : None if end is None else end - place]
                place += len(chunk)
                if part:
                    yield part
        finally:
            handle.close()  # at once: a thread's turn could be cancelled with us, and the file stay open

    async def sweep(self, now: float | None = None) -> int:
        """Delete what no row has named for 24 h; returns how many. `now`: seconds since 1970."""
        assert self._store is not None
        old = await self._run(self._older_than, (time.time() if now is None else now) - ORPHAN)
        known = await self._store.read(_named, [path.name for path in old])
        orphans = [path for path in old if path.name not in known]
        await self._run(_delete, orphans)
        return len(orphans)

    async def missing(self) -> list[str]:
        """Keys that rows name and the disk does not hold: health is red then."""
        assert self._store is not None
        named = await self._store.read(_all_named)
        return await self._run(lambda: [key for key in named if not self.path(key).is_file()])

    def path(self, key: str) -> Path:
        """Where a key's file lies. Raises NotFound for what is no key."""
        if len(key) != 64 or not key.isascii() or not key.isalnum():
            raise NotFound("file")
        return self.folder / key[:2] / key[2:4] / key

    def close(self) -> None:
        """End the threads; what they do is finished first."""
        self._threads.shutdown()

    async def _run(self, call: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *args)

    def _open(self, key: str) -> tuple[IO[bytes], Iterator[bytes]]:
        try:
            handle = self.path(key).open("rb")
        except FileNotFoundError:
            raise NotFound("file") from None
        return handle, _plain(handle, self._ring)

    def _older_than(self, limit: float) -> list[Path]:
        found = [*self.folder.glob("??/??/*"), *self.folder.glob("draft-*")]
        return [path for path in found if path.is_file() and path.stat().st_mtime < limit]


class _Draft:
    """A file being written: sealed chunk by chunk under a name nobody reads."""

    def __init__(self, folder: Path, ring: Keyring) -> None:
        self._folder = folder
        self._path = folder / f"draft-{secrets.token_hex(8)}"
        self._out: IO[bytes] = self._path.open("xb")
        self._hash = hashlib.sha256()
        self._state = bindings.crypto_secretstream_xchacha20poly1305_state()
        self._rest = bytearray()
        self._head = b""
        self._size = 0
        number = ring.newest
        start = bindings.crypto_secretstream_xchacha20poly1305_init_push(self._state, ring.key("file", number))
        self._put(MAGIC + number.to_bytes(2, "big") + start)

    def write(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > LARGEST:
            raise WrongInput("file", "long")
        self._head = (self._head + part[: filetype.HEAD])[: filetype.HEAD]
        self._rest += part
        while len(self._rest) > CHUNK:
            self._seal(bytes(self._rest[:CHUNK]), PLAIN)
            del self._rest[:CHUNK]

    def finish(self, kind: str) -> KeptFile:
        """fsync, name it by its hash, fsync the folders it is named in."""
        self._seal(bytes(self._rest), FINAL)
        self._out.flush()
        os.fsync(self._out.fileno())
        self._out.close()
        key = self._hash.hexdigest()
        folder = self._folder / key[:2] / key[2:4]
        _make(folder, self._folder)
        os.rename(self._path, folder / key)
        _fsync(folder)
        found = filetype.of(self._head, self._size, kind)
        return KeptFile(key, _name(kind, found.suffix), found.type, self._size, found.seconds)

    def drop(self) -> None:
        """Take away what was not finished."""
        self._out.close()
        self._path.unlink(missing_ok=True)

    def _seal(self, chunk: bytes, tag: int) -> None:
        self._put(bindings.crypto_secretstream_xchacha20poly1305_push(self._state, chunk, None, tag))

    def _put(self, data: bytes) -> None:
        self._hash.update(data)
        self._out.write(data)


def _plain(handle: IO[bytes], ring: Keyring) -> Iterator[bytes]:
    """The content, chunk by chunk. Whoever opened `handle` closes it: one that is never read from must end too."""
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    if handle.read(len(MAGIC)) != MAGIC:
        raise Damaged("not a kept file")
    number, start = int.from_bytes(handle.read(2), "big"), handle.read(HEADER)
    if len(start) < HEADER:
        raise Damaged("file was cut")
    try:
        bindings.crypto_secretstream_xchacha20poly1305_init_pull(state, start, ring.key("file", number))
        tag = PLAIN
        while tag != FINAL:
            sealed = handle.read(CHUNK + MORE)
            chunk, tag = bindings.crypto_secretstream_xchacha20poly1305_pull(state, sealed, None)
            if chunk:
                yield chunk
    except (CryptoError, ValueError, RuntimeError) as error:
        raise Damaged("file was cut or changed") from error


def _make(folder: Path, root: Path) -> None:
    """`folder` and those above it up to `root`, each on disk in its parent.

    That a folder is there proves nothing: another thread, or a process that was killed, may have made it and not
    come to the fsync.
    """
    if folder in _ON_DISK and folder.is_dir():
        return
    folder.parent.mkdir(exist_ok=True)
    folder.mkdir(exist_ok=True)
    _fsync(root)
    _fsync(folder.parent)
    _ON_DISK.add(folder)


_ON_DISK: set[Path] = set()  # folders this process has fsynced in their parents; at most 65,536


def _fsync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _name(kind: str, suffix: str) -> str:
    """A safe name: no path, no controls, ≤ 150 octets; made up where `kind` is only a type."""
    bare = clean(kind).replace("\\", "/")
    if "." not in bare or ("/" in bare and "." not in bare.rsplit("/", 1)[1]):
        return f"file{suffix}"
    bare = bare.rsplit("/", 1)[1] if "/" in bare else bare
    bare = "".join(c for c in bare if c.isprintable()).strip(" .") or f"file{suffix}"
    stem, dot, end = bare.rpartition(".")
    while len(bare.encode()) > NAME and len(stem) > 1:
        stem = stem[:-1]
        bare = f"{stem}{dot}{end}"
    return bare.encode()[:NAME].decode(errors="ignore")


def _named(s: Connection, keys: list[str]) -> set[str]:
    found: set[str] = set()
    for first in range(0, len(keys), 500):
        some = keys[first : first + 500]
        found |= set(s.execute(sa.select(file.c.key).where(file.c.key.in_(some))).scalars())
        found |= set(s.execute(sa.select(message.c.raw_key).where(message.c.raw_key.in_(some))).scalars())
    return found


def _all_named(s: Connection) -> list[str]:
    raws = sa.select(message.c.raw_key).where(message.c.raw_key.is_not(None))
    return list(s.execute(sa.select(file.c.key).where(file.c.state == "kept").union(raws)).scalars())


def _delete(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
