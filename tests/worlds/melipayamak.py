"""A made-up Melipayamak: its REST API over TLS before the made-up network; it pushes texts by GET, without an id."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import web

from tests.worlds import faults
from tests.worlds.network import BLOCKED, DELIVERED, SENT, UNDELIVERED, Network, national

USER, PASSWORD = "sample", "made-up-password"
STATES = {DELIVERED: 1, UNDELIVERED: 2, SENT: 8, BLOCKED: 35}
IDS = 1_000_000_000_000_000_000  # added to the network's numbers: ids here are long


class Api:
    """Methods by name."""

    def __init__(self, network: Network) -> None:
        self.network = network
        network.push = self.push

    async def answer(self, request: web.Request) -> web.StreamResponse:
        form = {key: str(value) for key, value in (await request.post()).items()}
        if (form.get("username"), form.get("password")) != (USER, PASSWORD):
            return web.json_response(_told("0", 35))
        name = request.match_info["method"]
        deeds: dict[str, Callable[[dict[str, str]], dict[str, Any]]] = {
            "SendSMS": self.send, "GetDeliveries2": self.delivery, "GetMessages": self.messages,
            "GetCredit": lambda form: _told(str(self.network.credit)),
        }  # fmt: skip
        fault = self.network.fault(name)
        await faults.before(fault, request, lambda: deeds[name](form), self.network.later)
        if fault.isdigit():
            return web.json_response(_told(fault, 35))
        return await faults.after(fault, request, deeds[name](form))

    def send(self, form: dict[str, str]) -> dict[str, Any]:
        if not national(form["to"]).startswith("09"):
            return _told("16")
        if self.network.credit <= 0:
            return _told("2", 35)
        return _told(str(IDS + self.network.accept(form["to"], form["from"], form["text"])["messageid"]))

    def delivery(self, form: dict[str, str]) -> dict[str, Any]:
        row = self.network.by_id.get(int(form["recID"]) - IDS)
        return _told(str(STATES[row["status"]]) if row else "-1")

    def messages(self, form: dict[str, str]) -> dict[str, Any]:
        rows = [row for row in self.network.inbox.rows if row["receptor"] == form["from"]][-int(form["count"]) :]
        shown = [
            {"MsgID": row["messageid"], "Body": row["message"], "Sender": row["sender"], "Receiver": row["receptor"]}
            for row in rows
        ]
        return {**_told("ok"), "Data": shown}

    async def push(self, fields: dict[str, Any]) -> None:
        """GET with sender, line and words; nothing tells one text from another. States are not pushed."""
        if self.network.hook is None or "status" in fields:
            return
        query = {"from": fields["from"], "to": fields["to"], "text": fields["message"]}
        status = "no connection"
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self.network.session().get(self.network.hook, params=query) as answer:
                status = str(answer.status)
        self.network.pushed.append((int(fields["messageid"]), status))


def _told(value: str, status: int = 1) -> dict[str, Any]:
    return {"Value": value, "RetStatus": status, "StrRetStatus": "Ok" if status == 1 else "InvalidData"}


def application(network: Network) -> web.Application:
    """What answers on the TLS port."""
    app = web.Application()
    app.router.add_post("/api/SendSMS/{method}", Api(network).answer)
    return app
