"""What intake and the desk need to know of the configuration: routes, units, budgets and calendars. A value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.calendar import Calendar, Due, Pause, due
from core.model import Kind
from core.routing import Rules

OVERSIGHT = "oversight"
BUDGETS: Mapping[Kind, str] = {
    Kind.COMPLAINT: "10wd",
    Kind.CRITICISM: "10wd",
    Kind.REQUEST: "15wd",
    Kind.SUGGESTION: "20wd",
    Kind.THANKS: "10wd",
    Kind.COMMENT: "10wd",
    Kind.DATA: "10wd",
}
MOST_KEPT = 4096  #: due dates remembered; they depend on the minute of arrival only


@dataclass(frozen=True, slots=True)
class Place:
    """A unit as routing and objections see it."""

    slug: str
    parent: str | None = None
    kind: str = "unit"
    names: Mapping[str, str] = field(default_factory=dict)
    calendar: Calendar | None = None


@dataclass(frozen=True, slots=True)
class Book:
    """The rules a ticket is taken and moved by."""

    rules: Rules
    units: Mapping[str, Place]
    calendar: Calendar
    budgets: Mapping[Kind, str] = field(default_factory=lambda: dict(BUDGETS))
    services: Mapping[str, str | None] = field(default_factory=dict)  #: slug → its card's budget
    kind: Kind = Kind.REQUEST  #: of a message that says nothing
    area: str | None = None  #: telephone area of numbers typed without one
    _kept: dict[tuple[int, str, int], Due] = field(default_factory=dict, compare=False, repr=False)

    def budget(self, kind: Kind, service: str | None = None, rule: str | None = None) -> str:
        """The time an answer may take: the rule's, the service card's, else the kind's."""
        card = self.services.get(service) if service else None
        return rule or card or self.budgets[kind]

    def calendar_of(self, unit: str) -> Calendar:
        """The unit's own calendar, else the agency's."""
        place = self.units.get(unit)
        return (place and place.calendar) or self.calendar

    def due(self, start: int, budget: str, unit: str, pauses: tuple[Pause, ...] = ()) -> Due:
        """When `budget` from `start` runs out in `unit`. Raises NoWorkingDay."""
        cal = self.calendar_of(unit)
        if pauses:
            return due(start, budget, cal, pauses)
        key = (id(cal), budget, start // 60_000)
        known = self._kept.get(key)
        if known is None:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            known = self._kept[key] = due(start, budget, cal)
        return known

    def above(self, unit: str, level: int) -> str:
        """Where an objection of `level` goes: 1 the superior of the unit, 2 a unit of kind oversight.

        Without a superior the oversight takes the first level too; without an oversight the top of the tree.
        """
        place = self.units.get(unit)
        oversight = next((u.slug for u in self.units.values() if u.kind == OVERSIGHT), None)
        if level == 1 and place and place.parent:
            return place.parent
        return oversight or self._top(unit)

    def _top(self, unit: str) -> str:
        seen = {unit}
        while (place := self.units.get(unit)) and place.parent and place.parent not in seen:
            unit = place.parent
            seen.add(unit)
        return unit
