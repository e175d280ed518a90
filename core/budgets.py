"""Budgets that a restart does not refill, kept in the store: automatic texts and texts of one number. SQL only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

import sqlalchemy as sa
from sqlalchemy import Connection

from core import sets
from core.schema import budget
from core.throttle import Rule

KEPT = ("sms_", "receipt_sms")  #: rules whose name begins so are kept here, all others in memory

Wanted = tuple[str, str]  #: rule and key


class Purse:
    """Budgets read at once, spent in memory, written at once: all within one transaction."""

    def __init__(self, s: Connection, rules: Mapping[str, Rule], wanted: Iterable[Wanted], now: int) -> None:
        self._rules, self._now = rules, now
        self._keys = {each: _key(*each) for each in wanted}
        keys = sorted(set(self._keys.values()))
        found = s.execute(sa.select(budget).where(budget.c.key.in_(keys))) if keys else ()
        self._full: dict[bytes, int] = {row.key: row.full_at for row in found}  #: when all would have come back
        self._spent: set[bytes] = set()

    def take(self, wanted: Sequence[Wanted]) -> str | None:
        """Take one of each; None when all had one. Else the first rule that had none, and nothing was taken."""
        for each in wanted:
            if not self.has(each):
                return each[0]
        self.spend(wanted)
        return None

    def has(self, wanted: Wanted) -> bool:
        """Is there one left?"""
        rule, full_at = self._rules[wanted[0]], self._full.get(self._key(wanted), self._now)
        return not _over(rule, full_at, self._now)

    def spend(self, wanted: Iterable[Wanted]) -> None:
        """Take one of each, whether there is one or not."""
        for each in wanted:
            made = self._key(each)
            self._full[made] = max(self._full.get(made, self._now), self._now) + _step(self._rules[each[0]])
            self._spent.add(made)

    def _key(self, wanted: Wanted) -> bytes:
        return self._keys.get(wanted) or _key(*wanted)

    def write(self, s: Connection) -> None:
        rows = [{"key": key, "full_at": self._full[key]} for key in sorted(self._spent)]
        if rows:
            sets.insert(s, budget, rows, over="key")


def take(s: Connection, rules: Mapping[str, Rule], wanted: Sequence[Wanted], now: int) -> str | None:
    """Take one of each; None when all had one. Else the first rule that had none, and nothing was taken."""
    purse = Purse(s, rules, wanted, now)
    none = purse.take(wanted)
    purse.write(s)
    return none


def forget(s: Connection, now: int, most: int) -> int:
    """Delete up to `most` budgets that are full again; how many."""
    old = sa.select(budget.c.key).where(budget.c.full_at < now).limit(most)
    return s.execute(sa.delete(budget).where(budget.c.key.in_(old))).rowcount


def _key(rule: str, key: str) -> bytes:
    return blake2b(f"{rule} {key}".encode(errors="backslashreplace"), digest_size=16).digest()


def _step(rule: Rule) -> int:
    return round(rule.span * 1000 / max(rule.limit, 1))


def _over(rule: Rule, full_at: int, now: int) -> bool:
    size = rule.limit if rule.burst is None else rule.burst
    return size < 1 or full_at - now > (size - 1) * _step(rule)
