"""Pages: Jinja2 with autoescape, the filters of this house, and nothing that a template could write."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2
from aiohttp import web
from markupsafe import Markup, escape

from core import codes, jalali, phones
from core.channels import Clock, Say
from core.text import persian
from web.assets import Assets

RTL = frozenset({"fa", "ar", "ckb", "ps", "ur"})
HOUR = 3_600_000
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Pages:
    """Renders templates with what every page needs: words, language, direction, assets, the agency."""

    env: jinja2.Environment
    say: Say
    assets: Assets
    clock: Clock
    zone: str  #: IANA name

    def text(self, name: str, lang: str, facts: Mapping[str, Any]) -> str:
        """The HTML of template `name` in `lang`."""
        words = Words(self, lang)
        return self.env.get_template(name).render(
            t=words.t,
            lang=lang,
            dir="rtl" if lang in RTL else "ltr",
            asset=self.assets.url,
            jalali=words.jalali,
            digits=words.digits,
            ago=words.ago,
            size=words.size,
            phone=words.phone,
            person=words.person,
            phone_text=words.phone_text,
            fault_text=words.fault,
            named=words.named,
            show_code=codes.show,
            **facts,
        )

    def response(self, name: str, lang: str, status: int, facts: Mapping[str, Any]) -> web.Response:
        """A page as an answer."""
        return web.Response(text=self.text(name, lang, facts), status=status, content_type="text/html")


@dataclass(frozen=True, slots=True)
class Words:
    """Sentences, dates and numbers of one page's language."""

    pages: Pages
    lang: str

    def t(self, key: str, **facts: Any) -> str:
        """A sentence by key. Facts are escaped with it, as one text."""
        return self.pages.say(key, self.lang, **facts)

    def fault(self, word: str) -> str:
        """The sentence for a fault's word: core's, else the web's own, else that something is wrong."""
        for key in ("core.error." + word, "portal.fault." + word):
            try:
                return self.pages.say(key, self.lang)
            except LookupError:
                continue
        return self.pages.say("core.error.error", self.lang)

    def named(self, prefix: str, names: Iterable[str]) -> list[tuple[str, str]]:
        """(name, its text under `prefix`) for choices."""
        return [(name, self.t(prefix + name)) for name in names]

    def phone_text(self, number: str) -> str:
        """A telephone number as it is read at home."""
        return phones.show(phones.parse(number) or number, self.lang)

    def person(self, known: str) -> Markup:
        """A name as it is; a number or address, where no name is known, left to right."""
        if known.startswith("+"):
            return self.phone(known)
        return bdi(known) if "@" in known else Markup("<bdi>{}</bdi>").format(known)

    def phone(self, number: str) -> Markup:
        """The same, left to right."""
        return bdi(self.phone_text(number))

    def digits(self, value: Any) -> str:
        """A number, text or markup with the language's digits."""
        if isinstance(value, Markup):
            return Markup(persian(value)) if self.lang == "fa" else value
        return persian(value) if self.lang == "fa" else str(value)

    def jalali(self, at: int | None, clock: bool = True) -> str:
        """A time (ms UTC) as the agency's local date, Jalali in Persian."""
        if at is None:
            return "—"
        if clock:
            return jalali.moment(at, self.lang, self.pages.zone)
        return jalali.words(jalali.local(at, self.pages.zone).date(), self.lang)

    def ago(self, at: int) -> str:
        """How long ago, in the largest whole unit."""
        passed = max(self.pages.clock.now() - at, 0)
        if passed < 60_000:
            return self.t("portal.ago.now")
        if passed < HOUR:
            return self.t("portal.ago.minutes", n=self.digits(passed // 60_000))
        if passed < DAY:
            return self.t("portal.ago.hours", n=self.digits(passed // HOUR))
        return self.t("portal.ago.days", n=self.digits(passed // DAY))

    def size(self, octets: int) -> str:
        """A file's size in KB or MB."""
        if octets < 1_000_000:
            return self.t("portal.size.kb", n=self.digits(max(round(octets / 1000), 1)))
        return self.t("portal.size.mb", n=self.digits(f"{octets / 1_000_000:.1f}"))


@cache
def environment() -> jinja2.Environment:
    """Templates of this package, escaped always, strict about unknown names; each is compiled once a process."""
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("web", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    env.filters["zip"] = zip
    env.filters["bdi"] = bdi
    env.filters["code"] = code
    env.filters["paragraphs"] = paragraphs
    return env


def bdi(value: Any) -> Markup:
    """Something written left to right whatever surrounds it: phone, mail, code."""
    return Markup('<bdi dir="ltr">{}</bdi>').format(value)


def code(value: str) -> Markup:
    """A tracking code, 3-4-4, left to right."""
    return bdi(codes.show(value))


def paragraphs(value: str) -> Markup:
    """Plain text as paragraphs, its line ends kept; each takes its own direction."""
    parts = [part for part in value.split("\n\n") if part.strip()] or [""]
    return Markup("").join(
        Markup('<p dir="auto">{}</p>').format(Markup("<br>").join(map(escape, _visible(part).split("\n"))))
        for part in parts
    )


def _visible(value: str) -> str:
    """Control characters that slipped by are shown as a box, never run."""
    return "".join("□" if unicodedata.category(c) == "Cc" and c not in "\n\t" else c for c in value)
