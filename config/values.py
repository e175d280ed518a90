"""What configuration is once it is read: settings, services, staff, and the whole of it. Frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from config import shape
from config.positions import Document, Where
from config.shape import Match, Range, Slug
from config.texts import Texts
from config.units import Names, Units, name_of
from core.calendar import Calendar
from core.model import Kind
from core.permissions import Rights
from core.routing import Rules
from core.throttle import Rule

Budget = Annotated[str, Match(r"[1-9][0-9]{0,3}(wd|wh|d)", "a number and wd, wh or d, like 10wd")]


@dataclass(frozen=True, slots=True)
class Agency:
    """The body itself, settings.toml `[agency]`."""

    name: Names
    short: Names
    url: str  #: of the portal, without a slash at its end
    domain: str  #: of its mail addresses
    lang: str = "fa"  #: the first language; others follow in `langs`
    langs: tuple[str, ...] = ("fa", "en")
    zone: shape.Zone = "Asia/Tehran"
    phone: str = ""  #: told where a page cannot be shown
    sms: str = ""
    area: str = ""  #: its telephone area code, for numbers of 8 digits
    outside: Names = field(default_factory=dict)  #: where an objection goes past level 2


@dataclass(frozen=True, slots=True)
class Web:
    """settings.toml `[web]`."""

    bind: str = "127.0.0.1"
    port: shape.Port = 8080
    origins: tuple[str, ...] = ()  #: besides the agency's url
    proxies: tuple[str, ...] = ()  #: CIDRs whose X-Forwarded-For is believed
    form_bytes: Annotated[int, Range(1024, 1 << 24)] = 65_536
    idle_minutes: Annotated[int, Range(1, 720)] = 30
    session_hours: Annotated[int, Range(1, 168)] = 12
    connections_a_peer: Annotated[int, Range(1, 10_000)] = 50


@dataclass(frozen=True, slots=True)
class Mail:
    """settings.toml `[mail]`: how our letters go out. Lines they come in by: lines.toml."""

    relay: str = ""  #: host:port of the server that takes our mail; empty: no mail goes out
    hello: str = ""  #: name we give in EHLO; empty: the agency's domain
    tls: Literal["required", "may", "none"] = "may"
    user: str = ""
    password_file: str = ""
    sender: str = "pasokh"  #: part before the @ of the address automatic letters come from


@dataclass(frozen=True, slots=True)
class Approval:
    """settings.toml `[approval]`: answers that need a second person, unless their writer may approve."""

    kinds: tuple[str, ...] = ()
    units: tuple[Slug, ...] = ()  #: with all below them


@dataclass(frozen=True, slots=True)
class Retention:
    """settings.toml `[retention]`: how long something is kept."""

    calls_days: Annotated[int, Range(1, 36_500)] = 730  #: records of calls


@dataclass(frozen=True, slots=True)
class Settings:
    """settings.toml, all but `[agency]` and `[limits]`."""

    due: Mapping[str, Budget]
    second_factor: Literal["required", "optional"] = "required"
    loopback_exempt: bool = False
    drain_seconds: Annotated[int, Range(0, 3600)] = 120
    web: Web = field(default_factory=Web)
    mail: Mail = field(default_factory=Mail)
    approval: Approval = field(default_factory=Approval)
    retention: Retention = field(default_factory=Retention)
    limits: Mapping[str, Rule] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limit:
    """One entry of settings.toml `[limits]`: see `core.throttle.Rule`."""

    limit: Annotated[int, Range(0, 10_000_000)]
    span: Annotated[float, Range(1, 31_536_000)]  #: seconds
    burst: Annotated[int, Range(0, 10_000_000)] | None = None
    shut: Annotated[float, Range(0, 31_536_000)] = 0.0  #: seconds


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the values of a choice field."""

    value: Slug
    label: Names


@dataclass(frozen=True, slots=True)
class ServiceField:
    """What a service asks besides the text; kinds as in the portal's forms."""

    name: Annotated[str, Match(r"[a-z0-9_]{1,40}", "1 to 40 of a-z, 0-9 and _")]
    label: Names
    kind: Literal["line", "text", "code", "phone", "mail", "date", "number", "choice", "multi"] = "line"
    required: bool = False
    help: Names = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()
    low: float | None = None  #: number: least; line, text: fewest letters
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A service's identity card. `slug` comes from its table's name in services.toml."""

    slug: str
    title: Names
    unit: Slug
    time: Names  #: how long it takes, as announced
    fee: Names
    documents: Mapping[str, tuple[str, ...]]  #: by language
    code: str = ""  #: the national code of the service
    due: Budget | None = None
    group: Names = field(default_factory=dict)
    description: Names = field(default_factory=dict)
    steps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    audience: tuple[Literal["G2C", "G2B", "G2G"], ...] = ("G2C",)
    level: Literal["national", "regional", "provincial", "city", "village"] = "provincial"
    channels: tuple[Literal["web", "phone", "sms", "mail", "desk"], ...] = ("web", "desk")
    law: Names = field(default_factory=dict)
    fields: tuple[ServiceField, ...] = ()
    public: bool = False  #: may a citizen choose "may be shown without my name"?


@dataclass(frozen=True, slots=True)
class StaffGrant:
    """A role over a unit and all below it."""

    role: str
    unit: Slug


@dataclass(frozen=True, slots=True)
class StaffSeed:
    """A member of staff to begin with; passwords are never here. `login` comes from the table's name."""

    login: str
    name: Names
    role: str
    unit: Slug
    grants: tuple[StaffGrant, ...] = ()  #: besides role and unit
    extension: str | None = None
    mail: str | None = None

    @property
    def all_grants(self) -> tuple[StaffGrant, ...]:
        """Role and unit, and the further ones."""
        return (StaffGrant(self.role, self.unit), *self.grants)


@dataclass(frozen=True, slots=True)
class Config:
    """All of it, checked."""

    folder: Path
    site: Path | None
    agency: Agency
    settings: Settings
    units: Units
    services: Mapping[str, Service]
    routes: Rules
    calendar: Calendar
    rights: Rights
    staff: Mapping[str, StaffSeed]
    lines: Mapping[str, Mapping[str, Any]]  #: raw tables of lines.toml: `lines["sms"]["line"]["main"]`
    texts: Texts
    menus_folder: Path
    prompts_folder: Path
    documents: Mapping[str, Document] = field(repr=False, default_factory=dict)

    @property
    def roles(self) -> Mapping[str, frozenset[str]]:
        """Permissions by role, as written."""
        return self.rights.roles

    def where(self, file: str, *path: str | int) -> Where:
        """A place in one of the files, for faults: `where("lines.toml", "sms", "line", "main")`."""
        return self.documents[file].at(*path)

    def budget(self, kind: Kind | str, service: str | None = None, route: str | None = None) -> str | None:
        """Days for an answer: the rule's, else the service card's, else the kind's; None: none is owed."""
        card = self.services.get(service) if service else None
        return route or (card.due if card else None) or self.settings.due.get(str(kind))

    def service_name(self, slug: str, lang: str) -> str:
        """The service's title; the slug itself for one that is gone."""
        card = self.services.get(slug)
        return name_of(card.title, lang) if card else slug
