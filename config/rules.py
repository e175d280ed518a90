"""Routing rules read from routes.toml and checked: what they name exists, no name twice, none out of reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from config import shape
from config.faults import Fault
from config.positions import Where
from config.units import Units
from config.values import Budget, Service
from core import routing
from core.model import Kind
from core.routing import Rule, Then


@dataclass(frozen=True, slots=True)
class _Then:
    unit: shape.Slug | None = None
    kind: Kind | None = None
    service: shape.Slug | None = None
    urgent: bool = False
    hold: bool = False
    tags: tuple[str, ...] = ()
    due: Budget | None = None


@dataclass(frozen=True, slots=True)
class _Rule:
    name: str
    then: _Then
    when: Mapping[str, Any]


def read_rules(
    tables: Any, where: Where, units: Units, services: Mapping[str, Service], faults: list[Fault]
) -> tuple[Rule, ...]:
    """The rules of `[[rule]]` in order. Adds `unknown-unit unknown-service unknown-key duplicate-name unreachable`."""
    if not isinstance(tables, list):
        if tables:
            faults.append(where.fault("bad-type", "write each rule as [[rule]]"))
        return ()
    found: list[Rule] = []
    for n, table in enumerate(tables):
        rule = _read(table, where / n, faults)
        if rule is not None:
            _named(rule, where / n, units, services, faults)
            _reached(rule, found, where / n, faults)
            found.append(rule)
    return tuple(found)


def _read(table: Any, where: Where, faults: list[Fault]) -> Rule | None:
    raw = shape.gather(_Rule, table, where, faults)
    if raw is None:
        return None
    before = len(faults)
    when = dict(_conditions(raw.when, where / "when", faults))
    if raw.then == _Then():
        faults.append(
            (where / "then").fault("does-nothing", f"rule {raw.name!r} changes nothing; name a unit or a mark")
        )
    t = raw.then
    then = Then(t.unit, t.kind, t.service, t.urgent, t.hold, t.tags, t.due)
    return Rule(raw.name, when, then, where.file, where.line) if len(faults) == before else None


def _conditions(when: Mapping[str, Any], where: Where, faults: list[Fault]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for key, value, place in _flat(when, where):
        values = value if isinstance(value, list) else [value]
        if key not in routing.PLAIN + routing.WORDS and not key.startswith("hint."):
            known = ", ".join((*routing.PLAIN, *routing.WORDS, "hint.…"))
            faults.append(place.fault("unknown-key", f"{key!r} is nothing a rule can ask; known: {known}"))
        elif not values or not all(isinstance(one, str) and one.strip("* ") for one in values):
            faults.append(place.fault("bad-type", f"{key} must be a text or a list of texts, none of them empty"))
        elif key == "kind" and not set(values) <= set(map(str, Kind)):
            faults.append(place.fault("unknown-kind", f"{key}: known are {', '.join(map(str, Kind))}"))
        else:
            yield key, tuple(routing.folded(key, one) for one in values)


def _flat(when: Mapping[str, Any], where: Where) -> Iterator[tuple[str, Any, Where]]:
    for key, value in when.items():
        if key in ("words", "hint") and isinstance(value, Mapping):
            for inner, one in value.items():
                yield f"{key}.{inner}", one, where / key / inner
        else:
            yield key, value, where / key


def _named(rule: Rule, where: Where, units: Units, services: Mapping[str, Service], faults: list[Fault]) -> None:
    asked_units, asked_services = rule.when.get("unit", ()), rule.when.get("service", ())
    for slug, place in _pairs(asked_units, rule.then.unit, where, "unit"):
        if slug not in units:
            faults.append(place.fault("unknown-unit", f"there is no unit {slug!r}; known: {', '.join(units.items)}"))
    for slug, place in _pairs(asked_services, rule.then.service, where, "service"):
        if slug not in services:
            faults.append(place.fault("unknown-service", f"there is no service {slug!r}; known: {', '.join(services)}"))


def _pairs(asked: tuple[str, ...], given: str | None, where: Where, key: str) -> Iterator[tuple[str, Where]]:
    for slug in asked:
        if not slug.endswith("*"):
            yield slug, where / "when" / key
    if given:
        yield given, where / "then" / key


def _reached(rule: Rule, before: list[Rule], where: Where, faults: list[Fault]) -> None:
    for other in before:
        if other.name == rule.name:
            told = f"line {other.line} has a rule {rule.name!r} already; give this one its own name"
            faults.append((where / "name").fault("duplicate-name", told))
        elif routing.covers(other, rule):
            told = f"rule {other.name!r} in line {other.line} takes all this one would; put {rule.name!r} before it"
            faults.append(where.fault("unreachable", told))
            return
