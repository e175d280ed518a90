"""What a machine wrote down of a voice message: kept beside the message, never as the citizen's own words. SQL only."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from core.errors import NotFound
from core.schema import message
from core.text import clean

LONGEST = 20_000  # characters
META = "transcripts"  #: in message.meta: key of the file → words, by, at


def write(s: Connection, number: int, key: str, words: str, by: str, now: int) -> None:
    """Keep `words` of the file `key` of message `number`; a later one takes the place. Raises NotFound."""
    row = s.execute(sa.select(message.c.meta).where(message.c.id == number).with_for_update()).first()
    if row is None:
        raise NotFound(f"message {number}")
    told = {"words": clean(words)[:LONGEST], "by": clean(by)[:100], "at": now}
    meta = {**row.meta, META: {**row.meta.get(META, {}), key: told}}
    s.execute(sa.update(message).where(message.c.id == number).values(meta=meta))


def holding(q: str, about: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """Does a transcript of a message of ticket `about` hold the words `q`?"""
    text = sa.type_coerce(message.c.meta, sa.Text)
    return sa.exists().where(message.c.ticket == about, text.contains(f'"{META}"'), text.contains(q, autoescape=True))
