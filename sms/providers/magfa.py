"""Magfa's HTTP API v2 as a provider: our numbers as `uids`, found again by them, everything else by polling.

It pushes nothing: texts and delivery states are asked for. A text it handed out once it hands out no more, and it
gives texts no id, so a crash between its answer and our commit is covered by nobody but the citizen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from config.shape import Range
from core import phones
from core.channels import DeliveryState
from sms.providers import base, wire
from sms.providers.base import Accepted, Arrival, Caps, Credit, Doubt, Outcome, ProviderError, Rejected, Report, Text

ZONE = ZoneInfo("Asia/Tehran")  # of its dates
PAGE = 100  # texts of one poll

#: status of a call or of one text → error; what is not listed is Ambiguous
CODES: Mapping[int, Callable[[int], ProviderError]] = {
    **dict.fromkeys((15, 23), lambda c: base.Throttled("busy", c, 30)),
    **dict.fromkeys((2, 16, 17, 18, 19, 20, 22, 29, 34), lambda c: base.AuthOrConfig("account or line", c)),
    14: lambda c: base.NoCredit("no credit", c),
    **dict.fromkeys((1, 28), lambda c: base.BadRecipient("recipient", c)),
    **dict.fromkeys((27, 33), lambda c: base.Blocked("recipient blocks", c)),
    **dict.fromkeys((3, 13, 30), lambda c: base.BadContent("content", c)),
    8: lambda c: base.Throttled("quiet hours", c, 3600),
    **dict.fromkeys((4, 6, 25, 31, *range(101, 111)), lambda c: base.Bug("request", c)),
}
STATES = {
    1: DeliveryState.DELIVERED,
    2: DeliveryState.UNDELIVERED,
    8: DeliveryState.SENT,
    16: DeliveryState.FAILED,
}


@dataclass(frozen=True, slots=True)
class Settings:
    """`[sms.provider.NAME]` with `kind = "magfa"`."""

    kind: str
    user: str  #: name and domain as Magfa writes them: `name/domain`
    password_file: str
    host: str = "sms.magfa.com"
    ca_file: str | None = None
    proxy: str | None = None
    workers: Annotated[int, Range(1, 64)] = 4


class Magfa(base.Plain):
    """100 texts a call."""

    caps = Caps(
        max_batch=100, max_chars=900, keyed=True, find_for=24 * 3600, find_batch=1, inbound=True,
        status_for=24 * 3600, status_batch=100,
    )  # fmt: skip

    def __init__(self, name: str, settings: Settings) -> None:
        self.name, self._settings = name, settings
        self._calls = wire.Calls(name, settings.workers)
        self._session = wire.session(settings.ca_file, settings.workers, settings.proxy)

    async def start(self, sink: base.Sink) -> None:
        """Read the password. Raises OSError naming the file."""
        password = await asyncio.to_thread(Path(self._settings.password_file).read_text)
        self._session.auth = (self._settings.user, password.strip())

    async def stop(self, drain: float) -> None:
        self._session.close()
        self._calls.stop()

    # ---- out

    async def send(self, batch: Sequence[Text]) -> Sequence[Outcome]:
        """One call; each text has a status of its own."""
        try:
            body = await self._ask("POST", "send", _form(batch))
        except base.Ambiguous as error:
            return [Doubt(error)] * len(batch)
        except ProviderError as error:
            return [Rejected(error)] * len(batch)
        rows = {row.get("userId"): row for row in body.get("messages") or [] if isinstance(row, dict)}
        return [_outcome(rows.get(text.key)) for text in batch]

    async def find(self, keys: Sequence[int]) -> Mapping[int, Accepted | None]:
        """`mid` by our number, one call each; -1 = it never had it."""
        found: dict[int, Accepted | None] = {}
        for key in keys:
            mid = (await self._ask("GET", f"mid/{key}")).get("mid")
            if not isinstance(mid, int):
                raise base.Ambiguous("answer without mid")
            found[key] = Accepted(str(mid)) if mid > 0 else None
        return found

    async def status(self, refs: Sequence[str]) -> Sequence[Report]:
        body = await self._ask("GET", f"statuses/{','.join(refs)}")
        rows = [row for row in body.get("dlrs") or [] if isinstance(row, dict)]
        return [Report(str(row.get("mid")), STATES.get(row.get("status") or 0)) for row in rows]

    async def credit(self) -> Credit:
        left = (await self._ask("GET", "balance")).get("balance")
        if not isinstance(left, int | float):
            raise base.Ambiguous("answer without balance")
        return Credit(int(left))

    # ---- in

    async def poll(self, line: str, since: int | None) -> Sequence[Arrival]:
        """New texts, page by page; what was handed out before cannot be had again."""
        found: list[Arrival] = []
        while True:
            body = await self._ask("GET", f"messages/{PAGE}/{line}")
            rows = [row for row in body.get("messages") or [] if isinstance(row, dict)]
            found += [_arrival(row, line) for row in rows]
            if len(rows) < PAGE:
                return found

    # ---- the wire

    async def _ask(self, method: str, path: str, form: Any = None) -> dict[str, Any]:
        url = f"https://{self._settings.host}/api/http/sms/v2/{path}"
        headers = {"Accept": "application/json", "Cache-Control": "no-cache"}
        return await self._calls.run(self._one, method, url, headers, form)

    def _one(self, method: str, url: str, headers: dict[str, str], form: Any) -> dict[str, Any]:
        body = wire.as_json(wire.fetch(self._session, method, url, headers=headers, json=form))
        status = body.get("status") if isinstance(body, dict) else None
        if not isinstance(status, int):
            raise base.Ambiguous("unreadable answer")
        if status != 0:
            raise _error(status)
        return dict(body)


def _form(batch: Sequence[Text]) -> dict[str, Any]:
    return {
        "senders": [text.line for text in batch],
        "messages": [text.text for text in batch],
        "recipients": [text.to.removeprefix("+") for text in batch],
        "uids": [text.key for text in batch],
    }


def _outcome(row: Mapping[str, Any] | None) -> Outcome:
    """By our own number, so that order means nothing."""
    if row is None:
        return Doubt(base.Ambiguous("answer leaves it out"))
    status, ref = row.get("status"), row.get("id")
    if status == 0 and ref:
        parts, tariff = row.get("parts") or 1, row.get("tariff")
        return Accepted(str(ref), int(parts), round(parts * tariff) if isinstance(tariff, int | float) else None)
    error = _error(status if isinstance(status, int) else -1)
    return Doubt(error) if isinstance(error, base.Ambiguous) else Rejected(error)


def _error(status: int) -> ProviderError:
    make = CODES.get(status)
    return make(status) if make else base.Ambiguous("status", status)


def _arrival(row: Mapping[str, Any], line: str) -> Arrival:
    sender = str(row.get("senderNumber", ""))
    to = str(row.get("recipientNumber") or line)
    return Arrival(None, phones.parse(sender) or sender, to.removeprefix("98"), str(row.get("body", "")), _at(row))


def _at(row: Mapping[str, Any]) -> int | None:
    try:
        return int(datetime.strptime(str(row["date"]), "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZONE).timestamp() * 1000)
    except (KeyError, ValueError):
        return None


def make(name: str, settings: Settings) -> Magfa:
    """What `kind = "magfa"` in lines.toml stands for."""
    return Magfa(name, settings)
