"""The handset page: made-up phones side by side, to read and to write, and the provider's page with its faults."""

from __future__ import annotations

import html
from typing import Any

from aiohttp import web

from tests.worlds import faults
from tests.worlds.network import Network, national

STYLE = (
    "body{font:18px/1.9 Vazirmatn,Tahoma,sans-serif;margin:0 auto;padding:16px;max-inline-size:80rem;"
    "background:#fbfaf6;color:#16211f}h1{font-size:1.35rem}"
    "h2{font-size:1.1rem;margin:0}textarea,input,select{font:"
    "inherit;inline-size:100%;box-sizing:border-box;padding:8px;border:1px solid #7c8784;border-radius:6px}button{font:"
    "inherit;padding:8px 24px;background:#0b5d5e;color:#fff;border:0;border-radius:6px;min-block-size:44px}.plain{"
    "background:#fff;color:#0b5d5e;border:1px solid #0b5d5e}.m{background:#fff;border:1px solid "
    "#cdd4d2;border-radius:12px;padding:8px 16px;margin-block:8px;white-space:pre-wrap;overflow-wrap:anywhere}"
    ".out{background:#e3f0ee;margin-inline-start:15%}.in{margin-inline-end:15%}small{color:#4f5b58}"
    ".phones{display:grid;"
    "gap:16px;grid-template-columns:repeat(auto-fill,minmax(19rem,1fr))}.phone{background:#eef1ee;border:1px solid "
    "#cdd4d2;border-radius:20px;padding:16px}.phone form{margin:0}.row{display:flex;gap:8px;flex-wrap:wrap}"
    ".off{opacity:"
    ".55}table{border-collapse:collapse;inline-size:100%}td,th{border-block-end:1px solid #cdd4d2;padding:4px 8px;"
    "text-align:start}"
)
SHOWN = ("09120000000", "09350000001", "09190000002")  #: phones that are there before anybody texts
METHODS = (
    "sendarray",
    "send",
    "status",
    "statuslocalmessageid",
    "receive",
    "inboxpaged",
    "lookup",
    "info",
    "push",
    "report",
)
CODES = ("401", "402", "403", "409", "411", "413", "418", "420", "422", "424", "429", "451", "500")
LINKS = (
    '<p class="row"><a href="/handset">همهٔ گوشی‌ها</a> <a href="/provider">صفحهٔ اپراتور</a> '
    '<a href="/mailbox">صندوق نامه</a></p>'
)
OTHER = (
    '<form method="get" class="row"><label>گوشی دیگر <input name="phone" dir="ltr" placeholder="09…"></label>'
    '<button class="plain">باز کن</button></form>'
)
PUSHES = ("never", "twice", "late", "reversed")


def page(title: str, body: str) -> web.Response:
    """A plain right-to-left page of the made-up world."""
    text = (
        f'<!doctype html><html lang="fa" dir="rtl"><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>{title}</title><style>{STYLE}</style><h1>{title}</h1>{body}</html>'
    )
    return web.Response(text=text, content_type="text/html")


class Handset:
    """Routes under /handset, and /provider for who runs the made-up provider."""

    def __init__(self, network: Network, short_code: str) -> None:
        self.network, self.short_code = network, short_code

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/handset", self.show),
            web.post("/handset", self.write),
            web.post("/handset/power", self.power),
            web.post("/handset/send.json", self.send),
            web.get("/handset/messages.json", self.messages),
            web.get("/handset/ledger.json", self.ledger),
            web.post("/faults.json", self.fault),
            web.get("/provider", self.provider),
            web.post("/provider", self.set),
        ]

    # ---- for scripts

    async def send(self, request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        missing = [name for name in ("from", "to", "text") if not isinstance(body.get(name), str)]
        if missing:
            return web.json_response({"error": f"missing {', '.join(missing)}"}, status=422)
        return web.json_response({"id": await self.network.text(body["from"], body["to"], body["text"])})

    async def messages(self, request: web.Request) -> web.Response:
        return web.json_response(self.network.thread(request.query.get("phone", "")))

    async def ledger(self, request: web.Request) -> web.Response:
        """All that handsets got: the judge of what was sent twice."""
        rows = [
            {"to": row["receptor"], "text": row["message"], "localid": row["localid"]} for row in self.network.sent.rows
        ]
        return web.json_response(rows)

    async def fault(self, request: web.Request) -> web.Response:
        body = await request.json()
        return web.json_response(
            {"waiting": self._add(str(body["method"]), str(body["fault"]), int(body.get("count", 1)))}
        )

    def _add(self, method: str, fault: str, count: int) -> list[str]:
        waiting = self.network.faults.setdefault(method, [])
        waiting += [fault] * count
        return waiting

    # ---- phones

    async def show(self, request: web.Request) -> web.Response:
        """One phone alone (`?phone=`), or all side by side."""
        one = request.query.get("phone")
        phones = [national(one)] if one else list(dict.fromkeys((*SHOWN, *self.network.phones())))[:12]
        return page("گوشی‌های نمونه", f'{LINKS}<div class="phones">{"".join(map(self._phone, phones))}</div>{OTHER}')

    def _phone(self, phone: str) -> str:
        texts = "".join(map(_text, self.network.thread(phone)))
        off, shown = phone in self.network.off, html.escape(phone, True)
        hidden = f'<input type="hidden" name="from" value="{shown}">'
        to = f'<input type="hidden" name="to" value="{html.escape(self.short_code, True)}">'
        return (
            f'<section class="phone{" off" if off else ""}"><h2><bdi dir="ltr">{shown}</bdi></h2>{texts}'
            f'<form method="post" action="/handset">{hidden}{to}<label>متن '
            f'<textarea name="text" rows="2" required></textarea></label>'
            '<div class="row"><button>بفرست</button></div></form>'
            f'<form method="post" action="/handset/power">{hidden}<button class="plain">'
            f"{'روشن کن' if off else 'خاموش کن'}</button></form></section>"
        )

    async def write(self, request: web.Request) -> web.Response:
        form = await request.post()
        sender = str(form.get("from", ""))
        await self.network.text(sender, str(form.get("to", "")), str(form.get("text", "")))
        raise web.HTTPSeeOther(request.headers.get("Referer") or f"/handset?phone={sender}")

    async def power(self, request: web.Request) -> web.Response:
        phone = national(str((await request.post()).get("from", "")))
        self.network.off ^= {phone}
        raise web.HTTPSeeOther(request.headers.get("Referer") or "/handset")

    # ---- the provider's page

    async def provider(self, request: web.Request) -> web.Response:
        waiting = "".join(
            f'<tr><td dir="ltr">{html.escape(name)}</td><td dir="ltr">{html.escape(", ".join(queue))}</td></tr>'
            for name, queue in self.network.faults.items()
            if queue
        )
        blocked = "، ".join(f'<bdi dir="ltr">{html.escape(each)}</bdi>' for each in self.network.blocked) or "هیچ"
        fault = (
            f'<form method="post" class="row"><label>روش {_select("method", METHODS)}</label>'
            f"<label>خطا {_select('fault', (*faults.ALL, *CODES, *PUSHES))}</label>"
            '<label>چند بار <input name="count" value="1" dir="ltr" inputmode="numeric"></label>'
            "<button>بگذار</button></form>"
        )
        account = (
            f'<form method="post" class="row"><label>اعتبار (ریال) '
            f'<input name="credit" dir="ltr" value="{self.network.credit}">'
            f'</label><label>ساعت جلوتر (ثانیه) <input name="ahead" dir="ltr" value="{self.network.ahead}"></label>'
            "<button>ثبت</button></form>"
        )
        return page(
            "اپراتور نمونه",
            '<p class="row"><a href="/handset">گوشی‌ها</a></p><h2>خطاها</h2>'
            f"{fault}<table><tr><th>روش</th><th>در نوبت</th></tr>{waiting}</table>"
            "<form method='post'><button class='plain' name='clear' value='1'>پاک کن</button></form>"
            f"<h2>حساب</h2>{account}<p>شماره‌های بسته: {blocked}</p>"
            f"<p>فرستاده {len(self.network.sent.rows)}، گرفته {len(self.network.inbox.rows)}</p>",
        )

    async def set(self, request: web.Request) -> web.Response:
        form = await request.post()
        try:
            if form.get("clear"):
                self.network.faults.clear()
            elif form.get("fault"):
                self._add(str(form["method"]), str(form["fault"]), int(str(form.get("count", "1"))))
            else:
                self.network.credit, self.network.ahead = int(str(form["credit"])), int(str(form["ahead"]))
        except (KeyError, ValueError):
            raise web.HTTPBadRequest(text="عدد بنویسید") from None
        raise web.HTTPSeeOther("/provider")


def _text(row: dict[str, Any]) -> str:
    size = f" · {row['parts']} بخش، {row['cost']} ریال" if row["way"] == "in" else ""
    return (
        f'<div class="m {row["way"]}">{html.escape(row["text"])}<br><small><bdi dir="ltr">{html.escape(row["from"])}'
        f"</bdi>{size}</small></div>"
    )


def _select(name: str, values: tuple[str, ...]) -> str:
    rows = "".join(f"<option>{html.escape(value)}</option>" for value in values)
    return f'<select name="{name}" dir="ltr">{rows}</select>'
