"""Budgets that a restart does not refill, kept in the store: automatic texts and texts of one number. SQL only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from core.schema import budget
from core.throttle import Rule

KEPT = ("sms_", "receipt_sms")  #: rules whose name begins so are kept here, all others in memory

Wanted = tuple[str, str]  #: rule and key


def take(s: Connection, rules: Mapping[str, Rule], wanted: Sequence[Wanted], now: int) -> str | None:
    """Take one of each; None when all had one. Else the first rule that had none, and nothing was taken."""
    full = _full(s, wanted)
    for name, key in wanted:
        if _over(rules[name], full.get(_key(name, key), now), now):
            return name
    spend(s, rules, wanted, now, full)
    return None


def has(s: Connection, rules: Mapping[str, Rule], wanted: Wanted, now: int) -> bool:
    """Is there one left? Nothing is taken."""
    return not _over(rules[wanted[0]], _full(s, [wanted]).get(_key(*wanted), now), now)


def spend(
    s: Connection,
    rules: Mapping[str, Rule],
    wanted: Sequence[Wanted],
    now: int,
    full: Mapping[bytes, int] | None = None,
) -> None:
    """Take one of each, whether there is one or not."""
    known = _full(s, wanted) if full is None else full
    rows = []
    for name, key in wanted:
        made, rule = _key(name, key), rules[name]
        rows.append({"key": made, "full_at": max(known.get(made, now), now) + _step(rule)})
    insert = sqlite.insert if s.dialect.name == "sqlite" else postgresql.insert
    put = insert(budget)
    if rows:
        s.execute(put.on_conflict_do_update(index_elements=["key"], set_={"full_at": put.excluded.full_at}), rows)


def forget(s: Connection, now: int, most: int) -> int:
    """Delete up to `most` budgets that are full again; how many."""
    old = sa.select(budget.c.key).where(budget.c.full_at < now).limit(most)
    return s.execute(sa.delete(budget).where(budget.c.key.in_(old))).rowcount


def _full(s: Connection, wanted: Iterable[Wanted]) -> dict[bytes, int]:
    """When all would have come back, ms UTC, by key."""
    keys = sorted({_key(*each) for each in wanted})
    return {row.key: row.full_at for row in s.execute(sa.select(budget).where(budget.c.key.in_(keys)))}


def _key(rule: str, key: str) -> bytes:
    return blake2b(f"{rule} {key}".encode(errors="backslashreplace"), digest_size=16).digest()


def _step(rule: Rule) -> int:
    return round(rule.span * 1000 / max(rule.limit, 1))


def _over(rule: Rule, full_at: int, now: int) -> bool:
    size = rule.limit if rule.burst is None else rule.burst
    return size < 1 or full_at - now > (size - 1) * _step(rule)
