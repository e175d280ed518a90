"""Staff: who they are, what they may do, how they sign in, and the sessions and tokens that stand for them."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, RowMapping

from core import factors, ids
from core.errors import NotFound, WrongInput
from core.office import of
from core.schema import api_token, grant, staff
from core.schema import session as sessions
from core.store import Store
from core.text import clean
from core.views import Actor, Grant, Session

HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)  # argon2id, 19 MiB
SHORTEST, LONGEST = 12, 256  # characters of a password
TOUCH = 60_000  # ms between writes of a session's idle time
NO_PASSWORD = "!"  # stored where none was set: nobody signs in with it
LOGIN_RULE, PEER_RULE = "login_account", "login_address"  # budgets of misses, settings `[limits]`

SCOPES: dict[str, frozenset[str]] = {  # what a token's scope lets its owner's own permissions through
    "tickets.read": frozenset({"read"}),
    "tickets.write": frozenset(
        {"read", "reply", "note", "take", "route", "assign", "review", "walk_in", "submit", "approve"}
    ),
    "contents": frozenset(),
    "stats": frozenset({"figures"}),
    "webhooks": frozenset(),
}

_threads = ThreadPoolExecutor(2, thread_name_prefix="password")  # two at a time: calls must not starve
_NOBODY = HASHER.hash(secrets.token_urlsafe(16))  # checked for unknown names, so that they take as long


@dataclass(frozen=True, slots=True)
class Denied:
    """No session: one answer whatever was wrong. `after`: seconds to wait before the next try counts, 0 for none."""

    after: float = 0


@dataclass(frozen=True, slots=True)
class NeedSecond:
    """The password was right; `second` opens the session. `enrols`: there is no factor yet."""

    staff: int
    enrols: bool


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A session, and the recovery codes that are shown this once."""

    session: Session
    recovery: tuple[str, ...]


# ---------------------------------------------------------------- accounts


async def set_password(store: Store, login: str, password: str) -> None:
    """Give `login` a new password; its sessions end. Raises WrongInput (short, long, holds the name), NotFound."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise WrongInput("password", "too_short" if len(password) < SHORTEST else "too_long")
    if login.lower() in password.lower():
        raise WrongInput("password", "holds_name")
    hashed = await _in_thread(HASHER.hash, password)
    await store.write(_set_password, login, hashed)


def _set_password(s: Connection, login: str, hashed: str) -> None:
    now = s.info["clock"].now()
    found = s.execute(
        sa.update(staff).where(staff.c.login == login).values(password=hashed, changed_at=now).returning(staff.c.id)
    ).scalar_one_or_none()
    if found is None:
        raise NotFound(f"staff {login}")
    s.execute(sa.delete(sessions).where(sessions.c.staff == found))


def actor_of(s: Connection, row: RowMapping, scopes: frozenset[str] | None = None) -> Actor:
    """A row of `staff` as an actor with its grants."""
    held = s.execute(sa.select(grant.c.role, grant.c.unit, grant.c.until).where(grant.c.staff == row["id"]))
    return Actor(row["id"], row["login"], row["name"], tuple(Grant(*one) for one in held), scopes=scopes)


async def actor(store: Store, login: str) -> Actor:
    """A member of staff by login, without signing in: for the command line. Raises NotFound."""
    return await store.read(_actor, login)


def _actor(s: Connection, login: str) -> Actor:
    row = s.execute(sa.select(staff).where(staff.c.login == login, staff.c.active)).mappings().first()
    if row is None:
        raise NotFound(f"staff {login}")
    return actor_of(s, row)


async def colleagues(store: Store) -> list[Actor]:
    """All who can sign in, with their grants: for the list one assigns from."""
    return await store.read(_colleagues)


def _colleagues(s: Connection) -> list[Actor]:
    rows = s.execute(sa.select(staff).where(staff.c.active).order_by(staff.c.login)).mappings().all()
    return [actor_of(s, row) for row in rows]


# ---------------------------------------------------------------- signing in


async def sign_in(store: Store, login: str, password: str, peer: str) -> Session | NeedSecond | Denied:
    """A new session, NeedSecond where a second factor is asked, or Denied after equal work: unknown name, wrong
    password, shut account and too many misses look alike. Misses are counted per name and per peer address (settings
    `[limits]`)."""
    login = clean(login).strip().lower()
    after = _wait(store, login, peer)
    if after:
        return Denied(after)
    row = await store.read(_by_login, login)
    fits = await _in_thread(_fits, row["password"] if row is not None else _NOBODY, password[: LONGEST + 1])
    after = _wait(store, login, peer)  # guesses that came at once have been counted meanwhile
    if after:
        return Denied(after)
    if row is None or not fits:
        return Denied(_missed(store, login, peer))
    confirmed = await store.read(factors.is_confirmed, row["id"])
    if confirmed or of(store).config.settings.second_factor == "required":
        return NeedSecond(row["id"], not confirmed)
    return await _opened(store, row["id"], login, peer)


async def second(store: Store, number: int, typed: str, peer: str) -> Session | Enrolled | Denied:
    """The session of whom `sign_in` asked for more; the first right code enrols. Misses count with those of passwords,
    for the same name and address."""
    login = await store.read(_login_of, number)
    if login is None:
        return Denied()
    fresh = await _proven(store, number, login, typed, peer)
    if isinstance(fresh, Denied):
        return fresh
    opened = await _opened(store, number, login, peer)
    return Enrolled(opened, fresh) if fresh and isinstance(opened, Session) else opened


async def prove(store: Store, who: Actor, typed: str, peer: str) -> tuple[str, ...] | Denied:
    """Ask a signed-in person for a code: new recovery codes, or Denied."""
    return await _proven(store, who.staff, who.login, typed, peer, renew=True)


async def _proven(
    store: Store, number: int, login: str, typed: str, peer: str, renew: bool = False
) -> tuple[str, ...] | Denied:
    after = _wait(store, login, peer)
    if after:
        return Denied(after)
    found = await store.write(factors.prove, of(store), number, typed[:LONGEST], renew)
    return Denied(_missed(store, login, peer)) if found is None else found


async def _opened(store: Store, number: int, login: str, peer: str) -> Session | Denied:
    of(store).throttle.forget(LOGIN_RULE, login)
    token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
    return await store.write(_open_session, number, token, csrf, peer, _spans(store))


def _login_of(s: Connection, number: int) -> str | None:
    return s.execute(sa.select(staff.c.login).where(staff.c.id == number, staff.c.active)).scalar_one_or_none()


def _wait(store: Store, login: str, peer: str) -> float:
    office = of(store)
    waits = (
        [] if office.exempt(peer) else [office.throttle.wait(LOGIN_RULE, login), office.throttle.wait(PEER_RULE, peer)]
    )
    return max((wait for wait in waits if wait), default=0)


def _missed(store: Store, login: str, peer: str) -> float:
    office = of(store)
    if not office.exempt(peer):
        office.throttle.take(LOGIN_RULE, login)
        office.throttle.take(PEER_RULE, peer)
    return _wait(store, login, peer)


def _by_login(s: Connection, login: str) -> RowMapping | None:
    return s.execute(sa.select(staff).where(staff.c.login == login, staff.c.active)).mappings().first()


def _fits(hashed: str, password: str) -> bool:
    if hashed == NO_PASSWORD:
        hashed, password = _NOBODY, password + "\0"
    try:
        return HASHER.verify(hashed, password.encode(errors="backslashreplace"))
    except (VerificationError, InvalidHashError):
        return False


def _spans(store: Store) -> tuple[int, int]:
    web = of(store).config.settings.web
    return web.idle_minutes * 60_000, web.session_hours * 3_600_000


def _open_session(
    s: Connection, number: int, token: str, csrf: str, peer: str, spans: tuple[int, int]
) -> Session | Denied:
    row = s.execute(sa.select(staff).where(staff.c.id == number, staff.c.active)).mappings().first()
    if row is None:
        return Denied()
    now = s.info["clock"].now()
    s.execute(sa.delete(sessions).where(sessions.c.staff == number, sessions.c.ends_at <= now))
    made = Session(ids.new(s), actor_of(s, row), csrf, now + spans[1], token)
    s.execute(
        sa.insert(sessions).values(
            id=made.id, at=now, hash=_digest(token), staff=number, csrf=csrf, peer=peer,
            idle_at=now + spans[0], ends_at=made.ends_at,
        )
    )  # fmt: skip
    return made


async def session_of(store: Store, token: str) -> Session | None:
    """The session a cookie's token stands for, its idle time begun anew; None when it is over."""
    idle = _spans(store)[0]
    found, stale = await store.read(_session, token, idle)
    if stale and found is not None:
        await store.write(_touch, found.id, idle)
    return found


def _session(s: Connection, token: str, idle: int) -> tuple[Session | None, bool]:
    now = s.info["clock"].now()
    ask = sa.select(sessions, staff.c.changed_at).join(staff, staff.c.id == sessions.c.staff)
    ask = ask.where(sessions.c.hash == _digest(token), staff.c.active)
    row = s.execute(ask.where(sessions.c.idle_at > now, sessions.c.ends_at > now)).mappings().first()
    if row is None or row["changed_at"] > row["at"]:
        return None, False
    owner = s.execute(sa.select(staff).where(staff.c.id == row["staff"])).mappings().one()
    made = Session(row["id"], actor_of(s, owner), row["csrf"], row["ends_at"])
    return made, row["idle_at"] < now + idle - TOUCH


def _touch(s: Connection, number: int, idle: int) -> None:
    now = s.info["clock"].now()
    s.execute(sa.update(sessions).where(sessions.c.id == number).values(idle_at=now + idle))


async def sign_out(store: Store, token: str) -> None:
    """End the session; nothing happens when there is none."""
    await store.write(_sign_out, token)


def _sign_out(s: Connection, token: str) -> None:
    s.execute(sa.delete(sessions).where(sessions.c.hash == _digest(token)))


# ---------------------------------------------------------------- tokens of programs


async def add_token(
    store: Store, login: str, scopes: Iterable[str], name: str = "", until: int | None = None, token: str | None = None
) -> str:
    """A token `pk_…` for `login`, shown this once; its hash is kept. With `token` that one, once.

    Raises WrongInput for an unknown scope, NotFound for an unknown login.
    """
    wanted = sorted(set(scopes))
    if not set(wanted) <= SCOPES.keys():
        raise WrongInput("scopes", "unknown")
    token = token or "pk_" + secrets.token_urlsafe(32)
    await store.write(_add_token, login, wanted, name, until, _digest(token))
    return token


def _add_token(s: Connection, login: str, scopes: list[str], name: str, until: int | None, hashed: bytes) -> None:
    owner = _actor(s, login).staff
    if s.execute(sa.select(api_token.c.id).where(api_token.c.hash == hashed)).first() is not None:
        return
    row: dict[str, Any] = {"id": ids.new(s), "at": s.info["clock"].now(), "hash": hashed, "staff": owner}
    s.execute(sa.insert(api_token).values(row | {"name": name, "scopes": scopes, "until": until}))


async def token_actor(store: Store, token: str) -> Actor | None:
    """Who an API token stands for, with its scopes and the permissions they let through; None when it is no good."""
    return await store.read(_token_actor, token)


def _token_actor(s: Connection, token: str) -> Actor | None:
    now = s.info["clock"].now()
    ask = sa.select(api_token).where(api_token.c.hash == _digest(token), ~api_token.c.revoked)
    row = s.execute(ask.where(sa.or_(api_token.c.until.is_(None), api_token.c.until > now))).mappings().first()
    if row is None:
        return None
    owner = s.execute(sa.select(staff).where(staff.c.id == row["staff"], staff.c.active)).mappings().first()
    if owner is None:
        return None
    scopes = frozenset(row["scopes"])
    return actor_of(s, owner, scopes.union(*(SCOPES.get(scope, frozenset()) for scope in scopes)))


def _digest(token: str) -> bytes:
    """SHA-256: what is kept of a token."""
    return hashlib.sha256(token.encode(errors="backslashreplace")).digest()


async def _in_thread(work: Any, *args: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(_threads, work, *args)
