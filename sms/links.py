"""Links in texts that go out: only to the body's own hosts; what leads elsewhere is left to the portal. Pure.

Whoever gets a text of a public body follows its links; so none of them may lead to a stranger, however it is written:
networks refuse such texts (Kavenegar's 420), and a link in an answer may have been copied from what a citizen sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

_STOPS = "\\s<>«»\"'()،؛"
LINK = re.compile(
    rf"(?:[a-z][a-z0-9+.-]*://|www\.)[^{_STOPS}]+"  # by its scheme
    rf"|(?<![\w@.])(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{{2,24}}(?::\d+)?/[^{_STOPS}]*"  # host and path
    r"|(?<![\w@.])(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?:ir|com|org|net|info|me|io|co|ly|gl|link|xyz|site|app)\b",
    re.IGNORECASE,
)
TAIL = ".,:;!?؟…"  #: ends a sentence, not a link


def hosts(urls: Iterable[str]) -> frozenset[str]:
    """Of addresses or bare hosts, in lower case."""
    return frozenset(filter(None, (_host(url) for url in urls)))


def kept(text: str, ours: frozenset[str], instead: str) -> str:
    """The text with `instead` where a link leads to none of `ours` or of the hosts below them."""

    def one(found: re.Match[str]) -> str:
        link = found.group().rstrip(TAIL)
        return found.group() if leads_to(link, ours) else instead + found.group()[len(link) :]

    return LINK.sub(one, text)


def leads_to(link: str, ours: frozenset[str]) -> bool:
    """Is its host one of `ours`, or below one? What readers of links understand differently is nobody's."""
    if "\\" in link or "@" in re.split("[/?#]", link.partition("://")[2] or link)[0]:
        return False
    host = _host(link)
    return any(host == own or host.endswith(f".{own}") for own in ours)


def _host(link: str) -> str:
    try:
        parts = urlsplit(link if "://" in link else f"http://{link}")
        return (parts.hostname or "").rstrip(".") if parts.scheme in ("http", "https") else ""
    except ValueError:
        return ""
