"""Who may do what where: roles over subtrees of units. Deny by default. Pure: lists make their WHERE of `units_of`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from core.model import State
from core.views import Actor


class Permission(StrEnum):
    """What a role may allow (config/roles.toml). `x:assigned` there: on tickets assigned to the person only;
    `x:agency`: everywhere in the agency, whatever the grant's unit."""

    READ = "read"
    REPLY = "reply"  #: reply, ask, wait for another body, resume, close, send again
    SUBMIT = "submit"  #: write an answer that a second person lets go
    NOTE = "note"
    TAKE = "take"  #: for oneself, and back to the queue
    ROUTE = "route"
    WALK_IN = "walk_in"
    CALLS = "calls"
    VOICE = "voice"
    ASSIGN = "assign"
    MERGE = "merge"
    SPLIT = "split"
    BULK = "bulk"
    SEAL = "seal"
    LISTEN = "listen"
    WHISPER = "whisper"
    APPROVE = "approve"
    REVIEW = "review"  #: what is held: release, junk
    CANNED = "canned"
    MACROS = "macros"
    STAFF_SURVEYS = "staff_surveys"
    STAFF_DRAFTS = "staff_drafts"
    READ_ANY = "read_any"
    FIGURES = "figures"
    EXPORT_CONSENT = "export_consent"
    DIRECTORY = "directory"
    SERVICES = "services"
    SURVEYS = "surveys"
    CONSULTATIONS = "consultations"
    NOTICES = "notices"
    SEALED = "sealed"
    SETTINGS = "settings"
    AUDIT = "audit"
    ACCESS_LOG = "access_log"


class Everywhere:
    """All units of the agency."""

    def __contains__(self, unit: object) -> bool:
        return isinstance(unit, str)

    def __repr__(self) -> str:
        return "ALL"


ALL: Final = Everywhere()


class Tree(Protocol):
    """The units, as far as rights need them."""

    def subtree(self, slug: str) -> frozenset[str]:
        """`slug` and all below it; empty for an unknown one."""
        ...


@dataclass(frozen=True, slots=True)
class Rights:
    """The tree of units and, per role, its permissions as written in roles.toml."""

    units: Tree
    roles: Mapping[str, frozenset[str]]


NEEDED: Mapping[str, Permission] = {
    "assign": Permission.ASSIGN,  # a person who takes it for themselves needs TAKE
    "route": Permission.ROUTE,
    "release": Permission.TAKE,
    "merge": Permission.MERGE,
    "unmerge": Permission.MERGE,
    "junk": Permission.REVIEW,
    "note": Permission.NOTE,
    "submit": Permission.SUBMIT,
} | dict.fromkeys(
    ("ask", "outside", "resume", "reply", "unsend", "close", "reopen", "withdraw"), Permission.REPLY
)  # the rest is the citizen's or the clock's


def needed(state: State, event: str) -> Permission | None:
    """The permission for firing `event` on a ticket in `state`; None for events no member of staff fires."""
    if state in (State.HELD, State.JUNK) and event in ("release", "route"):
        return Permission.REVIEW
    if state is State.APPROVAL and event in ("reply", "resume"):
        return Permission.APPROVE
    return NEEDED.get(event)


def allowed(
    actor: Actor, permission: str, unit: str, rights: Rights, *, assigned: bool = False, now: int | None = None
) -> bool:
    """May `actor` do it in `unit`? `assigned`: on a ticket that is assigned to them. `now` (ms) ends grants."""
    return unit in units_of(actor, permission, rights, assigned=assigned, now=now)


def units_of(
    actor: Actor, permission: str, rights: Rights, *, assigned: bool = False, now: int | None = None
) -> frozenset[str] | Everywhere:
    """Slugs of the units `actor` holds `permission` in, or ALL. With `assigned`: for tickets assigned to them.

    A token's scopes only take away. An unknown role or permission holds nowhere.
    """
    if actor.scopes is not None and permission not in actor.scopes:
        return frozenset()
    found: frozenset[str] = frozenset()
    for grant in actor.grants:
        held = rights.roles.get(grant.role, frozenset())
        if grant.until is not None and now is not None and grant.until <= now:
            continue
        if f"{permission}:agency" in held:
            return ALL
        if permission in held or (assigned and f"{permission}:assigned" in held):
            found |= rights.units.subtree(grant.unit)
    return found
