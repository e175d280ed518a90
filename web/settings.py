"""The web's part of the settings, as views use it; windows have production values that `[limits]` overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from config.values import Config
from core.throttle import Rule

HOUR = 3600.0  # seconds
RULES = (
    Rule("form_address", 60, HOUR),  # forms from an address at all
    Rule("form_files", 30, HOUR),  # files kept for an address, sent or not
    Rule("form_suspect", 10, HOUR),  # forms from an address before each costs points
    Rule("form_same", 2, HOUR),  # equal texts before the next costs points
    Rule("api", 600, 60.0),  # calls with a token
)


@dataclass(frozen=True, slots=True)
class Web:
    """How the portal, the console and the API behave."""

    origins: Sequence[str]  #: our own origins, `https://host[:port]`, for the Origin check
    proxies: Sequence[str]  #: networks whose X-Forwarded-For is believed
    second_factor: str  #: `required`, or `optional`, which the program refuses off loopback
    loopback_exempt: bool  #: 127.0.0.0/8 and ::1 meet no window; refused when anything listens off loopback
    rules: Mapping[str, Rule]
    hold_at: int = 3  #: points at which a ticket waits in state held


def of(config: Config) -> Web:
    """The settings of a checked configuration."""
    settings = config.settings
    return Web(
        origins=(config.agency.url, *settings.web.origins),
        proxies=settings.web.proxies,
        second_factor=settings.second_factor,
        loopback_exempt=settings.loopback_exempt,
        rules={rule.name: settings.limits.get(rule.name, rule) for rule in RULES},
    )
