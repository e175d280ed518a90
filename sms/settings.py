"""The settings of SMS lines and providers, as lines.toml holds them; each field describes itself for its form."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from config.shape import Bad, Range

SECRET = 32  # characters of a call-back's secret, at least: 128 bits as hex


def _secret(value: str) -> None:
    if value and len(value) < SECRET:
        raise Bad("too-short", f"give at least {SECRET} random characters, or leave it out for no call-backs")


def _network(value: str) -> None:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        raise Bad("bad-value", f"give an address or network like 203.0.113.0/24, not {value!r}") from None


@dataclass(frozen=True, slots=True)
class LineSettings:
    """`[sms.line.NAME]`."""

    number: Annotated[str, Range(1, 20)]  #: the short code or line number as the provider writes it
    providers: Annotated[tuple[str, ...], Range(1, 8)]  #: in order of preference
    via: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  #: purpose → providers, when not `providers`
    hook_secret: Annotated[str, _secret] = ""  #: of the call-back address; empty = no call-backs
    lang: str = "fa"
    words: Mapping[str, str] = field(default_factory=dict)  #: more words citizens write: `stop = "laghv|off"`
    kind: Literal["service", "advertising", "otp"] = "service"
    exempt: bool = False  #: the operator frees this line from quiet hours
    max_parts: Annotated[int, Range(1, 20)] = 6
    max_chars: Annotated[int, Range(70, 900)] = 900
    compact: bool = True
    rate: Annotated[float, Range(0.1, 10_000)] = 20.0  #: texts a second to each provider
    daily_parts: Annotated[int, Range(0)] = 5000  #: 0 = no limit
    daily_rial: Annotated[int, Range(0)] = 0  #: 0 = no limit
    price: Annotated[int, Range(0)] = 0  #: rial a part, for what is shown before sending; 0 = not known
    credit_floor: Annotated[int, Range(0)] = 0  #: rial; below it an alarm
    template: str = ""  #: the provider's template for one-time codes; empty = an ordinary text
    on_unknown: Literal["park", "resend_once"] = "park"  #: where a provider cannot be asked what it did
    poll_s: Annotated[float, Range(0, 3600)] = 60.0  #: seconds between polls; 0 = call-backs only
    link_hosts: tuple[str, ...] = ()  #: where links in texts may lead, beside the body's own hosts
    peer_allow: tuple[Annotated[str, _network], ...] | None = None  #: where call-backs come from; None = anywhere


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """`[sms.provider.NAME]`. `kind` is a file of sms/providers, or `module:maker` of somebody's own."""

    kind: str
    key_file: str = ""
    host: str = "api.kavenegar.com"
    ca_file: str | None = None
    proxy: str | None = None  #: `http://host:port` for the way out
    workers: Annotated[int, Range(1, 64)] = 8
