"""What is decided about a short text before anything is done with it, once, whatever repeats it. SQL only.

May it be answered, does it join a ticket because too many came, which open question may it answer? The verdict is on
disk: a repeat finds it and spends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from core import budgets, cipher, questions
from core.channels import Heard, Question, Verdict
from core.schema import contact, heard, ticket
from core.text import clean
from core.throttle import Rule

WEAK = 600_000  # ms in which a text without id counts as the same one
WEAK_POLLED = 48 * 3_600_000  # ms, when a poll brings with an id what a push brought without
KEPT = 7 * 86_400_000  # ms a verdict is kept; longer than any poll looks back
FLOOD = ("sms_in_hour", "sms_in_day")
LOOP, SILENT = "sms_equal", "sms_silent"


def judge(s: Connection, item: Heard, rules: Mapping[str, Rule], ring: cipher.Keyring, now: int) -> Verdict:
    """The verdict on `item`: the stored one when it was heard before, with `first=False`."""
    known = _known(s, item, now)
    if known is not None:
        return known
    blind = cipher.blind(ring, item.who.kind, clean(item.who.value)) if item.who is not None else None
    asked = questions.newest(s, item.channel, item.line, blind, now) if blind is not None else None
    joins = _flooded(s, item, blind, rules, now)
    quiet = item.silent or ("flood" if joins else "") or _quiet(s, item, asked, rules, now)
    verdict = Verdict(item.ref or f"weak:{_hash(item.body).hex()}:{now}", quiet, joins, asked)
    _keep(s, item, verdict, now)
    return verdict


def _known(s: Connection, item: Heard, now: int) -> Verdict | None:
    ask = sa.select(heard.c.ref, heard.c.verdict)
    if item.ref:
        row = s.execute(ask.where(heard.c.channel == item.channel, heard.c.ref == _hash(item.ref, item.body))).first()
        return _again(row.verdict) if row else _paired(s, item, now)
    alike = ask.where(heard.c.channel == item.channel, heard.c.weak == _hash(item.body), heard.c.at > now - WEAK)
    row = s.execute(alike.order_by(heard.c.at.desc()).limit(1)).first()
    return _again(row.verdict) if row else None


def _paired(s: Connection, item: Heard, now: int) -> Verdict | None:
    """A poll brings with an id what a push brought without: the same text, once."""
    if not item.polled:
        return None
    ask = sa.select(heard.c.ref, heard.c.verdict).where(heard.c.channel == item.channel, heard.c.idless)
    ask = ask.where(heard.c.weak == _hash(item.body), heard.c.at > now - WEAK_POLLED)
    row = s.execute(ask.order_by(heard.c.at).limit(1)).first()
    if row is None:
        return None
    mine = sa.and_(heard.c.channel == item.channel, heard.c.ref == row.ref)
    s.execute(sa.update(heard).where(mine).values(ref=_hash(item.ref, item.body), idless=False))
    return _again(row.verdict)


def _again(kept: Mapping[str, Any]) -> Verdict:
    asked = Question(**kept["question"]) if kept["question"] else None
    return Verdict(kept["ref"], kept["quiet"], kept["joins"], asked, first=False)


def _keep(s: Connection, item: Heard, verdict: Verdict, now: int) -> None:
    asked = questions.plain(verdict.question)
    kept = {"ref": verdict.ref, "quiet": verdict.quiet, "joins": verdict.joins, "question": asked}
    row = {"channel": item.channel, "ref": _hash(verdict.ref, item.body), "at": now, "weak": _hash(item.body)}
    s.execute(sa.insert(heard).values(**row, idless=not item.ref, verdict=kept))


def _hash(*texts: str) -> bytes:
    return blake2b("\x00".join(texts).encode(errors="backslashreplace"), digest_size=16).digest()


def _flooded(s: Connection, item: Heard, blind: bytes | None, rules: Mapping[str, Rule], now: int) -> int | None:
    """The number's last ticket, when too many texts came from it; None otherwise, or when it has none."""
    if item.who is None or item.exempt:
        return None
    if budgets.take(s, rules, [(rule, item.who.value) for rule in FLOOD], now) is None:
        return None
    mine = sa.select(contact.c.id).where(contact.c.blind == blind)
    last = sa.select(ticket.c.id).where(ticket.c.contact.in_(mine)).order_by(ticket.c.at.desc(), ticket.c.id.desc())
    return s.execute(last.limit(1)).scalar()


def _quiet(s: Connection, item: Heard, asked: Question | None, rules: Mapping[str, Rule], now: int) -> str:
    """Why it gets no automatic text, '' when it may."""
    if item.who is None:
        return "nobody"
    if item.exempt:
        return ""
    if not budgets.has(s, rules, (SILENT, item.who.value), now):
        return "silent"
    alike = (LOOP, f"{item.who.value} {item.mask}")
    if item.echo or (item.mask and budgets.take(s, rules, [alike], now)):
        budgets.spend(s, rules, [(SILENT, item.who.value)], now)
        return "loop"
    return budgets.take(s, rules, item.rules(asked), now) or ""


def forget(s: Connection, now: int, most: int) -> int:
    """Delete up to `most` verdicts that no repeat will ask for; how many."""
    key = sa.tuple_(heard.c.channel, heard.c.ref)
    old = sa.select(heard.c.channel, heard.c.ref).where(heard.c.at < now - KEPT).limit(most)
    return s.execute(sa.delete(heard).where(key.in_(old))).rowcount
