"""A made-up Kavenegar: its API over TLS with limits, codes, local ids and faults, and the mobile network behind it.

Faults are set by method and count: `POST /faults.json {"method": "sendarray", "fault": "reset_after", "count": 2}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import trustme
from aiohttp import web

from tests.worlds.ledger import Ledger

STATUS_QUEUED, STATUS_SENT, STATUS_DELIVERED = 1, 5, 10


def national(number: str) -> str:
    """09… as the provider writes numbers."""
    digits = "".join(c for c in number if c.isdigit())
    for prefix in ("0098", "98"):
        if digits.startswith(prefix) and len(digits) > 10:
            digits = digits[len(prefix) :]
    return digits if digits.startswith("0") or len(digits) < 10 else "0" + digits


class Network:
    """Handsets and the provider's books. `hook`: where texts and reports are pushed to."""

    def __init__(self, folder: Path, key: str) -> None:
        self.key = key
        self.hook: str | None = None
        self.host = ""  #: host:port of the API, once it listens
        self.authority = folder / "ca.pem"
        self.sent = Ledger(folder / "sent.jsonl")
        self.inbox = Ledger(folder / "inbox.jsonl")
        self.read: set[int] = set()
        self.by_local = {row["localid"]: row for row in self.sent.rows if row.get("localid")}
        self.faults: dict[str, list[str]] = {}
        self.pushed: list[tuple[int, str]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self._last = max([0, *(row["messageid"] for row in (*self.sent.rows, *self.inbox.rows))])

    def number(self) -> int:
        self._last = max(self._last + 1, int(time.time() * 1000))
        return self._last

    # ---- a citizen's thumb

    async def text(self, sender: str, to: str, message: str) -> int:
        """A citizen sends; it lies in the inbox and is pushed, as the provider would."""
        row = self.inbox.add(
            messageid=self.number(), sender=national(sender), receptor=to, message=message, date=int(time.time())
        )
        fields = {"messageid": row["messageid"], "from": row["sender"], "to": to, "message": message}
        await self._push(fields)
        return int(row["messageid"])

    async def _push(self, fields: dict[str, Any]) -> None:
        if self.hook is None:
            return
        status = "no connection"
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            self._session = self._session or aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
            async with self._session.post(self.hook, data=fields) as answer:
                status = str(answer.status)
        self.pushed.append((int(fields["messageid"]), status))

    # ---- the provider's side

    def accept(self, receptor: str, sender: str, message: str, localid: str) -> dict[str, Any]:
        """Store and 'deliver'; a local id seen before returns the old record as success."""
        if localid and localid in self.by_local:
            return self.by_local[localid]
        row = self.sent.add(
            messageid=self.number(),
            receptor=national(receptor),
            sender=sender,
            message=message,
            localid=localid,
            status=STATUS_SENT,
            date=int(time.time()),
            cost=1200,
        )
        if localid:
            self.by_local[localid] = row
        self._later(self._push({"messageid": row["messageid"], "status": STATUS_DELIVERED}))
        return row

    def _later(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def thread(self, phone: str) -> list[dict[str, Any]]:
        """All texts of a handset, oldest first."""
        mine = national(phone)
        got = [_shown(row, "in", row["sender"], mine) for row in self.sent.rows if row["receptor"] == mine]
        wrote = [_shown(row, "out", mine, row["receptor"]) for row in self.inbox.rows if row["sender"] == mine]
        return sorted([*got, *wrote], key=lambda row: row["id"])

    def phones(self) -> list[str]:
        return sorted({row["receptor"] for row in self.sent.rows} | {row["sender"] for row in self.inbox.rows})

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._session is not None:
            await self._session.close()
        self.sent.close()
        self.inbox.close()


def _shown(row: dict[str, Any], way: str, sender: str, to: str) -> dict[str, Any]:
    at = row["date"] * 1000
    return {"id": row["messageid"], "from": sender, "to": to, "text": row["message"], "at": at, "way": way}


# ---------------------------------------------------------------- the API


def _answer(status: int, entries: Any, message: str = "") -> web.Response:
    body = {"return": {"status": status, "message": message or ("تایید شد" if status == 200 else "خطا")}}
    return web.json_response({**body, "entries": entries}, status=status)


class Refusal(Exception):
    """A return code instead of entries."""

    def __init__(self, status: int) -> None:
        self.status = status


class Api:
    """The methods by name; each takes the form's fields and returns entries, or raises Refusal."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.methods: dict[str, Callable[[dict[str, str]], Any]] = {
            "sms/send": self.send,
            "sms/sendarray": self.sendarray,
            "sms/status": self.status,
            "sms/statuslocalmessageid": self.by_local,
            "sms/receive": self.receive,
            "sms/inboxpaged": self.inboxpaged,
            "account/info": lambda form: {"remaincredit": 1_000_000, "expiredate": 0, "type": "Master"},
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["key"] != self.network.key:
            return _answer(403, None)
        name = f"{request.match_info['scope']}/{request.match_info['method']}"
        method = self.methods.get(name)
        if method is None:
            return _answer(404, None)
        form = {k: str(v) for k, v in (await request.post()).items()} | dict(request.query)
        return await self._with_faults(request, request.match_info["method"], method, form)

    async def _with_faults(
        self, request: web.Request, name: str, method: Callable[[dict[str, str]], Any], form: dict[str, str]
    ) -> web.StreamResponse:
        queue = self.network.faults.get(name, [])
        fault = queue.pop(0) if queue else ""
        if fault == "hang":
            await asyncio.sleep(60)
        if fault == "reset_before":
            return self._reset(request)
        if fault.isdigit():
            return _answer(int(fault), None)
        try:
            entries = method(form)
        except Refusal as refusal:
            return _answer(refusal.status, None)
        except (KeyError, ValueError):
            return _answer(400, None)
        if fault == "reset_after":
            return self._reset(request)
        if fault == "drip":
            return await self._drip(request, entries)
        odd = {"empty": web.Response(body=b""), "html": web.Response(text="<h1>502</h1>", status=502)}
        return odd.get(fault) or (web.json_response({}) if fault == "bare" else _answer(200, entries))

    def _reset(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError

    async def _drip(self, request: web.Request, entries: Any) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for octet in json.dumps({"return": {"status": 200}, "entries": entries}).encode():
            await response.write(bytes([octet]))
            await asyncio.sleep(2)
        return response

    # ---- methods

    def send(self, form: dict[str, str]) -> list[dict[str, Any]]:
        receptors, locals_ = form["receptor"].split(","), form.get("localid", "").split(",")
        if len(receptors) > 200:
            raise Refusal(414)
        pairs = zip(receptors, locals_ + [""] * len(receptors), strict=False)
        return [self._one(to, form.get("sender", ""), form["message"], local) for to, local in pairs]

    def sendarray(self, form: dict[str, str]) -> list[dict[str, Any]]:
        receptors, senders, messages = (json.loads(form[name]) for name in ("receptor", "sender", "message"))
        locals_ = [str(each) for each in json.loads(form.get("localmessageids", "[]"))] or [""] * len(receptors)
        if len({len(receptors), len(senders), len(messages), len(locals_)}) != 1:
            raise Refusal(419)
        if len(receptors) > 200:
            raise Refusal(414)
        rows = zip(receptors, senders, messages, locals_, strict=True)
        return [self._one(*row) for row in rows]

    def _one(self, to: str, sender: str, message: str, localid: str) -> dict[str, Any]:
        if not national(to).startswith("09") or len(national(to)) != 11:
            raise Refusal(411)
        if not message or len(message) > 900:
            raise Refusal(413)
        row = self.network.accept(to, sender, message, localid)
        return {k: row[k] for k in ("messageid", "message", "status", "sender", "receptor", "date", "cost")}

    def status(self, form: dict[str, str]) -> list[dict[str, Any]]:
        known = {row["messageid"]: row for row in self.network.sent.rows}
        wanted = [int(each) for each in form["messageid"].split(",")]
        return [{"messageid": n, "status": known[n]["status"] if n in known else 100} for n in wanted]

    def by_local(self, form: dict[str, str]) -> list[dict[str, Any]]:
        found = []
        for local in form["localid"].split(","):
            row = self.network.by_local.get(local)
            found.append(
                {"messageid": row["messageid"], "localid": local, "status": row["status"]}
                if row
                else {"messageid": 0, "localid": local, "status": 100}
            )
        return found

    def receive(self, form: dict[str, str]) -> list[dict[str, Any]]:
        return self._inbox(form, form.get("isread", "0") == "1", 100)

    def inboxpaged(self, form: dict[str, str]) -> list[dict[str, Any]]:
        page = int(form.get("pagenumber", "1"))
        return self._inbox(form, form.get("isread", "0") == "1", 200, page)

    def _inbox(self, form: dict[str, str], read: bool, most: int, page: int = 1) -> list[dict[str, Any]]:
        line, mine = form["linenumber"], self.network
        rows = [row for row in mine.inbox.rows if row["receptor"] == line and (row["messageid"] in mine.read) == read]
        rows = rows[(page - 1) * most : page * most]
        mine.read |= {row["messageid"] for row in rows}
        return rows


def application(network: Network) -> web.Application:
    """What answers on the TLS port."""
    app = web.Application(client_max_size=8 << 20)
    app.router.add_route("*", "/v1/{key}/{scope}/{method}.json", Api(network).answer)
    return app


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server context for 127.0.0.1 and the file of the authority that signed it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    path = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return context, path
