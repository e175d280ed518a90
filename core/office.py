"""What deeds need beside the store: the body's rules, keys and clock, bound to it at start."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from config.values import Config
from core.calendar import Calendar
from core.channels import Clock
from core.cipher import Keyring
from core.permissions import Rights
from core.store import Store
from core.throttle import Throttle

UNDO = 10  # seconds a reply waits in the outbox, so that its writer can take it back


@dataclass(frozen=True, slots=True)
class Office:
    """One public body as this process knows it."""

    config: Config
    keyring: Keyring
    clock: Clock
    throttle: Throttle
    undo: int = UNDO
    sleep: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep, compare=False)  #: of guesses
    alerts: dict[str, float] = field(default_factory=dict, compare=False, repr=False)  #: channel → told at, monotonic

    @property
    def rights(self) -> Rights:
        return self.config.rights

    @property
    def calls_back(self) -> bool:
        """Are answers told by calling (lines.toml `[phone.callback]`)?"""
        return "callback" in self.config.lines.get("phone", {})

    def calendar(self, unit: str) -> Calendar:
        """The working days of a unit; so far the body's."""
        return self.config.calendar

    def exempt(self, peer: str) -> bool:
        """Is this address free of limits: loopback, where the settings say so (trials only)?"""
        if not self.config.settings.loopback_exempt:
            return False
        try:
            return ipaddress.ip_address(peer).is_loopback
        except ValueError:
            return False


_OFFICES: WeakKeyDictionary[Store, Office] = WeakKeyDictionary()


def bind(store: Store, office: Office) -> None:
    """From now on deeds on `store` follow this office's rules. Wiring calls it once, before anybody signs in."""
    _OFFICES[store] = office


def of(store: Store) -> Office:
    """The office bound to `store`; a KeyError is a fault of the program."""
    return _OFFICES[store]
