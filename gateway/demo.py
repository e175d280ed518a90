"""The demo: the whole system on loopback with a sample agency and a made-up outside world as its child.

Everything it needs to remember lies in its folder; a second start finds it, also after kill -9.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp

from config.values import Config
from core.people import add_token, set_password
from gateway import reload, supervise, wiring

DRAIN = 3.0  # seconds calls in progress get at a stop
FREE = (10_000, 20_000)  # below the ports that the system gives to whoever connects: what is free now stays so
PATIENCE = 5.0  # seconds a port may still be held by a process that is ending
TOKEN_MAY = ("tickets.read", "tickets.write", "contents")
READY = 20.0  # seconds the made-up world may take to start
TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
SMPP_NUMBER = "30005678"  # the demo's second short code, served by the made-up message centre
PORTS = {"web": TCP, "sip": UDP, "smtp": TCP, "sms": TCP, "smpp": TCP, "world": TCP}


class PortTaken(Exception):
    """A port is in use; the sentence names the option that moves it."""


async def run(options: argparse.Namespace) -> int:
    """Start, say where everything is, run until told to stop. 2 when something is in the way, after a sentence."""
    signals = supervise.Signals()
    signals.install()
    parts = supervise.Parts()
    try:
        told, system = await _start(options, parts)
    except (PortTaken, wiring.CannotStart) as fault:
        print(f"pasokh demo: {fault}", file=sys.stderr)
        await parts.stop(0)
        return 2
    print(json.dumps(told, ensure_ascii=False) if options.json else _words(told), flush=True)
    signals.on_reload(lambda: reload.reload(system.channels))
    await supervise.stop_on(signals, parts, DRAIN, system.store.broken)
    return 70 if system.store.broken.is_set() else 0


async def _start(options: argparse.Namespace, parts: supervise.Parts) -> tuple[Mapping[str, Any], wiring.System]:
    folder = _folder(options.dir)
    ports = await _ports(options)
    secret = _kept(folder / "hook.secret", lambda: secrets.token_hex(32))
    key = _kept(folder / "kavenegar.key", lambda: secrets.token_hex(16))
    _kept(folder / "smpp.password", lambda: "made-key")
    site = wiring.site(options.config)
    world = await _world(folder / "world", ports, key, _short_code(site), parts)
    site = _on_loopback(site, options, ports, world, secret, folder)
    system = await wiring.start(site, folder, options.database, parts)
    host, port = world["target"], ports["web"]
    await _post(
        host, {"hook": f"http://127.0.0.1:{port}/hooks/sms/main/{secret}", "smtp": f"127.0.0.1:{ports['smtp']}"}
    )
    return await _told(site, system, ports, world, folder), system


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise wiring.CannotStart(f"--dir {path} cannot be made: {error.strerror}") from None
    return path


# ---------------------------------------------------------------- ports


async def _ports(options: argparse.Namespace) -> dict[str, int]:
    ours = {name: await _port(name, getattr(options, name), kind) for name, kind in PORTS.items()}
    return ours | {"desk": options.desk or await _port("desk", 0, UDP)}  # not ours: telephones may wait there already


async def _port(name: str, wanted: int, kind: int) -> int:
    """The port itself, or a free one for 0. A process that is just ending gets a moment to let go."""
    ends = asyncio.get_running_loop().time() + PATIENCE
    while True:
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == TCP:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", wanted or random.randrange(*FREE)))
                return int(probe.getsockname()[1])
        if asyncio.get_running_loop().time() > ends:
            raise PortTaken(f"port {wanted} is taken: choose another with --{name} (0 = any free one)")
        await asyncio.sleep(0.1)


# ---------------------------------------------------------------- the made-up world


async def _world(
    folder: Path, ports: Mapping[str, int], key: str, short_code: str, parts: supervise.Parts
) -> dict[str, str]:
    """Start it as a child that ends with us; returns what it says when it is ready."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["--dir", str(folder), "--sms", str(ports["sms"]), "--world", str(ports["world"]), "--key", key]
    words += ["--smpp", str(ports["smpp"]), "--smpp-number", SMPP_NUMBER, "--short-code", short_code, "--with-parent"]
    words += ["--smpp-password-file", str(folder.parent / "smpp.password")]
    root = Path(__file__).resolve().parent.parent
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.worlds", *words, cwd=root, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    parts.add("world", lambda drain: _end(child))
    assert child.stdout is not None
    try:
        line = await asyncio.wait_for(child.stdout.readline(), READY)
        return dict(json.loads(line))
    except (TimeoutError, ValueError):
        raise wiring.CannotStart("the made-up world did not start; it runs from a checkout only") from None


async def _end(child: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        child.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(child.wait(), 3)
    except TimeoutError:
        child.kill()
        await child.wait()


async def _post(url: str, body: Mapping[str, str]) -> None:
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        answer.raise_for_status()


# ---------------------------------------------------------------- the site, moved to loopback


def _short_code(site: Config) -> str:
    return str(site.lines["sms"]["line"]["main"]["number"])


def _on_loopback(
    site: Config,
    options: argparse.Namespace,
    ports: Mapping[str, int],
    world: Mapping[str, str],
    secret: str,
    folder: Path,
) -> Config:
    """The sample agency's lines at the chosen ports, with the made-up world as provider and relay."""
    relay_host, _, relay_port = world["smtp"].rpartition(":")
    here = [
        {"name": "loopback", "allow": ["127.0.0.0/8"], "asserts_identity": False},
        {"name": "desk", "address": f"127.0.0.1:{ports['desk']}", "dial": True, "ping": False},
    ]
    changes: dict[str, dict[str, Any]] = {
        "sms.line.main": {
            "hook_secret": secret,
            "poll_s": 5.0,
            "providers": ["kavenegar"],
            "rate": 2000.0,
            "daily_parts": 0,
            "price": 1200,
        },
        "sms.provider.kavenegar": {
            "kind": "kavenegar",
            "host": world["kavenegar"],
            "ca_file": world["ca"],
            "key_file": str(folder / "kavenegar.key"),
        },
        "sms.line.smpp": {"number": SMPP_NUMBER, "providers": ["smpp"], "poll_s": 0.0},
        "sms.provider.smpp": {
            "kind": "smpp",
            "host": "127.0.0.1",
            "port": ports["smpp"],
            "system_id": "pasokh",
            "password_file": str(folder / "smpp.password"),
        },
        "mail.line.main": {
            "bind": "127.0.0.1",
            "port": ports["smtp"],
            "relay_host": relay_host,
            "relay_port": int(relay_port),
        },
        "phone.line.main": {"bind": [f"udp:127.0.0.1:{ports['sip']}"], "rtp": options.rtp, "peer": here},
    }
    moved = wiring.moved(site, changes)
    listen = replace(site.settings.web, bind="127.0.0.1", port=ports["web"])
    agency = replace(site.agency, url=f"http://127.0.0.1:{ports['web']}")
    settings = replace(
        site.settings, web=listen, second_factor="optional", loopback_exempt=True, drain_seconds=int(DRAIN)
    )
    return replace(moved, agency=agency, settings=settings)


def _kept(path: Path, make: Callable[[], str]) -> str:
    """A secret of this demo, made once."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(make())
    return path.read_text().strip()


# ---------------------------------------------------------------- what is told


async def _told(
    site: Config, system: wiring.System, ports: Mapping[str, int], world: Mapping[str, str], folder: Path
) -> dict[str, Any]:
    web = f"http://127.0.0.1:{ports['web']}"
    return {
        "ready": True,
        "web": web,
        "sip": f"sip:{_line_number(site)}@127.0.0.1:{ports['sip']}",
        "telephones": _telephones(site, ports["desk"]),
        "smtp": f"127.0.0.1:{ports['smtp']}",
        "sms": f"https://{world['kavenegar']}",
        "smpp": {"host": world["smpp"], "shortcode": SMPP_NUMBER},
        "handset": world["handset"],
        "mailbox": world["mailbox"],
        "accounts": await _accounts(site, system, folder),
        "addresses": wiring.addresses(site),
    }


def _telephones(site: Config, port: int) -> list[dict[str, Any]]:
    """Where operators are rung, and by which queues."""
    queues: Mapping[str, Any] = site.lines["phone"].get("queue", {})
    return [
        {
            "name": login,
            "extension": member.extension,
            "uri": f"sip:{member.extension}@127.0.0.1:{port}",
            "queues": sorted(name for name, queue in queues.items() if login in queue.get("operators", ())),
        }
        for login, member in site.staff.items()
        if member.extension
    ]


def _line_number(site: Config) -> str:
    numbers = site.lines["phone"]["line"]["main"].get("numbers", {})
    return next((number for number in numbers if number != "*"), "1888")


async def _accounts(site: Config, system: wiring.System, folder: Path) -> list[dict[str, str]]:
    """Passwords and tokens of the made-up staff, made at the first start and kept in the folder."""
    path = folder / "accounts.json"
    known: dict[str, dict[str, str]] = json.loads(path.read_text()) if path.exists() else {}
    for login, member in site.staff.items():
        if login not in known:
            password = secrets.token_urlsafe(12)
            await set_password(system.store, login, password)
            token = await add_token(system.store, login, TOKEN_MAY, "demo")
            known[login] = {"password": password, "role": member.role, "unit": member.unit, "token": token}
            _write(path, json.dumps(known, ensure_ascii=False, indent=1))
    return [{"name": login, **rest} for login, rest in known.items()]


def _write(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.rename(path)


def _words(told: Mapping[str, Any]) -> str:
    first = told["addresses"][0]
    staff = "\n".join(f"    {a['name']:<14} {a['password']}   {a['role']}, {a['unit']}" for a in told["accounts"])
    return f"""
Pasokh is running on this machine only.

  portal     {told["web"]}/
  console    {told["web"]}/console/login
  phone      {told["sip"]}     (or: .venv/bin/pasokh call {told["sip"]} --help)
  operators  {told["telephones"][0]["uri"].partition("@")[2]}     (their telephones: .venv/bin/pasokh answer --help)
  mail to    {first["email"]}   at {told["smtp"]}, or from the mailbox page
  mailbox    {told["mailbox"]}
  handset    {told["handset"]}   (text to {first["shortcode"]}, or by SMPP to {told["smpp"]["shortcode"]})
  API        {told["web"]}/openapi.json

  staff      name           password
{staff}

ready: web, phone, sms, mail and desk are up. Ctrl-C stops; the data stays.
"""
