"""The one place that builds: configuration in, a running system out. Nothing else constructs a part."""

from __future__ import annotations

import copy
import ipaddress
import logging
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aiohttp import web as aiohttp_web

import config as configuration
from config.faults import Fault
from config.values import Config
from core import files as kept_files
from core import intake, jalali, office, seed, store
from core.channels import Channel, Door, Gear, Hooked, Measuring
from core.cipher import Keyring
from core.clock import SystemClock
from core.refusal import Refusal
from core.throttle import Throttle
from gateway import auditing, control, loop, registry, staffing, texting
from gateway.mail.scan import Clamd
from gateway.scanning import Scanning
from gateway.supervise import Parts
from gateway.timers import Timers
from gateway.worker import Worker

log = logging.getLogger("pasokh.wiring")

BACKLOG = 1024
REQUESTS_LAST = 2.0  # seconds a running request gets when the web stops


class CannotStart(Exception):
    """Something is in the way; the text is one sentence (or one a fault) that names it."""


@dataclass(frozen=True, slots=True)
class System:
    """What runs."""

    config: Config
    store: store.Store
    door: Door
    channels: Mapping[str, Channel]
    worker: Worker
    web_port: int


def site(folder: Path | None) -> Config:
    """The checked configuration. Raises CannotStart with every fault."""
    try:
        return configuration.read(configuration.SEEDS, folder)
    except configuration.Faults as faults:
        raise CannotStart(str(faults)) from None


def moved(config: Config, changes: Mapping[str, Mapping[str, Any]]) -> Config:
    """The same body with tables of lines.toml changed: `"sms.line.main" → {field: value}`."""
    lines = copy.deepcopy(dict(config.lines))
    for path, values in changes.items():
        table: dict[str, Any] = lines
        for step in path.split("."):
            table = table.setdefault(step, {})
        table.update(values)
    return replace(config, lines=lines)


def addresses(config: Config) -> list[dict[str, str | None]]:
    """Where each unit is reached: mail address, extension, the short code all share."""
    line: Mapping[str, Any] = next(iter(config.lines["sms"]["line"].values()))
    return [
        {
            "unit": unit.slug,
            "email": config.units.address(unit.slug),
            "extension": unit.extension,
            "shortcode": str(line["number"]),
        }
        for unit in config.units
        if config.units.address(unit.slug)
    ]


# ---------------------------------------------------------------- building


async def start(config: Config, folder: Path, database: str | None, parts: Parts) -> System:
    """Start everything in order; `parts` holds what to stop. Raises CannotStart."""
    _refuse_off_loopback(config)
    clock = SystemClock()
    ring = _keyring(folder / "keyring")
    opened = await _store(database, clock, folder, ring)
    parts.add("store", lambda drain: opened.close(), opened.health)
    throttle = Throttle(config.settings.limits, clock)
    office.bind(opened, office.Office(config, ring, clock, throttle))
    await seed.seed(opened, config)
    files = kept_files.Files(folder / "files", ring, opened)
    door = intake.Desk(opened, config, ring, files, clock, throttle)
    channels = _channels(config, folder, files.read, clock, opened)
    worker = Worker(opened, channels, ring, clock)
    await worker.start()
    parts.add("worker", worker.stop, worker.health)
    scanner = getattr(channels.get("mail"), "scanner", None)
    if scanner is not None:
        scanning = Scanning(opened, files, Clamd(scanner), clock)
        await scanning.start()
        parts.add("scanner", scanning.stop, scanning.health)
    timers = Timers(opened, files, clock, config.settings.retention.calls_days)
    await timers.start()
    parts.add("timers", timers.stop, timers.health)
    port = await _web(config, opened, door, files, ring, throttle, clock, channels, parts)
    for channel in channels.values():
        await _start_channel(channel, door, parts)
    told = texting.deeds(opened, door, channels) | auditing.deeds(opened) | staffing.deeds(opened)
    listening = control.Control(folder, told)
    await listening.start()
    parts.add("control", listening.stop)
    loop.freeze()
    return System(config, opened, door, channels, worker, port)


def check_channels(config: Config) -> list[Fault]:
    """Make every channel without starting it; the faults of their tables and menus."""
    faults: list[Fault] = []
    with tempfile.TemporaryDirectory() as name:
        for channel, load in registry.makers().items():
            lines = config.lines.get(channel, {})
            try:
                load()(_gear(channel, lines, config, Path(name), None, SystemClock()))
            except configuration.Faults as error:
                faults += error.faults
            except LookupError as error:
                faults.append(config.documents["lines.toml"].at(channel).fault("unknown-provider", str(error)))
    return faults


def _keyring(path: Path) -> Keyring:
    return Keyring.read(path) if path.exists() else Keyring.create(path)


async def _store(database: str | None, clock: SystemClock, folder: Path, ring: Keyring) -> store.Store:
    try:
        return await store.open(database, clock, folder, ring.key("chain", min(ring.keys)))
    except Refusal as error:
        raise CannotStart(str(error)) from None


def _channels(config: Config, folder: Path, read: Any, clock: SystemClock, opened: store.Store) -> dict[str, Channel]:
    """Every channel of the registry that has lines (web and desk need none)."""
    made: dict[str, Channel] = {}
    for name, load in registry.makers().items():
        lines = config.lines.get(name, {})
        if lines or name in ("web", "desk"):
            gear = _gear(name, lines, config, folder, read, clock, lambda: opened.is_full)
            made[name] = _make(name, load, gear)
    return made


def _make(name: str, load: Any, gear: Gear) -> Channel:
    try:
        channel: Channel = load()(gear)
    except (configuration.Faults, LookupError, OSError, ValueError) as error:
        raise CannotStart(f"{name}: {error}") from None
    return channel


def _gear(
    name: str,
    lines: Mapping[str, Any],
    config: Config,
    folder: Path,
    read: Any,
    clock: SystemClock,
    is_full: Callable[[], bool] = lambda: False,
) -> Gear:
    own = folder / name
    own.mkdir(parents=True, exist_ok=True)
    agency = config.agency
    return Gear(
        name=name,
        lines=lines,
        say=config.texts,
        folder=str(own),
        reactor=loop.current(),
        clock=clock,
        agency={"name": dict(agency.name), "url": agency.url, "zone": agency.zone, "domain": agency.domain},
        extra={
            "where": config.documents["lines.toml"].at(name),
            "units": {unit.slug: config.units.address(unit.slug) for unit in config.units},
            "signatures": {unit.slug: dict(unit.signature) for unit in config.units if unit.signature},
            "read": read,
            "read_file": read,
            "is_full": is_full,
            "menus_folder": str(config.menus_folder),
            "menus_shipped": str(config.folder / "menus"),
            "prompts": str(config.prompts_folder),
            "hours": _hours(config),
            "cards": {unit.slug: {"phone": unit.phone or "", "hours": unit.hours} for unit in config.units},
            "staff": {
                login: {"extension": member.extension, "name": member.name}
                for login, member in config.staff.items()
                if member.extension
            },
            "bells": {unit.slug: unit.extension for unit in config.units if unit.extension},
            "reread": lambda: configuration.read(configuration.SEEDS, config.site),
            "loopback_exempt": config.settings.loopback_exempt,
        },
    )


def _hours(config: Config) -> Callable[[int], tuple[bool, bool]]:
    """(ms UTC) → is the house open, is it a holiday?"""

    def hours(now: int) -> tuple[bool, bool]:
        moment = jalali.local(now, config.agency.zone)
        return config.calendar.open_at(now), config.calendar.off(moment.date()) is not None

    return hours


async def _start_channel(channel: Channel, door: Door, parts: Parts) -> None:
    try:
        await channel.start(door)
    except OSError as error:
        raise CannotStart(f"{channel.name} cannot start: {error}") from None
    parts.add(channel.name, channel.stop, getattr(channel, "health", None))
    log.info("channel started", extra={"channel": channel.name})


async def _web(
    config: Config,
    opened: store.Store,
    door: Door,
    files: Any,
    ring: Keyring,
    throttle: Throttle,
    clock: SystemClock,
    channels: Mapping[str, Channel],
    parts: Parts,
) -> int:
    """Listen for browsers; returns the port."""
    from web import app, ports

    handed = ports.Parts(
        store=opened,
        door=door,
        config=config,
        say=config.texts,
        clock=clock,
        files=files,
        keyring=ring,
        throttle=throttle,
        channels=channels,
        hooks={name: each for name, each in channels.items() if isinstance(each, Hooked)},
        measures={name: each for name, each in channels.items() if isinstance(each, Measuring)},
        telephone=getattr(channels.get("phone"), "panel", None),
        health=parts.health,
    )
    runner = aiohttp_web.AppRunner(
        app.make(handed), access_log=None, keepalive_timeout=app.KEEPALIVE, shutdown_timeout=REQUESTS_LAST
    )
    await runner.setup()
    parts.add("web", lambda drain: runner.cleanup())
    listen = config.settings.web
    try:
        await aiohttp_web.TCPSite(runner, listen.bind, listen.port, backlog=BACKLOG).start()
    except OSError as error:
        raise CannotStart(f"web cannot listen on {listen.bind}:{listen.port}: {error.strerror}") from None
    return int(runner.addresses[0][1])


# ---------------------------------------------------------------- what only loopback may have


def _refuse_off_loopback(config: Config) -> None:
    """No exemption from limits and no sign-in by password alone where strangers can reach a listener."""
    settings = config.settings
    open_doors = [host for host in _listeners(config) if not _loopback(host)]
    if not open_doors:
        return
    if settings.loopback_exempt:
        raise CannotStart(f"settings.toml: loopback_exempt = true, but {open_doors[0]} is not loopback: remove it")
    if settings.second_factor != "required":
        raise CannotStart(f"settings.toml: second_factor must be required, since {open_doors[0]} is not loopback")


def _listeners(config: Config) -> list[str]:
    hosts = [config.settings.web.bind]
    hosts += [str(line.get("bind", "127.0.0.1")) for line in config.lines.get("mail", {}).get("line", {}).values()]
    for line in config.lines.get("phone", {}).get("line", {}).values():
        hosts += [bind.partition(":")[2].rpartition(":")[0] for bind in line.get("bind", ["udp:0.0.0.0:5060"])]
    return hosts


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
