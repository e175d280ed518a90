"""The contract of an SMS provider, its values and its tree of errors. A provider is one file that fulfils this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from core.channels import Clock, DeliveryState, RawRequest


class ProviderError(Exception):
    """Root of what a provider may say; `why` is scrubbed: no key, number or text. `code` is the provider's own."""

    def __init__(self, why: str, code: int | str = "", after: float | None = None) -> None:
        super().__init__(f"{why} {code}".strip())
        self.why = why
        self.code = code
        self.after = after  #: seconds until it is worth asking again


class Throttled(ProviderError):
    """Slow down; certainly not sent."""


class ProviderDown(ProviderError):
    """No connection was made; certainly not sent."""


class LinePaused(ProviderError):
    """Key, line or credit: nothing will go until a person acts. Certainly not sent."""


class AuthOrConfig(LinePaused):
    """The key, the address we call from, or the line is not accepted."""


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


UNSENT = (Throttled, ProviderDown, LinePaused)  #: certainly not sent, though another try may work


# ---------------------------------------------------------------- out


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
    """The provider has it. `ref`: its id there; of a text in several parts, the refs joined by a comma."""

    ref: str
    parts: int = 1
    cost: int | None = None  #: rial


Found = Accepted  #: what a look-up brings


@dataclass(frozen=True, slots=True)
class Rejected:
    """Certainly not sent."""

    error: ProviderError


@dataclass(frozen=True, slots=True)
class Doubt:
    """It may have been sent."""

    error: ProviderError


Outcome = Accepted | Rejected | Doubt


# ---------------------------------------------------------------- in


@dataclass(frozen=True, slots=True)
class Arrival:
    """A whole text that came in. `id` is the provider's; None where it gives none."""

    id: str | None
    sender: str
    to: str
    text: str
    at: int | None = None  #: ms UTC
    defects: Sequence[str] = ()
    raw: bytes | None = None  #: set when it could not be read: kept as it came, a ticket for the desk


class Coding(StrEnum):
    """How the octets of a part spell its text, once all parts are joined."""

    GSM7 = "gsm7"  #: one septet an octet, 3GPP TS 23.038 s 6.2.1
    ASCII = "ascii"
    LATIN1 = "latin1"
    UCS2 = "ucs2"  #: UTF-16BE
    BINARY = "binary"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a long text that came in (3GPP TS 23.040 s 9.2.3.24.1); joined as octets, then decoded."""

    id: str | None
    sender: str
    to: str
    ref: int
    width: int  #: bits of `ref`: 8 or 16
    total: int
    number: int  #: from 1
    data: bytes  #: without its header
    coding: Coding
    at: int | None = None  #: ms UTC


@dataclass(frozen=True, slots=True)
class Report:
    """What became of something sent."""

    ref: str
    state: DeliveryState | None  #: None = still on its way
    why: str = ""
    also: Sequence[str] = ()  #: other spellings of `ref` to look for first (hex, without zeros)


# ---------------------------------------------------------------- about the provider


@dataclass(frozen=True, slots=True)
class Caps:
    """What a provider can do."""

    max_batch: int = 1
    max_chars: int = 900
    keyed: bool = False  #: our key makes a repeat harmless and can be asked for
    find_for: int = 0  #: seconds a key can be looked up; 0 with `keyed` = for ever
    find_batch: int = 1
    inbound: bool = False  #: can be polled
    status_for: int = 0  #: seconds a ref can be asked about; 0 = never
    status_batch: int = 1
    template: bool = False  #: has templates for one-time codes


class Link(StrEnum):
    """How a provider's connection stands."""

    UP = "up"
    STARTING = "starting"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Health:
    """The connection; `facts` are numbers for the screen: window, queue, latency."""

    link: Link
    why: str = ""
    facts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Credit:
    """What is left on the account."""

    rial: int
    expires_at: int | None = None  #: ms UTC
    warnings: Sequence[str] = ()  #: settings of the account that a body should not have: apilogs, debugmode, …


class LineState(StrEnum):
    """What a provider tells of a line by itself."""

    UP = "up"
    SLOW = "slow"  #: throttled: half the rate for a while
    PAUSED = "paused"
    DOWN = "down"


class Sink(Protocol):
    """What a provider hands its own news to; given at `start`, one for each provider."""

    @property
    def reactor(self) -> Any:
        """Twisted's, as a guest of the loop; None where nothing runs on it."""
        ...

    @property
    def clock(self) -> Clock:
        """Wall clock and monotonic one."""
        ...

    @property
    def folder(self) -> str:
        """The channel's folder on disk, for what a provider must know again after a restart."""
        ...

    async def arrived(self, item: Arrival | Part) -> None:
        """On disk when it returns; only then may it be acknowledged. Raises Busy(after)."""
        ...

    async def reported(self, report: Report) -> None:
        """On disk when it returns. Raises Busy(after)."""
        ...

    async def found(self, key: int, accepted: Accepted) -> None:
        """A text in doubt was sent after all: its answer or its receipt came late. On disk when it returns."""
        ...

    def line_state(self, line: str, state: LineState, why: str = "") -> None:
        """`line` is the line's number, '' for all lines of the provider."""
        ...


class Provider(Protocol):
    """A way to the mobile networks. Every call may raise a ProviderError. `Plain` has an answer for what one cannot."""

    name: str
    caps: Caps

    async def start(self, sink: Sink) -> None:
        """Read keys, begin to connect; a provider that is down does not stop the start."""
        ...

    async def stop(self, drain: float) -> None:
        """Take nothing new, finish what runs within `drain` seconds, close."""
        ...

    def health(self) -> Health:
        """How it stands now, without asking anybody."""
        ...

    async def credit(self) -> Credit | None:
        """What is left on the account; None where that cannot be asked."""
        ...

    async def send(self, batch: Sequence[Text]) -> Sequence[Outcome]:
        """One outcome each, in order; one bad number never raises."""
        ...

    async def send_template(self, text: Text, template: str, tokens: Mapping[str, str]) -> Outcome:
        """A text worded at the provider (`caps.template`)."""
        ...

    def remembered(self, key: int) -> Found | None:
        """What its own book has of a key, without asking anybody; None = nothing."""
        ...

    async def find(self, keys: Sequence[int]) -> Mapping[int, Found | None]:
        """What became of our keys; None = the provider never had it (`caps.keyed`)."""
        ...

    async def status(self, refs: Sequence[str]) -> Sequence[Report]:
        """How sent texts stand (`caps.status_for`)."""
        ...

    async def cancel(self, refs: Sequence[str]) -> Sequence[str]:
        """Take back what is scheduled; the refs that were."""
        ...

    async def poll(self, line: str, since: int | None) -> Sequence[Arrival]:
        """New texts; with `since` (ms UTC) also those handed out from then on (a crash may have lost them)."""
        ...

    async def blocked(self, line: str, since: int) -> Sequence[str]:
        """Numbers (E.164) that refuse bulk texts of `line`, since ms UTC."""
        ...

    def read_push(self, request: RawRequest) -> Sequence[Arrival | Report]:
        """What a call-back says. Raises ValueError when it cannot be read."""
        ...


class Plain:
    """Answers for what a provider cannot do. To inherit, not to use."""

    name: str
    caps = Caps()

    async def start(self, sink: Sink) -> None:
        """Nothing to open."""

    async def stop(self, drain: float) -> None:
        """Nothing to close."""

    def health(self) -> Health:
        return Health(Link.UP)

    async def credit(self) -> Credit | None:
        return None

    async def send_template(self, text: Text, template: str, tokens: Mapping[str, str]) -> Outcome:
        return Rejected(BadContent("no templates here"))

    def remembered(self, key: int) -> Found | None:
        return None

    async def find(self, keys: Sequence[int]) -> Mapping[int, Found | None]:
        raise Ambiguous("cannot be asked")

    async def status(self, refs: Sequence[str]) -> Sequence[Report]:
        return []

    async def cancel(self, refs: Sequence[str]) -> Sequence[str]:
        return []

    async def poll(self, line: str, since: int | None) -> Sequence[Arrival]:
        return []

    async def blocked(self, line: str, since: int) -> Sequence[str]:
        return []

    def read_push(self, request: RawRequest) -> Sequence[Arrival | Report]:
        raise ValueError("no call-backs from this provider")
