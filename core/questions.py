"""Open questions to a number: a verdict on an answer, the reason of an objection, a choice. SQL only.

The newest open question of a (channel, line, number) counts; it closes with the message that answers it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from core import ids, sets
from core.channels import Asks, Question
from core.model import Purpose
from core.schema import AGENCY, code, contact, question

DAY = 86_400_000  # ms
OPEN_FOR = {"verdict": 30 * DAY, "why": DAY, "choice": DAY}


ASKS = "asks"  #: fact of a row by which we ask something ourselves: nothing to accept or to object to

Newest = Callable[[str, str, bytes | None], Question | None]


def newest_of(s: Connection, channels: Iterable[str], blinds: Iterable[bytes], now: int) -> Newest:
    """What each of these numbers was asked last, if it is still open: by channel, line and blind."""
    wanted = sorted(blinds)
    ask = (
        sa.select(question, code.c.value.label("code"))
        .join(code, sa.and_(code.c.ticket == question.c.ticket, code.c.kind == "tracking"), isouter=True)
        .where(question.c.channel.in_(sorted(channels)), question.c.blind.in_(wanted), question.c.until > now)
        .order_by(question.c.at.desc(), question.c.id.desc())
    )
    rows = s.execute(ask).mappings().all() if wanted else []

    def newest(channel: str, line: str, blind: bytes | None) -> Question | None:
        mine = (row for row in rows if row["blind"] == blind and row["channel"] == channel)
        row = next((one for one in mine if one["line"] in (line, "")), None)
        return None if row is None else Question(row["id"], row["kind"], row["ticket"], row["code"], row["data"])

    return newest


def ask(s: Connection, channel: str, line: str | None, blind: bytes, about: int | None, what: Asks, now: int) -> None:
    """Open a question; the same one about the same ticket is asked anew."""
    same = (question.c.channel == channel, question.c.blind == blind, question.c.kind == what.kind)
    s.execute(sa.delete(question).where(*same, question.c.ticket == about))
    s.execute(
        sa.insert(question).values(
            id=ids.new(s), agency=AGENCY, at=now, channel=channel, line=line or "", blind=blind, kind=what.kind,
            ticket=about, data=dict(what.data), until=now + OPEN_FOR[what.kind],
        )
    )  # fmt: skip


def close(s: Connection, number: int | None) -> None:
    """It was answered."""
    if number is not None:
        s.execute(sa.delete(question).where(question.c.id == number))


def ask_verdicts(s: Connection, rows: Iterable[RowMapping], now: int) -> None:
    """Answers that go out by text ask for a verdict, what we ask ourselves does not. It is open before the text is on
    the air; all are asked at once."""
    mine = [
        row for row in rows
        if row["channel"] == "sms" and row["purpose"] == Purpose.ANSWER and row["contact"] and row["attempt"] == 1
        and not row["facts"].get(ASKS)
    ]  # fmt: skip
    if not mine:
        return
    numbers = sa.select(contact.c.id, contact.c.blind).where(contact.c.id.in_({row["contact"] for row in mine}))
    blinds = {row.id: row.blind for row in s.execute(numbers)}
    pairs = [(blinds[row["contact"]], row["ticket"]) for row in mine]
    same = (question.c.channel == "sms", question.c.blind.in_(blinds.values()), question.c.kind == "verdict")
    s.execute(sa.delete(question).where(*same, sa.tuple_(question.c.blind, question.c.ticket).in_(pairs)))
    made = {"agency": AGENCY, "at": now, "channel": "sms", "kind": "verdict", "until": now + OPEN_FOR["verdict"]}
    sets.insert(
        s, question,
        [{**made, "id": ids.new(s), "line": row["line"] or "", "blind": blinds[row["contact"]], "ticket": row["ticket"]}
         for row in mine],
    )  # fmt: skip


def forget(s: Connection, now: int, most: int) -> int:
    """Delete up to `most` questions that are over; how many."""
    old = sa.select(question.c.id).where(question.c.until < now).limit(most)
    return s.execute(sa.delete(question).where(question.c.id.in_(old))).rowcount


def plain(asked: Question | None) -> dict[str, Any] | None:
    """As it is kept beside a verdict."""
    if asked is None:
        return None
    return {"id": asked.id, "kind": asked.kind, "ticket": asked.ticket, "code": asked.code, "data": dict(asked.data)}
