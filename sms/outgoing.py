"""Texts out: worded, looked up first when in doubt, held back by hours, budgets and pauses, sent by the first way that
takes them. No second way after a doubt: only once the first certainly has nothing."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core import phones
from core.channels import (
    Clock,
    Contact,
    ContactKind,
    Door,
    Measure,
    Outbound,
    Outcome,
    Purpose,
    Refused,
    Say,
    Sent,
    TryLater,
    Unknown,
)
from sms import hours, links, parts, wording
from sms.onetime import OneTime
from sms.providers import base
from sms.providers.base import Accepted, Doubt, Rejected, Text
from sms.settings import LineSettings
from sms.spending import Spending
from sms.ways import PATIENCE, Way, Ways, goes_on, mark

log = logging.getLogger("pasokh.sms")

LOCAL_HORIZON = 3600_000  # ms before a provider forgets our keys, from when on nothing is looked up any more
NO_LOOK_UP = 900_000  # ms a doubt without look-up waits for a report before a person decides
SPREAD = 600.0  # seconds over which texts begin when the hours open
KEY_BITS = 36  #: of a key that are the outbox row's; above them stands the store's epoch
HELD = 60.0  # seconds until a line paused by hand is looked at again
AGAIN = "again"  #: slot in the mark of a text that may have gone twice
MAYBE, NOT = b"?", b"-"  #: in the mark of a text: this provider may have it, or certainly has not


@dataclass(slots=True)
class Held:
    """Lines paused by hand: name → why."""

    lines: Mapping[str, str]


class Outgoing:
    """`send` is the channel's."""

    def __init__(
        self,
        lines: Mapping[str, LineSettings],
        ways: Ways,
        say: Say,
        clock: Clock,
        spending: Spending,
        held: Held,
        hosts: frozenset[str] = frozenset(),
    ) -> None:
        self._lines, self._ways, self._say, self._clock = lines, ways, say, clock
        self._spending, self._held, self._onetime = spending, held, OneTime(clock)
        self._hosts = {name: hosts | links.hosts(line.link_hosts) for name, line in lines.items()}

    async def send(self, door: Door, message: Outbound) -> Outcome:
        """Try once. The look-up goes first of all, whatever holds a new try back."""
        if not phones.mobile(message.to):
            return Refused("not a mobile number")
        name = self.line_of(message.line)
        line = self._lines[name]
        text = self._text(message, name, line)
        ways = self._ways.of(name, message.purpose)
        if message.in_doubt:
            known = await self._look_up(door, text, ways, line, message)
            if known is not None:
                return self._told(known, name, message)
        held = await self._holds(door, name, line, message)
        return held or self._told(await self._through(door, text, ways, line, message), name, message)

    def line_of(self, name: str | None) -> str:
        """The line by name, the first for none."""
        return name if name in self._lines and name is not None else next(iter(self._lines))

    def _text(self, message: Outbound, name: str, line: LineSettings) -> Text:
        whole = self._safe(wording.words(message, self._say), name, message.lang)
        words = wording.fit(whole, line, self._say, message.lang)
        key = message.epoch << KEY_BITS | message.id
        return Text(key, message.to, line.number, words, message.purpose, message.not_after)

    def _safe(self, text: str, name: str, lang: str) -> str:
        """Without links that lead to strangers."""
        return links.kept(text, self._hosts[name], self._say("sms.link", lang))

    def measure(self, text: str, facts: Mapping[str, Any], lang: str) -> Measure:
        """What an answer by the first line would take; `cut` also where a link is left to the portal."""
        name, line = next(iter(self._lines.items()))
        whole = wording.answer(text, facts, self._say, lang)
        framed = self._safe(whole, name, lang)
        shown = wording.fit(framed, line, self._say, lang)
        taken = parts.measure(shown)
        return replace(taken, cost=taken.parts * line.price, cut=framed != whole or wording.is_cut(framed, line))

    def _told(self, outcome: Outcome, name: str, message: Outbound) -> Outcome:
        """A send that counts in the line's spending."""
        if not isinstance(outcome, Sent):
            return outcome
        self._spending.sent(name, outcome.parts or 1)
        auto = message.purpose in hours.AUTO
        return replace(outcome, line=f"sms:{name}", auto=auto)

    # ---- what holds a text back

    async def _holds(self, door: Door, name: str, line: LineSettings, message: Outbound) -> Outcome | None:
        purpose = Purpose(message.purpose)
        if name in self._held.lines:
            return TryLater("line paused", HELD)
        if not hours.carries(line.kind, purpose):
            return Refused("the line does not carry this")
        now = self._clock.now()
        closed = hours.wait(line.kind, purpose, now, line.exempt)
        if closed:
            return TryLater("quiet hours", closed + random.random() * SPREAD)
        if purpose in hours.BULK and await door.opted_out("sms", name, Contact(ContactKind.PHONE, message.to)):
            return Refused("opted out")
        if await self._onetime.over(door, message):
            log.warning("a number has had its one-time codes", extra={"outbox": message.id})
            return Refused("budget of one-time codes")
        if await self._spending.over(door, name, line, purpose):
            log.warning("the day's budget of a line is spent", extra={"line": name, "purpose": purpose})
            if purpose in hours.AUTO:
                return Refused("budget of the day")
            return TryLater("budget of the day", hours.midnight(now) + random.random() * SPREAD)
        return None

    # ---- in doubt

    async def _look_up(
        self, door: Door, text: Text, ways: Sequence[Way], line: LineSettings, message: Outbound
    ) -> Outcome | None:
        """What became of an earlier try; None = no provider ever had it, the same key may go again."""
        since = self._clock.now() - (message.doubt_at or self._clock.now())
        marks = dict(await door.drawer.get(mark(text)))
        again = marks.pop(AGAIN, None) is not None
        tried = [way for way in ways if marks.get(way.provider.name) == MAYBE] if marks else ways[:1]
        for way in tried:
            known = await self._ask(way, text, since, templated=_templated(way, line, message))
            if known is _NEVER and line.on_unknown == "resend_once" and not again:
                log.warning("a text goes again, it may be twice", extra={"outbox": message.id})
                await door.drawer.put(mark(text), AGAIN, b"")
                return None
            if known is not None:
                return known
        return None

    async def _ask(self, way: Way, text: Text, since: int, templated: bool) -> Outcome | None:
        """One provider's word; None = it never had it."""
        caps = way.provider.caps
        mine = way.provider.remembered(text.key)
        if mine is not None:
            return _sent(way, mine, text, found=True)
        if not caps.keyed or templated:
            return _NEVER if since >= NO_LOOK_UP else Unknown("cannot be asked", (NO_LOOK_UP - since) / 1000)
        if caps.find_for and since >= caps.find_for * 1000 - LOCAL_HORIZON:
            return Unknown("the provider has forgotten", park=True)
        try:
            known = (await way.provider.find([text.key])).get(text.key)
        except base.ProviderError as error:
            return Unknown(error.why)
        return _sent(way, known, text, found=True) if known is not None else None

    # ---- sending

    async def _through(
        self, door: Door, text: Text, ways: Sequence[Way], line: LineSettings, message: Outbound
    ) -> Outcome:
        """By the first way that takes it."""
        refused: list[base.ProviderError] = []
        for n, way in enumerate(ways):
            shut = way.shut(self._clock.monotonic())
            if shut is not None:
                refused.append(shut)
                continue
            try:
                if n or (message.attempt > 1 and len(ways) > 1):  # an earlier try may have left marks of its own
                    before = {other.provider.name: NOT for other in ways[:n]}
                    await door.drawer.change(mark(text), {**before, way.provider.name: MAYBE})
                outcome = await self._one(way, text, line, message)
            except BaseException:
                way.breaker.untried()
                raise
            if isinstance(outcome, Accepted):
                await self._remember(door, way, outcome)
                return _sent(way, outcome, text)
            if isinstance(outcome, Doubt):
                return Unknown(outcome.error.why)
            if not goes_on(outcome):
                return await self._refused(door, outcome.error, text, message)
            refused.append(outcome.error)
        return _result(refused)

    async def _one(self, way: Way, text: Text, line: LineSettings, message: Outbound) -> base.Outcome:
        """At the way's pace; what comes of it is remembered of the way."""
        now = self._clock.monotonic()
        turn = way.bucket.take(now, PATIENCE)
        if turn > PATIENCE:
            way.breaker.untried()
            return Rejected(base.Throttled("the line is busy", after=turn))
        if turn:
            await asyncio.sleep(turn)
        log.info("text handed to provider", extra={"outbox": message.id, "line": way.line, "by": way.provider.name})
        if _templated(way, line, message):
            outcome = await way.provider.send_template(text, line.template, {"token": str(message.facts["otp"])})
        else:
            outcome = await way.gather.send(text)
        way.learn(outcome, self._clock.monotonic())
        return outcome

    async def _refused(self, door: Door, error: base.ProviderError, text: Text, message: Outbound) -> Outcome:
        if isinstance(error, base.Blocked):
            who = Contact(ContactKind.PHONE, text.to)
            await door.opt("sms", self.line_of(message.line), who, True, "blocked at the provider")
        return Refused(f"{error.why} {error.code}".strip())

    async def _remember(self, door: Door, way: Way, accepted: Accepted) -> None:
        """A text of several refs: delivered once all of them are, so each must lead to the whole."""
        refs = accepted.ref.split(",")
        for ref in refs if len(refs) > 1 else ():
            await door.drawer.put(f"sms:of:{way.provider.name}:{ref}", "whole", accepted.ref.encode())


_NEVER = Unknown("nobody can say whether it arrived", park=True)


def _templated(way: Way, line: LineSettings, message: Outbound) -> bool:
    otp = message.purpose == Purpose.OTP and "otp" in message.facts
    return bool(otp and line.template and way.provider.caps.template)


def _sent(way: Way, accepted: Accepted, text: Text, found: bool = False) -> Sent:
    taken = max(accepted.parts, parts.measure(text.text).parts)
    return Sent(f"{way.provider.name}:{accepted.ref}", accepted.cost, found, parts=taken)


def _result(refused: Sequence[base.ProviderError]) -> Outcome:
    """No way took it: later if any may take it later, by the soonest; else never."""
    later = [error for error in refused if isinstance(error, base.UNSENT)]
    if not later:
        return Refused(f"{refused[-1].why} {refused[-1].code}".strip())
    waits = [error.after for error in later if error.after is not None]
    paused = isinstance(later[0], base.LinePaused)
    return TryLater(later[0].why, min(waits) if waits else (HELD if paused else None))
