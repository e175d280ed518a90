"""Signing our letters: DKIM (RFC 6376), relaxed/relaxed, rsa-sha256 over the whole body and every field we write.

From and Subject are signed once more than they are there, so that nobody can add another. Pure but for reading the key.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

SIGNED = (
    "from", "to", "subject", "date", "message-id", "reply-to", "in-reply-to", "references", "auto-submitted",
    "x-auto-response-suppress", "x-loop", "mime-version", "content-type",
)  # fmt: skip
TWICE = ("from", "subject")
LEAST = 1024  # bits; 2048 are what receivers like
BLANKS = re.compile(rb"[ \t]+")
FOLD = re.compile(rb"\r\n(?=[ \t])")


@dataclass(frozen=True, slots=True)
class Key:
    """A private key and where its public half is published: `selector._domainkey.domain`."""

    domain: str
    selector: str
    private: rsa.RSAPrivateKey


def read(path: str, domain: str, selector: str) -> Key:
    """The key in a PEM file. Raises ValueError with what is wrong with it, OSError."""
    try:
        found = serialization.load_pem_private_key(Path(path).read_bytes(), None)
    except (TypeError, UnsupportedAlgorithm):
        raise ValueError("not an unencrypted private key in PEM") from None
    if not isinstance(found, rsa.RSAPrivateKey) or found.key_size < LEAST:
        raise ValueError(f"not an RSA key of at least {LEAST} bits")
    return Key(domain, selector, found)


def record(key: Key) -> str:
    """The TXT record to publish for `key`."""
    public = key.private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"


def sign(message: bytes, key: Key, now: int) -> bytes:
    """`message` (CRLF) with a signature on top; `now` (s UTC) is its time. The same in gives the same out."""
    head, _, body = message.partition(b"\r\n\r\n")
    fields = [_field(line) for line in FOLD.sub(b"", head).split(b"\r\n")]
    names = [name for name, _ in fields if name.decode() in SIGNED]
    chosen = [*names, *(name.encode() for name in TWICE)]
    said = (
        f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={key.domain}; s={key.selector}; t={now};\r\n"
        f" h={_folded(chosen)};\r\n bh={_body_hash(body)};\r\n b="
    ).encode()
    own = b"dkim-signature:" + _relaxed(FOLD.sub(b"", said))
    data = b"".join(b"%s:%s\r\n" % field for field in _in_order(fields, names)) + own
    signature = base64.b64encode(key.private.sign(data, padding.PKCS1v15(), hashes.SHA256()))
    lines = [signature[at : at + 72] for at in range(0, len(signature), 72)]
    return b"DKIM-Signature: " + said + b"\r\n ".join(lines) + b"\r\n" + message


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.strip().lower(), _relaxed(value)


def _relaxed(value: bytes) -> bytes:
    """RFC 6376 s 3.4.2: one blank for many, none at the ends; already unfolded."""
    return BLANKS.sub(b" ", value).strip(b" ")


def _in_order(fields: list[tuple[bytes, bytes]], names: list[bytes]) -> list[tuple[bytes, bytes]]:
    """The fields as signed: of a name that is there twice the lower first (s 5.4.2). Ours are there once."""
    left = list(reversed(fields))
    found = []
    for name in names:
        one = next(field for field in left if field[0] == name)
        left.remove(one)
        found.append(one)
    return found


def _body_hash(body: bytes) -> str:
    """RFC 6376 s 3.4.4: blanks at line ends and empty lines at the end do not count."""
    lines = [BLANKS.sub(b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line + b"\r\n")
    return base64.b64encode(digest.digest()).decode()


def _folded(names: list[bytes]) -> str:
    """A long list of names, broken at its colons."""
    out, line = [], ""
    for name in names:
        word = name.decode()
        if len(line) + len(word) > 64:
            out.append(line)
            line = ""
        line += f"{word}:"
    return "\r\n ".join([*out, line.rstrip(":")])
