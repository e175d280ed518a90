"""Keys and what is made with them: sealed columns, blind indexes, MACs and PINs. One keyring file, kept apart."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.errors import PasokhError

KEY_BYTES = 32
NONCE_BYTES = 12
ID_BYTES = 2
Value = str | int | bytes


class BadKeyring(PasokhError):
    """The keyring cannot be used as it is; the sentence says why and what to do."""

    word = "bad_keyring"


class BadSeal(PasokhError):
    """Sealed bytes do not open: another key, another place, or changed."""

    word = "bad_seal"


@dataclass(frozen=True, slots=True)
class Keyring:
    """Numbered keys of 32 random bytes; the highest number seals, all open."""

    keys: Mapping[int, bytes] = field(repr=False)

    @property
    def newest(self) -> int:
        """Number of the key in use now."""
        return max(self.keys)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Keyring:
        """The keys of a file with lines `number base64`. Raises BadKeyring: readable by others, missing, damaged."""
        try:
            mode = os.stat(path).st_mode
            text = Path(path).read_text("ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise BadKeyring(f"{path}: cannot be read: {error}") from None
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise BadKeyring(f"{path}: others may read it; chmod 600 {path}")
        return cls(
            dict(_line(path, n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()) or _none(path)
        )

    @classmethod
    def create(cls, path: str | os.PathLike[str]) -> Keyring:
        """A new file of mode 0600 with one key, on disk before this returns. Raises BadKeyring when there is one."""
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise BadKeyring(f"{path}: cannot be made: {error}") from None
        key = secrets.token_bytes(KEY_BYTES)
        with os.fdopen(handle, "wb") as file:
            file.write(b"1 " + base64.b64encode(key) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        _fsync_folder(Path(path).parent)
        return cls({1: key})

    def key(self, purpose: str, number: int | None = None) -> bytes:
        """32 bytes for `purpose` alone, from key `number` (None: the newest). Raises BadKeyring for an unknown one."""
        number = self.newest if number is None else number
        if number not in self.keys:
            raise BadKeyring(f"no key {number} in the keyring")
        return _derived(self.keys[number], purpose)


def seal(ring: Keyring, table: str, column: str, row: Value, data: bytes | str) -> bytes:
    """key number (2 bytes) ‖ nonce (12) ‖ AES-256-GCM of `data` (text as UTF-8), bound to its table, column and row."""
    number, nonce = ring.newest, secrets.token_bytes(NONCE_BYTES)
    plain = data.encode() if isinstance(data, str) else data
    return (
        number.to_bytes(ID_BYTES, "big") + nonce + _box(ring, number).encrypt(nonce, plain, _place(table, column, row))
    )


def unseal(ring: Keyring, table: str, column: str, row: Value, data: bytes) -> bytes:
    """What `seal` was given. Raises BadSeal when it was moved or changed, BadKeyring when its key is gone."""
    number = int.from_bytes(data[:ID_BYTES], "big")
    nonce, rest = data[ID_BYTES : ID_BYTES + NONCE_BYTES], data[ID_BYTES + NONCE_BYTES :]
    if not rest:
        raise BadSeal(f"{table}.{column} {row!r}: too short to be sealed")
    try:
        return _box(ring, number).decrypt(nonce, rest, _place(table, column, row))
    except InvalidTag:
        raise BadSeal(f"{table}.{column} {row!r}: does not open") from None


def blind(ring: Keyring, kind: str, value: str, number: int | None = None) -> bytes:
    """32 bytes to look `value` up by without keeping it: HMAC-SHA-256 under the key of `kind` (phone, mail, …)."""
    return hmac.digest(ring.key("blind:" + kind, number), value.encode(), "sha256")


def mac(ring: Keyring, purpose: str, *values: Value, number: int | None = None) -> bytes:
    """HMAC-SHA-256 (32 bytes) over `values`, each with its length, so that no two lists share one."""
    keyed = _keyed(ring.key("mac:" + purpose, number)).copy()
    keyed.update(_framed(values))
    return keyed.digest()


def same(one: bytes | str, other: bytes | str) -> bool:
    """Are they equal? Takes as long for a near miss as for a far one."""
    return hmac.compare_digest(_bytes(one), _bytes(other))


def pin(ring: Keyring, number: int, ticket: int) -> str:
    """The 4 digits given with a ticket's code; `number` is the key kept in the ticket's `pin_key`."""
    return f"{int.from_bytes(mac(ring, 'pin', ticket, number=number)[:8]) % 10_000:04}"


def _line(path: object, number: int, line: str) -> tuple[int, bytes]:
    try:
        name, text = line.split()
        key, which = base64.b64decode(text, validate=True), int(name)
    except (ValueError, binascii.Error):
        raise BadKeyring(f"{path}:{number}: a line is a number and a key in base64") from None
    if len(key) != KEY_BYTES or not 0 < which < 1 << (8 * ID_BYTES):
        raise BadKeyring(f"{path}:{number}: a key is {KEY_BYTES} bytes, its number 1 to 65535")
    return which, key


def _none(path: object) -> dict[int, bytes]:
    raise BadKeyring(f"{path}: holds no key")


def _derived(key: bytes, purpose: str) -> bytes:
    known = _KEPT.get((key, purpose))
    if known is None:
        known = HKDF(SHA256(), KEY_BYTES, None, b"pasokh:" + purpose.encode()).derive(key)
        if len(_KEPT) < 256:
            _KEPT[key, purpose] = known
    return known


_KEPT: dict[tuple[bytes, str], bytes] = {}  # derived keys: HKDF takes longer than the sealing itself


@lru_cache(256)
def _keyed(key: bytes) -> hmac.HMAC:
    """A begun HMAC-SHA-256, to be copied: half the time of a new one."""
    return hmac.new(key, digestmod="sha256")


def _box(ring: Keyring, number: int) -> AESGCM:
    return AESGCM(ring.key("seal", number))


def _place(table: str, column: str, row: Value) -> bytes:
    return b"|".join((table.encode(), column.encode(), _bytes(row)))


def _bytes(value: Value) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _framed(values: tuple[Value, ...]) -> bytes:
    return b"".join([len(raw).to_bytes(8) + raw for raw in map(_bytes, values)])


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
