"""The units of a public body as a tree: names, heads, addresses, who stands above whom. Frozen values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from config.shape import Match, Slug

Names = Mapping[str, str]  # by language


@dataclass(frozen=True, slots=True)
class Head:
    """Who heads a unit, as the directory shows it."""

    name: Names
    post: Names


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit. `slug` comes from its table's name in units.toml."""

    slug: str
    name: Names
    kind: Literal["unit", "secretariat", "oversight"] = "unit"
    parent: Slug | None = None
    head: Head | None = None
    extension: Annotated[str, Match(r"[0-9]{2,6}", "2 to 6 digits")] | None = None
    mail: Annotated[str, Match(r"[a-z0-9._-]{1,64}", "the part of the address before the @")] | None = None
    phone: str | None = None  #: E.164
    area: str | None = None  #: town or district it serves; routing's `area`
    hours: Names = field(default_factory=dict)  #: as shown; the calendar counts
    room: Names = field(default_factory=dict)
    duties: Names = field(default_factory=dict)
    signature: Names = field(default_factory=dict)  #: last lines of its letters
    successor: Slug | None = None  #: for a closed unit: who takes its queue
    public: bool = True  #: shown in the directory and offered on the form


def name_of(names: Names, lang: str) -> str:
    """The name in `lang`, else in the first language there is."""
    return names.get(lang) or next(iter(names.values()), "")


@dataclass(frozen=True, slots=True)
class Units:
    """All units by slug; checked when read: one root, no loop, every parent known, one secretariat."""

    items: Mapping[str, Unit]
    domain: str = ""  #: what follows the @ in their addresses
    _below: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, items: Mapping[str, Unit], domain: str = "") -> Units:
        """A tree of checked units."""
        below: dict[str, set[str]] = {slug: {slug} for slug in items}
        for slug in items:
            for above in _above(slug, items):
                below[above].add(slug)
        return cls(items, domain, {slug: frozenset(found) for slug, found in below.items()})

    def __iter__(self) -> Iterator[Unit]:
        return iter(self.items.values())

    def __len__(self) -> int:
        return len(self.items)

    def __contains__(self, slug: object) -> bool:
        return slug in self.items

    def __getitem__(self, slug: str) -> Unit:
        return self.items[slug]

    def get(self, slug: str | None) -> Unit | None:
        """The unit, or None."""
        return self.items.get(slug) if slug else None

    def name(self, slug: str, lang: str) -> str:
        """Its name in `lang`; the slug itself for one that is gone."""
        unit = self.items.get(slug)
        return name_of(unit.name, lang) if unit else slug

    def subtree(self, slug: str) -> frozenset[str]:
        """Slugs of the unit and all below it; empty for an unknown one."""
        return self._below.get(slug, frozenset())

    def children(self, slug: str) -> list[Unit]:
        """Units directly below, in the file's order."""
        return [unit for unit in self if unit.parent == slug]

    def ancestors(self, slug: str) -> list[str]:
        """Slugs above the unit, the nearest first."""
        return list(_above(slug, self.items))

    def parent(self, slug: str) -> Unit | None:
        """The unit directly above."""
        unit = self.items.get(slug)
        return self.get(unit.parent) if unit else None

    def superior(self, slug: str, level: int = 1) -> Unit | None:
        """Who decides an objection: level 1 the unit above, level 2 oversight; None past it or where nobody is."""
        if level == 1:
            return self.parent(slug) or self.oversight
        return self.oversight if level == 2 else None

    @property
    def root(self) -> Unit:
        """The body itself."""
        return next(unit for unit in self if unit.parent is None)

    @property
    def secretariat(self) -> Unit:
        """Where a message goes that no rule knows."""
        return next((unit for unit in self if unit.kind == "secretariat"), self.root)

    @property
    def oversight(self) -> Unit | None:
        """The unit that decides last."""
        return next((unit for unit in self if unit.kind == "oversight"), None)

    def by_extension(self, digits: str) -> Unit | None:
        """The unit with that telephone extension."""
        return next((unit for unit in self if unit.extension == digits), None)

    def by_mail(self, address: str) -> Unit | None:
        """The unit written to by this address of ours (whole, or the part before the @; case and +tag ignored)."""
        local, at, domain = address.strip().lower().partition("@")
        if at and self.domain and domain != self.domain:
            return None
        return next((unit for unit in self if unit.mail and unit.mail == local.partition("+")[0]), None)

    def address(self, slug: str) -> str | None:
        """Its mail address."""
        unit = self.items.get(slug)
        return f"{unit.mail}@{self.domain}" if unit and unit.mail and self.domain else None


def _above(slug: str, items: Mapping[str, Unit]) -> Iterator[str]:
    seen = {slug}
    parent = items[slug].parent if slug in items else None
    while parent and parent in items and parent not in seen:
        yield parent
        seen.add(parent)
        parent = items[parent].parent
