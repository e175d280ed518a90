"""A made-up Magfa: its HTTP API v2 over TLS before the made-up network, with its statuses and the shared faults."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tests.worlds import faults
from tests.worlds.network import BLOCKED, DELIVERED, SENT, UNDELIVERED, Network, national

USER, PASSWORD = "sample/agency", "made-up-password"
DAY = 86_400  # seconds an id is known
STATES = {DELIVERED: 1, UNDELIVERED: 2, SENT: 8, BLOCKED: 16}


class Api:
    """Methods by their first word."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.handed: set[int] = set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if request.headers.get("Authorization") != expected:
            return web.json_response({"status": 18})
        name, _, rest = request.match_info["path"].partition("/")
        form = await request.json() if request.method == "POST" else {}
        deeds: dict[str, Callable[[], dict[str, Any]]] = {
            "send": lambda: self.send(form), "mid": lambda: self.mid(rest), "statuses": lambda: self.statuses(rest),
            "balance": lambda: {"balance": self.network.credit}, "messages": lambda: self.messages(rest),
        }  # fmt: skip
        fault = self.network.fault(name)
        await faults.before(fault, request, deeds[name], self.network.later)
        if fault.isdigit():
            return web.json_response({"status": int(fault)})
        return await faults.after(fault, request, {"status": 0, **deeds[name]()})

    def send(self, form: dict[str, Any]) -> dict[str, Any]:
        rows = zip(form["recipients"], form["senders"], form["messages"], form["uids"], strict=True)
        return {"messages": [self._one(*row) for row in rows][::-1]}  # in no order one may lean on

    def _one(self, to: str, sender: str, message: str, uid: int) -> dict[str, Any]:
        if not national(to).startswith("09"):
            return {"status": 1, "userId": uid, "recipient": to}
        if national(to) in self.network.blocked:
            return {"status": 33, "userId": uid, "recipient": to}
        if self.network.credit <= 0:
            return {"status": 14, "userId": uid, "recipient": to}
        row = self.network.accept(to, sender, message, str(uid))
        return {
            "status": 0, "id": row["messageid"], "userId": uid, "parts": row["parts"],
            "tariff": row["cost"] / row["parts"], "alphabet": "UCS2", "recipient": to,
        }  # fmt: skip

    def mid(self, uid: str) -> dict[str, Any]:
        row = self.network.by_local.get(uid)
        return {"mid": row["messageid"] if row and self.network.now() - row["date"] < DAY else -1}

    def statuses(self, ids: str) -> dict[str, Any]:
        known = self.network.by_id
        states = {n: STATES[known[n]["status"]] if n in known else -1 for n in map(int, ids.split(","))}
        return {"dlrs": [{"mid": n, "status": state, "date": "2024-08-14 11:00:00"} for n, state in states.items()]}

    def messages(self, rest: str) -> dict[str, Any]:
        """Each text once: reading takes it away."""
        count, _, line = rest.partition("/")
        rows = [row for row in self.network.inbox.rows if row["messageid"] not in self.handed]
        rows = [row for row in rows if row["receptor"] == line][: int(count)]
        self.handed |= {row["messageid"] for row in rows}
        return {"messages": [_shown(row) for row in rows]}


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(row["date"] + 12_600))  # Tehran, 3 h 30 min before us
    return {
        "body": row["message"], "senderNumber": "98" + row["sender"][1:], "recipientNumber": "98" + row["receptor"],
        "date": at,
    }  # fmt: skip


def application(network: Network) -> web.Application:
    """What answers on the TLS port."""
    app = web.Application()
    app.router.add_route("*", "/api/http/sms/v2/{path:.+}", Api(network).answer)
    return app
