"""Addresses and Message-IDs that prove themselves: an HMAC over purpose and values in the local part. Pure.

`feedback+{id}.{p}.{k}{mac}` leads a reply to its ticket, `b+{id}.{k}{mac}` takes reports, `{id}.{k}{mac}` is the left
half of our Message-IDs. Ids are 13 base32 characters, the key's id one, the mac 16 (80 bits); case means nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import b32encode
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
TOKEN = re.compile(r"(?P<values>[a-z2-7]{13}(?:\.[0-9]{1,9})?)\.(?P<key>[a-z2-7])(?P<mac>[a-z2-7]{16})")


class Purpose(StrEnum):
    """What a token is for; one made for one purpose is worth nothing for another."""

    FEEDBACK = "feedback"  #: values: ticket id, participant number
    BOUNCE = "b"  #: value: outbox id
    MESSAGE = "id"  #: value: outbox id with its epoch


@dataclass(frozen=True, slots=True)
class Keys:
    """The live keys by id (0-31); `current` signs, all of them are accepted."""

    current: int
    by_id: Mapping[int, bytes]

    def __post_init__(self) -> None:
        if self.current not in self.by_id or not all(0 <= k < 32 and len(v) >= 16 for k, v in self.by_id.items()):
            raise ValueError("keys are 16 octets or more, with ids 0 to 31, and the current one is among them")


@dataclass(frozen=True, slots=True)
class Token:
    """What a valid token says."""

    purpose: Purpose
    id: int
    participant: int = 0
    key: int = 0  #: id of the key it was made with


def new_keys() -> Keys:
    return Keys(0, {0: secrets.token_bytes(32)})


def mint(keys: Keys, purpose: Purpose, *values: int, delimiter: str = "+", key: int | None = None) -> str:
    """The local part for `values`: the id, for FEEDBACK also the participant's number. Raises ValueError below 0.

    `key`: made with this one instead of the current.
    """
    if any(v < 0 for v in values) or values[0] >= 1 << 64:
        raise ValueError("ids are 64 bits, not negative")
    said = ".".join([_number(values[0]), *(str(v) for v in values[1:])])
    key = keys.current if key is None else key
    token = f"{said}.{ALPHABET[key]}{_mac(keys.by_id[key], purpose, said)}"
    return token if purpose is Purpose.MESSAGE else f"{purpose.value}{delimiter}{token}"


def read(keys: Keys, local: str, delimiter: str = "+") -> Token | None:
    """The token in a local part; None when it is none, or its mac does not hold."""
    word, found, rest = local.lower().partition(delimiter)
    if not found or word not in (Purpose.FEEDBACK, Purpose.BOUNCE):
        return None
    return _read(keys, Purpose(word), rest)


def message_id(keys: Keys, value: int, domain: str, key: int | None = None) -> str:
    """`<{id}.{k}{mac}@domain>`, the same for the same value and key (the current one, unless named)."""
    return f"<{mint(keys, Purpose.MESSAGE, value, key=key)}@{domain}>"


def read_message_id(keys: Keys, value: str, domain: str) -> Token | None:
    """The token of a Message-ID we wrote for `domain`; None for any other."""
    local, _, host = value.strip("<> ").rpartition("@")
    return _read(keys, Purpose.MESSAGE, local.lower()) if host.lower() == domain.lower() else None


def looks_like_token(local: str, delimiter: str = "+") -> bool:
    """Does it claim to be one of our plus-addresses (valid or not)?"""
    word, found, _ = local.lower().partition(delimiter)
    return bool(found) and word in (Purpose.FEEDBACK, Purpose.BOUNCE)


def _read(keys: Keys, purpose: Purpose, said: str) -> Token | None:
    found = TOKEN.fullmatch(said)
    if found is None:
        return None
    which = ALPHABET.index(found["key"])
    key = keys.by_id.get(which)
    if key is None or not hmac.compare_digest(_mac(key, purpose, found["values"]), found["mac"]):
        return None
    number, dot, participant = found["values"].partition(".")
    value = _value(number)
    if bool(dot) is not (purpose is Purpose.FEEDBACK) or value >= 1 << 64:
        return None
    return Token(purpose, value, int(participant or 0), which)


def _mac(key: bytes, purpose: Purpose, said: str) -> str:
    digest = hmac.new(key, f"{purpose.value}|{said}".encode(), hashlib.sha256).digest()
    return b32encode(digest[:10]).decode().lower()


def _number(value: int) -> str:
    return "".join(ALPHABET[value >> shift & 31] for shift in range(60, -1, -5))


def _value(number: str) -> int:
    value = 0
    for character in number:
        value = value << 5 | ALPHABET.index(character)
    return value
