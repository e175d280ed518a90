"""Role × permission × unit, against what the role's row says; deny by default."""

from __future__ import annotations

import pytest

import config
from core import permissions
from core.model import State
from core.permissions import ALL, Permission, allowed, units_of
from core.views import Actor, Grant

CONFIG = config.read()
RIGHTS = CONFIG.rights
OPERATOR = {"read", "reply", "submit", "note", "take", "route", "walk_in", "calls", "voice"}
LEAD = OPERATOR | {
    "assign", "merge", "split", "bulk", "seal", "listen", "whisper", "approve", "review", "canned", "macros",
    "staff_surveys", "staff_drafts",
}  # fmt: skip
WRITTEN: dict[str, set[str]] = {
    "expert": set(),
    "writer": {"read", "submit", "note", "take", "route"},
    "operator": OPERATOR,
    "lead": LEAD,
    "manager": LEAD | {"figures", "export_consent"},
    "publisher": {"directory", "services", "surveys", "consultations", "notices"},
    "receiver": {"sealed"},
    "admin": set(),
    "auditor": set(),
}
EVERYWHERE = {"manager": {"read_any"}, "admin": {"settings"}, "auditor": {"audit", "access_log"}}


def actor(*grants: Grant, scopes: frozenset[str] | None = None) -> Actor:
    return Actor(1, "mina", "مینا", grants, scopes=scopes)


@pytest.mark.parametrize("role", WRITTEN)
@pytest.mark.parametrize("permission", Permission)
@pytest.mark.parametrize("unit", ["services", "permits", "organization", "roads"])
def test_each_role_may_what_is_written_in_its_subtree_only(role, permission, unit):
    who = actor(Grant(role, "services"))
    inside = unit in ("services", "permits")
    wanted = (permission in WRITTEN[role] and inside) or permission in EVERYWHERE.get(role, set())
    assert allowed(who, permission, unit, RIGHTS) is wanted


def test_an_expert_may_work_on_assigned_tickets_only():
    expert = actor(Grant("expert", "it"))
    assert not allowed(expert, "reply", "it", RIGHTS)
    assert allowed(expert, "reply", "it", RIGHTS, assigned=True)
    assert not allowed(expert, "reply", "roads", RIGHTS, assigned=True)
    assert not allowed(expert, "route", "it", RIGHTS, assigned=True)


def test_admin_and_auditor_never_see_a_citizens_text():
    for role in ("admin", "auditor"):
        who = actor(Grant(role, "organization"))
        assert not units_of(who, "read", RIGHTS, assigned=True)
        assert not units_of(who, "read_any", RIGHTS)


def test_a_grant_ends():
    who = actor(Grant("operator", "it", until=100))
    assert allowed(who, "read", "it", RIGHTS, now=99)
    assert not allowed(who, "read", "it", RIGHTS, now=100)


def test_unknown_roles_units_and_permissions_hold_nowhere():
    assert units_of(actor(Grant("king", "organization")), "read", RIGHTS) == frozenset()
    assert units_of(actor(Grant("lead", "nowhere")), "read", RIGHTS) == frozenset()
    assert units_of(actor(Grant("lead", "organization")), "explode", RIGHTS) == frozenset()
    assert units_of(actor(), "read", RIGHTS) == frozenset()


def test_a_tokens_scopes_only_take_away():
    who = actor(Grant("operator", "it"), scopes=frozenset({"read", "settings"}))
    assert allowed(who, "read", "it", RIGHTS)
    assert not allowed(who, "reply", "it", RIGHTS)
    assert not allowed(who, "settings", "it", RIGHTS)


def test_grants_add_up_and_all_is_all():
    who = actor(Grant("operator", "it"), Grant("operator", "services"))
    assert units_of(who, "read", RIGHTS) == {"it", "services", "subscribers", "permits", "emergency"}
    assert units_of(actor(Grant("manager", "it")), "read_any", RIGHTS) is ALL


def test_what_events_need():
    assert permissions.needed(State.HELD, "release") == "review"
    assert permissions.needed(State.OPEN, "release") == "take"
    assert permissions.needed(State.APPROVAL, "reply") == "approve"
    assert permissions.needed(State.OPEN, "reply") == "reply"
    assert permissions.needed(State.ANSWERED, "object") is None
