"""A made-up Kavenegar: its API over TLS with limits, codes, local ids and faults, before the made-up network.

Faults are set by method and count: `POST /faults.json {"method": "sendarray", "fault": "reset_after", "count": 2}`.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trustme
from aiohttp import web

from tests.worlds import faults
from tests.worlds.network import BLOCKED, CANCELLED, SCHEDULED, Network, national

__all__ = ["Api", "Network", "application", "certificate", "national"]

HOUR = 3600
LOCAL_FOR, STATUS_FOR, INBOX_FOR, DAY = 12 * HOUR, 48 * HOUR, 48 * HOUR, 24 * HOUR
Form = dict[str, str]


class Refusal(Exception):
    """A return code instead of entries."""

    def __init__(self, status: int) -> None:
        self.status = status


class Api:
    """The methods by name; each takes the form's fields and returns entries, or raises Refusal."""

    def __init__(self, network: Network) -> None:
        self.network = network
        sms = {
            "send": self.send, "sendarray": self.sendarray, "status": self.status, "select": self.select,
            "statuslocalmessageid": self.by_local, "statusbyreceptor": self.by_receptor, "cancel": self.cancel,
            "latestoutbox": self.latest, "selectoutbox": self.outbox, "countoutbox": self.count_out,
            "receive": self.receive, "inboxpaged": self.inboxpaged, "countinbox": self.count_in,
        }  # fmt: skip
        self.methods: dict[str, Callable[[Form], Any]] = {f"sms/{name}": method for name, method in sms.items()}
        self.methods |= {
            "verify/lookup": self.lookup, "call/maketts": self.maketts, "account/info": self.info,
            "account/config": lambda form: network.config,
            "utils/getdate": lambda form: {"unixtime": network.now()},
            "line/blocked/list": self.blocked_list, "line/blocked/exists": self.blocked_exists,
            "line/blocked/add": self.blocked_add, "line/blocked/remove": self.blocked_remove,
        }  # fmt: skip

    async def answer(self, request: web.Request) -> web.StreamResponse:
        name = f"{request.match_info['scope']}/{request.match_info['method']}"
        method, free = self.methods.get(name), name == "utils/getdate"
        if request.match_info["key"] != self.network.key and not free:
            return _answer(403, None)
        if method is None:
            return _answer(404, None)
        if name == "line/blocked/remove" and request.method != "DELETE":
            return _answer(405, None)
        form = {k: str(v) for k, v in (await request.post()).items()} | dict(request.query)
        return await self._with_faults(request, name.rpartition("/")[2], method, form)

    async def _with_faults(
        self, request: web.Request, name: str, method: Callable[[Form], Any], form: Form
    ) -> web.StreamResponse:
        fault = self.network.fault(name)
        await faults.before(fault, request, lambda: method(form), self.network.later)
        if fault.isdigit():
            return _answer(int(fault), None)
        try:
            entries = method(form)
        except Refusal as refusal:
            return _answer(refusal.status, None)
        except (KeyError, ValueError):
            return _answer(400, None)
        return await faults.after(fault, request, _body(200, entries))

    # ---- sending

    def send(self, form: Form) -> list[dict[str, Any]]:
        receptors = form["receptor"].split(",")
        locals_ = form["localid"].split(",") if form.get("localid") else [""] * len(receptors)
        if len(locals_) != len(receptors):
            raise Refusal(419)
        sender, at = form.get("sender", ""), int(form.get("date", "0"))
        return self._all(
            [(to, sender, form["message"], local) for to, local in zip(receptors, locals_, strict=True)], at
        )

    def sendarray(self, form: Form) -> list[dict[str, Any]]:
        receptors, senders, messages = (json.loads(form[name]) for name in ("receptor", "sender", "message"))
        locals_ = [str(each) for each in json.loads(form.get("localmessageids", "[]"))] or [""] * len(receptors)
        if len({len(receptors), len(senders), len(messages), len(locals_)}) != 1:
            raise Refusal(419)
        return self._all(list(zip(receptors, senders, messages, locals_, strict=True)), int(form.get("date", "0")))

    def _all(self, rows: list[tuple[str, str, str, str]], at: int) -> list[dict[str, Any]]:
        """All or nothing: one bad receptor or text refuses the whole call."""
        if len(rows) > 200:
            raise Refusal(414)
        for to, _, message, _ in rows:
            _check(to, message)
        if self.network.credit <= 0:
            raise Refusal(418)
        return [_told(self.network.accept(to, sender, message, local, at)) for to, sender, message, local in rows]

    def lookup(self, form: Form) -> list[dict[str, Any]]:
        """A template of the account; tokens have no blanks and at most 100 characters."""
        tokens = [form.get(name, "") for name in ("token", "token2", "token3")]
        if not form["template"].isidentifier():
            raise Refusal(424)
        if any(" " in token or len(token) > 100 for token in tokens) or not tokens[0]:
            raise Refusal(431)
        _check(form["receptor"], "x")
        return [
            _told(self.network.accept(form["receptor"], "template", f"{form['template']}: {' '.join(tokens)}".strip()))
        ]

    def maketts(self, form: Form) -> list[dict[str, Any]]:
        return [_told(self.network.accept(to, "call", form["message"])) for to in form["receptor"].split(",")]

    # ---- asking

    def status(self, form: Form) -> list[dict[str, Any]]:
        wanted = [int(each) for each in form["messageid"].split(",")]
        if len(wanted) > 500:
            raise Refusal(414)
        return [{"messageid": n, "status": self._state(self.network.by_id.get(n), STATUS_FOR)} for n in wanted]

    def _state(self, row: dict[str, Any] | None, span: int) -> int:
        known = row is not None and self.network.now() - row["date"] <= span
        return int(row["status"]) if known and row is not None else 100

    def by_local(self, form: Form) -> list[dict[str, Any]]:
        found = []
        for local in form["localid"].split(","):
            row = self.network.by_local.get(local)
            state = self._state(row, LOCAL_FOR)
            found.append(
                {"messageid": row["messageid"] if row and state != 100 else 0, "localid": local, "status": state}
            )
        return found

    def by_receptor(self, form: Form) -> list[dict[str, Any]]:
        since, to = int(form["startdate"]), national(form["receptor"])
        if int(form.get("enddate", since)) - since > DAY:
            raise Refusal(417)
        return [_told(row) for row in self.network.sent.rows if row["receptor"] == to and row["date"] >= since]

    def select(self, form: Form) -> list[dict[str, Any]]:
        wanted = {int(each) for each in form["messageid"].split(",")}
        return [_told(row) for row in self.network.sent.rows if row["messageid"] in wanted]

    def latest(self, form: Form) -> list[dict[str, Any]]:
        return [_told(row) for row in self.network.sent.rows[-int(form.get("pagesize", "500")) :]]

    def outbox(self, form: Form) -> list[dict[str, Any]]:
        since = int(form["startdate"])
        until = int(form.get("enddate", since + DAY))
        if until - since > DAY or self.network.now() - since > 3 * DAY:
            raise Refusal(417)
        return [_told(row) for row in self.network.sent.rows if since <= row["date"] <= until][:500]

    def count_out(self, form: Form) -> list[dict[str, Any]]:
        rows = self.outbox(form)
        return [{"sumcount": len(rows), "cost": sum(row["cost"] for row in rows)}]

    def cancel(self, form: Form) -> list[dict[str, Any]]:
        rows = [
            self.network.by_id[int(each)] for each in form["messageid"].split(",") if int(each) in self.network.by_id
        ]
        for row in rows:
            if row["status"] == SCHEDULED:
                row["status"] = CANCELLED
        return [{"messageid": row["messageid"], "status": row["status"]} for row in rows]

    # ---- texts in

    def receive(self, form: Form) -> list[dict[str, Any]]:
        return self._inbox(form, form.get("isread", "0") == "1", 100)

    def inboxpaged(self, form: Form) -> list[dict[str, Any]]:
        page = int(form.get("pagenumber", "1"))
        return self._inbox(form, form.get("isread", "0") == "1", 200, page)

    def count_in(self, form: Form) -> list[dict[str, Any]]:
        since = int(form["startdate"])
        return [{"sumcount": sum(row["date"] >= since for row in self.network.inbox.rows)}]

    def _inbox(self, form: Form, read: bool, most: int, page: int = 1) -> list[dict[str, Any]]:
        line, mine = form["linenumber"], self.network
        since = int(form.get("startdate", mine.now() - INBOX_FOR))
        if mine.now() - since > INBOX_FOR + 60:
            raise Refusal(417)
        rows = [
            row for row in mine.inbox.rows
            if row["receptor"] == line and (row["messageid"] in mine.read) == read and row["date"] >= since
        ]  # fmt: skip
        rows = rows[(page - 1) * most : page * most]
        mine.read |= {row["messageid"] for row in rows}
        return rows

    # ---- account and lists

    def info(self, form: Form) -> dict[str, Any]:
        return {"remaincredit": self.network.credit, "expiredate": self.network.now() + 365 * DAY, "type": "Master"}

    def blocked_list(self, form: Form) -> list[dict[str, Any]]:
        since = int(form.get("startdate", self.network.now() - DAY))
        rows = [(number, at) for number, at in self.network.blocked.items() if at >= since]
        page = int(form.get("pagenumber", "1"))
        return [
            {"receptor": number, "blockreason": 2, "date": at} for number, at in rows[(page - 1) * 200 : page * 200]
        ]

    def blocked_exists(self, form: Form) -> list[dict[str, Any]]:
        return [{"receptor": each, "status": self._listed(each)} for each in form["receptor"].split(",")]

    def _listed(self, number: str) -> str:
        return "Active" if national(number) in self.network.blocked else "NotExists"

    def blocked_add(self, form: Form) -> list[dict[str, Any]]:
        for each in form["receptor"].split(","):
            self.network.blocked.setdefault(national(each), self.network.now())
        return self.blocked_exists(form)

    def blocked_remove(self, form: Form) -> list[dict[str, Any]]:
        for each in form["receptor"].split(","):
            self.network.blocked.pop(national(each), None)
        return self.blocked_exists(form)


def _check(to: str, message: str) -> None:
    if not national(to).startswith("09") or len(national(to)) != 11:
        raise Refusal(411)
    if not message or len(message) > 900:
        raise Refusal(413)


def _told(row: dict[str, Any]) -> dict[str, Any]:
    told = {k: row[k] for k in ("messageid", "message", "sender", "receptor", "date", "cost")}
    return {**told, "status": BLOCKED if row["status"] == BLOCKED else SCHEDULED if row["status"] == SCHEDULED else 1}


def _body(status: int, entries: Any) -> dict[str, Any]:
    return {"return": {"status": status, "message": "تایید شد" if status == 200 else "خطا"}, "entries": entries}


def _answer(status: int, entries: Any) -> web.Response:
    return web.json_response(_body(status, entries), status=status)


def application(network: Network) -> web.Application:
    """What answers on the TLS port."""
    app = web.Application(client_max_size=8 << 20)
    app.router.add_route("*", "/v1/{key}/{scope:.+}/{method}.json", Api(network).answer)
    return app


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server context for 127.0.0.1 and the file of the authority that signed it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    path = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return context, path
