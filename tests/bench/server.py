"""One HTTP server for the benchmarks: Pasokh's durable intake, the same without grouping, or only the validation.

`python -m tests.bench.server durable|single|prepare|validate|bare --dir D [--database URL]` prints its port and serves
until it is told to stop. `validate` is the same program with everything but the store: routes, headers, typed JSON,
checks. `prepare` does besides all that is done to a message before its transaction. `bare` is aiohttp with one handler
that decodes the same body.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import msgspec
from aiohttp import web

from core import fresh, intake
from core.channels import Inbound, Receipt, State
from gateway import loop, supervise, wiring
from web.api import NewTicket


async def durable(options: argparse.Namespace) -> int:
    """The real program with the web as its only channel."""
    parts = supervise.Parts()
    site = wiring.site(None)
    settings = replace(
        site.settings,
        loopback_exempt=True,
        second_factor="optional",
        web=replace(site.settings.web, bind="127.0.0.1", port=0),
    )
    site = replace(site, settings=settings, lines={})
    if options.kind in ONLY:
        intake.Desk.take = ONLY[options.kind]  # type: ignore[method-assign]
    system = await wiring.start(site, options.dir, options.database, parts)
    print(system.web_port, flush=True)
    await told()
    await parts.stop(1)
    return 0


async def _only_checked(desk: intake.Desk, message: Inbound) -> Receipt:
    """What the door would say, without cleaning, routing or storing anything."""
    return Receipt("72940518364", "1234", "secretariat", None, 1, 1, State.NEW)


async def _only_prepared(desk: intake.Desk, message: Inbound) -> Receipt:
    """All but the transaction: cleaned, folded, routed, numbered, hashed."""
    desk._store.fetch_ids()
    return fresh.receipt(desk._preparer.prepare(message, desk._clock.now()))


ONLY = {"validate": _only_checked, "prepare": _only_prepared}


async def bare(options: argparse.Namespace) -> int:
    """aiohttp alone, with one handler that decodes the same body and answers 201."""
    decoder = msgspec.json.Decoder(NewTicket)

    async def take(request: web.Request) -> web.Response:
        decoder.decode(await request.read())
        body = msgspec.json.encode({"id": "1", "code": "72940518364", "pin": "1234", "first": True})
        return web.Response(body=body, status=201, content_type="application/json")

    app = web.Application()
    app.router.add_post("/api/v1/tickets", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await told()
    await runner.cleanup()
    return 0


async def told() -> None:
    """Until SIGINT or SIGTERM."""
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await told.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["durable", "single", *ONLY, "bare"])
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--database")
    options = parser.parse_args()
    options.dir.mkdir(parents=True, exist_ok=True)
    os.sched_setaffinity(0, {0})
    if options.kind == "single":
        from core import store

        store.BATCH_ITEMS = 1
    with asyncio.Runner(loop_factory=loop.new) as runner:
        runner.run(bare(options) if options.kind == "bare" else _hosted(options))


async def _hosted(options: argparse.Namespace) -> int:
    loop.guest(asyncio.get_running_loop())
    try:
        return await durable(options)
    finally:
        loop.stop_guest()


if __name__ == "__main__":
    main()
