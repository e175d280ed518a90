"""Digest authentication, the client's half (RFC 8760, RFC 7616): challenges in, header values out. No I/O."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Sequence

from ivr.sip.message import Response

Hash = Callable[[bytes], str]
HASHES: dict[str, Hash] = {
    "SHA-512-256": lambda data: hashlib.new("sha512_256", data).hexdigest(),
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
}  # strongest first; each with -sess as well
ASKS = {401: ("www-authenticate", "authorization"), 407: ("proxy-authenticate", "proxy-authorization")}

Credentials = tuple[tuple[str, str], ...]


class Login:
    """A name and a password for one request: each realm is answered once, and once more when its nonce was stale."""

    def __init__(self, user: str | None, password: str | None) -> None:
        self._user, self._password = user, password
        self._given: dict[tuple[str, str], str] = {}
        self._stale: set[tuple[str, str]] = set()

    def respond(self, refusal: Response, method: str, uri: str) -> Credentials | None:
        """The headers to send again with; None when it is no challenge, cannot be met, or was met in vain."""
        if refusal.status not in ASKS or self._user is None or self._password is None:
            return None
        asks, says = ASKS[refusal.status]
        challenges = refusal.all(asks)
        value = answer(challenges, self._user, self._password, method, uri)
        if value is None or not self._first(says, value, challenges):
            return None
        return tuple((name, given) for (name, _), given in self._given.items())

    def _first(self, says: str, value: str, challenges: Sequence[str]) -> bool:
        """Note what is given; False when the same realm refused it already, and not because it had grown stale."""
        realm = (_fields(value) or {}).get("realm", "")
        key = (says, realm)
        if key in self._given:
            if key in self._stale or not any(_is_stale(challenge, realm) for challenge in challenges):
                return False
            self._stale.add(key)
        self._given[key] = value
        return True


def answer(
    challenges: Sequence[str], user: str, password: str, method: str, uri: str, cnonce: str | None = None
) -> str | None:
    """The value of Authorization or Proxy-Authorization for the strongest challenge we can meet, else None."""
    read = [fields for fields in map(_fields, challenges) if fields]
    for name in HASHES:
        for fields in read:
            asked = fields.get("algorithm", "MD5").upper()
            if asked in (name, f"{name}-SESS") and "realm" in fields and "nonce" in fields:
                made = _answer(fields, name, asked, user, password, method, uri, cnonce or secrets.token_hex(8))
                if made is not None:
                    return made
    return None


def _answer(
    fields: dict[str, str], name: str, asked: str, user: str, password: str, method: str, uri: str, cnonce: str
) -> str | None:
    offered = [word.strip() for word in fields.get("qop", "").lower().split(",") if word.strip()]
    if offered and "auth" not in offered:
        return None
    hashed, session = HASHES[name], asked != name
    first = hashed(f"{user}:{fields['realm']}:{password}".encode())
    if session:
        first = hashed(f"{first}:{fields['nonce']}:{cnonce}".encode())
    second = hashed(f"{method}:{uri}".encode())
    middle = f"{fields['nonce']}:00000001:{cnonce}:auth" if offered else fields["nonce"]
    response = hashed(f"{first}:{middle}:{second}".encode())
    quoted = {"username": user, "realm": fields["realm"], "nonce": fields["nonce"], "uri": uri, "response": response}
    if "opaque" in fields:
        quoted["opaque"] = fields["opaque"]
    parts = [f'{key}="{_quote(value)}"' for key, value in quoted.items()]
    parts += [f"algorithm={fields['algorithm']}"] if "algorithm" in fields else []
    parts += ["qop=auth", "nc=00000001"] if offered else []
    parts += [f'cnonce="{cnonce}"'] if offered or session else []
    return "Digest " + ", ".join(parts)


def _is_stale(challenge: str, realm: str) -> bool:
    fields = _fields(challenge) or {}
    return fields.get("realm") == realm and fields.get("stale", "").lower() == "true"


def _fields(challenge: str) -> dict[str, str] | None:
    scheme, _, rest = challenge.strip().partition(" ")
    if scheme.lower() != "digest":
        return None
    pairs = re.findall(r'([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))', rest)
    return {key.lower(): re.sub(r"\\(.)", r"\1", quoted) or plain for key, quoted, plain in pairs}


def _quote(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
