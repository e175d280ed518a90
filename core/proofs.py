"""Proof of an address by the letters sent to it: who answers with its token reads that mailbox. SQL only.

Until then an address is a claim: it is told that there is an answer, never what it says.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from core import events, outbox, points
from core.channels import Auto, HintKind
from core.model import KeptFile, Purpose
from core.prepared import Prepared
from core.schema import contact, file, message
from core.schema import outbox as rows

READY = "answer_ready"  #: the sentence for an unproven point: there is an answer, come with your code
BY = "reply"  #: `contact.proven_by`


def by_token(s: Connection, item: Prepared, about: RowMapping) -> bool:
    """Take a letter on its ticket as proof of its sender's address, and send the answer that waited for it.

    It proves when a person wrote it, with the token that was mailed to this very participant.
    """
    who = item.message["contact"]
    if who is None or item.inbound.auto is not Auto.NO or not _was_given(s, item, about["id"], who):
        return False
    proof = {"proven_at": item.at, "proven_by": BY}
    fresh = sa.update(contact).where(contact.c.id == who, contact.c.proven_at.is_(None)).values(proof)
    if not s.execute(fresh).rowcount:
        return False
    events.add(s, about["id"], "proof", "citizen", {"message": item.number, "by": BY}, at=item.at)
    _send_what_waited(s, about, who, item.at)
    return True


def _was_given(s: Connection, item: Prepared, about: int, who: int) -> bool:
    told = {
        hint.who
        for hint in item.inbound.hints
        if hint.kind is HintKind.TICKET and hint.value == str(about) and hint.who
    }
    return points.participant_of(s, about, who) in told


def _send_what_waited(s: Connection, about: RowMapping, who: int, now: int) -> None:
    """The newest answer that was only announced there."""
    announced = sa.select(rows.c.message).where(
        rows.c.ticket == about["id"], rows.c.contact == who, rows.c.key == READY, rows.c.purpose == Purpose.ANSWER
    )
    ask = sa.select(message).where(message.c.id.in_(announced), message.c.withdrawn_at.is_(None))
    found = s.execute(ask.order_by(message.c.seq.desc()).limit(1)).mappings().first()
    if found is None:
        return
    kept = s.execute(sa.select(file).where(file.c.message == found["id"], file.c.state == "kept")).mappings()
    outbox.put(
        s, ticket=about["id"], seq=found["seq"], message=found["id"], channel="mail", purpose=Purpose.ANSWER, now=now,
        contact=who, lang=found["lang"], text=found["text"],
        files=[KeptFile(one["key"], one["label"], one["type"], one["size"], one["seconds"]) for one in kept],
    )  # fmt: skip
