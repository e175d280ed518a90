"""The SMS channel: texts in by call-back and polling, answers out in batches. What does the work lies beside it.

A text is acknowledged to the provider only after it is on disk; a send whose result is unknown is looked up by
our local id before anything is repeated.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from core.channels import (
    Channel,
    Clock,
    Door,
    Gear,
    Inbound,
    LineView,
    Measure,
    Outbound,
    Outcome,
    RawReply,
    RawRequest,
    Sent,
)
from core.clock import SystemClock
from core.errors import Busy, NotFound
from sms import assembly, links, parts, reports, tables, view
from sms.incoming import Incoming
from sms.joining import Joining, Whole
from sms.outgoing import KEY_BITS, Held, Outgoing
from sms.providers.base import Accepted, Arrival, LinePaused, LineState, Part, Provider, Report
from sms.settings import LineSettings
from sms.spending import Spending
from sms.watch import Watch
from sms.ways import Way, Ways

log = logging.getLogger("pasokh.sms")

HOOK_BYTES = 64 << 10  # octets of a call-back
HELD = "sms:held"  #: box: lines paused by hand, and why
AT_ONCE, UNASKED = 800, 400  # sends under way; where a provider cannot be asked a crash leaves each to a person
HELD_FRESH = 5.0  # seconds another process's pause may go unnoticed


class Sms:
    """All SMS lines of the body."""

    name = "sms"
    can_send = True

    def __init__(self, gear: Gear, lines: Mapping[str, LineSettings], made: Mapping[str, Provider]) -> None:
        self._lines, self._providers = lines, made
        self.at_once = AT_ONCE if all(provider.caps.keyed for provider in made.values()) else UNASKED
        self.reactor: Any = gear.reactor
        self.clock: Clock = gear.clock or SystemClock()
        self.folder = gear.folder
        self._ways = Ways(lines, made)
        self._spending, self._held, self._held_at = Spending(self.clock), Held({}), 0.0
        hosts = links.hosts(str(gear.agency[key]) for key in ("url", "domain") if gear.agency.get(key))
        self._outgoing = Outgoing(lines, self._ways, gear.say, self.clock, self._spending, self._held, hosts)
        words = {name: tables.vocabulary(gear.say, line.words) for name, line in lines.items()}
        exempt = bool(gear.extra.get("loopback_exempt"))
        self._incoming = Incoming(lines, gear.say, words, self.clock, exempt, str(gear.agency.get("url", "")))
        self._watch = Watch(lines, made, self._ways, self.clock, self._polled, self.reported)
        self._door: Door | None = None
        self._joining: Joining | None = None

    # ---- life

    async def start(self, door: Door) -> None:
        self._door = door
        self._joining = Joining(door, self.clock, self._joined)
        await self._read_held(door)
        for provider in self._providers.values():
            await provider.start(Sink(self, provider.name))
        self._joining.start()
        self._watch.start(door)

    async def stop(self, drain: float) -> None:
        await self._watch.stop()
        if self._joining is not None:
            await self._joining.stop()
        for gather in self._ways.gathers.values():
            await gather.stop(drain)
        for provider in self._providers.values():
            await provider.stop(drain)

    # ---- out

    async def send(self, message: Outbound) -> Outcome:
        """Word it, look it up first when in doubt, and send it with others of its moment."""
        door = self._desk()
        if self.clock.monotonic() - self._held_at > HELD_FRESH:
            await self._read_held(door)
        return await self._outgoing.send(door, message)

    def measure(self, text: str, facts: Mapping[str, Any] | None = None, lang: str = "fa") -> Measure:
        """Of `text` as it is; with `facts` framed, compacted and cut as an answer of the first line."""
        return parts.measure(text) if facts is None else self._outgoing.measure(text, facts, lang)

    # ---- in

    async def hook(self, line: str, secret: str, request: RawRequest) -> RawReply:
        """A provider's call-back: 404 for strangers, 413 when too large, 503 when the store is full, else 200 after
        commit."""
        settings = self._lines.get(line)
        if settings is None or not _knows(settings, secret) or not _allowed(settings, request.peer):
            return RawReply(404, b"")
        if len(request.body) > HOOK_BYTES:
            return RawReply(413, b"")
        try:
            provider, items = self._read(settings, request)
            for item in items:
                await self._one(line, provider, item)
        except Busy as busy:
            return RawReply(503, b"", {"Retry-After": str(max(1, round(busy.after)))})
        except ValueError as fault:
            return await self._unreadable(line, request, str(fault))
        return RawReply(200)

    def _read(self, line: LineSettings, request: RawRequest) -> tuple[str, Sequence[Arrival | Report]]:
        """By the first provider of the line that finds sense in it. Raises ValueError."""
        faults: list[ValueError] = []
        for each in line.providers:
            try:
                return each, self._providers[each].read_push(request)
            except ValueError as fault:
                faults.append(fault)
        raise faults[0]

    async def _unreadable(self, line: str, request: RawRequest, why: str) -> RawReply:
        """The right secret but no sense in it: kept raw, a ticket for the desk, acknowledged."""
        try:
            await self._keep_raw(line, repr(sorted(request.query.items())).encode() + b"\n" + request.body, why)
        except Busy as busy:
            return RawReply(503, b"", {"Retry-After": str(max(1, round(busy.after)))})
        return RawReply(200)

    async def _keep_raw(self, line: str, whole: bytes, why: str) -> None:
        ref = f"unreadable:{line}:{hashlib.sha256(whole).hexdigest()[:32]}"
        message = Inbound("sms", ref, line=line, raw=whole, unreadable=True, quiet=True, defects=(why,))
        await self._desk().take(message)

    async def _one(self, line: str, provider: str, item: Arrival | Report) -> None:
        if isinstance(item, Report):
            await self.reported(provider, item)
        else:
            await self._incoming.arrived(self._desk(), provider, line, item)

    async def _polled(self, line: str, provider: str, arrival: Arrival) -> str:
        return await self._incoming.arrived(self._desk(), provider, line, arrival, polled=True)

    async def _joined(self, whole: Whole) -> str:
        line = self._line_of(whole.provider, whole.arrival.to)
        return await self._incoming.joined(self._desk(), line, whole)

    async def heard(self, provider: str, item: Arrival | Part) -> None:
        """A provider's own news of a text: on disk when it returns. Raises Busy."""
        line = self._line_of(provider, item.to)
        if isinstance(item, Arrival) and item.raw is not None:
            await self._keep_raw(line, item.raw, ", ".join(item.defects))
        elif isinstance(item, Part) and not assembly.good(item):
            head = f"{item.id} {item.sender} {item.ref} {item.number}/{item.total}\n".encode()
            await self._keep_raw(line, head + item.data, "part_numbers")
        elif isinstance(item, Part):
            assert self._joining is not None
            await self._joining.part(provider, line, item)
        else:
            await self._incoming.arrived(self._desk(), provider, line, item)

    async def reported(self, provider: str, report: Report) -> None:
        """A provider's own news of something sent: on disk when it returns. Raises Busy."""
        await reports.tell(self._desk(), provider, report)

    async def found(self, provider: str, key: int, accepted: Accepted) -> None:
        """A text in doubt was sent after all. On disk when it returns. Raises Busy."""
        sent = Sent(f"{provider}:{accepted.ref}", accepted.cost, found=True, parts=accepted.parts)
        await self._desk().sent_after_all(key >> KEY_BITS, key & ((1 << KEY_BITS) - 1), sent)

    def _line_of(self, provider: str, number: str) -> str:
        """The line a text came to, else the first that `provider` serves."""
        mine = [name for name, line in self._lines.items() if provider in line.providers]
        return next((name for name in mine if self._lines[name].number == number), mine[0])

    # ---- lines: looked at, paused, fetched

    async def lines(self) -> list[LineView]:
        """How each line stands now."""
        door = self._desk()
        await self._read_held(door)
        return [
            view.line(
                name, line, self._held.lines.get(name, ""), await self._spending.today(door, name),
                self._ways.all_of(name), self._watch.credit, self.clock.monotonic(),
            )
            for name, line in self._lines.items()
        ]  # fmt: skip

    async def pause(self, line: str, why: str) -> None:
        """Send nothing by it; texts wait. On disk: all processes follow. Raises NotFound."""
        self._known(line)
        await self._desk().drawer.put(HELD, line, why.encode())
        await self._read_held(self._desk())

    async def resume(self, line: str) -> None:
        """Send again, and forget what was wrong with its ways. Raises NotFound."""
        self._known(line)
        await self._desk().drawer.change(HELD, {line: None})
        await self._read_held(self._desk())
        for way in self._ways.all_of(line):
            way.resume()

    async def fetch(self, line: str, since: int) -> int:
        """Take what providers handed out for a line since then (ms UTC); how many. Raises NotFound, ProviderError."""
        settings = self._known(line)
        taken = 0
        for each in settings.providers:
            if self._providers[each].caps.inbound:
                taken += await self._watch.fetch(line, settings, self._providers[each], since)
        return taken

    def _known(self, line: str) -> LineSettings:
        if line not in self._lines:
            raise NotFound(f"no SMS line {line}")
        return self._lines[line]

    async def _read_held(self, door: Door) -> None:
        self._held_at = self.clock.monotonic()  # first, so that sends at once read it once
        self._held.lines = {name: why.decode() for name, why in (await door.drawer.get(HELD)).items()}

    def told_of_line(self, provider: str, number: str, state: LineState, why: str) -> None:
        """A provider says how a line stands; '' is all of its lines."""
        for name, line in self._lines.items():
            for way in self._ways.all_of(name):
                if way.provider.name == provider and number in ("", line.number):
                    _learn(way, state, why, self.clock.monotonic())

    def _desk(self) -> Door:
        if self._door is None:
            raise RuntimeError("the SMS channel was not started")
        return self._door


def _learn(way: Way, state: LineState, why: str, now: float) -> None:
    if state is LineState.UP:
        way.resume()
    elif state is LineState.PAUSED:
        way.pause(LinePaused(why), now)
    elif state is LineState.SLOW:
        way.bucket.slow(now)


class Sink:
    """`base.Sink` for one provider."""

    def __init__(self, channel: Sms, provider: str) -> None:
        self._channel, self._provider = channel, provider
        self.reactor = channel.reactor
        self.clock = channel.clock
        self.folder = channel.folder

    async def arrived(self, item: Arrival | Part) -> None:
        await self._channel.heard(self._provider, item)

    async def reported(self, report: Report) -> None:
        await self._channel.reported(self._provider, report)

    async def found(self, key: int, accepted: Accepted) -> None:
        await self._channel.found(self._provider, key, accepted)

    def line_state(self, line: str, state: LineState, why: str = "") -> None:
        level = logging.INFO if state is LineState.UP else logging.WARNING
        log.log(level, "a provider tells of its line", extra={"provider": self._provider, "state": state.value})
        self._channel.told_of_line(self._provider, line, state, why)


def _knows(line: LineSettings, secret: str) -> bool:
    return bool(line.hook_secret) and hmac.compare_digest(line.hook_secret.encode(), secret.encode())


def _allowed(line: LineSettings, peer: str) -> bool:
    """May call-backs come from this address?"""
    if line.peer_allow is None:
        return True
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(each) for each in line.peer_allow)


def make(gear: Gear) -> Channel:
    """The channel of `[sms.line.*]` and `[sms.provider.*]`. Raises config.Faults for a bad field."""
    return Sms(gear, *tables.read_all(gear))
