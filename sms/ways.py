"""The ways a line has to the networks: its providers, each with its pace, its breaker and what holds it back."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sms.breaker import Breaker, Bucket
from sms.gather import Gather
from sms.providers import base
from sms.providers.base import Doubt, Outcome, Provider, Rejected, Text
from sms.settings import LineSettings

log = logging.getLogger("pasokh.sms")

RECHECK = 300.0  # seconds a way without key or credit rests before it is tried again
PATIENCE = 20.0  # seconds a text waits for its turn in the bucket; longer goes back to the outbox
GOES_ON = (*base.UNSENT, base.BadContent, base.Bug)  #: certainly not sent: the next provider may do it


@dataclass(slots=True)
class Way:
    """One provider of one line. Times are monotonic seconds."""

    line: str
    provider: Provider
    gather: Gather
    breaker: Breaker
    bucket: Bucket
    paused_until: float = 0.0
    why: str = ""

    def shut(self, now: float) -> base.ProviderError | None:
        """Why it takes nothing now; None when it may be tried."""
        if now < self.paused_until:
            return base.LinePaused(self.why, after=self.paused_until - now)
        if not self.breaker.lets(now):
            return base.ProviderDown("breaker open", after=max(1.0, self.breaker.open_until - now))
        return None

    def learn(self, outcome: Outcome, now: float) -> None:
        """What an outcome says about the way itself."""
        error = None if isinstance(outcome, base.Accepted) else outcome.error
        if isinstance(error, base.ProviderDown) or isinstance(outcome, Doubt):
            self.breaker.failed(now)
            return
        self.breaker.worked()
        if isinstance(error, base.LinePaused):
            self.pause(error, now)
        elif isinstance(error, base.Throttled):
            error.after = max(error.after or 0, self.bucket.slow(now))

    def pause(self, error: base.LinePaused, now: float) -> None:
        """Key, line or credit: texts wait, and every five minutes it is tried again."""
        if now >= self.paused_until:
            log.error("an SMS line is paused", extra={"line": self.line, "provider": self.provider.name})
        self.why, self.paused_until = f"{error.why} {error.code}".strip(), now + RECHECK

    def resume(self) -> None:
        """As if nothing had been wrong with it."""
        self.paused_until, self.why = 0.0, ""
        self.breaker.worked()


class Ways:
    """All lines' ways."""

    def __init__(self, lines: Mapping[str, LineSettings], providers: Mapping[str, Provider]) -> None:
        self.gathers: dict[tuple[str, str], Gather] = {}
        self._ways = {name: self._made(name, line, providers) for name, line in lines.items()}
        self._lines = lines

    def _made(self, name: str, line: LineSettings, providers: Mapping[str, Provider]) -> dict[str, Way]:
        wanted = dict.fromkeys((*line.providers, *(each for way in line.via.values() for each in way)))
        return {each: self._way(name, line, providers[each]) for each in wanted}

    def _way(self, name: str, line: LineSettings, provider: Provider) -> Way:
        gather = self.gathers.setdefault((name, provider.name), Gather(provider))
        return Way(name, provider, gather, Breaker(), Bucket(line.rate))

    def of(self, line: str, purpose: str) -> list[Way]:
        """In order of preference for this purpose."""
        wanted: Sequence[str] = self._lines[line].via.get(purpose) or self._lines[line].providers
        return [self._ways[line][each] for each in wanted]

    def all_of(self, line: str) -> list[Way]:
        return list(self._ways[line].values())


def goes_on(outcome: Outcome) -> bool:
    """May another provider have the text? Only if this one certainly did not take it, and nobody refuses texts."""
    return isinstance(outcome, Rejected) and isinstance(outcome.error, GOES_ON)


def mark(text: Text) -> str:
    """The box in the drawer that says which providers may have a text, when not only the first."""
    return f"sms:try:{text.key}"
