"""Handing letters to the relay: a few kept connections, and what came of each try, told apart at the final dot."""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass, field
from pathlib import Path

import aiosmtplib

from core.channels import Outcome, Refused, Sent, TryLater, Unknown
from gateway.mail.settings import LineSettings

log = logging.getLogger("pasokh.mail.relay")

MAILS = 100  # letters a connection
IDLE = 20.0  # seconds an unused connection is still trusted
CONNECT = 30.0  # seconds
ANSWER = 300.0  # seconds for the reply after the dot; RFC 5321 s 4.5.3.2.6 asks for 10 minutes
A_DOMAIN = 2  # letters to one domain at a time
DOUBT = 900.0  # seconds a report may take before a doubtful letter goes once more
LINE_END = re.compile(rb"\r\n|\r|\n")


class _Lost(Exception):
    """The connection went away, or never was; certainly before the dot."""


@dataclass(slots=True)
class _Kept:
    client: aiosmtplib.SMTP
    used_at: float
    mails: int = 0


@dataclass(slots=True)
class Relay:
    """One line's way out."""

    line: LineSettings
    _idle: list[_Kept] = field(default_factory=list)
    _all: asyncio.Semaphore = field(init=False)
    _domains: dict[str, asyncio.Semaphore] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._all = asyncio.Semaphore(self.line.send_connections)

    async def send(self, sender: str, to: str, letter: bytes, ref: str) -> Outcome:
        """Try once. `sender` '' is the null path. Lost before the dot: TryLater; after it: Unknown."""
        domain = to.rpartition("@")[2].lower()
        limit = self._domains.setdefault(domain, asyncio.Semaphore(A_DOMAIN))
        async with limit, self._all:
            outcome = await self._try(sender, to, letter, ref)
        if len(self._domains) > 1000:
            self._domains.clear()
        return outcome

    async def close(self) -> None:
        while self._idle:
            self._idle.pop().client.close()

    async def _try(self, sender: str, to: str, letter: bytes, ref: str) -> Outcome:
        for fresh in (False, True):
            kept = None if fresh else self._pick()
            if kept is None and not fresh:
                continue
            try:
                kept = kept or await self._connect()
            except _Failed as failed:
                return TryLater(failed.why)
            try:
                outcome = await _hand_over(kept.client, sender, to, letter, ref)
            except _Lost:
                kept.client.close()
                continue  # a kept connection had gone stale: once more on a fresh one
            except BaseException:
                kept.client.close()
                raise
            self._keep(kept)
            return outcome
        return TryLater("connection lost before the dot")

    def _pick(self) -> _Kept | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            kept = self._idle.pop()
            if kept.client.is_connected and now - kept.used_at < IDLE and kept.mails < MAILS:
                return kept
            kept.client.close()
        return None

    def _keep(self, kept: _Kept) -> None:
        kept.mails += 1
        kept.used_at = asyncio.get_running_loop().time()
        if kept.client.is_connected:
            self._idle.append(kept)

    async def _connect(self) -> _Kept:
        line = self.line
        client = aiosmtplib.SMTP(
            hostname=line.relay_host, port=line.relay_port, timeout=CONNECT, use_tls=line.relay_tls == "tls",
            start_tls=line.relay_tls == "starttls", local_hostname=line.host or line.domain,
        )  # fmt: skip
        try:
            await client.connect()
            await client.ehlo()
            if line.relay_user:
                await client.login(line.relay_user, await asyncio.to_thread(_secret, line.relay_password_file))
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            client.close()
            log.warning("the relay cannot be used", extra={"kind": type(error).__name__})
            raise _Failed(f"relay: {_why(error)}") from None
        return _Kept(client, asyncio.get_running_loop().time())


class _Failed(Exception):
    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


async def _hand_over(client: aiosmtplib.SMTP, sender: str, to: str, letter: bytes, ref: str) -> Outcome:
    """One envelope. Raises _Lost when the connection goes before the dot was written."""
    utf8 = not to.isascii()
    if utf8 and not client.supports_extension("smtputf8"):
        return Refused("the relay takes no address beyond ASCII")
    try:
        options = [f"SIZE={len(letter)}"] if client.supports_extension("size") else []
        coding = "utf-8" if utf8 else "ascii"
        reports = client.supports_extension("dsn") and bool(sender)  # RFC 3461; without a sender nobody would get them
        options += [*(["SMTPUTF8"] if utf8 else []), *(["RET=HDRS"] if reports else [])]
        await client.mail(sender, options=options, encoding=coding)
        await client.rcpt(to, options=["NOTIFY=FAILURE,DELAY"] if reports else [], encoding=coding)
        go = await client.execute_command(b"DATA")
    except aiosmtplib.SMTPRecipientRefused as error:
        await _reset(client)
        return _by_code(error.code, "RCPT", ref)
    except aiosmtplib.SMTPResponseException as error:
        await _reset(client)
        if error.code >= 500:
            log.error("the relay refuses our sender", extra={"code": error.code})
        return TryLater(f"MAIL {error.code}")  # whatever it says of us is ours to mend, not the citizen's
    except ValueError:
        return Refused("not an address")
    except (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPTimeoutError, OSError) as error:
        raise _Lost from error
    if go.code != 354:
        await _reset(client)
        return _by_code(go.code, "DATA", ref)
    return await _after_data(client, letter, ref)


async def _after_data(client: aiosmtplib.SMTP, letter: bytes, ref: str) -> Outcome:
    protocol = client.protocol
    if protocol is None:
        raise _Lost
    try:
        protocol.write(stuffed(letter))
        answer = await protocol.read_response(timeout=ANSWER)
    except (aiosmtplib.SMTPException, OSError, TimeoutError):
        client.close()
        return Unknown("connection lost after the dot", DOUBT)
    return _by_code(answer.code, "dot", ref)


def stuffed(letter: bytes) -> bytes:
    """As it goes on the wire: CRLF line ends, dots doubled at line starts, the final dot (RFC 5321 s 4.5.2)."""
    lines = LINE_END.split(letter.removesuffix(b"\r\n"))
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines) + b"\r\n.\r\n"


def _by_code(code: int, where: str, ref: str) -> Outcome:
    if 200 <= code < 300:
        return Sent(ref)
    return Refused(f"{where} {code}") if code >= 500 else TryLater(f"{where} {code}")


async def _reset(client: aiosmtplib.SMTP) -> None:
    try:
        await client.rset()
    except (aiosmtplib.SMTPException, OSError, TimeoutError):
        client.close()


def _secret(path: str) -> str:
    return Path(path).read_text("utf-8").strip()


def _why(error: BaseException) -> str:
    code = getattr(error, "code", None)
    return f"{type(error).__name__} {code}" if code else type(error).__name__
