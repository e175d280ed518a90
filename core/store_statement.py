"""New tickets into PostgreSQL as one statement that is its own transaction: one round trip for a whole batch.

It takes what has never been heard of: whatever shares its (channel, ref) with a stored message, or with one before
it in the batch, is left to `core.batch`. Rows go in as JSON, one text for each table, which costs this process a
fourth of what arrays do and the server no more. The columns are those of `core.schema`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import Table

from core import fresh
from core.prepared import Prepared, Row
from core.schema import contact, event, mail_id, seen, ticket
from core.sets import type_name

Shape = tuple[tuple[Table, tuple[str, ...]], ...]  #: tables with the columns of their rows
_encode = msgspec.json.Encoder().encode

# Each key is looked up by itself (LIMIT, OFFSET keep it so): see `core.fresh`.
_NEVER = """(SELECT s.message FROM seen s WHERE s.agency = x.agency AND s.channel = x.channel
  AND s.ref = decode(x.ref, 'base64') LIMIT 1) IS NULL"""
_CONTACTS = """known AS (
  SELECT given.id AS given, c.id, c.proven_at FROM given, LATERAL (
    SELECT id, proven_at FROM contact c WHERE c.agency = given.agency AND c.kind = given.kind AND c.blind = given.blind
    OFFSET 0) c),
made AS (
  INSERT INTO contact (id, agency, at, kind, value, blind, proven_by, proven_at)
  SELECT DISTINCT ON (kind, blind) id, agency, at, kind, value, blind, proven_by, proven_at FROM given
  WHERE id NOT IN (SELECT given FROM known) ORDER BY kind, blind, proven_at
  ON CONFLICT (agency, kind, blind) DO UPDATE SET blind = excluded.blind RETURNING id, kind, blind),
proven AS (
  UPDATE contact SET proven_at = given.proven_at, proven_by = given.proven_by
  FROM known JOIN given ON given.id = known.given
  WHERE contact.id = known.id AND known.proven_at IS NULL AND given.proven_at IS NOT NULL),
point AS (
  SELECT given, id FROM known UNION ALL SELECT given.id, made.id FROM given JOIN made USING (kind, blind))"""


def new_ones(items: Sequence[Prepared]) -> list[Prepared]:
    """Those that may be new tickets: of each (channel, ref) the first that asks the store for nothing else."""
    first: dict[tuple[str, bytes], Prepared] = {}
    for item in items:
        if fresh.is_plain(item):
            first.setdefault((item.inbound.channel, item.ref), item)
    return list(first.values())


def insert(items: Sequence[Prepared], base: int) -> tuple[str, list[Any]]:
    """SQL and arguments that write `items`, all of `new_ones`; it returns the numbers of those that were new.

    $1 is what is added to the transaction's number for `pos`; then come the rows of each table.
    """
    points = [row for item in items for row in _points(item)]
    found = [(seen, fresh.marks(items)), *([(contact, points)] if points else []), *fresh.rows(items)]
    shape = tuple((table, tuple(rows[0])) for table, rows in found)
    return _sql(shape), [base, *(_encode(rows) for _, rows in found)]


def _points(item: Prepared) -> list[Row]:
    """Contact points of `item`, under the numbers that its rows name until the statement knows the true ones."""
    who = [row for row in (item.contact, item.reply_to) if row is not None]
    if who:
        fresh.link(item, {(row["kind"], row["blind"]): row["id"] for row in who})
    return [row | {"message": item.number} for row in who]


@lru_cache(64)
def _sql(shape: Shape) -> str:
    parts = [_part(table, keys, f"${n}") for n, (table, keys) in enumerate(shape, 2)]
    if not any(table is contact for table, _ in shape):
        parts.insert(0, "point AS (SELECT NULL::bigint AS given, NULL::bigint AS id WHERE false)")
    return f"WITH {', '.join(parts)} SELECT message FROM fresh"


def _part(table: Table, keys: tuple[str, ...], given: str) -> str:
    """What becomes of the rows of one table."""
    rows = f"FROM {_rows(table, keys, given)}"
    if table is seen:
        return f"fresh AS ({_into(table, keys)} {rows} WHERE {_NEVER} ON CONFLICT DO NOTHING RETURNING message)"
    if table is contact:
        values = ", ".join(_value(table, key) for key in keys)
        return f"given AS (SELECT {values} {rows} JOIN fresh USING (message)), {_CONTACTS}"
    own = "id" if table is ticket else "ticket" if "ticket" in table.c else "message"
    joins = "".join(f' LEFT JOIN point "{key}_" ON "{key}_".given = x."{key}"' for key in keys if _meets(table, key))
    end = " ON CONFLICT DO NOTHING" if table is mail_id else ""
    return f'"new_{table.name}" AS ({_into(table, keys)} {rows} JOIN fresh ON fresh.message = x."{own}"{joins}{end})'


def _rows(table: Table, keys: tuple[str, ...], given: str) -> str:
    types = {key: "bigint" if key not in table.c else type_name(table.c[key].type) for key in keys}
    defined = ", ".join(f'"{key}" {"text" if kind == "bytea" else kind}' for key, kind in types.items())
    return f"json_to_recordset(convert_from({given}, 'UTF8')::json) AS x({defined})"


def _into(table: Table, keys: tuple[str, ...]) -> str:
    names, values = list(keys), [_value(table, key) for key in keys]
    if table is event:
        names.append("pos")
        values.append("$1::bigint + pg_current_xact_id()::text::bigint")
    return f'INSERT INTO "{table.name}" ({", ".join(map(_quoted, names))}) SELECT {", ".join(values)}'


def _value(table: Table, key: str) -> str:
    if _meets(table, key):
        return f'"{key}_".id'
    binary = key in table.c and isinstance(table.c[key].type, sa.LargeBinary)
    return f"""decode(x."{key}", 'base64') AS "{key}\"""" if binary else f'x."{key}"'


def _meets(table: Table, key: str) -> bool:
    """Does the column name a contact point?"""
    return key in table.c and any(found.column is contact.c.id for found in table.c[key].foreign_keys)


def _quoted(name: str) -> str:
    return f'"{name}"'
