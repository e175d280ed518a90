"""Who answers which queue, and by what telephone: `[phone.queue.NAME]` of lines.toml with the staff's extensions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from config.faults import Fault
from config.positions import Where
from config.shape import Range
from ivr.queue import Rules
from ivr.tree import Tree


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue. Its operators are rung at their extensions, by a peer with `dial = true`."""

    operators: tuple[str, ...] = ()  #: logins of staff.toml with an extension
    peer: str | None = None  #: the exchange that has the extensions; None = any peer that may be dialled
    ring: Annotated[int, Range(5, 120)] = 20  #: seconds an operator is rung
    misses: Annotated[int, Range(1, 10)] = 2  #: calls not taken in a row, then a pause
    wrap_up: Annotated[int, Range(0, 600)] = 30  #: seconds after a call
    most: Annotated[int, Range(1, 1000)] = 50  #: callers who wait; one more is sent on
    longest: Annotated[int, Range(30, 3600)] = 600  #: seconds a caller waits
    record: bool = True  #: record talks, once the caller has heard so; 9 refuses
    name: Mapping[str, str] = field(default_factory=dict)  #: as staff read it, by language; none = its key

    def rules(self) -> Rules:
        return Rules(self.ring, self.misses, self.wrap_up, self.most, self.longest)


@dataclass(frozen=True, slots=True)
class Member:
    """One of the staff who has a telephone."""

    extension: str
    name: Mapping[str, str] = field(default_factory=dict)  #: by language


@dataclass(frozen=True, slots=True)
class Roster:
    """Queues by name, staff by login, extensions of units by slug."""

    queues: Mapping[str, Queue] = field(default_factory=dict)
    staff: Mapping[str, Member] = field(default_factory=dict)
    bells: Mapping[str, str] = field(default_factory=dict)

    def queues_of(self, login: str) -> frozenset[str]:
        return frozenset(name for name, queue in self.queues.items() if login in queue.operators)

    def named(self, queue: str, lang: str) -> str:
        """What staff read for a queue: its name in their language, else in any, else its key."""
        names = self.queues[queue].name
        return names.get(lang) or next(iter(names.values()), queue)

    @property
    def logins(self) -> list[str]:
        """Everybody who answers some queue."""
        return sorted({login for queue in self.queues.values() for login in queue.operators})


def roster(queues: Mapping[str, Queue], extra: Mapping[str, Any]) -> Roster:
    """The queues with what wiring knows of staff and units: `staff` (login → extension, name), `bells`."""
    staff = {login: Member(**known) for login, known in extra.get("staff", {}).items()}
    return Roster(queues, staff, extra.get("bells", {}))


def faults(given: Roster, trees: Iterable[Tree], where: Where) -> list[Fault]:
    """Operators who cannot be rung, queues of menus that are not there. `where` is `[phone.queue]`."""
    asked = {str(node.own.get("name", "")) for tree in trees for node in tree.nodes.values() if node.do == "queue"}
    missing = sorted(asked - given.queues.keys()) if given.queues else []
    return [where.fault("unknown-queue", f"menus ask for [phone.queue.{name}]; add it") for name in missing] + [
        (where / name / "operators").fault("unknown-operator", f"{login!r} has no extension in staff.toml; give one")
        for name, queue in given.queues.items()
        for login in queue.operators
        if given.staff and login not in given.staff
    ]
