"""One file a provider; each keeps its own tree of errors and describes its own settings."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from sms.providers.base import Provider
from sms.settings import ProviderSettings


def make(name: str, settings: ProviderSettings) -> Provider:
    """The provider a `kind` names: a file here (`kavenegar`), or `module:maker` anywhere.

    Raises LookupError with the name when there is no such provider.
    """
    module, _, maker = settings.kind.partition(":")
    try:
        found = import_module(module if maker else f"sms.providers.{module}")
        return cast(Provider, getattr(found, maker or "make")(name, settings))
    except (ModuleNotFoundError, AttributeError) as e:
        raise LookupError(f"no SMS provider of kind {settings.kind!r}") from e
