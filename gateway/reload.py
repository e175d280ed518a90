"""SIGHUP: menus and texts are read again. A faulty file is named and the old ones stay."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from config.faults import Faults
from core.channels import Channel

log = logging.getLogger("pasokh.reload")


@runtime_checkable
class Reloading(Protocol):
    """Optional: a channel that can read its files again while it runs."""

    name: str

    async def reload(self) -> None:
        """Take over what is on disk now, for what begins from now on. Raises config.Faults; then nothing changed."""
        ...


async def reload(channels: Mapping[str, Channel]) -> None:
    """Let every channel that can read its files again; faults go to standard error, one a line."""
    for channel in [each for each in channels.values() if isinstance(each, Reloading)]:
        try:
            await channel.reload()
        except Faults as faults:
            log.error("not reloaded", extra={"channel": channel.name, "faults": len(faults.faults)})
            print(faults, file=sys.stderr, flush=True)
        else:
            print(f"{channel.name}: menus and texts are read again", file=sys.stderr, flush=True)
