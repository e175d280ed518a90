"""Signed values that ride in forms: stamps, lists of kept files, passes, CSRF tokens. Pure but for the key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

MAC = 16  # octets kept of HMAC-SHA-256; 128 bits


@dataclass(frozen=True, slots=True)
class Opened:
    """A value whose signature held, and when it was signed (ms UTC)."""

    value: Any
    at: int


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs JSON values for one purpose each; a token of one purpose never opens as another."""

    key: bytes

    def sign(self, purpose: str, value: Any, now: int) -> str:
        """A token of URL-safe characters holding `value`, signed at `now` (ms UTC)."""
        body = json.dumps([now, value], ensure_ascii=False, separators=(",", ":")).encode()
        return f"{_b64(body)}.{_b64(self._mac(purpose, body))}"

    def open(self, purpose: str, token: str) -> Opened | None:
        """The value, or None when the token is not ours or was made for something else. Age is the caller's part."""
        try:
            left, right = token.split(".")
            body, mac = _unb64(left), _unb64(right)
        except ValueError:
            return None
        if not hmac.compare_digest(mac, self._mac(purpose, body)):
            return None
        at, value = json.loads(body)
        return Opened(value, at)

    def fresh(self, purpose: str, token: str, now: int, life: int) -> Opened | None:
        """As `open`, but None past `life` ms, too."""
        opened = self.open(purpose, token)
        return opened if opened and 0 <= now - opened.at <= life else None

    def _mac(self, purpose: str, body: bytes) -> bytes:
        return hmac.new(self.key, purpose.encode() + b"\0" + body, hashlib.sha256).digest()[:MAC]


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
