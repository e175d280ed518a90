"""The mail channel: letters in by SMTP, acknowledged after commit; answers out by the relay, threaded."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from config.faults import Faults
from config.positions import Document, Where
from config.shape import read as read_settings
from core.channels import (
    Channel,
    Door,
    Gear,
    Inbound,
    KeptFile,
    Outbound,
    Outcome,
    Refused,
    Trial,
    TryLater,
    Unknown,
    WayIn,
)
from core.errors import Busy, NotFound, PasokhError
from core.model import Scan
from gateway.mail import dkim, receive, smtp, state
from gateway.mail.address import Keys, new_keys
from gateway.mail.letter import Letter, Space
from gateway.mail.pool import Pool
from gateway.mail.relay import Relay
from gateway.mail.replies import DISK_LOW, FAULT, QUEUE_FULL
from gateway.mail.scan import Scanner
from gateway.mail.send import Ready, Style, ready, weighed
from gateway.mail.settings import LineSettings, doubles, faults
from gateway.mail.taking import Taker
from gateway.mail.watch import Desk, Take, Watch

log = logging.getLogger("pasokh.mail")

DISK_EVERY = 1.0  # seconds between looks at the free room
NOTED = "sent."  # before the names of drawer boxes that note when a row was first written
NOTED_LIFE = 7 * 86_400_000  # ms; a letter is given up after three days
SWEEP = 3600.0  # seconds between looks for notes past it
BIG = 33_554_432  # octets of letters over 1 MiB in memory at a time
LANGS = ("fa", "en")
ReadFile = Callable[[str], Awaitable[bytes]]


class MailChannel:
    """All mail lines of the body."""

    name = "mail"
    can_send = True

    def __init__(
        self, gear: Gear, lines: Mapping[str, LineSettings], keys: Keys, scanner: Scanner | None = None
    ) -> None:
        self._gear, self._lines = gear, lines
        self.scanner = scanner  #: where files are scanned for viruses, if anywhere
        self._keys = keys
        self._units = _units(gear.extra.get("units") or {})
        scan = Scan.OFF if scanner is None else Scan.WAITING
        self._books = {name: receive.Book(_known(line), keys, self._locals(line), scan) for name, line in lines.items()}
        self._relays = {name: Relay(line) for name, line in lines.items()}
        self._pool = Pool(max((line.workers for line in lines.values()), default=1))
        self._ours = tuple(gear.say("mail.above", lang) for lang in LANGS)
        self._signers = {
            name: dkim.read(line.dkim_key, line.domain, line.dkim_selector)
            for name, line in lines.items()
            if line.dkim_key
        }
        self._listeners: dict[str, Any] = {}
        self._watches: dict[str, Watch] = {}
        self._big = Space(BIG)
        self._door: Door | None = None
        self._letters: Taker | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._disk_seen, self._disk = -DISK_EVERY, (0, 0)
        self.at_once = sum(line.send_connections for line in lines.values()) or 1  #: letters on the wire, no more

    # ------------------------------------------------------------ life

    async def start(self, door: Door) -> None:
        """Open the ports. Raises OSError with a sentence naming the setting when one is taken."""
        from twisted.internet.error import CannotListenError

        from gateway.mail.listen import Listener

        self._door = door
        exempt = bool(self._gear.extra.get("loopback_exempt"))
        objections = tuple(word for lang in LANGS for word in self._gear.say("mail.objections", lang).split("|"))
        self._letters = Taker(
            door, self._pool, self._books, self._ours, exempt, objections, self._gear.extra.get("dns")
        )
        await self._pool.start()
        for name, line in self._lines.items():
            if line.kind == "imap":
                self._watch(name)
                continue
            listener = Listener(line, self._books[name].judge, self._taker(name), self._gear.folder, self._room(line))
            try:
                listener.start(self._gear.reactor)
            except (CannotListenError, OSError, ValueError) as error:
                await self.stop(0)
                raise OSError(_cannot_listen(name, line, error)) from None
            self._listeners[name] = listener
        self._sweeper = asyncio.create_task(self._sweep_hourly(), name="mail notes")

    def _watch(self, name: str) -> None:
        line, folder = self._lines[name], self._gear.folder
        desk = Desk(self._taker(name), self._keeper(name), self._gear.say("mail.too_big", line.lang), folder)
        self._watches[name] = Watch(name, self._books[name], desk)
        self._watches[name].start()

    def health(self) -> str:
        """`down` while a mailbox has been out of reach for too long."""
        said = {watch.health() for watch in self._watches.values()}
        return next((word for word in ("failed", "down") if word in said), "up")

    async def stop(self, drain: float) -> None:
        await asyncio.gather(
            *(listener.stop(drain) for listener in self._listeners.values()),
            *(watch.stop() for watch in self._watches.values()),
        )
        self._listeners.clear()
        self._watches.clear()
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        for relay in self._relays.values():
            await relay.close()
        await self._pool.stop()

    def port(self, line: str | None = None) -> int:
        """The port a line listens on, once started."""
        listener = self._listeners[line or next(iter(self._listeners))]
        return int(listener.port)

    def pids(self) -> list[int]:
        """The parser workers' process ids."""
        return self._pool.pids()

    # ------------------------------------------------------------ what staff see

    def ways_in(self) -> list[WayIn]:
        """How each line stands."""
        ports = [state.listening(name, listener) for name, listener in self._listeners.items()]
        boxes = [state.watched(name, self._lines[name], watch) for name, watch in self._watches.items()]
        return sorted([*ports, *boxes], key=lambda way: way.name)

    def hands(self) -> dict[str, int]:
        """The parser workers: alive, letters waiting, deaths since the start."""
        return {"alive": len(self._pool.pids()), "waiting": self._pool.waiting, "deaths": self._pool.deaths}

    async def trial(self, line: str) -> list[Trial]:
        """Is the line open, and does its relay answer? Nothing is sent. Raises NotFound."""
        if line not in self._lines:
            raise NotFound("no such line")
        return await state.trial(self._lines[line], self.port(line) if line in self._listeners else 0)

    # ------------------------------------------------------------ in

    def _taker(self, name: str) -> Take:
        async def take(letter: Letter) -> smtp.Reply:
            return await self._take(name, letter)

        return take

    def _keeper(self, name: str) -> Take:
        """Takes a letter as it is, unread: for a mailbox, where nobody can be told to keep it."""

        async def keep(letter: Letter) -> smtp.Reply:
            assert self._letters is not None
            try:
                async with self._big.of(letter.size):
                    return await self._letters.unread(name, letter.envelope, letter.peer, letter.read())
            except Busy:
                return QUEUE_FULL
            except Exception:
                log.exception("a letter could not be stored even raw", extra={"line": name, "size": letter.size})
                return FAULT

        return keep

    def _room(self, line: LineSettings) -> Callable[[int], smtp.Reply | None]:
        """Asked before a letter is sent to us, so that nobody sends in vain what cannot be taken."""

        def room(size: int) -> smtp.Reply | None:
            if self._disk_low(line):
                return DISK_LOW
            return QUEUE_FULL if self._pool.full else None

        return room

    async def _take(self, name: str, letter: Letter) -> smtp.Reply:
        """The verdict on one letter: 250 only after the receipt; our own faults are 4xx, never 5xx."""
        if self._disk_low(self._lines[name]):
            return DISK_LOW
        try:
            if not letter.spooled:
                return await self._store(name, letter.envelope, letter.peer, letter.read())
            async with self._big.of(letter.size):
                return await self._store(name, letter.envelope, letter.peer, letter.read())
        except Busy:
            return QUEUE_FULL
        except Exception:
            log.exception("a letter could not be stored", extra={"line": name, "size": letter.size})
            return FAULT

    async def _store(self, name: str, envelope: smtp.Envelope, peer: str, raw: bytes) -> smtp.Reply:
        assert self._letters is not None
        return await self._letters.take(name, envelope, peer, raw)

    async def reread(self, line: str | None, raw: bytes) -> Inbound:
        """A kept letter as it is read now. Raises Busy."""
        assert self._letters is not None
        name = line if line is not None and line in self._lines else next(iter(self._lines))
        return await self._letters.reread(name, raw)

    # ------------------------------------------------------------ out

    async def send(self, message: Outbound) -> Outcome:
        """One letter to one person. In doubt: the same bytes once more, then a person decides."""
        name = message.line if message.line in self._lines else next(iter(self._lines), None)
        if name is None:
            return TryLater("no mail line")
        box = f"{NOTED}{message.epoch}.{message.id}"
        slots = await self._noted(box, "at", str(self._now()).encode())
        if message.in_doubt and "again" in slots:
            return Unknown("sent twice already, perhaps", park=True)
        try:
            files, row = await self._files(message, self._lines[name])
        except PasokhError:
            log.exception("a file of a letter cannot be read", extra={"outbox": message.id})
            why = "a file cannot be read"
            return Unknown(why) if message.in_doubt else TryLater(why)
        if message.in_doubt:
            await self._noted(box, "again", b"1")
        try:
            letter = await self._ready(name, row, int(slots["at"]), files)
        except ValueError as error:
            log.warning("a letter cannot be written", extra={"outbox": message.id, "kind": type(error).__name__})
            return Refused("cannot be written as a letter")
        outcome = await self._relays[name].send(letter.sender, letter.to, letter.data, letter.message_id)
        log.info("letter handed to relay", extra={"outbox": message.id, "outcome": type(outcome).__name__})
        return weighed(outcome, message, random.random())

    async def _ready(self, name: str, row: Outbound, at: int, files: list[tuple[str, str, bytes]]) -> Ready:
        """The letter, signed where the line has a key; a big one is made in a thread, so that calls are not held up."""
        signatures: Mapping[str, Mapping[str, str]] = self._gear.extra.get("signatures") or {}
        style = Style(self._keys, self._gear.say, self._units, signatures, self._signers.get(name))
        if files:
            return await asyncio.to_thread(ready, row, self._lines[name], style, at, files)
        return ready(row, self._lines[name], style, at, files)

    async def _noted(self, box: str, slot: str, data: bytes) -> Mapping[str, bytes]:
        """What is noted of a row, with `slot` added unless it is there: the date must stay when it is sent again."""
        assert self._door is not None
        known = await self._door.drawer.get(box)
        return known if slot in known else await self._door.drawer.put(box, slot, data)

    async def sweep(self) -> int:
        """Close the notes of rows first written more than seven days ago; returns how many. Raises Busy."""
        assert self._door is not None
        old = [box for box in await self._door.drawer.boxes(self._now() - NOTED_LIFE) if box.startswith(NOTED)]
        for box in old:
            await self._door.drawer.close(box)
        return len(old)

    async def _sweep_hourly(self) -> None:
        while True:
            try:
                gone = await self.sweep()
                log.info("old notes of sent letters closed", extra={"gone": gone})
            except Busy:
                log.warning("the store was too busy to sweep notes of sent letters")
            except Exception:
                log.exception("notes of sent letters could not be swept, they are again")
            await asyncio.sleep(SWEEP)

    async def _files(self, row: Outbound, line: LineSettings) -> tuple[list[tuple[str, str, bytes]], Outbound]:
        """The row's files, or the row with a link to the portal in its text when they are too big to send."""
        read: ReadFile | None = self._gear.extra.get("read_file")
        if not row.files:
            return [], row
        if read is not None and sum(f.size for f in row.files) <= line.files_limit:
            return [await _file(read, kept) for kept in row.files], row
        url = str(self._gear.agency.get("url", ""))
        return [], replace(row, text=f"{row.text}\n\n{self._gear.say('mail.files_link', row.lang, url=url)}")

    # ------------------------------------------------------------ helpers

    def _locals(self, line: LineSettings) -> dict[str, str]:
        domain = "@" + line.domain.lower()
        return {
            value.removesuffix(domain): slug
            for slug, value in self._units.items()
            if value.endswith(domain) or "@" not in value
        }

    def _disk_low(self, line: LineSettings) -> bool:
        """Looked at once in a while: asking for each letter costs as much as reading its envelope."""
        now = time.monotonic()
        if now >= self._disk_seen + DISK_EVERY:
            usage = shutil.disk_usage(self._gear.folder)
            self._disk_seen, self._disk = now, (usage.free, usage.total)
        free, total = self._disk
        return free < max(total * line.disk_free, 2 * line.size)

    def _now(self) -> int:
        return self._gear.clock.now() if self._gear.clock is not None else int(time.time() * 1000)


def make(gear: Gear) -> Channel:
    """The channel of `gear.lines`. Raises config.Faults for wrong settings.

    `gear.extra`: `units` (slug → local part or whole address), `mail_keys` (an address.Keys, else kept in the folder),
    `read_file` (key → content of a kept file), `loopback_exempt` (budgets do not hold for peers on loopback).
    """
    tables = gear.lines.get("line", gear.lines)
    where: Where | None = gear.extra.get("where")
    place = where / "line" if where is not None else Where(Document("lines.toml", {}), ("mail", "line"))
    lines = {name: _line(table, place / name) for name, table in tables.items()}
    found = [fault for name, line in lines.items() for fault in faults(line, place / name)] + doubles(lines, place)
    if found:
        raise Faults(found)
    keys = gear.extra.get("mail_keys") or keys_of(Path(gear.folder))
    scanner = gear.lines.get("scan")
    at = Where(place.document, (*place.path[:-1], "scan"))
    return MailChannel(gear, lines, keys, read_settings(Scanner, scanner, at) if scanner is not None else None)


def keys_of(folder: Path) -> Keys:
    """The channel's own keys, made at first: a file readable by its owner only."""
    path = folder / "address-keys.json"
    if not path.exists():
        fresh = new_keys()
        data = {"current": fresh.current, "keys": {str(k): v.hex() for k, v in fresh.by_id.items()}}
        with open(os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(data, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{path}.new", path)
    said = json.loads(path.read_text("utf-8"))
    return Keys(said["current"], {int(k): bytes.fromhex(v) for k, v in said["keys"].items()})


def _line(table: Any, place: Where) -> LineSettings:
    return table if isinstance(table, LineSettings) else read_settings(LineSettings, table, place)


def _known(line: LineSettings) -> LineSettings:
    """The peer of a mailbox is the server we have called ourselves: it may judge."""
    return replace(line, peer_allow=("0.0.0.0/0", "::/0")) if line.kind == "imap" else line


def _cannot_listen(name: str, line: LineSettings, error: Exception) -> str:
    if isinstance(error, ValueError):
        return f"mail.line.{name}.certificate: {error}"
    if isinstance(error, OSError):
        return f"mail.line.{name}: {error.filename or ''} {error.strerror or error}".strip()
    place = ("socket", line.socket) if line.socket else ("port", f"{line.bind}:{line.port}")
    return f"mail.line.{name}.{place[0]}: {place[1]} is taken"


def _units(given: Mapping[str, str | None]) -> dict[str, str]:
    return {slug: value.lower() for slug, value in given.items() if value}


async def _file(read: ReadFile, kept: KeptFile) -> tuple[str, str, bytes]:
    return kept.name, kept.type, await read(kept.key)
