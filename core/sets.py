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


def insert(
    s: Connection, table: Table, rows: Sequence[Mapping[str, Any]], unless_there: bool = False, over: str | None = None
) -> int:
    """Insert `rows`, all with the same columns; `unless_there`: whatever conflicts is left out; `over`: what has the
    same value in this unique column is written over. How many went in."""
    keys = tuple(rows[0])
    end = " ON CONFLICT DO NOTHING" if unless_there else ""
    if over is not None:
        new = ", ".join(f'"{key}" = excluded."{key}"' for key in keys if key != over)
        end = f' ON CONFLICT ("{over}") DO UPDATE SET {new}'
    if s.dialect.name == "sqlite":
        plan = _plan(table, keys, end, False)
        values: Any = [
            tuple([row[key] if turn is None else turn(row[key]) for key, turn in plan.columns]) for row in rows
        ]
    else:
        plan = _plan(table, keys, end, True)
        values = tuple(
            [[row[key] for row in rows] if turn is None else [turn(row[key]) for row in rows]
             for key, turn in plan.columns]
        )  # fmt: skip
    return s.exec_driver_sql(plan.sql, values).rowcount


def update(s: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write `rows` over those of the same `id`, each id once, all with the same columns of plain types."""
    keys = tuple(key for key in rows[0] if key != "id")
    arrays = s.dialect.name != "sqlite"
    values: Any = [tuple([row[key] for key in (*keys, "id")]) for row in rows]
    s.exec_driver_sql(_update(table, keys, arrays), tuple(zip(*values, strict=True)) if arrays else values)


@lru_cache(64)
def _update(table: Table, keys: tuple[str, ...], arrays: bool) -> str:
    if not arrays:
        return f'UPDATE "{table.name}" SET {", ".join(f"{key} = ?" for key in keys)} WHERE id = ?'
    given = ", ".join(f"${n}::{type_name(table.c[key].type)}[]" for n, key in enumerate((*keys, "id"), 1))
    new = ", ".join(f"{key} = x.{key}" for key in keys)
    names = ", ".join((*keys, "id"))
    return f'UPDATE "{table.name}" t SET {new} FROM unnest({given}) AS x({names}) WHERE t.id = x.id'


@lru_cache(256)
def _plan(table: Table, keys: tuple[str, ...], end: str, arrays: bool) -> _Plan:
    names = ", ".join(f'"{key}"' for key in keys)
    if arrays:
        each = ", ".join(f"${n}::{type_name(table.c[key].type)}[]" for n, key in enumerate(keys, 1))
        source = f"SELECT * FROM unnest({each})"
    else:
        source = f"VALUES ({', '.join('?' * len(keys))})"
    columns = tuple((key, _json if isinstance(table.c[key].type, Json) else None) for key in keys)
    return _Plan(f'INSERT INTO "{table.name}" ({names}) {source}{end}', columns)


def type_name(kind: Any) -> str:
    """What PostgreSQL calls a column's type."""
    return next((name for cls, name in _ARRAYS if isinstance(kind, cls)), "text")


def _json(value: Any) -> str | None:
    if not value:
        return "{}" if value == {} else "[]" if value == [] else None if value is None else canonical(value)
    return canonical(value)
