"""The made-up outside mailbox: an SMTP server that takes our letters, and a page where citizens read and write.

Everybody's mail lies in one folder and survives kill -9. `python -m tests.worlds.mail --port 8081 --smtp 2526
--target 127.0.0.1:2525 --dir D` runs it alone; `tests.worlds.__main__` mounts its routes beside the others.
"""

from __future__ import annotations

import argparse
import asyncio
import email
import html
import json
import os
import smtplib
import time
from dataclasses import asdict, dataclass, field
from email import policy
from email.header import Header
from email.message import EmailMessage, Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import formataddr, formatdate, make_msgid, parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.worlds import machines

HERE = "mailbox.example"  # the domain of our Message-IDs


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter of the box; `way` is in (came from Pasokh) or out (a citizen sent it)."""

    id: str
    from_: str
    to: str
    subject: str
    text: str
    in_reply_to: str | None
    references: list[str]
    headers: dict[str, str]
    at: int  #: ms UTC
    way: str
    html: str = ""
    envelope_from: str = ""

    def shown(self) -> dict[str, Any]:
        """As the JSON has it."""
        value = asdict(self)
        value["from"] = value.pop("from_")
        return value


MODES = {  # what an address may do with our letters, and how the page calls it
    "": "نامه را می‌گیرد",
    "holiday": "در مرخصی است و خودکار پاسخ می‌دهد",
    "hard": "می‌پذیرد و برمی‌گرداند: چنین کسی نیست",
    "soft": "می‌پذیرد و برمی‌گرداند: موقتاً نرسید",
    "full": "می‌پذیرد و برمی‌گرداند: صندوق پر است",
    "refuse": "همان دم نمی‌پذیرد",
    "later": "می‌گوید بعداً",
    "spam": "محتوا را نمی‌پذیرد",
    "drop": "می‌گیرد و اتصال را بی‌پاسخ می‌بندد",
}


class Refused(Exception):
    """Pasokh did not take a letter; `code` and `text` are its reply, 0 when it could not be reached."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


@dataclass
class Mailbox:
    """All citizens' mail. `target` is Pasokh's SMTP; `behave` maps an address to one of `MODES`."""

    folder: Path
    target: tuple[str, int] | None = None
    behave: dict[str, str] = field(default_factory=dict)
    letters: list[Letter] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)  #: what came on the wire, the newest hundred
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.folder = Path(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._server: asyncio.Server | None = None
        self._machines: set[asyncio.Task[None]] = set()
        self._greeted: set[tuple[str, str]] = set()  #: who on holiday has told whom
        if self._modes.exists():
            self.behave.update(json.loads(self._modes.read_text()))
        for line in self._file.read_bytes().splitlines() if self._file.exists() else []:
            try:
                value = json.loads(line)
            except ValueError:
                continue  # the half line of a power cut; its letter was never acknowledged
            self.letters.append(Letter(from_=value.pop("from"), **value))

    @property
    def _file(self) -> Path:
        return self.folder / "letters.jsonl"

    @property
    def _modes(self) -> Path:
        return self.folder / "modes.json"

    def set_mode(self, address: str, mode: str) -> None:
        """What an address does from now on, also after a restart. Raises ValueError."""
        address = address.strip().lower()
        if mode not in MODES or "@" not in address:
            raise ValueError(f"a mail address and one of {', '.join(one or 'nothing' for one in MODES)}")
        self.behave.pop(address, None)
        if mode:
            self.behave[address] = mode
        self._modes.write_text(json.dumps(self.behave))

    # ------------------------------------------------------------ SMTP

    async def start_smtp(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Take letters; returns the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SMTP(self, hostname=HERE, enable_SMTPUTF8=True, data_size_limit=50_000_000, loop=loop), host, port
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await asyncio.gather(*self._machines, return_exceptions=True)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = {"refuse": "550 5.1.1 No such person", "later": "451 4.3.0 Come back"}.get(self._way(address))
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        ways = {self._way(address) for address in envelope.rcpt_tos}
        if "spam" in ways:
            return "554 5.7.1 Not wanted"
        content = envelope.content
        assert isinstance(content, bytes)
        self.raw = [*self.raw[-99:], content]
        sender = (envelope.mail_from or "").strip("<>")
        for address in envelope.rcpt_tos:
            if self._way(address) not in machines.BOUNCES:
                self._add(incoming(content, address, sender))
            self._let_machine_write(content, address, sender)
        if "drop" in ways:
            assert server.transport is not None
            server.transport.abort()
        return "250 2.0.0 Taken"

    def _let_machine_write(self, content: bytes, address: str, sender: str) -> None:
        """A report, or a holiday's answer (one to each of our addresses), once the letter is taken; it comes from the
        null path, so that nothing comes back."""
        mode, data = self._way(address), None
        told = (address.lower(), parseaddr(incoming(content, address, sender).from_)[1].lower())
        if mode in machines.BOUNCES:
            data = machines.bounce(content, address, sender, mode)
        elif mode == "holiday" and told not in self._greeted:
            data = machines.holiday(content, address, sender)
        if data is None:
            return
        if mode == "holiday":
            self._greeted.add(told)
        task = asyncio.create_task(asyncio.to_thread(self._hand_over, "", sender, data))
        self._machines.add(task)
        task.add_done_callback(self._machines.discard)

    def _way(self, address: str) -> str:
        return self.behave.get(address.lower(), "")

    def _add(self, letter: Letter) -> None:
        with self._file.open("ab") as file:
            file.write(json.dumps(letter.shown(), ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.letters.append(letter)
        self.changed.set()

    # ------------------------------------------------------------ writing

    async def send(self, sender: str, to: str, subject: str, text: str, in_reply_to: str | None = None) -> str:
        """Hand a citizen's letter to Pasokh; returns its Message-ID. Raises Refused, ValueError for bad input."""
        answered = self.find(in_reply_to) if in_reply_to else None
        if not to and answered:
            to = parseaddr(answered.headers.get("Reply-To", answered.from_))[1]
        if "@" not in parseaddr(sender)[1] or "@" not in to or any(c in sender + to for c in "\r\n"):
            raise ValueError("from and to are mail addresses")
        references = [*answered.references, answered.id] if answered else [in_reply_to] if in_reply_to else []
        letter = outgoing(sender, to, subject, text, in_reply_to, references, answered)
        await asyncio.to_thread(self._hand_over, parseaddr(sender)[1], to, wire(letter))
        self._add(_sent(letter, sender, to, subject, text, references))
        return str(letter["Message-ID"])

    def _hand_over(self, sender: str, to: str, data: bytes) -> None:
        if self.target is None:
            raise Refused(0, "nowhere to send to")
        try:
            with smtplib.SMTP(*self.target, timeout=30) as client:
                client.sendmail(sender, [to], data)
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            raise Refused(code, said.decode("utf-8", "replace")) from None
        except smtplib.SMTPResponseException as error:
            said = error.smtp_error
            raise Refused(
                error.smtp_code, said.decode("utf-8", "replace") if isinstance(said, bytes) else said
            ) from None
        except (OSError, smtplib.SMTPException) as error:
            raise Refused(0, type(error).__name__) from None

    def find(self, number: str) -> Letter | None:
        return next((letter for letter in reversed(self.letters) if letter.id == number), None)

    def of(self, address: str) -> list[Letter]:
        """What came to `address` and what was sent from it, oldest first."""
        address = address.lower()
        return [
            each
            for each in self.letters
            if not address or address in (parseaddr(each.to)[1].lower(), parseaddr(each.from_)[1].lower())
        ]

    # ------------------------------------------------------------ pages

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/mailbox", self._page),
            web.post("/mailbox", self._form),
            web.post("/mailbox/send.json", self._send_json),
            web.get("/mailbox/messages.json", self._messages_json),
            web.post("/mailbox/mode", self._mode_form),
            web.post("/mailbox/mode.json", self._mode_json),
        ]

    async def _messages_json(self, request: web.Request) -> web.Response:
        letters = self.of(request.query.get("address", ""))
        return web.json_response([each.shown() for each in letters], dumps=_json)

    async def _send_json(self, request: web.Request) -> web.Response:
        try:
            said = await request.json()
            values = [str(said.get(name) or "") for name in ("from", "to", "subject", "text", "in_reply_to")]
            number = await self.send(*values[:4], values[4] or None)
        except Refused as refused:
            status = 409 if refused.code < 500 else 422
            return web.json_response({"code": refused.code, "reply": f"{refused.code} {refused.text}"}, status=status)
        except (ValueError, AttributeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"id": number})

    async def _mode_json(self, request: web.Request) -> web.Response:
        try:
            said = await request.json()
            self.set_mode(str(said.get("address") or ""), str(said.get("mode") or ""))
        except (ValueError, AttributeError) as error:
            return web.json_response({"error": str(error)}, status=422)
        return web.json_response(self.behave)

    async def _mode_form(self, request: web.Request) -> web.Response:
        said = {name: str(value) for name, value in (await request.post()).items()}
        try:
            self.set_mode(said.get("address", ""), said.get("mode", ""))
        except ValueError as error:
            return web.Response(text=page(self, said, str(error)), content_type="text/html", status=422)
        raise web.HTTPSeeOther(f"/mailbox?{urlencode({'address': said['address']})}")

    async def _form(self, request: web.Request) -> web.Response:
        said = {name: str(value) for name, value in (await request.post()).items()}
        back = {"address": said.get("from", "")}
        try:
            await self.send(
                said.get("from", ""), said.get("to", ""), said.get("subject", ""), said.get("text", ""),
                said.get("in_reply_to") or None,
            )  # fmt: skip
        except (Refused, ValueError) as error:
            return web.Response(text=page(self, said, str(error)), content_type="text/html", status=422)
        raise web.HTTPSeeOther(f"/mailbox?{urlencode(back)}")

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(text=page(self, dict(request.query), ""), content_type="text/html")


def incoming(content: bytes, address: str, envelope_from: str) -> Letter:
    """A letter that came, read by the standard library: an independent witness of what we write."""
    letter = email.message_from_bytes(content, policy=policy.default)
    assert isinstance(letter, EmailMessage)
    plain = letter.get_body(("plain",))
    rich = letter.get_body(("html",))
    return Letter(
        id=str(letter["Message-ID"] or make_msgid(domain=HERE)).strip(),
        from_=str(letter["From"] or ""),
        to=address,
        subject=str(letter["Subject"] or ""),
        text=_content(plain),
        in_reply_to=str(letter["In-Reply-To"]).strip() if letter["In-Reply-To"] else None,
        references=str(letter["References"] or "").split(),
        headers={name: str(value) for name, value in letter.items()},
        at=int(time.time() * 1000),
        way="in",
        html=_content(rich),
        envelope_from=envelope_from,
    )


def _content(part: Any) -> str:
    return str(part.get_content()).replace("\r\n", "\n") if part else ""


def outgoing(
    sender: str,
    to: str,
    subject: str,
    text: str,
    in_reply_to: str | None,
    references: list[str],
    answered: Letter | None,
) -> Message:
    """As a citizen's program writes it: plain and HTML, with what is answered quoted below."""
    below = _quoted(answered) if answered else ""
    letter = MIMEMultipart("alternative")
    name, address = parseaddr(sender)
    letter["From"] = formataddr((Header(name, "utf-8").encode(), address)) if name else address
    letter["To"] = to
    letter["Subject"] = Header(" ".join(subject.split()), "utf-8", header_name="Subject")
    letter["Date"] = formatdate(localtime=False)
    letter["Message-ID"] = make_msgid(domain=HERE)
    if in_reply_to:
        letter["In-Reply-To"] = in_reply_to
        letter["References"] = " ".join(references)
    rich = html.escape(text).replace("\n", "<br>") + (
        f"<blockquote type=cite>{html.escape(below)}</blockquote>" if below else ""
    )
    letter.attach(MIMEText(f"{text}\n\n{below}" if below else text, "plain", "utf-8"))
    letter.attach(MIMEText(f'<div dir="rtl">{rich}</div>', "html", "utf-8"))
    return letter


def wire(letter: Message) -> bytes:
    return b"\r\n".join(letter.as_bytes(policy=policy.compat32).splitlines()) + b"\r\n"


def _quoted(letter: Letter) -> str:
    lines = "\n".join(f"> {line}" for line in letter.text.splitlines())
    return f"در {time.strftime('%Y-%m-%d', time.gmtime(letter.at / 1000))}، {letter.from_} نوشت:\n{lines}"


def _sent(letter: Message, sender: str, to: str, subject: str, text: str, references: list[str]) -> Letter:
    return Letter(
        id=str(letter["Message-ID"]), from_=sender, to=to, subject=subject, text=text,
        in_reply_to=letter["In-Reply-To"], references=references,
        headers={name: str(value) for name, value in letter.items()}, at=int(time.time() * 1000), way="out",
    )  # fmt: skip


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def page(box: Mailbox, said: dict[str, str], error: str) -> str:
    """The mailbox page: whose mail, the letters, a form to write or answer."""
    address = said.get("address") or said.get("from") or "citizen@mailbox.example"
    answered = box.find(said.get("reply", "") or said.get("in_reply_to", ""))
    rows = "".join(_row(each, address) for each in reversed(box.of(address))) or "<p>نامه‌ای نیست.</p>"
    return PAGE.format(
        address=html.escape(address),
        error=f'<p class="error" role="alert">پذیرفته نشد: <bdi dir="ltr">{html.escape(error)}</bdi></p>'
        if error
        else "",
        rows=rows,
        modes=_modes(box.behave.get(address.lower(), "")),
        form=_compose(said, address, answered),
    )


def _modes(now: str) -> str:
    """What the address may do, as choices."""
    return "".join(
        f'<option value="{mode}"{" selected" if mode == now else ""}>{name}</option>' for mode, name in MODES.items()
    )


def _row(letter: Letter, address: str) -> str:
    way = "رسیده از" if letter.way == "in" else "فرستاده به"
    other = letter.from_ if letter.way == "in" else letter.to
    link = f"/mailbox?{urlencode({'address': address, 'reply': letter.id})}#write"
    answer = f'<a href="{html.escape(link)}">پاسخ</a>' if letter.way == "in" else ""
    return (
        f'<article class="{letter.way}"><h2>{html.escape(letter.subject) or "(بی‌موضوع)"}</h2>'
        f'<p class="who">{way} <bdi dir="ltr">{html.escape(other)}</bdi> · '
        f'<bdi dir="ltr">{time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(letter.at / 1000))} UTC</bdi> {answer}</p>'
        f"<pre>{html.escape(letter.text)}</pre></article>"
    )


def _compose(said: dict[str, str], address: str, answered: Letter | None) -> str:
    to, subject = said.get("to", ""), said.get("subject", "")
    if answered:
        to = to or parseaddr(answered.headers.get("Reply-To", answered.from_))[1]
        subject = subject or answered.subject
    number = html.escape(answered.id) if answered else ""
    return FORM.format(
        address=html.escape(address), to=html.escape(to), subject=html.escape(subject), number=number,
        text=html.escape(said.get("text", "")), title="پاسخ" if answered else "نامهٔ تازه",
    )  # fmt: skip


FORM = """<form method="post" action="/mailbox" id="write"><h2>{title}</h2>
<input type="hidden" name="in_reply_to" value="{number}">
<label>از <input name="from" dir="ltr" value="{address}" required></label>
<label>به <input name="to" dir="ltr" value="{to}" required></label>
<label>موضوع <input name="subject" value="{subject}"></label>
<label>متن <textarea name="text" rows="6" required>{text}</textarea></label>
<button>فرستادن</button></form>"""

PAGE = """<!doctype html>
<html lang="fa" dir="rtl"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>صندوق نامهٔ ساختگی</title><style>
body{{font:16px/1.8 Vazirmatn,Tahoma,sans-serif;margin:0 auto;max-width:46rem;padding:1rem;background:#f4f5f7;
color:#1d2530}}
h1{{font-size:1.3rem}} h2{{font-size:1.05rem;margin:.2rem 0}} article,form{{background:#fff;border:1px solid #d5dae1;
border-radius:.6rem;padding:.8rem 1rem;margin:0 0 .9rem}} article.out{{border-inline-start:4px solid #7a8797}}
article.in{{border-inline-start:4px solid #0b6b57}} .who{{color:#54606f;font-size:.9rem;margin:.2rem 0}}
pre{{white-space:pre-wrap;font:inherit;margin:.4rem 0}} label{{display:block;margin:.4rem 0}}
input,textarea,select{{width:100%;box-sizing:border-box;font:inherit;padding:.4rem;
border:1px solid #9aa5b3;border-radius:.4rem}}
button{{font:inherit;padding:.4rem 1.4rem;border:0;border-radius:.4rem;background:#0b6b57;color:#fff}}
.error{{background:#fde8e8;border:1px solid #c62f2f;border-radius:.4rem;padding:.5rem .8rem}}</style></head>
<body><h1>صندوق نامهٔ ساختگی</h1>
<form method="get" action="/mailbox"><label>نامه‌های این نشانی <input name="address" dir="ltr" value="{address}"></label>
<button>نشان بده</button></form>
<form method="post" action="/mailbox/mode"><input type="hidden" name="address" value="{address}">
<label>این نشانی <select name="mode">{modes}</select></label><button>بگذار</button></form>
{error}{form}<section aria-label="نامه‌ها">{rows}</section></body></html>"""


async def run(folder: Path, port: int, smtp: int, target: tuple[str, int] | None) -> None:
    """Alone, until it is ended; prints one JSON line when ready."""
    box = Mailbox(folder, target)
    smtp = await box.start_smtp("127.0.0.1", smtp)
    app = web.Application()
    app.add_routes(box.routes())
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    at = runner.addresses[0]
    ready = {"ready": True, "mailbox": f"http://{at[0]}:{at[1]}/mailbox", "smtp": f"127.0.0.1:{smtp}"}
    print(json.dumps(ready), flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await box.stop()
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description="The made-up outside mailbox.")
    parser.add_argument("--dir", type=Path, required=True, help="folder its letters are kept in")
    parser.add_argument("--port", type=int, default=8081, help="HTTP port of the page, 0 = any free one")
    parser.add_argument("--smtp", type=int, default=2526, help="port it takes letters on, 0 = any free one")
    parser.add_argument("--target", default="127.0.0.1:2525", help="host:port of Pasokh's SMTP")
    said = parser.parse_args()
    host, _, number = said.target.rpartition(":")
    asyncio.run(run(said.dir, said.port, said.smtp, (host, int(number))))


if __name__ == "__main__":
    main()
