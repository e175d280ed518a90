"""One file a provider; each keeps its own tree of errors and describes its own settings."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, cast

from config.positions import Where
from config.shape import read
from sms.providers.base import Provider
from sms.settings import ProviderSettings


def make(name: str, table: Mapping[str, Any], where: Where) -> Provider:
    """The provider of `[sms.provider.NAME]`: `kind` is a file here (`kavenegar`), or `module:maker` anywhere.

    The module's own `Settings` (else ProviderSettings) describes the table. Raises LookupError with the name when
    there is no such provider, config.Faults for a bad field.
    """
    kind = str(table.get("kind", ""))
    module, _, maker = kind.partition(":")
    found = _module(module if maker else f"sms.providers.{module}", kind)
    make_one = getattr(found, maker or "make", None)
    if make_one is None:
        raise LookupError(f"no SMS provider of kind {kind!r}")
    return cast(Provider, make_one(name, read(getattr(found, "Settings", ProviderSettings), table, where)))


def _module(name: str, kind: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as e:
        raise LookupError(f"no SMS provider of kind {kind!r}") from e
