"""Many rows of one table in one statement: executemany on SQLite, arrays unnested on PostgreSQL.

A row at a time costs PostgreSQL five times as much; compiled once per table and columns, SQLAlchemy costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


@dataclass(frozen=True, slots=True)
class _Plan:
    sql: str
    columns: tuple[tuple[str, Callable[[Any], Any] | None], ...]


def insert(s: Connection, table: Table, rows: Sequence[Mapping[str, Any]], unless_there: bool = False) -> int:
    """Insert `rows`, all with the same columns; `unless_there`: whatever conflicts is left out. How many went in."""
    keys = tuple(rows[0])
    if s.dialect.name == "sqlite":
        plan = _plan(table, keys, unless_there, False)
        values: Any = [
            tuple([row[key] if turn is None else turn(row[key]) for key, turn in plan.columns]) for row in rows
        ]
    else:
        plan = _plan(table, keys, unless_there, True)
        values = tuple(
            [[row[key] for row in rows] if turn is None else [turn(row[key]) for row in rows]
             for key, turn in plan.columns]
        )  # fmt: skip
    return s.exec_driver_sql(plan.sql, values).rowcount


@lru_cache(256)
def _plan(table: Table, keys: tuple[str, ...], unless_there: bool, arrays: bool) -> _Plan:
    names = ", ".join(f'"{key}"' for key in keys)
    if arrays:
        each = ", ".join(f"${n}::{type_name(table.c[key].type)}[]" for n, key in enumerate(keys, 1))
        source = f"SELECT * FROM unnest({each})"
    else:
        source = f"VALUES ({', '.join('?' * len(keys))})"
    end = " ON CONFLICT DO NOTHING" if unless_there else ""
    columns = tuple((key, _json if isinstance(table.c[key].type, Json) else None) for key in keys)
    return _Plan(f'INSERT INTO "{table.name}" ({names}) {source}{end}', columns)


def type_name(kind: Any) -> str:
    """What PostgreSQL calls a column's type."""
    return next((name for cls, name in _ARRAYS if isinstance(kind, cls)), "text")


def _json(value: Any) -> str | None:
    if not value:
        return "{}" if value == {} else "[]" if value == [] else None if value is None else canonical(value)
    return canonical(value)
