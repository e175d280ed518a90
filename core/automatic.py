"""Automatic letters are rationed, so that no robot and no flood gets an answer to each: counted on disk, in the
transaction that queues them. SQL only."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import sqlalchemy as sa
from sqlalchemy import Connection

from core import sets
from core.schema import AGENCY, automatic, meta

log = logging.getLogger(__name__)

RECEIPT, OTHER = "receipt", "other"
DAY, MINUTE = 86_400_000, 60_000  # ms
RECEIPTS = 5  # a sender gets in 24 hours; any other sentence only who got no automatic letter in that time
SOON = 60_000  # ms after an automatic letter in which no person has answered it
A_TICKET = 3  # sentences beside the receipt, in the ticket's life
A_DOMAIN = 30  # letters a minute to one domain
ALL = 300  # letters a minute in all; more is a loop nobody foresaw
SHUT = 15 * MINUTE  # how long none goes out after that
BREAKER = "mail_breaker"  # row of meta: ms UTC when it last tripped
AT_ONCE = 1000  # rows forgotten a transaction


@dataclass(frozen=True, slots=True)
class Wish:
    """An automatic letter somebody would get."""

    number: int  #: of the message it answers
    kind: str  #: receipt, other
    sender: bytes  #: blind index of the address
    domain: bytes  #: `domain_of` the address
    ticket: int


def domain_of(address: str) -> bytes:
    """16 octets over an address's domain."""
    return blake2b(address.rpartition("@")[2].lower().encode(errors="replace"), digest_size=16).digest()


def grant(s: Connection, wishes: Sequence[Wish], now: int) -> set[int]:
    """Numbers of the wishes that are granted, and recorded as told."""
    if not wishes or shut_since(s, now) is not None:
        return set()
    senders, last, tickets = _told(s, wishes, now)
    domains = _minute(s, now)
    granted: list[Wish] = []
    for wish in wishes:
        if sum(domains.values()) >= ALL:
            _trip(s, now)
            break
        if _within(wish, senders, tickets, domains) and last.get(wish.sender, 0) <= now - SOON:
            senders[wish.sender] += 1
            last[wish.sender] = now
            tickets[wish.ticket] += wish.kind == OTHER
            domains[wish.domain] += 1
            granted.append(wish)
    if granted:
        sets.insert(s, automatic, [_row(wish, now) for wish in granted])
    return {wish.number for wish in granted}


def shut_since(s: Connection, now: int) -> int | None:
    """When the breaker tripped (ms UTC), while it holds everything back; None when it does not."""
    told = s.execute(sa.select(meta.c.value).where(meta.c.key == BREAKER)).scalar_one_or_none()
    return int(told) if told is not None and int(told) > now - SHUT else None


def forget(s: Connection, now: int, most: int = AT_ONCE) -> int:
    """Delete up to `most` receipts older than a day; sentences of a ticket are counted for good. How many."""
    old = sa.select(automatic.c.id).where(automatic.c.at < now - DAY, automatic.c.kind == RECEIPT).limit(most)
    return s.execute(sa.delete(automatic).where(automatic.c.id.in_(old))).rowcount


def _within(wish: Wish, senders: Counter[bytes], tickets: Counter[int], domains: Counter[bytes]) -> bool:
    if domains[wish.domain] >= A_DOMAIN:
        return False
    if wish.kind == OTHER:
        return not senders[wish.sender] and tickets[wish.ticket] < A_TICKET
    return senders[wish.sender] < RECEIPTS


def _told(s: Connection, wishes: Iterable[Wish], now: int) -> tuple[Counter[bytes], dict[bytes, int], Counter[int]]:
    """How many letters these senders got in the last day and when the last, and the sentences of these tickets."""
    senders: Counter[bytes] = Counter()
    last: dict[bytes, int] = {}
    ask = sa.select(automatic.c.sender, sa.func.count(), sa.func.max(automatic.c.at)).where(
        automatic.c.sender.in_({wish.sender for wish in wishes}), automatic.c.at > now - DAY
    )
    for sender, many, at in s.execute(ask.group_by(automatic.c.sender)):
        senders[sender], last[sender] = many, at
    others = {wish.ticket for wish in wishes if wish.kind == OTHER}
    tickets: Counter[int] = Counter()
    if others:
        ask = sa.select(automatic.c.ticket).where(automatic.c.ticket.in_(others), automatic.c.kind == OTHER)
        tickets.update(s.execute(ask).scalars())
    return senders, last, tickets


def _minute(s: Connection, now: int) -> Counter[bytes]:
    ask = sa.select(automatic.c.domain, sa.func.count()).where(automatic.c.at > now - MINUTE)
    return Counter({row.domain: row[1] for row in s.execute(ask.group_by(automatic.c.domain))})


def _trip(s: Connection, now: int) -> None:
    log.error("automatic letters are held back: too many in a minute")
    changed = s.execute(sa.update(meta).where(meta.c.key == BREAKER).values(value=str(now)))
    if not changed.rowcount:
        s.execute(sa.insert(meta).values(key=BREAKER, value=str(now)))


def _row(wish: Wish, now: int) -> dict[str, object]:
    return {
        "id": wish.number, "agency": AGENCY, "at": now, "kind": wish.kind, "sender": wish.sender,
        "domain": wish.domain, "ticket": wish.ticket,
    }  # fmt: skip
