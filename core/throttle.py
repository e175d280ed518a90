"""How often is too often: budgets per rule and key, in bounded memory. The clock is given; loopback is the caller's."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.channels import Clock

MOST_KEYS = 20_000  # remembered per rule; the least lately seen goes first


@dataclass(frozen=True, slots=True)
class Rule:
    """`limit` takes per `span` seconds, of which `burst` (None = all) may come at once.

    With `shut`, whoever has spent it all stays out for that many seconds, however much would have come back.
    """

    name: str
    limit: int
    span: float
    burst: int | None = None
    shut: float = 0


@dataclass(slots=True)
class _Mark:
    full_at: float  #: when all would have come back (monotonic seconds)
    shut_until: float = 0.0


class Throttle:
    """Budgets that refill evenly. For one thread: nothing here waits."""

    def __init__(self, rules: Iterable[Rule] | Mapping[str, Rule], clock: Clock, most: int = MOST_KEYS) -> None:
        items = rules.values() if isinstance(rules, Mapping) else rules
        self.rules = {rule.name: rule for rule in items}
        self._marks: dict[str, OrderedDict[str, _Mark]] = {name: OrderedDict() for name in self.rules}
        self._clock = clock
        self._most = most

    def take(self, rule: str, key: str) -> float | None:
        """Take one. None: there was one. Else the seconds until there is; nothing was taken.

        Raises KeyError for an unknown rule: a fault of the program or of settings `[limits]`.
        """
        wait = self.wait(rule, key)
        if wait is None:
            self._spend(self.rules[rule], key)
        return wait

    def wait(self, rule: str, key: str) -> float | None:
        """What `take` would say, without taking: for misses, which are counted only once they are known."""
        what, now = self.rules[rule], self._clock.monotonic()
        mark = self._marks[rule].get(key)
        if mark is None:
            return None if _size(what) >= 1 else what.span
        over = mark.full_at - now - (_size(what) - 1) * _step(what)
        left = max(over, mark.shut_until - now)
        return left if left > 1e-9 else None

    def forget(self, rule: str, key: str) -> None:
        """As if the key had never been seen (a right password after wrong ones)."""
        self._marks[rule].pop(key, None)

    def _spend(self, what: Rule, key: str) -> None:
        marks, now = self._marks[what.name], self._clock.monotonic()
        mark = marks.setdefault(key, _Mark(now))
        mark.full_at = max(mark.full_at, now) + _step(what)
        marks.move_to_end(key)
        if what.shut and mark.full_at - now > (_size(what) - 1) * _step(what) + 1e-9:
            mark.shut_until = now + what.shut
        while len(marks) > self._most:
            marks.popitem(last=False)


def _size(rule: Rule) -> int:
    return rule.limit if rule.burst is None else rule.burst


def _step(rule: Rule) -> float:
    return rule.span / max(rule.limit, 1)
