"""The whole made-up outside world as one process: Kavenegar over TLS, a message centre, handset and mailbox pages.

Prints one JSON line with its ports when it is ready and ends with the process that started it.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import signal
from pathlib import Path

from aiohttp import web

from gateway import loop
from tests.worlds import kavenegar
from tests.worlds.handset import Handset
from tests.worlds.mail import Mailbox

PR_SET_PDEATHSIG = 1


async def run(options: argparse.Namespace) -> None:
    """Serve until told to stop."""
    folder: Path = options.dir
    network = kavenegar.Network(folder / "sms", options.key)
    mailbox = Mailbox(folder / "mail", None)
    context, authority = kavenegar.certificate(folder)
    reactor = loop.guest(asyncio.get_running_loop())
    from tests.worlds import smsc

    centre = smsc.Smsc(
        network,
        folder / "sms",
        smsc.Ways(password=_password(options.smpp_password_file), numbers=(options.smpp_number,)),
    )
    smpp = smsc.listen(reactor, centre, options.smpp)
    runners = []
    ports = []
    for app, port, tls in (
        (kavenegar.application(network), options.sms, context),
        (_pages(network, mailbox, options.short_code), options.world, None),
    ):
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls)
        await site.start()
        runners.append(runner)
        ports.append(runner.addresses[0][1])
    smtp = await mailbox.start_smtp("127.0.0.1", options.smtp)
    ready = {**_ready(ports, authority, smtp), "smpp": f"127.0.0.1:{smpp.getHost().port}"}
    print(json.dumps(ready), flush=True)
    await _told()
    smpp.stopListening()
    centre.close()
    for runner in runners:
        await runner.cleanup()
    await mailbox.stop()
    await network.close()
    loop.stop_guest()


def _password(file: Path | None) -> str:
    return "made-key" if file is None else file.read_text().strip()


def _ready(ports: list[int], authority: Path, smtp: int) -> dict[str, object]:
    pages = f"http://127.0.0.1:{ports[1]}"
    return {
        "ready": True,
        "kavenegar": f"127.0.0.1:{ports[0]}",
        "ca": str(authority),
        "handset": f"{pages}/handset",
        "mailbox": f"{pages}/mailbox",
        "target": f"{pages}/target.json",
        "smtp": f"127.0.0.1:{smtp}",
    }


def _pages(network: kavenegar.Network, mailbox: Mailbox, short_code: str) -> web.Application:
    async def target(request: web.Request) -> web.Response:
        """Where Pasokh is: `{"hook": URL, "smtp": "host:port"}`, known only once it has started."""
        body = await request.json()
        network.hook = body["hook"]
        host, _, port = body["smtp"].rpartition(":")
        mailbox.target = (host, int(port))
        return web.json_response({})

    app = web.Application(client_max_size=32 << 20)
    app.add_routes([*Handset(network, short_code).routes(), *mailbox.routes(), web.post("/target.json", target)])
    return app


async def _told() -> None:
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await told.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="folder that remembers texts and letters")
    parser.add_argument("--sms", type=int, default=8443, help="TLS port of the made-up Kavenegar, 0 = any free one")
    parser.add_argument("--smpp", type=int, default=2775, help="SMPP port of the message centre, 0 = any free one")
    parser.add_argument("--smpp-number", default="30005678", help="short code whose texts go by SMPP")
    parser.add_argument("--smpp-password-file", type=Path, help="whose password the message centre expects")
    parser.add_argument("--world", type=int, default=8081, help="port of the pages, 0 = any free one")
    parser.add_argument("--smtp", type=int, default=0, help="port that takes our outgoing mail, 0 = any free one")
    parser.add_argument("--key", default="made-up-key", help="API key of the made-up Kavenegar")
    parser.add_argument("--short-code", default="30001234", help="short code shown on the handset page")
    parser.add_argument("--with-parent", action="store_true", help="end when the starting process ends")
    options = parser.parse_args()
    if options.with_parent:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    options.dir.mkdir(parents=True, exist_ok=True)
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
