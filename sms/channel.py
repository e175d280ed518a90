"""The SMS channel: texts in by call-back and by polling, answers out in batches, keywords read on the way.

A text is acknowledged to the provider only after it is on disk; a send whose result is unknown is looked up by
our local id before anything is repeated.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from config.positions import Document, Where
from config.shape import read
from core import codes, phones
from core import text as words_of
from core.channels import (
    Act,
    Asker,
    Channel,
    Clock,
    Contact,
    ContactKind,
    Door,
    Gear,
    Inbound,
    Measure,
    Note,
    Outbound,
    Outcome,
    RawReply,
    RawRequest,
    Refused,
    Say,
    Sent,
    TryLater,
    Unknown,
)
from core.clock import SystemClock
from core.errors import Busy, Guarded, Locked, NotFound, WrongInput, WrongState
from sms import keywords, parts, providers, wording
from sms.gather import Gather
from sms.providers import base
from sms.providers.base import Arrival, Provider, Report, Text
from sms.settings import LineSettings

log = logging.getLogger("pasokh.sms")

T = TypeVar("T")
LOOK_AGAIN = 60.0  # seconds until a doubtful send is looked up
PAUSED = 300.0  # seconds a line without key or credit rests
AGAIN = 48 * 3_600_000  # ms; what was handed out in that time is fetched again after a start
WEAK_SPAN = 600_000  # ms in which an arrival without id counts as the same one
RECEIPTS = ("receipt_sms",)  # budgets of a number: codes of new tickets
SENTENCES = ("sms_auto_hour", "sms_auto_day")  # and every other automatic sentence
BLOCK = 4  # last digits of a number that its block of 10,000 has not
JUDGED = 4096  # texts whose repeats spend nothing more; the oldest is forgotten first
DIGIT, LETTER = re.compile(r"\d"), re.compile(r"[^\W\d]")
LANGS = ("fa", "en")
WORDS = ("stop", "start", "help", "confidential", "state", "accept", "object")


class Sms:
    """All SMS lines of the body."""

    name = "sms"
    can_send = True
    at_once = 400  #: sends under way; they gather into batches

    def __init__(self, gear: Gear, lines: Mapping[str, LineSettings], made: Mapping[str, Provider]) -> None:
        self._gear, self._lines, self._providers = gear, lines, made
        self._words = _vocabulary(gear.say)
        self._gathers = {name: Gather(provider) for name, provider in made.items()}
        self._pollers: list[asyncio.Task[None]] = []
        self._door: Door | None = None
        self.reactor: Any = gear.reactor
        self.folder = gear.folder
        self.clock: Clock = gear.clock or SystemClock()
        self._judging = asyncio.Lock()
        self._judged: OrderedDict[str, bool] = OrderedDict()

    # ---- life

    async def start(self, door: Door) -> None:
        self._door = door
        for provider in self._providers.values():
            await provider.start(Sink(self, provider.name))
        for name, line in self._lines.items():
            for each in line.providers:
                if line.poll_s and self._providers[each].caps.inbound:
                    self._pollers.append(asyncio.create_task(self._poll(name, line, self._providers[each])))

    async def stop(self, drain: float) -> None:
        for task in self._pollers:
            task.cancel()
        await asyncio.gather(*self._pollers, return_exceptions=True)
        for gather in self._gathers.values():
            await gather.stop(drain)
        for provider in self._providers.values():
            await provider.stop(drain)

    # ---- out

    async def send(self, message: Outbound) -> Outcome:
        """Word it, look it up first when in doubt, and send it with others of its moment."""
        name, line = self._line(message.line)
        if not phones.mobile(message.to):
            return Refused("not a mobile number")
        words = wording.words(message, self._gear.say)
        text = Text(
            message.epoch << 36 | message.id,
            message.to,
            line.number,
            wording.fit(words, line, self._gear.say, message.lang),
            message.purpose,
            message.not_after,
        )
        gather = self._gathers[line.providers[0]]
        if message.in_doubt:
            found = await self._found(gather, text.key)
            if found is not None:
                return found
        log.info("text handed to provider", extra={"outbox": message.id, "line": name})
        return _result(await gather.send(text), message.in_doubt)

    async def _found(self, gather: Gather, key: int) -> Outcome | None:
        """What the provider knows of an earlier try; None = it never had it, the same key may go again."""
        if not gather.provider.caps.keyed:
            return Unknown("the provider cannot be asked", park=True)
        try:
            known = (await gather.provider.find([key])).get(key)
        except base.ProviderError as error:
            return Unknown(error.why, LOOK_AGAIN)
        return Sent(known.ref, known.cost, found=True) if known else None

    def measure(self, text: str) -> Measure:
        return parts.measure(text)

    # ---- in

    async def hook(self, line: str, secret: str, request: RawRequest) -> RawReply:
        """A provider's call-back: 404 for strangers, 503 when the store is full, else 200 after commit."""
        settings = self._lines.get(line)
        if settings is None or not _knows(settings, secret):
            return RawReply(404, b"")
        try:
            for item in self._read(settings, request):
                await self._one(line, settings, settings.providers[0], item)
        except Busy as busy:
            return RawReply(503, b"", {"Retry-After": str(max(1, round(busy.after)))})
        except ValueError as fault:
            return await self._unreadable(line, request, str(fault))
        return RawReply(200)

    def _read(self, line: LineSettings, request: RawRequest) -> list[Arrival | Report]:
        return list(self._providers[line.providers[0]].read_push(request))

    async def _unreadable(self, line: str, request: RawRequest, why: str) -> RawReply:
        """The right secret but no sense in it: kept raw, a ticket for the desk, acknowledged."""
        try:
            await self._keep_raw(line, repr(sorted(request.query.items())).encode() + b"\n" + request.body, why)
        except Busy as busy:
            return RawReply(503, b"", {"Retry-After": str(max(1, round(busy.after)))})
        return RawReply(200)

    async def _keep_raw(self, line: str, whole: bytes, why: str) -> None:
        ref = f"unreadable:{line}:{hashlib.sha256(whole).hexdigest()[:32]}"
        await self._desk().take(Inbound("sms", ref, line=line, raw=whole, unreadable=True, quiet=True, defects=(why,)))

    async def _one(self, name: str, line: LineSettings, provider: str, item: Arrival | Report) -> None:
        if isinstance(item, Arrival):
            await self._arrived(name, line, provider, item)
        elif item.state is not None:
            await self._desk().delivered("sms", item.ref, item.state, item.why)

    async def _poll(self, name: str, line: LineSettings, provider: Provider) -> None:
        """At start what was handed out in the last 48 h as well: a crash may have lost what reading marked read."""
        again = True
        while True:
            try:
                for arrival in await provider.poll(line.number, self._since() if again else None):
                    await self._arrived(name, line, provider.name, arrival)
                again = False
            except (base.ProviderError, Busy) as error:
                again = True
                log.warning("poll failed", extra={"line": name, "why": type(error).__name__})
            await asyncio.sleep(line.poll_s)

    def _since(self) -> int:
        return self.clock.now() - AGAIN

    async def heard(self, provider: str, item: Arrival | base.Part) -> None:
        """A provider's own news of a text: on disk when it returns."""
        if isinstance(item, base.Part):
            item = Arrival(item.id, item.sender, item.to, item.data.decode("utf-16-be", "replace"), item.at)
        name, line = self._line_of(provider, item.to)
        if item.raw is not None:
            await self._keep_raw(name, item.raw, ", ".join(item.defects))
            return
        await self._arrived(name, line, provider, item)

    async def reported(self, report: Report) -> None:
        """A provider's own news of something sent: on disk when it returns."""
        if report.state is not None:
            await self._desk().delivered("sms", report.ref, report.state, report.why)

    def _line_of(self, provider: str, number: str) -> tuple[str, LineSettings]:
        """The line a text came to, else the first that `provider` serves."""
        mine = [(name, line) for name, line in self._lines.items() if provider in line.providers]
        return next((item for item in mine if item[1].number == number), mine[0])

    async def _arrived(self, name: str, line: LineSettings, provider: str, arrival: Arrival) -> None:
        reading = keywords.read(arrival.text, self._words)
        sender = phones.parse(arrival.sender)
        heard = Heard(name, line, _ref(provider, name, arrival), arrival, reading, sender)
        await self._react(heard)

    async def _react(self, heard: Heard) -> None:
        wish = heard.reading.wish
        if wish in (keywords.Wish.NEW, keywords.Wish.ACT):
            await self._take(heard)
        elif wish is keywords.Wish.STATE:
            await self._state(heard)
        elif wish is keywords.Wish.MINE:
            await self._mine(heard)
        else:
            await self._aside(heard)

    async def _take(self, heard: Heard) -> None:
        """A new ticket, an addition, an acceptance or an objection."""
        quiet = not await self._may_answer(heard, RECEIPTS)
        try:
            await self._desk().take(heard.inbound(quiet))
        except (NotFound, WrongState, Guarded, Locked, WrongInput) as error:
            await self._instead(heard, error, quiet)

    async def _instead(self, heard: Heard, error: Exception, quiet: bool) -> None:
        """A code that opens nothing: an addition becomes a ticket of its own, a deed gets its reason told."""
        if heard.reading.act is Act.ADD:
            await self._desk().take(heard.inbound(quiet, act=Act.NEW))
            return
        await self._kept(heard, "refused")
        if not quiet:
            await self._tell(heard, "need_proof" if isinstance(error, NotFound | Locked) else "not_now")

    async def _state(self, heard: Heard) -> None:
        if not await self._may_answer(heard):
            return await self._kept(heard, "over budget")
        code = heard.reading.code or ""
        try:
            answer = await self._desk().answer_for(code, heard.asker())
        except Locked:
            return await self._tell(heard, "code_wrong")
        if answer is None:
            return await self._tell(heard, "code_wrong")
        return await self._tell(heard, *wording.state(answer), ticket=answer.ticket)

    async def _mine(self, heard: Heard) -> None:
        if not await self._may_answer(heard):
            return await self._kept(heard, "over budget")
        facts = await self._desk().look_up("mine", heard.sender or "", heard.asker())
        if facts is None or not facts.rows:
            return await self._tell(heard, "mine_none")
        shown = "\n".join(codes.show(str(row["code"])) for row in facts.rows[:3])
        return await self._tell(heard, "mine", {"codes": shown})

    async def _aside(self, heard: Heard) -> None:
        """Empty, stray digits, help, opt-out, confidential: the raw text is kept, no ticket."""
        await self._kept(heard, heard.reading.wish)
        if await self._may_answer(heard):
            await self._tell(heard, wording.ASIDE[heard.reading.wish])

    async def _kept(self, heard: Heard, why: str) -> None:
        await self._desk().raw("sms", heard.ref, heard.arrival.text.encode(), why)

    async def _tell(
        self, heard: Heard, key: str, facts: Mapping[str, Any] | None = None, ticket: int | None = None
    ) -> None:
        """Queue a sentence, unless this very one was told to this number a moment ago."""
        to, facts = heard.sender or "", facts or {}
        if await self._within("sms_sentence", f"{to} {key} {sorted(facts.items())}"):
            note = Note("sms", f"tell:{heard.ref}", to, key, facts, heard.line_name, ticket=ticket)
            await self._desk().tell(note)

    async def _may_answer(self, heard: Heard, rules: Sequence[str] = SENTENCES) -> bool:
        """Only mobiles, never our own lines, no loop, within the budgets; a repeat of a text spends nothing more."""
        own = {phones.parse(line.number) or line.number for line in self._lines.values()}
        sender = heard.sender
        if sender is None or sender in own or not phones.mobile(sender):
            return False
        async with self._judging:
            if heard.ref not in self._judged:
                self._judged[heard.ref] = await self._afford(heard, sender, rules)
                while len(self._judged) > JUDGED:
                    self._judged.popitem(last=False)
            return self._judged[heard.ref]

    async def _afford(self, heard: Heard, sender: str, rules: Sequence[str]) -> bool:
        spent = [(rule, sender) for rule in rules] + [("sms_block_day", sender[:-BLOCK])]
        if heard.mask:
            spent.insert(0, ("sms_equal", f"{sender} {heard.mask}"))
        for rule, key in spent:
            if not await self._within(rule, key):
                log.info("no automatic text, a budget is empty", extra={"rule": rule, "line": heard.line_name})
                return False
        return True

    async def _within(self, rule: str, key: str) -> bool:
        """Take one of a budget; trials on loopback have no end of it."""
        return bool(self._gear.extra.get("loopback_exempt")) or await self._desk().spend(rule, key)

    def _line(self, name: str | None) -> tuple[str, LineSettings]:
        if name in self._lines:
            return str(name), self._lines[str(name)]
        return next(iter(self._lines.items()))

    def _desk(self) -> Door:
        if self._door is None:
            raise RuntimeError("the SMS channel was not started")
        return self._door


class Sink:
    """`base.Sink` for one provider."""

    def __init__(self, channel: Sms, provider: str) -> None:
        self._channel, self._provider = channel, provider
        self.reactor = channel.reactor
        self.clock = channel.clock
        self.folder = channel.folder

    async def arrived(self, item: Arrival | base.Part) -> None:
        await self._channel.heard(self._provider, item)

    async def reported(self, report: Report) -> None:
        await self._channel.reported(report)

    def line_state(self, line: str, state: base.LineState, why: str = "") -> None:
        log.warning("a provider tells of its line", extra={"provider": self._provider, "state": state, "why": why})


class Heard:
    """One text that came in, with what was understood of it."""

    def __init__(
        self,
        line_name: str,
        line: LineSettings,
        ref: str,
        arrival: Arrival,
        reading: keywords.Reading,
        sender: str | None,
    ) -> None:
        self.line_name, self.line, self.ref = line_name, line, ref
        self.arrival, self.reading, self.sender = arrival, reading, sender

    @property
    def contact(self) -> Contact | None:
        """The network vouches for a sender as far as SMS goes: it opens what was sent to it before."""
        return Contact(ContactKind.PHONE, self.sender, proven=True) if self.sender else None

    @property
    def mask(self) -> str:
        """A digest of the words with every digit alike, '' for a text of digits alone: a bare code is no loop."""
        masked = DIGIT.sub("0", words_of.fold(self.arrival.text))
        return hashlib.sha256(masked.encode()).hexdigest() if LETTER.search(masked) else ""

    def inbound(self, quiet: bool, act: Act | None = None) -> Inbound:
        act = act or self.reading.act
        return Inbound(
            "sms",
            self.ref,
            self.arrival.text if act is Act.NEW else self.reading.rest,
            act=act,
            code=None if act is Act.NEW else self.reading.code,
            proof=self.reading.proof,
            contact=self.contact,
            line=self.line_name,
            to=(self.arrival.to or self.line.number,),
            lang=self.line.lang,
            raw=self.arrival.text.encode(),
            quiet=quiet,
            defects=tuple(self.arrival.defects),
            facts={} if self.sender else {"sender": self.arrival.sender},
        )

    def asker(self) -> Asker:
        return Asker("sms", self.sender or self.arrival.sender, self.contact, self.reading.proof)


def _ref(provider: str, line: str, arrival: Arrival) -> str:
    if arrival.id:
        return f"{provider}:{line}:{arrival.id}"
    whole = "\x00".join((arrival.sender, arrival.to, arrival.text)).encode()
    span = (arrival.at or 0) // WEAK_SPAN
    return f"weak:{provider}:{line}:{span}:{hashlib.sha256(whole).hexdigest()[:32]}"


def _knows(line: LineSettings, secret: str) -> bool:
    return bool(line.hook_secret) and hmac.compare_digest(line.hook_secret.encode(), secret.encode())


def _result(outcome: base.Outcome, in_doubt: bool) -> Outcome:
    """The providers' tree → core's outcomes."""
    if isinstance(outcome, base.Accepted):
        return Sent(outcome.ref, outcome.cost)
    error = outcome.error
    if isinstance(outcome, base.Doubt) or isinstance(error, base.Ambiguous):
        return Unknown(error.why, LOOK_AGAIN)
    if isinstance(error, base.LinePaused):
        log.error("the SMS line is paused", extra={"why": error.why, "code": error.code})
        return TryLater(error.why, PAUSED)
    if isinstance(error, base.Throttled | base.ProviderDown):
        return TryLater(error.why, error.after)
    return Refused(error.why)


def _vocabulary(say: Say) -> keywords.Vocabulary:
    rows = {word: "|".join(say(f"sms.words.{word}", lang) for lang in LANGS) for word in WORDS}
    return keywords.vocabulary(rows)


def read_each(cls: type[T], tables: Mapping[str, Any], where: Where) -> dict[str, T]:
    """The settings of every table by its name."""
    return {name: read(cls, table, where / name) for name, table in tables.items()}


def make(gear: Gear) -> Channel:
    """The channel of `[sms.line.*]` and `[sms.provider.*]`. Raises config.Faults for a bad field."""
    where: Where = gear.extra.get("where") or Where(Document("lines.toml", gear.lines))
    lines = read_each(LineSettings, gear.lines.get("line", {}), where / "line")
    wanted = {each for line in lines.values() for each in line.providers}
    tables = gear.lines.get("provider", {})
    missing = wanted - tables.keys()
    if missing:
        raise LookupError(f"lines.toml names no [sms.provider.{min(missing)}]")
    made = {name: providers.make(name, tables[name], where / "provider" / name) for name in sorted(wanted)}
    return Sms(gear, lines, made)
