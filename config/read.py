"""Reading a folder of configuration: each file, each check, all faults at once. A site folder lies over the seeds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from config import rules, shape, tree
from config.calendars import read_calendar
from config.faults import Fault, Faults
from config.positions import Document, Where, load
from config.texts import Texts, read_texts
from config.units import Unit, Units
from config.values import Agency, Approval, Config, Limit, Service, Settings, StaffSeed
from core import calendar as calendars
from core.calendar import Calendar
from core.model import Kind
from core.permissions import Permission, Rights
from core.routing import Rules
from core.throttle import Rule

T = TypeVar("T")
SEEDS = Path(__file__).parent
FILES = (
    "settings.toml", "units.toml", "services.toml", "staff.toml", "routes.toml", "calendar.toml", "roles.toml",
    "lines.toml",
)  # fmt: skip
_PERMISSION = re.compile(r"([a-z_]+)(?::(assigned|agency))?\Z")


def read(folder: str | Path = SEEDS, site: str | Path | None = None) -> Config:
    """All configuration of `folder`; a file of `site` replaces the one of that name, its texts go over key by key.

    Raises Faults with everything that is wrong.
    """
    config, faults = examine(folder, site)
    if faults or config is None:
        raise Faults(faults)
    return config


def examine(folder: str | Path, site: str | Path | None = None) -> tuple[Config | None, list[Fault]]:
    """What `read` does, without raising: the configuration, if it can be made, and all faults."""
    reading = _Reading(Path(folder), Path(site) if site else None)
    config = reading.config()
    return config, sorted(set(reading.faults))


@dataclass(slots=True)
class _Reading:
    folder: Path
    site: Path | None
    faults: list[Fault] = field(default_factory=list)
    documents: dict[str, Document] = field(default_factory=dict)

    def config(self) -> Config | None:
        """Read in the order things name each other; None when the rest would only repeat a fault."""
        self._load()
        if self.faults:
            return None
        agency, settings = self._agency(), self._settings()
        units = self._units(agency.domain if agency else "")
        if agency is None or settings is None or units is None:
            return None
        self._approval(settings.approval, units)
        services = self._services(units)
        rights = self._rights(units)
        staff = self._staff(units, rights)
        routes = self._routes(units, services)
        calendar = self._calendar(agency.zone)
        texts = self._texts(agency)
        if calendar is None or self.faults:
            return None
        return Config(
            folder=self.folder,
            site=self.site,
            agency=agency,
            settings=settings,
            units=units,
            services=services,
            routes=routes,
            calendar=calendar,
            rights=rights,
            staff=staff,
            lines=self.documents["lines.toml"].data,
            texts=texts,
            menus_folder=self._below("menus"),
            prompts_folder=self._below("prompts"),
            documents=self.documents,
        )

    def _load(self) -> None:
        if self.site is not None and not self.site.is_dir():
            self.faults.append(Fault(str(self.site), 0, "no-folder", "there is no such folder; mistyped?"))
            return
        for name in FILES:
            path = self._below(name)
            try:
                self.documents[name] = load(path)
            except Faults as error:
                self.faults.extend(error.faults)

    def _below(self, name: str) -> Path:
        over = self.site / name if self.site else None
        return over if over is not None and over.exists() else self.folder / name

    def _table(self, file: str, key: str) -> tuple[Any, Where]:
        document = self.documents[file]
        return document.data.get(key, {}), document.at(key)

    def _only(self, file: str, *known: str) -> None:
        document = self.documents[file]
        for key in document.data:
            if key not in known:
                told = ", ".join(known)
                self.faults.append(document.at(key).fault("unknown-key", f"{key!r} means nothing here; known: {told}"))

    def _each(self, file: str, key: str, cls: type[T], named: str) -> dict[str, T]:
        table, where = self._table(file, key)
        return shape.gather_each(cls, table, where, self.faults, named)

    def _agency(self) -> Agency | None:
        table, where = self._table("settings.toml", "agency")
        agency = shape.gather(Agency, table, where, self.faults)
        if agency and agency.lang not in agency.langs:
            self.faults.append(
                (where / "langs").fault("bad-value", f"put {agency.lang!r}, the first language, in langs")
            )
        return agency

    def _settings(self) -> Settings | None:
        document = self.documents["settings.toml"]
        rest = {key: value for key, value in document.data.items() if key not in ("agency", "limits")}
        settings = shape.gather(Settings, rest, document.at(), self.faults)
        table, where = self._table("settings.toml", "limits")
        limits = shape.gather_each(Limit, table, where, self.faults)
        if settings is None:
            return None
        for kind in settings.due:
            if kind not in set(map(str, Kind)):
                self.faults.append((document.at("due") / kind).fault("unknown-kind", _kinds(kind)))
        made = {name: Rule(name, x.limit, x.span, x.burst, x.shut) for name, x in limits.items()}
        return replace(settings, limits=made)

    def _approval(self, approval: Approval, units: Units) -> None:
        where = self.documents["settings.toml"].at("approval")
        for n, slug in enumerate(approval.units):
            self._known_unit(slug, units, where / "units" / n)
        for n, kind in enumerate(approval.kinds):
            if kind not in set(map(str, Kind)):
                self.faults.append((where / "kinds" / n).fault("unknown-kind", _kinds(kind)))

    def _units(self, domain: str) -> Units | None:
        self._only("units.toml", "unit")
        found = self._each("units.toml", "unit", Unit, "slug")
        _, where = self._table("units.toml", "unit")
        tree.check(found, where, self.faults)
        return None if self.faults else Units.of(found, domain.lower())

    def _services(self, units: Units) -> dict[str, Service]:
        self._only("services.toml", "service")
        found = self._each("services.toml", "service", Service, "slug")
        _, where = self._table("services.toml", "service")
        for slug, card in found.items():
            self._known_unit(card.unit, units, where / slug / "unit")
            for n, asked in enumerate(card.fields):
                if asked.kind in ("choice", "multi") and not asked.choices:
                    place = where / slug / "fields" / n
                    self.faults.append(
                        place.fault("no-choices", f"field {asked.name!r} is a choice: add choices = [ … ]")
                    )
        return found

    def _known_unit(self, slug: str, units: Units, where: Where) -> None:
        if slug not in units:
            self.faults.append(
                where.fault("unknown-unit", f"there is no unit {slug!r}; known: {', '.join(units.items)}")
            )

    def _rights(self, units: Units) -> Rights:
        self._only("roles.toml", "role")
        table, where = self._table("roles.toml", "role")
        roles: dict[str, frozenset[str]] = {}
        for name, role in table.items():
            listed = role.get("may", []) if isinstance(role, Mapping) else []
            if not isinstance(listed, list) or not listed:
                self.faults.append((where / name).fault("missing-key", f"role {name!r} needs may = [ … ]"))
                continue
            roles[name] = frozenset(self._permission(p, where / name / "may" / n) for n, p in enumerate(listed))
        return Rights(units, roles)

    def _permission(self, text: Any, where: Where) -> str:
        match = _PERMISSION.match(str(text))
        if not match or match[1] not in set(map(str, Permission)):
            known = ", ".join(map(str, Permission))
            self.faults.append(where.fault("unknown-permission", f"{text!r} is no permission; known: {known}"))
        return str(text)

    def _staff(self, units: Units, rights: Rights) -> dict[str, StaffSeed]:
        self._only("staff.toml", "staff")
        found = self._each("staff.toml", "staff", StaffSeed, "login")
        _, where = self._table("staff.toml", "staff")
        for login, person in found.items():
            if not re.fullmatch(r"[a-z0-9._-]{3,32}", login):
                self.faults.append((where / login).fault("bad-value", "a login is 3 to 32 of a-z, 0-9, dot, _ and -"))
            for grant in person.all_grants:
                self._known_unit(grant.unit, units, where / login / "unit")
                if grant.role not in rights.roles:
                    known = ", ".join(rights.roles)
                    self.faults.append(
                        (where / login / "role").fault("unknown-role", f"no role {grant.role!r}; known: {known}")
                    )
        return found

    def _routes(self, units: Units, services: Mapping[str, Service]) -> Rules:
        self._only("routes.toml", "rule")
        table, where = self._table("routes.toml", "rule")
        items = rules.read_rules(table, where, units, services, self.faults)
        addresses = {unit.extension: unit.slug for unit in units if unit.extension}
        addresses |= {str(units.address(u.slug)): u.slug for u in units if units.address(u.slug)}
        return Rules(items, units.secretariat.slug, {s.slug: s.unit for s in services.values()}, addresses)

    def _calendar(self, zone: str) -> Calendar | None:
        calendar = read_calendar(self.documents["calendar.toml"], zone, self.faults)
        if calendar:
            self._try(calendar)
        return calendar

    def _try(self, calendar: Calendar) -> None:
        try:
            calendars.due(1_767_225_600_000, "1wd", calendar)
        except calendars.NoWorkingDay:
            where = self.documents["calendar.toml"].at("week")
            self.faults.append(where.fault("never-open", "no day of the week has hours; give at least one"))

    def _texts(self, agency: Agency) -> Texts:
        folders = [self.folder / "texts", *([self.site / "texts"] if self.site else [])]
        return read_texts(folders, (agency.lang, *(x for x in agency.langs if x != agency.lang)), self.faults)


def _kinds(kind: str) -> str:
    return f"{kind!r} is no kind; known: {', '.join(map(str, Kind))}"
