"""What wiring hands to the web: web builds nothing itself and never imports a channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.channels import Channel, Clock, Door, Hooked, Measuring, Say


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a view may use."""

    store: Any  #: core.store.Store
    door: Door
    config: Any  #: config.Config
    say: Say
    clock: Clock
    files: Any  #: core.files.Files
    keyring: Any  #: core.cipher.Keyring
    throttle: Any  #: core.throttle.Throttle
    channels: Mapping[str, Channel] = field(default_factory=dict)
    hooks: Mapping[str, Hooked] = field(default_factory=dict)
    measures: Mapping[str, Measuring] = field(default_factory=dict)
    telephone: Any = None  #: what the phone shows the console (`ivr.panel.Panel`); None: there are no lines
    health: Any = None  #: callable -> Mapping of part to state
