"""Digest authentication, the client's half (RFC 8760, RFC 7616): one challenge in, one header value out. No I/O."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Sequence

HASHES: dict[str, Callable[[bytes], str]] = {
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
}  # strongest first


def answer(
    challenges: Sequence[str], user: str, password: str, method: str, uri: str, cnonce: str | None = None
) -> str | None:
    """The value of Authorization or Proxy-Authorization for the strongest challenge we can meet, else None."""
    read = [fields for fields in map(_fields, challenges) if fields]
    for name, hashed in HASHES.items():
        for fields in read:
            if fields.get("algorithm", "MD5").upper() == name and "realm" in fields and "nonce" in fields:
                return _answer(fields, name, hashed, user, password, method, uri, cnonce or secrets.token_hex(8))
    return None


def _answer(
    fields: dict[str, str], name: str, hashed: Callable[[bytes], str], user: str, password: str, method: str,
    uri: str, cnonce: str,
) -> str | None:  # fmt: skip
    offered = [word.strip() for word in fields.get("qop", "").lower().split(",") if word.strip()]
    if offered and "auth" not in offered:
        return None
    first = hashed(f"{user}:{fields['realm']}:{password}".encode())
    second = hashed(f"{method}:{uri}".encode())
    middle = f"{fields['nonce']}:00000001:{cnonce}:auth" if offered else fields["nonce"]
    response = hashed(f"{first}:{middle}:{second}".encode())
    quoted = {"username": user, "realm": fields["realm"], "nonce": fields["nonce"], "uri": uri, "response": response}
    if "opaque" in fields:
        quoted["opaque"] = fields["opaque"]
    parts = [f'{key}="{_quote(value)}"' for key, value in quoted.items()] + [f"algorithm={name}"]
    if offered:
        parts += ["qop=auth", "nc=00000001", f'cnonce="{cnonce}"']
    return "Digest " + ", ".join(parts)


def _fields(challenge: str) -> dict[str, str] | None:
    scheme, _, rest = challenge.strip().partition(" ")
    if scheme.lower() != "digest":
        return None
    pairs = re.findall(r'([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))', rest)
    return {key.lower(): re.sub(r"\\(.)", r"\1", quoted) or plain for key, quoted, plain in pairs}


def _quote(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
