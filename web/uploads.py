"""Bodies of forms: fields within 64 KiB, files streamed to the store of files within limits of their own."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import MultiDict

from core import text
from core.channels import Door, KeptFile
from web import sniff

FIELDS = 64 * 1024  # octets of all fields together, and of any body without files
CHUNK = 64 * 1024
NAME = 120  # characters of a file's label
SLOWEST = 60.0  # seconds a body may take, then 408
BROKEN = (
    ValueError,
    LookupError,
    RuntimeError,
    AssertionError,
    HttpProcessingError,
)  # what aiohttp says of a body that is no form


MayKeep = Callable[[], bool]


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Limits:
    """How many files, and how big (octets)."""

    many: int = 5
    each: int = 10 * 1024 * 1024
    total: int = 25 * 1024 * 1024


@dataclass(slots=True)
class Received:
    """A form as it came: fields, files kept so far, and fault words of files refused."""

    fields: MultiDict[str] = field(default_factory=MultiDict)
    files: list[KeptFile] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def getall(self, key: str, default: Sequence[str] = (), /) -> Sequence[str]:
        """All values typed under a name."""
        return self.fields.getall(key, list(default))

    def get(self, key: str) -> str:
        """The first value under a name, '' when there is none."""
        return str(self.fields.get(key, ""))


class TooBig(Exception):
    """A file grew past its limit while it was being read."""


async def octets(request: web.Request, most: int = FIELDS) -> bytes:
    """A whole body that is no form. Raises HTTPRequestEntityTooLarge past `most` octets, HTTPRequestTimeout."""
    if (request.content_length or 0) > most:
        raise web.HTTPRequestEntityTooLarge(most, request.content_length or 0)
    data = bytearray()
    try:
        async with asyncio.timeout(SLOWEST):
            async for chunk in request.content.iter_any():
                data += chunk
                if len(data) > most:
                    raise web.HTTPRequestEntityTooLarge(most, len(data))
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    return bytes(data)


async def receive(request: web.Request, door: Door, limits: Limits, may_keep: MayKeep = _always) -> Received:
    """Read a form's body. Raises HTTPRequestEntityTooLarge past 64 KiB of fields, HTTPRequestTimeout past a minute,
    HTTPBadRequest for a body that is no form; a file's faults are told by word. `may_keep` is asked
    before each file is kept: a stranger's files are counted, though nothing was sent yet."""
    try:
        async with asyncio.timeout(SLOWEST):
            return await _receive(request, door, limits, may_keep)
    except TimeoutError:
        raise web.HTTPRequestTimeout from None


async def _receive(request: web.Request, door: Door, limits: Limits, may_keep: MayKeep) -> Received:
    if request.content_type == "multipart/form-data":
        return await _multipart(request, door, limits, may_keep)
    if request.content_type != "application/x-www-form-urlencoded":
        raise web.HTTPUnsupportedMediaType
    if (request.content_length or 0) > FIELDS:
        raise web.HTTPRequestEntityTooLarge(FIELDS, request.content_length or 0)
    try:
        data = await request.post()
    except BROKEN:
        raise web.HTTPBadRequest from None
    return Received(MultiDict((name, value) for name, value in data.items() if isinstance(value, str)))


async def _multipart(request: web.Request, door: Door, limits: Limits, may_keep: MayKeep) -> Received:
    if (request.content_length or 0) > limits.total + 2 * FIELDS:
        raise web.HTTPRequestEntityTooLarge(limits.total, request.content_length or 0)
    got, spent = Received(), 0
    async for part in _parts(request):
        name = part.name or ""
        if part.filename is None:
            spent += len(name) + 1
            value = await _field(part, FIELDS - spent)
            spent += len(value)
            got.fields.add(name, value.decode("utf-8", "replace"))
        elif part.filename:
            await _file(part, door, limits, got, may_keep)
    return got


async def _parts(request: web.Request) -> AsyncIterator[BodyPartReader]:
    """The named parts of a form. Raises HTTPBadRequest for anything else."""
    try:
        reader = await request.multipart()
    except BROKEN:
        raise web.HTTPBadRequest from None
    while True:
        try:
            part = await reader.next()
            named = isinstance(part, BodyPartReader) and bool(part.name)
        except BROKEN:
            raise web.HTTPBadRequest from None
        if part is None:
            return
        if not named or not isinstance(part, BodyPartReader):
            raise web.HTTPBadRequest
        yield part


async def _chunk(part: BodyPartReader) -> bytes:
    """The next octets of a part. Raises HTTPBadRequest where it breaks off."""
    try:
        return bytes(await part.read_chunk(CHUNK))
    except BROKEN:
        raise web.HTTPBadRequest from None


async def _field(part: BodyPartReader, room: int) -> bytes:
    data = bytearray()
    if room < 0:
        raise web.HTTPRequestEntityTooLarge(FIELDS, FIELDS + 1)
    while chunk := await _chunk(part):
        data += chunk
        if len(data) > room:
            raise web.HTTPRequestEntityTooLarge(FIELDS, FIELDS + 1)
    return bytes(data)


async def _file(part: BodyPartReader, door: Door, limits: Limits, got: Received, may_keep: MayKeep) -> None:
    if len(got.files) >= limits.many:
        got.faults.append("many")
        await part.release()
        return
    room = min(limits.each, limits.total - sum(one.size for one in got.files))
    head = await _chunk(part)
    kind = sniff.media_type(head[: sniff.HEAD])
    if not head:
        return
    if kind is None:
        got.faults.append("type")
        await part.release()
        return
    if not may_keep():
        got.faults.append("too_often")
        await part.release()
        return
    try:
        kept = await door.keep(_stream(part, head, room), kind)
    except TooBig:
        got.faults.append("big")
        await part.release()
        return
    got.files.append(replace(kept, name=label(part.filename or ""), type=kind))


async def _stream(part: BodyPartReader, head: bytes, room: int) -> AsyncIterator[bytes]:
    seen = 0
    chunk = head
    while chunk:
        seen += len(chunk)
        if seen > room:
            raise TooBig
        yield chunk
        chunk = await _chunk(part)


def label(name: str) -> str:
    """A file's name as a label: no folder, no control or direction characters, at most 120 characters."""
    base = PurePosixPath(name.replace("\\", "/")).name
    kept = "".join(c for c in text.clean(base) if unicodedata.category(c) not in ("Cc", "Cf") or c == "\u200c")
    return kept.strip()[-NAME:] or "file"


def pack(files: Sequence[KeptFile]) -> list[list[str | int]]:
    """Kept files as JSON for a signed hidden field."""
    return [[one.key, one.name, one.type, one.size] for one in files]


def unpack(rows: Sequence[Sequence[str | int]]) -> list[KeptFile]:
    """The way back from `pack`."""
    return [KeptFile(str(k), str(n), str(t), int(s)) for k, n, t, s in rows]
