"""SMPP 3.4: a line to an operator's own message centre. Codec and session without I/O, carried by Twisted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sms.providers.smpp.settings import Settings

if TYPE_CHECKING:
    from sms.providers.smpp.provider import Smpp


def make(name: str, settings: Settings) -> Smpp:
    """What `kind = "smpp"` in lines.toml stands for; Twisted is imported only now."""
    from sms.providers.smpp.provider import Smpp

    return Smpp(name, settings)


__all__ = ["Settings", "make"]
