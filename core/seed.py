"""Units and staff from the configuration into the store at start. Idempotent: files seed, people's own changes stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from config.units import name_of
from config.values import Config
from core import ids
from core.people import NO_PASSWORD
from core.schema import grant, staff, unit
from core.store import Store


async def seed(store: Store, config: Config) -> None:
    """Bring units up to date with the files, shut those that are gone, add missing staff and their grants.

    New accounts have no password: `people.set_password` gives one.
    """
    await store.write(_units, config)
    await store.write(_staff, config)


def _units(s: Connection, config: Config) -> None:
    known = set(s.execute(sa.select(unit.c.slug)).scalars())
    for one in config.units:
        values = {
            "parent": one.parent, "kind": one.kind, "names": dict(one.name), "extension": one.extension,
            "email": config.units.address(one.slug), "active": True,
        }  # fmt: skip
        if one.slug in known:
            s.execute(sa.update(unit).where(unit.c.slug == one.slug).values(values))
        else:
            s.execute(sa.insert(unit).values({**_base(s), "slug": one.slug, **values}))
    gone = known - set(config.units.items)
    s.execute(sa.update(unit).where(unit.c.slug.in_(gone)).values(active=False))


def _staff(s: Connection, config: Config) -> None:
    known: dict[str, int] = {row.login: row.id for row in s.execute(sa.select(staff.c.login, staff.c.id))}
    for login, one in config.staff.items():
        if login not in known:
            row = {**_base(s), "login": login, "name": name_of(one.name, config.agency.lang), "password": NO_PASSWORD}
            s.execute(sa.insert(staff).values(row))
            known[login] = row["id"]
        held = set(s.execute(sa.select(grant.c.role, grant.c.unit).where(grant.c.staff == known[login])))
        for wanted in dict.fromkeys(one.all_grants):
            if (wanted.role, wanted.unit) not in {tuple(row) for row in held}:
                row = {**_base(s), "staff": known[login], "role": wanted.role, "unit": wanted.unit, "until": None}
                s.execute(sa.insert(grant).values(row))


def _base(s: Connection) -> Mapping[str, Any]:
    return {"id": ids.new(s), "at": s.info["clock"].now()}
