"""The handset page: threads of made-up phones, to read and to write, for people and for scripts."""

from __future__ import annotations

import html
from typing import Any

from aiohttp import web

from tests.worlds.kavenegar import Network

STYLE = (
    "body{font:18px/1.9 Vazirmatn,Tahoma,sans-serif;margin:0 auto;padding:16px;max-inline-size:40rem;"
    "background:#fbfaf6;color:#16211f}h1{font-size:1.35rem}textarea,input{font:inherit;inline-size:100%;"
    "box-sizing:border-box;padding:8px;border:1px solid #7c8784;border-radius:6px}button{font:inherit;padding:8px 24px;"
    "background:#0b5d5e;color:#fff;border:0;border-radius:6px;min-block-size:44px}.m{background:#fff;border:1px solid "
    "#cdd4d2;border-radius:12px;padding:8px 16px;margin-block:8px;white-space:pre-wrap;overflow-wrap:anywhere}"
    ".out{background:#e3f0ee;margin-inline-start:20%}.in{margin-inline-end:20%}small{color:#4f5b58}"
)


def page(title: str, body: str) -> web.Response:
    """A plain right-to-left page of the made-up world."""
    text = (
        f'<!doctype html><html lang="fa" dir="rtl"><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>{title}</title><style>{STYLE}</style><h1>{title}</h1>{body}</html>'
    )
    return web.Response(text=text, content_type="text/html")


FORM = (
    '<form method="post"><p><label>از شماره <input name="from" dir="ltr" value="{0}"></label>'
    '<p><label>به <input name="to" dir="ltr" value="{1}"></label>'
    '<p><label>متن <textarea name="text" rows="3" required></textarea></label><p><button>بفرست</button></form>'
)


def _link(phone: str) -> str:
    return f'<a href="?phone={phone}"><bdi dir="ltr">{phone}</bdi></a>'


class Handset:
    """Routes under /handset."""

    def __init__(self, network: Network, short_code: str) -> None:
        self.network, self.short_code = network, short_code

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/handset", self.show),
            web.post("/handset", self.write),
            web.post("/handset/send.json", self.send),
            web.get("/handset/messages.json", self.messages),
            web.post("/faults.json", self.fault),
        ]

    async def send(self, request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        missing = [name for name in ("from", "to", "text") if not isinstance(body.get(name), str)]
        if missing:
            return web.json_response({"error": f"missing {', '.join(missing)}"}, status=422)
        return web.json_response({"id": await self.network.text(body["from"], body["to"], body["text"])})

    async def messages(self, request: web.Request) -> web.Response:
        return web.json_response(self.network.thread(request.query.get("phone", "")))

    async def fault(self, request: web.Request) -> web.Response:
        body = await request.json()
        faults = self.network.faults.setdefault(str(body["method"]), [])
        faults += [str(body["fault"])] * int(body.get("count", 1))
        return web.json_response({"waiting": faults})

    async def show(self, request: web.Request) -> web.Response:
        phone = request.query.get("phone", "09120000000")
        rows = "".join(
            f'<div class="m {row["way"]}">{html.escape(row["text"])}<br><small><bdi dir="ltr">'
            f"{html.escape(row['from'])}</bdi></small></div>"
            for row in self.network.thread(phone)
        )
        others = " · ".join(
            f'<a href="?phone={each}"><bdi dir="ltr">{each}</bdi></a>' for each in self.network.phones()
        )
        form = FORM.format(html.escape(phone, True), html.escape(self.short_code, True))
        return page("گوشی نمونه", f"<p>{others}</p>{rows}{form}")

    async def write(self, request: web.Request) -> web.Response:
        form = await request.post()
        sender = str(form.get("from", ""))
        await self.network.text(sender, str(form.get("to", "")), str(form.get("text", "")))
        raise web.HTTPSeeOther(f"/handset?phone={sender}")
