"""The guard of public forms: points for what machines do; three points mean a look by a person, never a dead end."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from core.channels import Clock
from core.throttle import Throttle
from web import auth
from web.settings import Web
from web.sign import Signer

HASTY = 3000  # ms under which no person fills in a form
STALE = 24 * 3600 * 1000  # ms after which a form is shown afresh
LINK = re.compile(r"https?://|www\.", re.IGNORECASE)
LINKS = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found: points, why, whether the stamp is too old or forged, seconds to wait when shut."""

    points: int
    why: tuple[str, ...] = ()
    stale: bool = False
    shut: float | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """Counts forms by address and text with core's throttle."""

    signer: Signer
    settings: Web
    throttle: Throttle

    def stamp(self, form: str, now: int) -> str:
        """The signed time a form was first shown."""
        return self.signer.sign(f"stamp:{form}", "", now)

    def judge(self, form: str, fields: Mapping[str, str], address: str, text: str, now: int) -> Verdict:
        """Judge one sending of a form. Exempt addresses skip the windows, not the stamp."""
        opened = self.signer.open(f"stamp:{form}", fields.get("t", ""))
        if opened is None or now - opened.at > STALE:
            return Verdict(0, stale=True)
        exempt = self.settings.loopback_exempt and auth.loopback(address)
        key = auth.bucket(address)
        shut = self.form(address)
        if shut is not None:
            return Verdict(0, shut=shut)
        found = dict(self._marks(fields, text))
        if now - opened.at < HASTY and not exempt:
            found["hasty"] = 2
        if not exempt:
            found |= self._windows(key, text)
        return Verdict(sum(found.values()), tuple(found))

    def form(self, address: str) -> float | None:
        """Count one form from `address` without judging it; seconds to wait when it sent too many."""
        if self.settings.loopback_exempt and auth.loopback(address):
            return None
        return self.throttle.take("form_address", auth.bucket(address))

    def file(self, address: str) -> float | None:
        """Count one file kept for `address`, sent or not; seconds to wait when it kept too many."""
        if self.settings.loopback_exempt and auth.loopback(address):
            return None
        return self.throttle.take("form_files", auth.bucket(address))

    def api(self, key: str) -> float | None:
        """Count one call with a token; seconds to wait past its calls a minute."""
        return self.throttle.take("api", key)

    def _marks(self, fields: Mapping[str, str], text: str) -> Mapping[str, int]:
        honey = {"honeypot": 3} if fields.get("website") else {}
        links = {"links": 1} if len(LINK.findall(text)) >= LINKS else {}
        return honey | links

    def _windows(self, key: str, text: str) -> Mapping[str, int]:
        digest = sha256(text.encode()).hexdigest()
        many = self.throttle.take("form_suspect", key)
        same = self.throttle.take("form_same", digest)
        return ({"address": 2} if many is not None else {}) | ({"same_text": 2} if same is not None else {})


def make(signer: Signer, settings: Web, clock: Clock) -> Guard:
    """A guard with windows of its own, as the settings say."""
    return Guard(signer, settings, Throttle(settings.rules, clock))
