"""What screens are given to show and who asks for it: frozen values read from the store, never rows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.model import Contact, KeptFile, Kind, State, Way


@dataclass(frozen=True, slots=True)
class Grant:
    """A role over a unit and all below it, until `until` (ms UTC, None = open)."""

    role: str
    unit: str
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """A signed-in member of staff, or a token's owner. `units`: permission → slugs of units it holds in."""

    staff: int
    login: str
    name: str
    grants: Sequence[Grant]
    agency: int = 1
    channel: str = "web"  #: where the deed is done, for the audit
    scopes: frozenset[str] | None = None  #: an API token's scopes; None = a session, all of the role's


@dataclass(frozen=True, slots=True)
class Session:
    """A staff session; `token` is only known when it is made."""

    id: int
    actor: Actor
    csrf: str
    ends_at: int
    token: str = ""


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One line of a queue."""

    ticket: int
    code: str
    kind: Kind
    subject: str
    person: str  #: name or contact, as the screen shows it
    channel: str
    unit: str
    unit_name: str
    assignee: str | None
    state: State
    at: int
    due_at: int | None
    urgent: bool
    version: int


@dataclass(frozen=True, slots=True)
class Page:
    """A keyset page; `after` is the opaque key of the next one, None at the end."""

    rows: Sequence[QueueRow]
    after: str | None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the sending of a message went, for its line in the thread."""

    outbox: int
    channel: str
    to: str
    state: str  #: the outbox's word: waiting sending unknown accepted sent delivered parked failed …
    why: str
    attempt: int
    at: int
    parts: int | None = None  #: messages on the air, where it comes in parts
    cost: int | None = None  #: rial


@dataclass(frozen=True, slots=True)
class MessageView:
    """One message of a thread."""

    id: int
    seq: int
    way: Way
    channel: str
    author: str  #: name shown: citizen's, operator's, or ''
    text: str
    quoted: str | None
    at: int
    files: Sequence[KeptFile]
    deliveries: Sequence[Delivery]
    has_raw: bool
    withdrawn: bool = False
    marks: Sequence[str] = ()  #: words: same_id, unreadable, other_number, beside, …
    meta: Mapping[str, Any] = field(default_factory=dict)
    approver: str = ""  #: name of the second person, who let it go


@dataclass(frozen=True, slots=True)
class EventView:
    """One line of a ticket's log."""

    seq: int
    kind: str
    actor: str
    at: int
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CallView:
    """A call that is over."""

    at: int  #: ms UTC, when it began
    seconds: int
    way: str  #: how it ended
    line: str
    ticket: int | None
    proven: bool  #: the caller's number was vouched for
    facts: Mapping[str, Any]  #: of core.channels.CallRecord


@dataclass(frozen=True, slots=True)
class TicketView:
    """A ticket as the console shows it."""

    id: int
    code: str
    version: int
    state: State
    kind: Kind
    level: int
    subject: str
    unit: str
    unit_name: str
    assignee: int | None
    assignee_name: str | None
    service: str | None
    channel: str
    place: str | None
    urgent: bool
    at: int
    due_at: int | None
    due_steps: Sequence[Mapping[str, Any]]
    answered_at: int | None
    closed_at: int | None
    person: str | None
    contact: Contact | None
    answer_by: str
    route: Mapping[str, Any]  #: rule that routed it and the keys that matched
    messages: Sequence[MessageView]
    events: Sequence[EventView]
    events_allowed: frozenset[str]  #: events of `states.MOVES` this actor may fire now; see showing.deeds
    facts: Mapping[str, Any] = field(default_factory=dict)  #: `path` and `recovered` of a call, envelope of a letter, …
    added: Sequence[str] = ()  #: names of other units it was written to as well
    taken_by: int | None = None  #: who of the staff typed it in for somebody
    others: Sequence[QueueRow] = ()  #: newest tickets of the same contact
    calls: Sequence[CallView] = ()  #: newest calls of the same contacts
    points: Sequence[Contact] = ()  #: the citizen's points, in the order in which they are tried
