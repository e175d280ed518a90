"""Running for real from a site's configuration, and the commands that only look: check and route."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from config.check import check as check_files
from config.faults import Fault
from config.read import SEEDS
from core import routing
from core.channels import Inbound
from gateway import reload, supervise, wiring

FAULT = 2
BROKEN = 70  # the disk failed an fsync: never tried again, the supervisor starts us anew


async def run(options: argparse.Namespace) -> int:
    """Start, run until told to stop (or until the disk fails), drain, end."""
    signals = supervise.Signals()
    signals.install()
    parts = supervise.Parts()
    try:
        _is_there(options.data)
        site = wiring.site(options.config)
        system = await wiring.start(site, options.data, options.database, parts)
    except wiring.CannotStart as fault:
        print(f"pasokh serve: {fault}", file=sys.stderr)
        await parts.stop(0)
        return FAULT
    signals.on_reload(lambda: reload.reload(system.channels))
    print(f"pasokh serves on {site.settings.web.bind}:{system.web_port}", flush=True)
    await supervise.stop_on(signals, parts, site.settings.drain_seconds, system.store.broken)
    return BROKEN if system.store.broken.is_set() else 0


def _is_there(folder: Path) -> None:
    """A folder mistyped is not made: everything would seem to be lost."""
    if not folder.is_dir():
        raise wiring.CannotStart(f"--data {folder} is no folder: make it first, for the user that runs this program")


def check(folder: Path | None) -> list[Fault]:
    """Every check there is, without starting anything: the files, then each channel's own tables and menus."""
    faults = check_files(SEEDS, folder)
    return faults or wiring.check_channels(wiring.site(folder))


def explain_route(folder: Path | None, text: str, channel: str, to: str) -> str:
    """Which unit a text would go to and why, as one line."""
    site = wiring.site(folder)
    message = Inbound(channel, "route", text, to=(to,) if to else ())
    found = routing.route(routing.facts_of(message), site.routes)
    keys = ", ".join(f"{key}={value}" for key, value in found.matched.items()) or "no rule matched"
    return f"{found.unit}  (rule {found.rule}: {keys})"
