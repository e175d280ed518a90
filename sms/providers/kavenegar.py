"""Kavenegar as a provider: batches with our local ids, look-up by local id, polling, call-backs, its return codes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from core import phones
from core.channels import DeliveryState, RawRequest
from sms.providers import base, wire
from sms.providers.base import Accepted, Arrival, Caps, Credit, Doubt, Outcome, ProviderError, Rejected, Report, Text
from sms.providers.kavenegar_client import Client
from sms.settings import ProviderSettings

#: return code → error; what is not listed is Ambiguous (402 and 5xx among them)
CODES: Mapping[int, Callable[[int], ProviderError]] = {
    409: lambda c: base.Throttled("busy", c),
    429: lambda c: base.Throttled("too fast", c, 60),
    451: lambda c: base.Throttled("too fast", c, 60),
    **dict.fromkeys((401, 403, 407, 412, 416, 426, 427, 501), lambda c: base.AuthOrConfig("account or line", c)),
    418: lambda c: base.NoCredit("no credit", c),
    411: lambda c: base.BadRecipient("receptor", c),
    **dict.fromkeys((413, 417, 420, 422, 424, 428, 431, 432), lambda c: base.BadContent("content", c)),
    **dict.fromkeys((400, 404, 405, 406, 414, 415, 419, 604, 607), lambda c: base.Bug("request", c)),
}
STATES = {
    4: DeliveryState.SENT,
    5: DeliveryState.SENT,
    6: DeliveryState.FAILED,
    10: DeliveryState.DELIVERED,
    11: DeliveryState.UNDELIVERED,
    13: DeliveryState.CANCELLED,
    14: DeliveryState.BLOCKED,
}
UNKNOWN = 100
PAGE, PAGES = 200, 50  # rows of a page, pages of one look
WATCHED = ("apilogs", "debugmode", "resendfailed")  #: switches of the account that must be off
ON = ("enabled", "true", "1", "on")
HALVED = (base.BadRecipient, base.BadContent, base.Bug)  # a whole batch refused for one of it


class Kavenegar(base.Plain):
    """The owner's provider, through the real `kavenegar` client in a small thread pool."""

    caps = Caps(
        max_batch=200, max_chars=900, keyed=True, find_for=12 * 3600, find_batch=500, inbound=True,
        status_for=48 * 3600, status_batch=500, template=True,
    )  # fmt: skip

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        self.name = name
        self._calls = wire.Calls(name, settings.workers)
        self._settings = settings
        self._made: Client | None = None

    async def start(self, sink: base.Sink) -> None:
        """Read the key; calls are made one by one. Raises OSError naming the file."""
        self._made = await asyncio.to_thread(self._make)

    def _make(self) -> Client:
        chosen = self._settings
        key = Path(chosen.key_file).read_text().strip()
        return Client(key, chosen.host, chosen.ca_file, chosen.workers, chosen.proxy)

    @property
    def _client(self) -> Client:
        if self._made is None:
            raise base.LinePaused("not started")
        return self._made

    async def stop(self, drain: float) -> None:
        if self._made is not None:
            self._made.close()
        self._calls.stop()

    # ---- out

    async def send(self, batch: Sequence[Text]) -> Sequence[Outcome]:
        """One call; a batch that is refused whole is halved until the bad one stands alone."""
        try:
            entries = await self._ask("sms", *_call(batch))
        except HALVED as error:
            return [Rejected(error)] if len(batch) == 1 else await self._halves(batch)
        except base.Ambiguous as error:
            return [Doubt(error)] * len(batch)
        except ProviderError as error:
            return [Rejected(error)] * len(batch)
        return _matched(batch, _rows(entries))

    async def _halves(self, batch: Sequence[Text]) -> Sequence[Outcome]:
        middle = len(batch) // 2
        return [*await self.send(batch[:middle]), *await self.send(batch[middle:])]

    async def send_template(self, text: Text, template: str, tokens: Mapping[str, str]) -> Outcome:
        """`verify/lookup`: worded at the provider; it knows no local id, so a doubt stays one."""
        form = {"receptor": _national(text.to), "template": template, "type": "sms", **tokens}
        try:
            rows = _rows(await self._ask("verify", "lookup", form))
        except base.Ambiguous as error:
            return Doubt(error)
        except ProviderError as error:
            return Rejected(error)
        return _outcome(text, rows[0]) if rows else Doubt(base.Ambiguous("answer without entries"))

    async def find(self, keys: Sequence[int]) -> Mapping[int, Accepted | None]:
        """By local id, 500 a call. An answer that leaves one of them out says nothing of it: Ambiguous."""
        found: dict[int, Accepted | None] = {}
        for start in range(0, len(keys), self.caps.find_batch):
            form = {"localid": ",".join(map(str, keys[start : start + self.caps.find_batch]))}
            for row in _rows(await self._ask("sms", "statuslocalmessageid", form)):
                key, ref = _number(row.get("localid")), _number(row.get("messageid"))
                if key is not None:
                    known = bool(ref) and _number(row.get("status")) != UNKNOWN
                    found[key] = Accepted(str(ref)) if known else None
        if any(key not in found for key in keys):
            raise base.Ambiguous("answer leaves out what was asked")
        return {key: found[key] for key in keys}

    async def status(self, refs: Sequence[str]) -> Sequence[Report]:
        """How sent texts stand, 500 a call, for 48 h."""
        reports: list[Report] = []
        for start in range(0, len(refs), self.caps.status_batch):
            form = {"messageid": ",".join(refs[start : start + self.caps.status_batch])}
            for row in _rows(await self._ask("sms", "status", form)):
                reports.append(Report(str(row.get("messageid")), STATES.get(_number(row.get("status")) or 0)))
        return reports

    async def cancel(self, refs: Sequence[str]) -> Sequence[str]:
        """What was scheduled and no longer is."""
        if not refs:
            return []
        rows = _rows(await self._ask("sms", "cancel", {"messageid": ",".join(refs)}))
        return [str(row.get("messageid")) for row in rows if _number(row.get("status")) == 13]

    async def credit(self) -> Credit:
        """What is left, and switches of the account that write texts down or send them twice."""
        rows = _rows(await self._ask("account", "info", {}))
        if not rows or _number(rows[0].get("remaincredit")) is None:
            raise base.Ambiguous("answer without credit")
        ends = _number(rows[0].get("expiredate"))
        config = (_rows(await self._ask("account", "config", {})) or [{}])[0]
        warnings = [name for name in WATCHED if str(config.get(name, "")).lower() in ON]
        return Credit(_number(rows[0]["remaincredit"]) or 0, ends * 1000 if ends else None, warnings)

    async def blocked(self, line: str, since: int) -> Sequence[str]:
        """Who blocks the line, by whatever way, page by page."""
        numbers: list[str] = []
        for page in range(1, PAGES + 1):
            form = {"linenumber": line, "startdate": since // 1000, "pagenumber": page}
            rows = _rows(await self._ask("line/blocked", "list", form))
            numbers += filter(None, (phones.parse(str(row.get("receptor", ""))) for row in rows))
            if len(rows) < PAGE:
                break
        return numbers

    # ---- in

    async def poll(self, line: str, since: int | None) -> Sequence[Arrival]:
        """`receive` marks as read; what was read within 48 h comes back by `inboxpaged`, page by page."""
        if since is None:
            rows = _rows(await self._ask("sms", "receive", {"linenumber": line, "isread": 0}))
            return [_arrival(row) for row in rows]
        rows = await self._pages(line, _span(since))  # first, since the next look marks its texts as read too
        return [_arrival(row) for row in [*rows, *await self._pages(line, {"isread": 0})]]

    async def _pages(self, line: str, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        """All pages. With `isread` 0 each reading takes its texts away: it is the first page again and again."""
        rows: list[dict[str, Any]] = []
        for page in range(1, PAGES + 1):
            number = 1 if wanted["isread"] == 0 else page
            got = _rows(await self._ask("sms", "inboxpaged", {"linenumber": line, "pagenumber": number, **wanted}))
            rows += got
            if len(got) < PAGE:
                break
        return rows

    def read_push(self, request: RawRequest) -> Sequence[Arrival | Report]:
        """A text (`from`, `to`, `message`, `messageid`) or a report (`messageid`, `status`), by query, form or JSON."""
        row = _fields(request)
        if "status" in row and "message" not in row:
            ref, status = _number(row.get("messageid")), _number(row.get("status"))
            if not ref or status is None:
                raise ValueError("report without messageid or status")
            return [Report(str(ref), STATES.get(status), row.get("statustext", ""))]
        if not (row.get("from") or row.get("sender")) or "message" not in row:
            raise ValueError("push without sender or message")
        return [_arrival(row)]

    # ---- the wire

    async def _ask(self, scope: str, method: str, form: dict[str, Any]) -> Any:
        status, entries = await self._calls.run(self._client.ask, scope, method, form)
        if status != 200:
            raise _error(status)
        return entries


def _error(status: int) -> ProviderError:
    make = CODES.get(status)
    return make(status) if make else base.Ambiguous("return code", status)


def _span(since: int) -> dict[str, Any]:
    """Texts that were read already; without dates the provider means the last 48 h."""
    return {"isread": 1, "startdate": since // 1000} if since else {"isread": 1}


def _call(batch: Sequence[Text]) -> tuple[str, dict[str, Any]]:
    """Equal texts by the shorter call."""
    if len(batch) > 1 and len({(text.text, text.line) for text in batch}) == 1:
        return "send", _equal(batch)
    return "sendarray", _array(batch)


def _equal(batch: Sequence[Text]) -> dict[str, Any]:
    return {
        "receptor": ",".join(_national(text.to) for text in batch),
        "sender": batch[0].line,
        "message": batch[0].text,
        "localid": ",".join(str(text.key) for text in batch),
    }


def _array(batch: Sequence[Text]) -> dict[str, Any]:
    return {
        "receptor": json.dumps([_national(text.to) for text in batch]),
        "sender": json.dumps([text.line for text in batch]),
        "message": json.dumps([text.text for text in batch], ensure_ascii=False),
        "localmessageids": json.dumps([text.key for text in batch]),
    }


def _national(number: str) -> str:
    """E.164 → 09…, as the provider writes receptors."""
    return "0" + number.removeprefix("+98") if number.startswith("+98") else number


def _rows(entries: Any) -> list[dict[str, Any]]:
    """`entries` is a list, one dict, or null."""
    if isinstance(entries, dict):
        return [entries]
    return [row for row in entries or [] if isinstance(row, dict)]


def _matched(batch: Sequence[Text], rows: Sequence[dict[str, Any]]) -> list[Outcome]:
    """Answers carry no local id: by place *and* receptor, else in doubt."""
    if len(rows) != len(batch):
        return [Doubt(base.Ambiguous("answer of another length"))] * len(batch)
    return [_outcome(text, row) for text, row in zip(batch, rows, strict=True)]


def _outcome(text: Text, row: dict[str, Any]) -> Outcome:
    ref = _number(row.get("messageid"))
    if phones.parse(str(row.get("receptor", ""))) != text.to or not ref:
        return Doubt(base.Ambiguous("answer for another number"))
    status = _number(row.get("status"))
    if status == 14:
        return Rejected(base.Blocked("recipient blocks", 14))
    if status in (6, 13):
        return Rejected(base.BadContent("failed", status))
    return Accepted(str(ref), cost=_number(row.get("cost")))


def _arrival(row: Mapping[str, Any]) -> Arrival:
    sender = str(row.get("from") or row.get("sender") or "")
    ref = _number(row.get("messageid"))
    at = _number(row.get("date"))
    to = str(row.get("to") or row.get("receptor") or "")
    return Arrival(str(ref) if ref else None, sender, to, str(row.get("message", "")), at * 1000 if at else None)


def _fields(request: RawRequest) -> dict[str, str]:
    """Query, then body; names folded. Raises ValueError when the body is none of form or JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    fields = dict(request.query)
    text = request.body.decode("utf-8")
    if kind == "application/json" and text:
        got = json.loads(text)
        if not isinstance(got, dict):
            raise ValueError("JSON body is no object")
        fields |= {str(k): "" if v is None else str(v) for k, v in got.items()}
    elif text:
        fields |= dict(parse_qsl(text, keep_blank_values=True))
    return {name.strip().lower(): value for name, value in fields.items()}


def _number(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def make(name: str, settings: ProviderSettings) -> Kavenegar:
    """What `kind = "kavenegar"` in lines.toml stands for."""
    return Kavenegar(name, settings)
