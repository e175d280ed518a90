"""Melipayamak's REST API as a provider: one text a call, no number of ours, texts in by GET without any id.

It cannot be asked what it did with a text whose answer was lost: such texts wait for a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from config.shape import Range
from core import phones
from core.channels import DeliveryState, RawRequest
from sms.providers import base, wire
from sms.providers.base import Accepted, Arrival, Caps, Credit, Doubt, Outcome, ProviderError, Rejected, Report, Text

LONG = 15  # digits a message's id has at least; shorter values are return codes

#: `Value` of a refused send → error; what is not listed is Ambiguous
CODES: Mapping[int, Callable[[int], ProviderError]] = {
    **dict.fromkeys((0, 5, 6, 10, 11, 12, 35), lambda c: base.AuthOrConfig("account or line", c)),
    2: lambda c: base.NoCredit("no credit", c),
    **dict.fromkeys((3, 4, 9), lambda c: base.Throttled("too many", c, 60)),
    **dict.fromkeys((7, 14, 18), lambda c: base.BadContent("content", c)),
    **dict.fromkeys((15, 16, 17), lambda c: base.BadRecipient("recipient", c)),
}
STATES = {
    1: DeliveryState.DELIVERED,
    2: DeliveryState.UNDELIVERED,
    3: DeliveryState.FAILED,
    8: DeliveryState.SENT,
    16: DeliveryState.FAILED,
    35: DeliveryState.BLOCKED,
}


@dataclass(frozen=True, slots=True)
class Settings:
    """`[sms.provider.NAME]` with `kind = "melipayamak"`."""

    kind: str
    user: str
    password_file: str
    host: str = "rest.payamak-panel.com"
    ca_file: str | None = None
    proxy: str | None = None
    workers: Annotated[int, Range(1, 64)] = 8


class Melipayamak(base.Plain):
    """One text a call, several calls at once."""

    caps = Caps(max_batch=20, max_chars=900, inbound=True, status_for=48 * 3600, status_batch=100)

    def __init__(self, name: str, settings: Settings) -> None:
        self.name, self._settings = name, settings
        self._calls = wire.Calls(name, settings.workers)
        self._session = wire.session(settings.ca_file, settings.workers, settings.proxy)
        self._who: dict[str, str] = {}

    async def start(self, sink: base.Sink) -> None:
        """Read the password. Raises OSError naming the file."""
        password = await asyncio.to_thread(Path(self._settings.password_file).read_text)
        self._who = {"username": self._settings.user, "password": password.strip()}

    async def stop(self, drain: float) -> None:
        self._session.close()
        self._calls.stop()

    # ---- out

    async def send(self, batch: Sequence[Text]) -> Sequence[Outcome]:
        return await asyncio.gather(*map(self._send, batch))

    async def _send(self, text: Text) -> Outcome:
        to = "0" + text.to.removeprefix("+98")
        try:
            body = await self._ask("SendSMS", {"to": to, "from": text.line, "text": text.text, "isflash": "false"})
        except base.Ambiguous as error:
            return Doubt(error)
        except ProviderError as error:
            return Rejected(error)
        return _outcome(str(body.get("Value", "")))

    async def status(self, refs: Sequence[str]) -> Sequence[Report]:
        return [await self._status(ref) for ref in refs]

    async def _status(self, ref: str) -> Report:
        value = str((await self._ask("GetDeliveries2", {"recID": ref})).get("Value", ""))
        return Report(ref, STATES.get(int(value)) if value.isdigit() else None)

    async def credit(self) -> Credit:
        """Counted in texts, not in rial: what is told is what the account tells."""
        value = str((await self._ask("GetCredit", {})).get("Value", ""))
        try:
            return Credit(int(float(value)))
        except ValueError:
            raise base.Ambiguous("answer without credit") from None

    # ---- in

    async def poll(self, line: str, since: int | None) -> Sequence[Arrival]:
        """The newest hundred of the line; these have an id, though the same texts came by push without one."""
        body = await self._ask("GetMessages", {"location": "1", "from": line, "index": "0", "count": "100"})
        rows = body.get("Data") or body.get("MyBase") or []
        return [_arrival(row, line) for row in rows if isinstance(row, dict)]

    def read_push(self, request: RawRequest) -> Sequence[Arrival | Report]:
        """`GET …?from=&to=&text=`, names in any case; a delivery as `recId`, `status`."""
        row = {name.strip().lower(): value for name, value in request.query.items()}
        if row.get("recid") and row.get("status", "").isdigit():
            return [Report(row["recid"], STATES.get(int(row["status"])))]
        if not row.get("from") or "text" not in row:
            raise ValueError("push without sender or text")
        return [Arrival(None, row["from"], row.get("to", ""), row["text"])]

    # ---- the wire

    async def _ask(self, method: str, form: dict[str, str]) -> dict[str, Any]:
        return await self._calls.run(self._one, method, form)

    def _one(self, method: str, form: dict[str, str]) -> dict[str, Any]:
        url = f"https://{self._settings.host}/api/SendSMS/{method}"
        body = wire.as_json(wire.fetch(self._session, "POST", url, data={**self._who, **form}))
        if not isinstance(body, dict) or "RetStatus" not in body:
            raise base.Ambiguous("unreadable answer")
        if body["RetStatus"] != 1:
            raise _error(str(body.get("Value", "")))
        return body


def _outcome(value: str) -> Outcome:
    """A long number is the message's id, a short one a return code that came as success."""
    if value.isdigit() and len(value) >= LONG:
        return Accepted(value)
    error = _error(value)
    return Doubt(error) if isinstance(error, base.Ambiguous) else Rejected(error)


def _error(value: str) -> ProviderError:
    make = CODES.get(int(value)) if value.isdigit() else None
    return make(int(value)) if make else base.Ambiguous("return code", value[:8])


def _arrival(row: Mapping[str, Any], line: str) -> Arrival:
    sender = str(row.get("Sender", ""))
    number = row.get("MsgID")
    to = str(row.get("Receiver") or line)
    return Arrival(str(number) if number else None, phones.parse(sender) or sender, to, str(row.get("Body", "")))


def make(name: str, settings: Settings) -> Melipayamak:
    """What `kind = "melipayamak"` in lines.toml stands for."""
    return Melipayamak(name, settings)
