"""Who wants no notices and surveys by a line. Codes, states and answers are never stopped. SQL only."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from core.schema import optout
from core.text import clean


def set_out(s: Connection, channel: str, line: str, blind: bytes, out: bool, why: str, now: int) -> None:
    """From now on (not) `out`; the first reason stays."""
    if out:
        insert = sqlite.insert if s.dialect.name == "sqlite" else postgresql.insert
        row = insert(optout).values(channel=channel, line=line, blind=blind, at=now, why=clean(why))
        s.execute(row.on_conflict_do_nothing())
    else:
        s.execute(sa.delete(optout).where(*_mine(channel, line, blind)))


def is_out(s: Connection, channel: str, line: str, blind: bytes) -> bool:
    """Did this person opt out?"""
    return s.execute(sa.select(optout.c.at).where(*_mine(channel, line, blind))).first() is not None


def _mine(channel: str, line: str, blind: bytes) -> tuple[sa.ColumnElement[bool], ...]:
    return (optout.c.channel == channel, optout.c.line.in_((line, "")), optout.c.blind == blind)
