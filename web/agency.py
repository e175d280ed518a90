"""What the site says of its agency, in a visitor's language: name, numbers, units, people, services. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from config.units import Head, Unit, name_of
from config.values import Config, Service
from core.permissions import Rights
from web import auth


@dataclass(frozen=True, slots=True)
class UnitCard:
    """A unit as the directory shows it; `depth` below the root."""

    slug: str
    name: str
    parent: str | None
    depth: int
    phone: str | None
    extension: str | None
    mail: str | None
    hours: str
    room: str
    duties: str


@dataclass(frozen=True, slots=True)
class Person:
    """The head of a unit; the unit's slug names the person, too."""

    slug: str
    name: str
    post: str
    unit: str
    unit_name: str
    phone: str | None
    extension: str | None
    mail: str | None
    hours: str
    room: str

    @property
    def label(self) -> str:
        """Name and post, for a list to choose from."""
        return f"{self.name} – {self.post}"


@dataclass(frozen=True, slots=True)
class ServiceCard:
    """A service's identity card: what the catalogue knows, as titled rows."""

    slug: str
    title: str
    about: str
    unit: str
    unit_name: str
    group: str
    code: str
    time: str
    fee: str
    law: str
    level: str
    audience: Sequence[str]
    channels: Sequence[str]
    documents: Sequence[str]
    steps: Sequence[str]


class Agency:
    """Reads the configuration for pages, and knows the addresses of pages by language."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.rights: Rights = config.rights
        self.zone: str = config.agency.zone
        first = config.agency.lang
        self.languages = (first, *(lang for lang in config.texts.langs if lang != first))
        self.unit_slugs = frozenset(unit.slug for unit in config.units if unit.public)
        self.service_slugs = frozenset(config.services)
        self.managers = {person.slug: person for person in self.people(first)}

    def facts(self, lang: str) -> dict[str, str]:
        """What every page says of the agency."""
        body = self.config.agency
        root = self.config.units.root
        return {
            "name": name_of(body.name, lang),
            "short": name_of(body.short, lang) or name_of(body.name, lang),
            "phone": body.phone,
            "sms": body.sms,
            "mail": self.config.units.address(self.config.units.secretariat.slug) or "",
            "hours": name_of(root.hours, lang),
            "url": body.url,
        }

    # ---------------------------------------------------------------- addresses

    def prefix(self, lang: str) -> str:
        """`''` for the first language, `/en` for another."""
        return "" if lang == self.languages[0] else f"/{lang}"

    def language(self, path: str) -> str:
        """The language of a page by its address."""
        head = path.split("/", 2)[1] if path.startswith("/") else ""
        return head if head in self.languages[1:] else self.languages[0]

    def bare(self, path: str) -> str:
        """The address without its language."""
        return path.removeprefix(self.prefix(self.language(path))) or "/"

    def path(self, path: str, lang: str) -> str:
        """The address of a portal page in `lang`."""
        return self.prefix(lang) + path

    def others(self, path: str, lang: str) -> list[tuple[str, str]]:
        """(language, address) of the same page in the other languages."""
        bare = self.bare(path)
        return [(other, self.path(bare, other)) for other in self.languages if other != lang]

    def origin(self, request: web.Request) -> str:
        """Where the portal is reached: the configured address, on loopback the one that was asked."""
        if auth.local(request):
            return f"{request.scheme}://{request.host}"
        return self.config.agency.url

    # ---------------------------------------------------------------- directory

    def unit_name(self, slug: str, lang: str) -> str:
        """A unit's name; the slug itself for one that is gone."""
        return self.config.units.name(slug, lang)

    def service_title(self, slug: str, lang: str) -> str:
        """A service's title; the slug itself for one that is gone."""
        return self.config.service_name(slug, lang)

    def units(self, lang: str) -> list[UnitCard]:
        """Public units, each below its parent."""
        return [self._unit(unit, depth, lang) for unit, depth in self._walk(self.config.units.root, 0) if unit.public]

    def people(self, lang: str) -> list[Person]:
        """The heads of public units."""
        walked = [unit for unit, _ in self._walk(self.config.units.root, 0)]
        return [self._person(unit, unit.head, lang) for unit in walked if unit.public and unit.head]

    def services(self, lang: str) -> list[ServiceCard]:
        """All identity cards."""
        return [self._service(card, lang) for card in self.config.services.values()]

    def offices(self, lang: str) -> list[tuple[str, str]]:
        """(slug, name) of every unit, public or not, for those who route."""
        return [(unit.slug, name_of(unit.name, lang)) for unit, _ in self._walk(self.config.units.root, 0)]

    def _walk(self, unit: Unit, depth: int) -> Iterator[tuple[Unit, int]]:
        yield unit, depth
        for child in self.config.units.children(unit.slug):
            yield from self._walk(child, depth + 1)

    def _unit(self, unit: Unit, depth: int, lang: str) -> UnitCard:
        return UnitCard(
            slug=unit.slug,
            name=name_of(unit.name, lang),
            parent=unit.parent,
            depth=min(depth, 3),
            phone=unit.phone,
            extension=unit.extension,
            mail=self.config.units.address(unit.slug),
            hours=name_of(unit.hours, lang),
            room=name_of(unit.room, lang),
            duties=name_of(unit.duties, lang),
        )

    def _person(self, unit: Unit, head: Head, lang: str) -> Person:
        card = self._unit(unit, 0, lang)
        return Person(
            slug=unit.slug,
            name=name_of(head.name, lang),
            post=name_of(head.post, lang),
            unit=unit.slug,
            unit_name=card.name,
            phone=card.phone,
            extension=card.extension,
            mail=card.mail,
            hours=card.hours,
            room=card.room,
        )

    def _service(self, card: Service, lang: str) -> ServiceCard:
        return ServiceCard(
            slug=card.slug,
            title=name_of(card.title, lang),
            about=name_of(card.description, lang),
            unit=card.unit,
            unit_name=self.unit_name(card.unit, lang),
            group=name_of(card.group, lang),
            code=card.code,
            time=name_of(card.time, lang),
            fee=name_of(card.fee, lang),
            law=name_of(card.law, lang),
            level=card.level,
            audience=card.audience,
            channels=card.channels,
            documents=_lines(card.documents, lang),
            steps=_lines(card.steps, lang),
        )


def _lines(lists: Mapping[str, tuple[str, ...]], lang: str) -> tuple[str, ...]:
    return lists.get(lang) or next(iter(lists.values()), ())
