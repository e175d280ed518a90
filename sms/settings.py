"""The settings of SMS lines and providers, as lines.toml holds them; each field describes itself for its form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from config.shape import Range


@dataclass(frozen=True, slots=True)
class LineSettings:
    """`[sms.line.NAME]`."""

    number: str  #: the short code or line number as the provider writes it
    providers: tuple[str, ...]  #: in order of preference
    hook_secret: str = ""  #: at least 32 characters of the call-back address; empty = no call-backs
    lang: str = "fa"
    kind: Literal["service", "advertising", "otp"] = "service"
    max_parts: Annotated[int, Range(1, 20)] = 6
    max_chars: Annotated[int, Range(70, 900)] = 900
    compact: bool = True
    poll_s: Annotated[float, Range(0, 3600)] = 60.0  #: seconds between polls; 0 = call-backs only
    peer_allow: tuple[str, ...] | None = None  #: networks call-backs may come from; None = any with the secret


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """`[sms.provider.NAME]`. `kind` is a file of sms/providers, or `module:maker` of somebody's own."""

    kind: str
    key_file: str = ""
    host: str = "api.kavenegar.com"
    ca_file: str | None = None
    workers: Annotated[int, Range(1, 64)] = 8
