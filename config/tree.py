"""Checks of the tree of units: one root, no loop, known parents, one secretariat, nobody's address twice."""

from __future__ import annotations

from collections.abc import Mapping

from config.faults import Fault
from config.positions import Where
from config.units import Unit


def check(units: Mapping[str, Unit], where: Where, faults: list[Fault]) -> None:
    """Add what is wrong with the tree that stands at `where` (units.toml `unit`)."""
    for slug, unit in units.items():
        for name in ("parent", "successor"):
            other = getattr(unit, name)
            if other is not None and other not in units:
                faults.append((where / slug / name).fault("unknown-unit", f"there is no unit {other!r}; mend {name}"))
    _loops(units, where, faults)
    _one(units, where, faults)
    for name in ("extension", "mail"):
        _twice(units, name, where, faults)


def _loops(units: Mapping[str, Unit], where: Where, faults: list[Fault]) -> None:
    told: set[str] = set()
    for slug in units:
        way = _way_up(slug, units)
        if way[-1] in way[:-1] and not told & set(way):
            told |= set(way)
            ring = way[way.index(way[-1]) :]
            place = where / ring[0] / "parent"
            faults.append(place.fault("unit-loop", f"{' → '.join(ring)}: give one of them another parent"))


def _way_up(slug: str, units: Mapping[str, Unit]) -> list[str]:
    way = [slug]
    while True:
        parent = units[way[-1]].parent
        if parent is None or parent not in units:
            return way
        way.append(parent)
        if parent in way[:-1]:
            return way


def _one(units: Mapping[str, Unit], where: Where, faults: list[Fault]) -> None:
    roots = [slug for slug, unit in units.items() if unit.parent is None]
    if not roots:
        faults.append(where.fault("no-root", "one unit, the body itself, must have no parent"))
    for slug in roots[1:]:
        faults.append((where / slug).fault("two-roots", f"{roots[0]!r} has no parent already; give {slug!r} one"))
    kinds = [slug for slug, unit in units.items() if unit.kind == "secretariat"]
    if not kinds:
        faults.append(
            where.fault("no-secretariat", 'one unit must be kind = "secretariat": it gets what no rule knows')
        )
    for slug in kinds[1:]:
        faults.append((where / slug / "kind").fault("two-secretariats", f"{kinds[0]!r} is the secretariat already"))


def _twice(units: Mapping[str, Unit], name: str, where: Where, faults: list[Fault]) -> None:
    seen: dict[str, str] = {}
    for slug, unit in units.items():
        value = getattr(unit, name)
        if value is not None and seen.setdefault(value, slug) != slug:
            faults.append((where / slug / name).fault("twice", f"{seen[value]!r} has {name} {value} already"))
