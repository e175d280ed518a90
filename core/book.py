"""The configuration as taking a message needs it: routes, who stands above whom, remembered due dates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.calendar import Calendar, due
from core.model import Kind, State
from core.routing import Rules
from core.states import LAPSES

if TYPE_CHECKING:
    from config.values import Config

MOST_KEPT = 4096  #: due dates remembered; they depend on the minute of arrival only


@dataclass(frozen=True, slots=True)
class Told:
    """A due date (ms UTC) and its steps as they are stored."""

    at: int
    steps: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Book:
    """One configuration, with what is worth remembering of it."""

    config: Config
    kind: Kind = Kind.REQUEST  #: of a message that says nothing
    _kept: dict[tuple[str, int], Told] = field(default_factory=dict, compare=False, repr=False)

    @property
    def rules(self) -> Rules:
        return self.config.routes

    @property
    def secretariat(self) -> str:
        """Slug of the unit for what fits nothing."""
        return self.config.routes.secretariat

    def calendar_of(self, unit: str) -> Calendar:
        """The working days `unit` keeps."""
        return self.config.calendar

    def due(self, start: int, budget: str) -> Told:
        """When `budget` from `start` runs out, days skipped on the way and all. Raises NoWorkingDay."""
        key = (budget, start // 60_000)
        known = self._kept.get(key)
        if known is None:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            found = due(start, budget, self.config.calendar)
            known = self._kept[key] = Told(found.at, found.json())
        return known

    def lapse_at(self, state: State, start: int) -> int | None:
        """When a state entered at `start` runs out; None for one that waits for ever or for a date of its own."""
        rule = LAPSES.get(state)
        return None if rule is None or rule.budget is None else self.due(start, rule.budget).at

    def above(self, unit: str, level: int) -> str:
        """Who decides an objection of `level`; where nobody stands above, the body itself."""
        superior = self.config.units.superior(unit, level)
        return superior.slug if superior else self.config.units.root.slug
