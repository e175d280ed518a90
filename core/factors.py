"""The second factor of staff: codes by time (TOTP, RFC 6238) of a secret that is kept sealed, and recovery codes that
work once each. A code works once, too: its step is remembered."""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from core import cipher, ids
from core.errors import NotFound, WrongState
from core.office import Office, of
from core.schema import factor, staff
from core.schema import session as sessions
from core.store import Store
from core.text import clean, digits

STEP = 30  # seconds a code lasts, RFC 6238 s 4.1
DRIFT = 1  # steps a telephone's clock may be before or behind, s 5.2
DIGITS = 6
SECRET = 20  # octets, RFC 4226 s 4 R6
RECOVERY, LETTERS = 10, 10  # codes, and letters of each: 50 bits
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ = str.maketrans("OIL", "011", "- ")


@dataclass(frozen=True, slots=True)
class Standing:
    """Has somebody a factor, since when, and how many recovery codes are left?"""

    confirmed_at: int | None
    left: int


def code(secret: bytes, step: int) -> str:
    """The code of a step: HOTP with SHA-1 (RFC 4226 s 5.3), as telephones make it. Pure."""
    mac = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    at = mac[-1] & 15
    number = int.from_bytes(mac[at : at + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def spelled(secret: bytes) -> str:
    """The secret in base32, as telephones take it."""
    return base64.b32encode(secret).decode().rstrip("=")


def address(secret: bytes, login: str, issuer: str) -> str:
    """What the picture says: `otpauth://totp/…`, as authenticators read it."""
    label = f"{quote(issuer)}:{quote(login)}"
    return f"otpauth://totp/{label}?secret={spelled(secret)}&issuer={quote(issuer)}&digits={DIGITS}&period={STEP}"


async def begin(store: Store, number: int) -> bytes:
    """The secret of a factor that is not confirmed yet, the same until it is. Raises WrongState once it is."""
    return await store.write(_begin, of(store), number)


async def standing(store: Store, number: int) -> Standing:
    """How a member of staff stands."""
    return await store.read(_standing, number)


async def reset(store: Store, login: str) -> None:
    """Take somebody's factor away, with all sessions: they enrol anew at the next sign-in. Raises NotFound."""
    await store.write(_reset, login)


def is_confirmed(s: Connection, number: int) -> bool:
    """Must this member of staff show a second factor?"""
    return _standing(s, number).confirmed_at is not None


def prove(s: Connection, office: Office, number: int, typed: str, renew: bool = False) -> tuple[str, ...] | None:
    """Take a code or a recovery code, once; None when it is none.

    The first right code confirms the factor; then, and with `renew`, new recovery codes are made and returned.
    """
    row = _row(s, number)
    if row is None:
        return None
    told = digits(clean(typed)).strip()
    step = _step(office, row, told.replace(" ", ""))
    if step is not None:
        return _taken(s, office, row, {"step": step}, renew or row["confirmed_at"] is None)
    mark = _mark(office, number, told.upper().translate(_READ))
    if row["confirmed_at"] is None or mark not in row["recovery"]:
        return None
    left = [one for one in row["recovery"] if one != mark]
    return _taken(s, office, row, {"recovery": left}, renew)


def _taken(s: Connection, office: Office, row: RowMapping, values: dict[str, object], renews: bool) -> tuple[str, ...]:
    fresh = tuple(_word() for _ in range(RECOVERY)) if renews else ()
    if fresh:
        values["recovery"] = [_mark(office, row["staff"], one.replace("-", "")) for one in fresh]
    if row["confirmed_at"] is None:
        values["confirmed_at"] = office.clock.now()
    s.execute(sa.update(factor).where(factor.c.id == row["id"]).values(values))
    return fresh


def _step(office: Office, row: RowMapping, typed: str) -> int | None:
    """The step whose code was typed, if it was not used and no later one was. As much work for each."""
    secret = _open(office, row)
    now = office.clock.now() // 1000 // STEP
    fits = [step for step in range(now - DRIFT, now + DRIFT + 1) if cipher.same(code(secret, step), typed)]
    return next((step for step in fits if step > row["step"]), None)


def _word() -> str:
    letters = "".join(secrets.choice(CROCKFORD) for _ in range(LETTERS))
    return f"{letters[:5]}-{letters[5:]}"


def _mark(office: Office, number: int, word: str) -> str:
    """What is kept of a recovery code."""
    return cipher.mac(office.keyring, "recovery", number, word, number=min(office.keyring.keys)).hex()


def _open(office: Office, row: RowMapping) -> bytes:
    return cipher.unseal(office.keyring, "factor", "secret", row["staff"], row["secret"])


def _row(s: Connection, number: int) -> RowMapping | None:
    ask = sa.select(factor).where(factor.c.staff == number)
    return s.execute(ask.with_for_update()).mappings().first()


def _begin(s: Connection, office: Office, number: int) -> bytes:
    row = _row(s, number)
    if row is not None:
        if row["confirmed_at"] is not None:
            raise WrongState("there is a factor")
        return _open(office, row)
    secret = secrets.token_bytes(SECRET)
    sealed = cipher.seal(office.keyring, "factor", "secret", number, secret)
    s.execute(sa.insert(factor).values(id=ids.new(s), at=office.clock.now(), staff=number, secret=sealed))
    return secret


def _standing(s: Connection, number: int) -> Standing:
    row = s.execute(sa.select(factor).where(factor.c.staff == number)).mappings().first()
    return Standing(row["confirmed_at"], len(row["recovery"])) if row is not None else Standing(None, 0)


def _reset(s: Connection, login: str) -> None:
    now = s.info["clock"].now()
    changed = sa.update(staff).where(staff.c.login == login).values(changed_at=now)
    found = s.execute(changed.returning(staff.c.id)).scalar_one_or_none()
    if found is None:
        raise NotFound(f"staff {login}")
    s.execute(sa.delete(factor).where(factor.c.staff == found))
    s.execute(sa.delete(sessions).where(sessions.c.staff == found))
