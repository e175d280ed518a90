"""New tickets, written as sets. `seen` goes first: whatever loses there, a repeat or a twin, gets the first receipt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

from core import automatic, cipher, events, sets, shared
from core.automatic import Wish
from core.channels import Receipt
from core.model import ContactKind, State
from core.prepared import Prepared, Row
from core.schema import (
    AGENCY,
    code,
    contact,
    event,
    file,
    mail_id,
    message,
    outbox,
    participant,
    raw,
    seen,
    ticket,
)

SAME_ID = "same_id"
UNTOLD = "no_receipt"  #: mark of a message whose sender had enough automatic letters
ONCE = "web"  #: here a changed text under the same ref is shown the first receipt, and offered as an addition


def write(s: Connection, items: Sequence[Prepared]) -> list[Receipt]:
    """New tickets, as sets. Repeats and twins get the receipt of the first."""
    if not items:
        return []
    first, marked, once = _sort_out(s, items)
    winners = [item for item in items if first[id(item)] == item.number]
    if winners:
        link_contacts(s, winners)
        for item in winners:
            if id(item) in marked and SAME_ID not in item.message["marks"]:  # a batch may be tried anew
                item.message["marks"] = [*item.message["marks"], SAME_ID]
        _insert(s, winners)
    came_again = [(first[id(item)], item.units) for item in items if item.units and first[id(item)] != item.number]
    shared.again(s, came_again, items[0].at)
    repeats = {first[id(item)] for item in items} - {item.number for item in winners}
    known = receipts(s, repeats, items[0].ring) if repeats else {}
    known |= {item.number: receipt(item, id(item) in marked) for item in winners}
    return [
        known[item.number] if first[id(item)] == item.number else repeat(known[first[id(item)]], id(item) in once)
        for item in items
    ]


def note_seen(s: Connection, items: Iterable[Prepared], about: int | None = None) -> None:
    """Mark `items` as seen, unless they are; `about` is the ticket they continue."""
    sets.insert(s, seen, marks(items, about), unless_there=True)


def marks(items: Iterable[Prepared], about: int | None = None) -> list[Row]:
    """Rows of `seen` for `items`, in the order of their keys."""
    return [
        {
            "agency": AGENCY, "channel": item.inbound.channel, "ref": item.ref, "body_hash": item.body,
            "at": item.at, "ticket": about or item.number, "message": item.number,
        }
        for item in sorted(items, key=Prepared.key)
    ]  # fmt: skip


def look(s: Connection, items: Sequence[Prepared]) -> dict[tuple[str, bytes], list[Any]]:
    """What is stored under the same (channel, ref), in order of arrival."""
    refs: dict[str, set[bytes]] = defaultdict(set)
    for item in items:
        refs[item.inbound.channel].add(item.ref)
    found: dict[tuple[str, bytes], list[Any]] = defaultdict(list)
    for channel, wanted in refs.items():
        for row in _looked(s, channel, sorted(wanted)):
            found[channel, row.ref].append(row)
    return found


def _looked(s: Connection, channel: str, refs: list[bytes]) -> Iterable[Any]:
    if s.dialect.name == "sqlite":
        return s.exec_driver_sql(_look_sql(len(refs)), (AGENCY, channel, *refs))
    return s.execute(_LOOK_ARRAY, {"channel": channel, "refs": refs})


def receipts(s: Connection, messages: Iterable[int], ring: cipher.Keyring) -> dict[int, Receipt]:
    """The receipts of messages written before, by message id, as the ticket stands now."""
    ask = (
        sa.select(
            message.c.id.label("message"), ticket.c.id, ticket.c.unit, ticket.c.due_at, ticket.c.state,
            ticket.c.pin_key, code.c.value, message.c.marks,
        )
        .join(ticket, ticket.c.id == message.c.ticket)
        .join(code, sa.and_(code.c.ticket == ticket.c.id, code.c.kind == "tracking"))
        .where(message.c.id.in_(sorted(messages)))
    )  # fmt: skip
    return {
        row.message: Receipt(
            row.value, cipher.pin(ring, row.pin_key, row.id), row.unit, row.due_at, row.id, row.message,
            State(row.state), True, SAME_ID in row.marks,
        )
        for row in s.execute(ask)
    }  # fmt: skip


def contacts(s: Connection, wanted: Sequence[Row]) -> dict[tuple[str, bytes], int]:
    """Ids of contact points by (kind, blind), made where there are none; what one message proved stays proven."""
    rows = {(row["kind"], row["blind"]): row for row in sorted(wanted, key=lambda r: r["proven_at"] or 0)}
    known = _known(s, rows)
    missing = [rows[key] for key in sorted(rows.keys() - known.keys())]
    proven = [key for key in sorted(known) if rows[key]["proven_at"] and known[key].proven_at is None]
    for key in proven:
        proof = {"proven_at": rows[key]["proven_at"], "proven_by": rows[key]["proven_by"]}
        s.execute(sa.update(contact).where(contact.c.id == known[key].id).values(proof))
    numbers = {key: row.id for key, row in known.items()}
    if missing:
        numbers |= _made(s, missing)
    return numbers


def _made(s: Connection, missing: Sequence[Row]) -> dict[tuple[str, bytes], int]:
    """Insert contact points; of those that another transaction made meanwhile, its ids."""
    if sets.insert(s, contact, missing, unless_there=True) == len(missing):
        return {(row["kind"], row["blind"]): row["id"] for row in missing}
    found = _known(s, {(row["kind"], row["blind"]): row for row in missing})
    return {key: row.id for key, row in found.items()}


def _sort_out(s: Connection, items: Sequence[Prepared]) -> tuple[dict[int, int], set[int], set[int]]:
    """For each item: the message that counts (its own, or the first's); which are marked; which are told once only."""
    note_seen(s, items)
    found = look(s, items)
    own = {item.number for item in items}
    first: dict[int, int] = {}
    marked: set[int] = set()
    once: set[int] = set()
    arrived: dict[tuple[str, bytes], int] = {}
    instead: dict[int, int] = {}  # changed texts that are not taken → the first message
    for item in items:
        place = (item.inbound.channel, item.ref)
        mine = next(row.message for row in found[place] if row.body_hash == item.body)
        stored = next((row.message for row in found[place] if row.message not in own), None)
        before = arrived.setdefault(place, mine if stored is None else stored)
        first[id(item)] = instead.get(mine, mine)
        if mine in instead:
            once.add(id(item))
        elif mine == item.number != before:
            if item.inbound.channel == ONCE and item.inbound.operator is None:
                first[id(item)] = instead[mine] = before
                once.add(id(item))
                _forget(s, item)
            else:
                marked.add(id(item))
    return first, marked, once


def _forget(s: Connection, item: Prepared) -> None:
    s.execute(
        sa.delete(seen).where(
            seen.c.agency == AGENCY, seen.c.channel == item.inbound.channel, seen.c.ref == item.ref,
            seen.c.body_hash == item.body, seen.c.message == item.number,
        )
    )  # fmt: skip


def link_contacts(s: Connection, items: Sequence[Prepared]) -> None:
    """Put the ids of contact points into the rows of `items`."""
    wanted = [row for item in items for row in (item.contact, item.reply_to) if row is not None]
    if not wanted:
        return
    numbers = contacts(s, wanted)
    for item in items:
        link(item, numbers)


def link(item: Prepared, numbers: Mapping[tuple[str, bytes], int]) -> None:
    """Put the ids of its contact points, by (kind, blind), into the rows of `item`."""
    if item.contact is not None:
        mine = numbers[item.contact["kind"], item.contact["blind"]]
        item.ticket["contact"] = item.message["contact"] = mine
        if item.participant is not None:
            item.participant["contact"] = mine
        if item.outbox is not None and item.reply_to is None:
            item.outbox["contact"] = mine
    if item.reply_to is not None:
        there = numbers[item.reply_to["kind"], item.reply_to["blind"]]
        item.ticket["answer_to"] = there
        if item.outbox is not None:
            item.outbox["contact"] = there


def is_plain(item: Prepared) -> bool:
    """Can it be written, as far as it is new, without asking the store for anything?"""
    return not item.follows and not _rationed(item)


def rows(items: Sequence[Prepared], untold: Collection[int] = ()) -> Iterator[tuple[Table, list[Row]]]:
    """The rows of new tickets, by table, in an order that their keys bear; events still lack their `pos`.

    `untold`: numbers of messages whose receipt is not queued.
    """
    codes = [
        {"id": item.number, "agency": AGENCY, "at": item.at, "value": item.code, "ticket": item.number}
        for item in items
    ]  # fmt: skip
    for table, found in (
        (ticket, [item.ticket for item in items]),
        (code, codes),
        (message, [_untold(item) if item.number in untold else item.message for item in items]),
        (event, [item.event for item in items]),
        (raw, [item.raw for item in items if item.raw is not None]),
        (file, list(chain.from_iterable(item.files for item in items))),
        (outbox, [item.outbox for item in items if item.outbox is not None and item.number not in untold]),
        (participant, [item.participant for item in items if item.participant is not None]),
        (mail_id, [item.mail for item in items if item.mail is not None]),
    ):
        if found:
            yield table, found


def _insert(s: Connection, items: Sequence[Prepared]) -> None:
    for table, found in rows(items, _untold_ones(s, items)):
        if table is event:
            found = [row | {"pos": events.pos(s)} for row in found]
        sets.insert(s, table, found, unless_there=table is mail_id)


def _untold_ones(s: Connection, items: Sequence[Prepared]) -> set[int]:
    """The messages (by number) whose receipt is not queued: by mail only as many go as an address may get."""
    rationed = {item.number: item for item in items if _rationed(item)}
    wishes = [
        Wish(number, automatic.RECEIPT, (item.reply_to or item.contact or {})["blind"], item.domain, number)
        for number, item in rationed.items()
    ]
    return rationed.keys() - automatic.grant(s, wishes, items[0].at)


def _rationed(item: Prepared) -> bool:
    return item.outbox is not None and item.outbox["channel"] == "mail" and not item.inbound.exempt


def _untold(item: Prepared) -> Row:
    return item.message | {"marks": [*item.message["marks"], UNTOLD]}


def receipt(item: Prepared, same_id: bool = False) -> Receipt:
    """The receipt of a new ticket."""
    return Receipt(
        item.code, item.pin, item.ticket["unit"], item.ticket["due_at"], item.number, item.number, item.state,
        True, same_id,
    )  # fmt: skip


def repeat(known: Receipt, same_id: bool = False) -> Receipt:
    """The first receipt, for whoever says the same again."""
    return replace(known, first=False, same_id=same_id or known.same_id)


def _known(s: Connection, rows: dict[tuple[str, bytes], Row]) -> dict[tuple[str, bytes], Any]:
    wanted = sorted(rows)
    values: dict[str, Any] = {"blinds": [blind for _, blind in wanted]}
    if s.dialect.name == "sqlite":
        found = s.execute(_KNOWN, values)
    else:
        found = s.execute(_KNOWN_ARRAY, values | {"kinds": [kind for kind, _ in wanted]})
    return {(row.kind, row.blind): row for row in found if (row.kind, row.blind) in rows}


def _each(wanted: sa.TableValuedAlias, ask: sa.Select[Any]) -> sa.Select[Any]:
    found = ask.correlate(wanted).offset(sa.literal_column("0")).lateral("found")
    return sa.select(*found.c).select_from(wanted.join(found, sa.true()))


# PostgreSQL looks each key up by itself (OFFSET 0 keeps it so): with `= ANY` or a join, a plan made while the table
# was small reads a whole channel of the index and filters, for as long as the connection lives.
_BYTES, _TEXTS = postgresql.ARRAY(sa.LargeBinary), postgresql.ARRAY(sa.Text)
_REFS = sa.func.unnest(sa.bindparam("refs", type_=_BYTES)).table_valued("ref").render_derived("wanted")
_BLINDS = (
    sa.func.unnest(sa.bindparam("kinds", type_=_TEXTS), sa.bindparam("blinds", type_=_BYTES))
    .table_valued("kind", "blind")
    .render_derived("wanted")
)
_SEEN = sa.select(seen.c.ref, seen.c.body_hash, seen.c.ticket, seen.c.message).where(
    seen.c.agency == AGENCY, seen.c.channel == sa.bindparam("channel")
)
_LOOK_ARRAY = _each(_REFS, _SEEN.where(seen.c.ref == _REFS.c.ref))
_FOUND = sa.select(contact.c.id, contact.c.kind, contact.c.blind, contact.c.proven_at).where(contact.c.agency == AGENCY)
_KNOWN = _FOUND.where(
    contact.c.kind.in_([kind.value for kind in ContactKind]),
    contact.c.blind.in_(sa.bindparam("blinds", expanding=True)),
)
_KNOWN_ARRAY = _each(_BLINDS, _FOUND.where(contact.c.kind == _BLINDS.c.kind, contact.c.blind == _BLINDS.c.blind))


@lru_cache(512)
def _look_sql(n: int) -> str:
    """`_SEEN` for `n` refs as SQLite is asked; an expanding parameter would be written out anew for every batch."""
    refs = [sa.bindparam(f"ref{place}", type_=sa.LargeBinary) for place in range(n)]
    return str(_SEEN.where(seen.c.ref.in_(refs)).compile(dialect=sqlite.dialect()))
