"""Answers: one transaction for permission, move, message, outbox row and chain; ten seconds to take one back.

The way out: where the citizen wanted it, else another proven point, else it is read with the code. An unproven point is
only told that there is an answer, never what it says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from core import drafts, outbox, points, questions
from core.access import actor, check, enter, may, second_needed
from core.errors import Guarded, NotAllowed, NotFound, WrongInput
from core.messages import write
from core.model import KeptFile, Purpose, State, Way
from core.office import Office, of
from core.permissions import Permission
from core.proofs import READY
from core.schema import message, seen
from core.schema import outbox as rows
from core.sending import UNHEARD, Stage
from core.states import move
from core.store import Store
from core.text import clean
from core.turn import turn
from core.views import Actor

LONGEST = 10_000  # characters
MOST_FILES = 10
THEN = {"answered": "reply", "asked": "ask", "outside": "outside"}  #: what the reply does to the ticket
OUTSIDE_DAYS = 30
DAY = 86_400_000  # ms
UNREACHED = "unreached"  #: mark of an answer that no channel carries: read with the code, told by the desk
_KEPT = (
    "state", "clock", "due_at", "due_steps", "due_from", "paused_at", "pauses", "lapse_at", "remind_at",
    "answered_at", "rung", "rung_at", "tags",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Words:
    """What an operator wants said."""

    text: str
    channel: str | None
    files: Sequence[KeptFile]
    ref: str | None
    event: str
    until: int | None
    hour: int | None = None  #: local hour at which to call with it


async def reply(
    store: Store, who: Actor, number: int, version: int | None, text: str, channel: str | None = None,
    files: Sequence[KeptFile] = (), ref: str | None = None, then: str = "answered", until: int | None = None,
    hour: int | None = None,
) -> int:  # fmt: skip
    """Answer (or ask, or tell of a wait until `until`, ms UTC); returns the message's id once it is on disk.

    `hour`: the local hour of the first call, where it goes by telephone.

    The same (author, ref, text) again returns the first message's id. Raises WrongInput (empty, too_long, no_contact,
    unknown), NotFound, NotAllowed, Stale, WrongState.
    """
    office = of(store)
    if hour is not None and not 0 <= hour < 24:
        raise WrongInput("hour", "out_of_range")
    words = Words(checked(text, files), channel, tuple(files), ref, _event(then), _date(office, then, until), hour)
    return await store.write(_reply, office, who, number, version, words)


async def unsend(store: Store, who: Actor, number: int, sent: int) -> int:
    """Take a reply back within its ten seconds, while no worker has claimed it; returns the ticket's version.

    The reply stays on the thread as withdrawn. Raises NotFound, NotAllowed, WrongState, Guarded("too_late").
    """
    return await store.write(_unsend, of(store), who, number, sent)


def checked(text: str, files: Sequence[KeptFile]) -> str:
    """Words that can be said: clean, not empty, not too long. Raises WrongInput."""
    text = clean(text).strip()
    if len(files) > MOST_FILES:
        raise WrongInput("files", "too_many")
    if not text and not files:
        raise WrongInput("text", "empty")
    if len(text) > LONGEST:
        raise WrongInput("text", "too_long")
    return text


def _event(then: str) -> str:
    if then not in THEN:
        raise WrongInput("then", "unknown")
    return THEN[then]


def _date(office: Office, then: str, until: int | None) -> int | None:
    if then != "outside":
        return None
    now = office.clock.now()
    if until is None or not now < until <= now + OUTSIDE_DAYS * DAY:
        raise WrongInput("until", "out_of_range")
    return until


def _reply(s: Connection, office: Office, who: Actor, number: int, version: int | None, words: Words) -> int:
    row = enter(s, office, who, number)
    known, marks = known_before(s, who, number, words)
    if known is not None:
        return known
    row = enter(s, office, who, number, version)
    check(office, who, row, words.event)
    move(State(row["state"]), words.event)
    if words.event == "reply" and second_needed(office, who, row):
        raise Guarded("needs_approval")
    drafts.other_person(s, who, row)
    if words.event == "reply":
        drafts.another_person(s, row, who.staff)
    drafts.settle(s, row, drafts.INSTEAD)
    sent = deliver(s, office, who, row, words, marks)
    remember(s, who, number, words, sent, office.clock.now())
    return sent


def deliver(
    s: Connection, office: Office, who: Actor, row: RowMapping, words: Words, marks: Sequence[str] = (),
    author: int | None = None, meta: Mapping[str, Any] | None = None,
) -> int:  # fmt: skip
    """Write `words` on the locked ticket as ours, fire their event and queue them; the message's id.

    `author`: who wrote them, when not `who`, who lets them go; `meta` is kept beside the message and its event.
    """
    now, meta = office.clock.now(), dict(meta or {})
    way, point = way_out(s, row, words.channel, office.calls_back)
    hour = {} if words.hour is None or way != "phone" else {"hour": words.hour}
    if point is None and way in points.KIND_OF:
        way, marks = "web", [*marks, UNREACHED]
    before = {column: row[column] for column in _KEPT}
    sent, seq = write(
        s, row, now, way=Way.OUT, channel=way, author=author or who.staff, text=words.text, files=words.files,
        contact=point.contact if point else None, marks=marks, before=before, meta=meta,
    )  # fmt: skip
    turn(
        s, row, words.event, actor(who), now, office.calendar(row["unit"]),
        data={"message": sent, "channel": way, **hour, **meta}, text=words.text, until=words.until,
        changes={"seq": seq, "tags": [tag for tag in row["tags"] if tag != UNHEARD]},
    )  # fmt: skip
    if point is not None:
        _put(s, row, words, sent, seq, way, point, now + office.undo * 1000, hour)
    return sent


def way_out(s: Connection, row: RowMapping, wanted: str | None, calls: bool) -> tuple[str, points.Point | None]:
    """The channel an answer takes and the point it reaches; no point: it is read with the code (or told at the desk).

    A channel that was asked for and has nobody to reach is WrongInput; the citizen's own wish falls back.
    """
    channel = wanted or row["answer_by"]
    if channel == "phone" and calls:
        return channel, points.to_call(s, row["id"])
    kind = points.KIND_OF.get(channel)
    if kind is None:
        return channel, None
    there = points.of_ticket(s, row["id"])
    same = [point for point in there if point.kind == kind]
    if wanted and not same:
        raise WrongInput("channel", "no_contact")
    others = [point for point in there if point.proven]
    point = next(iter(sorted(same, key=lambda one: not one.proven) + others), None)
    return (point.channel if point else channel), point


def _put(
    s: Connection, row: RowMapping, words: Words, sent: int, seq: int, way: str, point: points.Point, due_at: int,
    hour: Mapping[str, int],
) -> None:  # fmt: skip
    outbox.put(
        s, ticket=row["id"], seq=seq, message=sent, channel=way, purpose=Purpose.ANSWER,
        now=s.info["clock"].now(), due_at=due_at, contact=point.contact, lang=row["lang"],
        text=words.text if point.proven else "", key=None if point.proven else READY,
        files=words.files if point.proven else (),
        facts=hour if words.event == "reply" else {**hour, questions.ASKS: True},
    )  # fmt: skip


def _hashes(who: Actor, number: int, words: Words) -> tuple[bytes, bytes]:
    ref = f"{who.staff}\0{number}\0{words.ref}".encode(errors="backslashreplace")
    return blake2b(ref, digest_size=16).digest(), blake2b(words.text.encode(), digest_size=16).digest()


def known_before(s: Connection, who: Actor, number: int, words: Words) -> tuple[int | None, list[str]]:
    """The message stored for this ref and text before; or the mark for a ref that had another text."""
    if words.ref is None:
        return None, []
    ref, body = _hashes(who, number, words)
    ask = sa.select(seen.c.body_hash, seen.c.message).where(seen.c.channel == "reply", seen.c.ref == ref)
    found = {row.body_hash: row.message for row in s.execute(ask)}
    return found.get(body), ["same_id"] if found else []


def remember(s: Connection, who: Actor, number: int, words: Words, sent: int, now: int) -> None:
    """The same (author, ref, text) is `sent` from now on."""
    if words.ref is None:
        return
    ref, body = _hashes(who, number, words)
    values = {"channel": "reply", "ref": ref, "body_hash": body, "at": now, "ticket": number, "message": sent}
    s.execute(sa.insert(seen).values(values))


def _unsend(s: Connection, office: Office, who: Actor, number: int, sent: int) -> int:
    row = enter(s, office, who, number)
    found = _own_reply(s, office, who, row, sent)
    now = office.clock.now()
    if now >= found["at"] + office.undo * 1000 or not _take_back(s, sent):
        raise Guarded("too_late")
    before: dict[str, Any] = dict(found["before"])
    turn(
        s, row, "unsend", actor(who), now, office.calendar(row["unit"]), before=State(before["state"]),
        data={"message": sent}, changes=before,
    )  # fmt: skip
    drafts.again(s, row, before["state"])
    s.execute(sa.update(message).where(message.c.id == sent).values(withdrawn_at=now))
    return int(row["version"]) + 1


def _own_reply(s: Connection, office: Office, who: Actor, row: RowMapping, sent: int) -> RowMapping:
    ask = sa.select(message).where(message.c.id == sent, message.c.ticket == row["id"], message.c.way == Way.OUT)
    found = s.execute(ask).mappings().first()
    if found is None or found["before"] is None:
        raise NotFound(f"reply {sent}")
    if drafts.sender(found) != who.staff or not may(office, who, Permission.REPLY, row):
        raise NotAllowed("unsend")
    if found["withdrawn_at"] is not None or found["seq"] != row["seq"]:
        raise Guarded("too_late")
    return found


def _take_back(s: Connection, sent: int) -> bool:
    """Delete the reply's outbox rows if none was claimed; False otherwise."""
    mine = (rows.c.message == sent, rows.c.purpose == Purpose.ANSWER)
    many = s.execute(sa.select(sa.func.count()).where(*mine)).scalar_one()
    untried = sa.delete(rows).where(*mine, rows.c.state == Stage.WAITING, rows.c.attempt == 0)
    return bool(s.execute(untried).rowcount == many)
