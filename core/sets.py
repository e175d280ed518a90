"""Many rows of one table in one statement: lists of values on SQLite, arrays unnested on PostgreSQL.

A row at a time costs PostgreSQL five times as much; on SQLite it lets go of the interpreter after each row, and under
load the loop takes it. Compiled once per table and columns, SQLAlchemy costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from core.schema import Json, canonical

_ARRAYS = (
    (sa.Boolean, "boolean"),
    (sa.SmallInteger, "smallint"),
    (sa.BigInteger, "bigint"),
    (sa.Integer, "integer"),
    (sa.LargeBinary, "bytea"),
    (sa.Float, "double precision"),
)


_AT_ONCE = (32, 8, 2, 1)  #: rows of a statement on SQLite: few lengths, so that it finds them compiled


@dataclass(frozen=True, slots=True)
class _Plan:
    sql: str
    columns: tuple[tuple[str, Callable[[Any], Any] | None], ...]


def insert(s: Connection, table: Table, rows: Sequence[Mapping[str, Any]], unless_there: bool = False) -> int:
    """Insert `rows`, all with the same columns; `unless_there`: whatever conflicts is left out. How many went in."""
    keys = tuple(rows[0])
    if s.dialect.name == "sqlite":
        return sum(_insert_list(s, table, keys, part, unless_there) for part in _parts(rows))
    plan = _plan(table, keys, unless_there, None)
    values = tuple(
        [[row[key] for row in rows] if turn is None else [turn(row[key]) for row in rows]
         for key, turn in plan.columns]
    )  # fmt: skip
    return s.exec_driver_sql(plan.sql, values).rowcount


def _parts(rows: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    done = 0
    while done < len(rows):
        size = next(size for size in _AT_ONCE if size <= len(rows) - done)
        yield rows[done : done + size]
        done += size


def _insert_list(
    s: Connection, table: Table, keys: tuple[str, ...], rows: Sequence[Mapping[str, Any]], unless_there: bool
) -> int:
    plan = _plan(table, keys, unless_there, len(rows))
    values = tuple([row[key] if turn is None else turn(row[key]) for row in rows for key, turn in plan.columns])
    return s.exec_driver_sql(plan.sql, values).rowcount


@lru_cache(512)
def _plan(table: Table, keys: tuple[str, ...], unless_there: bool, rows: int | None) -> _Plan:
    """`rows`: how many lists of values; None = arrays of whatever length."""
    names = ", ".join(f'"{key}"' for key in keys)
    if rows is None:
        each = ", ".join(f"${n}::{_array(table.c[key].type)}[]" for n, key in enumerate(keys, 1))
        source = f"SELECT * FROM unnest({each})"
    else:
        source = "VALUES " + ", ".join([f"({', '.join('?' * len(keys))})"] * rows)
    end = " ON CONFLICT DO NOTHING" if unless_there else ""
    columns = tuple((key, _json if isinstance(table.c[key].type, Json) else None) for key in keys)
    return _Plan(f'INSERT INTO "{table.name}" ({names}) {source}{end}', columns)


def _array(kind: Any) -> str:
    return next((name for cls, name in _ARRAYS if isinstance(kind, cls)), "text")


def _json(value: Any) -> str | None:
    if not value:
        return "{}" if value == {} else "[]" if value == [] else None if value is None else canonical(value)
    return canonical(value)
