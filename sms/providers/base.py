"""The contract of an SMS provider, its values and its tree of errors. A provider is one file that fulfils this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.channels import DeliveryState, RawRequest


class ProviderError(Exception):
    """Root of what a provider may say; `why` is scrubbed: no key, number or text. `code` is the provider's own."""

    def __init__(self, why: str, code: int | str = "", after: float | None = None) -> None:
        super().__init__(f"{why} {code}".strip())
        self.why = why
        self.code = code
        self.after = after


class Throttled(ProviderError):
    """Slow down; certainly not sent."""


class ProviderDown(ProviderError):
    """No connection was made; certainly not sent."""


class LinePaused(ProviderError):
    """Key, line or credit: nothing will go until a person acts."""


class NoCredit(LinePaused):
    """The account is empty."""


class BadRecipient(ProviderError):
    """This number never works."""


class BadContent(ProviderError):
    """This text never works."""


class Blocked(ProviderError):
    """The recipient opted out or is on a list."""


class Bug(ProviderError):
    """We asked wrongly: never repeated as it is."""


class Ambiguous(ProviderError):
    """It may have been sent."""


@dataclass(frozen=True, slots=True)
class Text:
    """One text to one number. `key` is our idempotency key, < 2^53."""

    key: int
    to: str  #: E.164
    line: str  #: the sender line's number
    text: str
    purpose: str
    not_after: int | None = None  #: ms UTC


@dataclass(frozen=True, slots=True)
class Accepted:
    ref: str
    parts: int = 1
    cost: int | None = None  #: rial


@dataclass(frozen=True, slots=True)
class Rejected:
    error: ProviderError


@dataclass(frozen=True, slots=True)
class Doubt:
    error: ProviderError


Outcome = Accepted | Rejected | Doubt


@dataclass(frozen=True, slots=True)
class Arrival:
    """A text that came in. `id` is the provider's; None where it gives none."""

    id: str | None
    sender: str
    to: str
    text: str
    at: int | None = None  #: ms UTC
    defects: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What became of something sent."""

    ref: str
    state: DeliveryState | None  #: None = still on its way
    why: str = ""


@dataclass(frozen=True, slots=True)
class Caps:
    """What a provider can do."""

    max_batch: int = 1
    max_chars: int = 900
    keyed: bool = False  #: our key makes a repeat harmless and can be asked for
    find_for: int = 0  #: seconds a key can be looked up
    find_batch: int = 1
    inbound: bool = False  #: can be polled


class Provider(Protocol):
    """A way to the mobile networks. Every call may raise a ProviderError."""

    name: str
    caps: Caps

    async def start(self) -> None: ...

    async def stop(self, drain: float) -> None: ...

    async def send(self, batch: Sequence[Text]) -> Sequence[Outcome]:
        """One outcome each, in order; one bad number never raises."""
        ...

    async def find(self, keys: Sequence[int]) -> Mapping[int, Accepted | None]:
        """What became of our keys; None = the provider never had it."""
        ...

    async def poll(self, line: str, again: bool) -> Sequence[Arrival]:
        """New texts; with `again` also those handed out in the last 48 h (a crash may have lost them)."""
        ...

    def read_push(self, request: RawRequest) -> Sequence[Arrival | Report]:
        """What a call-back says. Raises ValueError when it cannot be read."""
        ...
