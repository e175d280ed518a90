"""`make docs`: the diagram of a ticket's states from its table, and the README's pictures from a running demo."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from core.states import diagram
from tests.journeys.running import Browser, Demo, Operator
from tests.journeys.test_web import speak_up

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "img"
SIZES = {"": (1280, 860), "-phone": (360, 740)}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
STORIES = (
    "زبالهٔ کوچهٔ نمونه یک هفته است جمع نشده و بوی آن همه را آزار می‌دهد. لطفاً رسیدگی کنید.",
    "آب خیابان گلستان از دیروز صبح قطع است و کسی پاسخ نمی‌دهد.",
    "پروانهٔ کسب من سه ماه است در صف مانده؛ درخواست رسیدگی دارم.",
    "چراغ معبر روبه‌روی دبستان خاموش است و شب‌ها خطرناک است.",
)


def main() -> None:
    """Write both."""
    write_diagram(ROOT / "docs" / "architecture.md")
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        demo = Demo(Path(folder) / "data").start()
        try:
            take_pictures(demo)
        finally:
            demo.stop()


def write_diagram(page: Path) -> None:
    """Between the marks of `page`."""
    text = page.read_text()
    fresh = f"<!-- states -->\n```mermaid\n{diagram().strip()}\n```\n<!-- /states -->"
    page.write_text(re.sub(r"<!-- states -->.*<!-- /states -->", lambda _: fresh, text, flags=re.S))


def take_pictures(demo: Demo) -> None:
    """Portal and console at desktop and phone width."""
    from playwright.sync_api import sync_playwright

    for story in STORIES:
        speak_up(Browser(demo), story)
    operator = Operator(demo, "manager")
    ticket = re.findall(r"/console/t/(\d+)", operator.get("/console/queue?view=new").html)[0]
    operator.reply(int(ticket), "همکاران ما امروز به محل رفتند و مشکل برطرف شد. از شکیبایی شما سپاسگزاریم.")
    cookie = {"name": "pasokh", "value": operator.session.cookies["pasokh"], "url": demo.facts["web"]}
    pages = {"portal": "/", "form": "/new", "track": "/track", "queue": "/console/queue?view=all"}
    pages |= {"console": f"/console/t/{ticket}"}
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        for name, path in pages.items():
            for suffix, (width, height) in SIZES.items():
                page = browser.new_page(viewport={"width": width, "height": height}, locale="fa-IR")
                page.context.add_cookies([cookie])
                page.goto(demo.facts["web"] + path)
                page.screenshot(path=str(PICTURES / f"{name}{suffix}.png"), full_page=bool(suffix))
                page.close()
        browser.close()


if __name__ == "__main__":
    main()
