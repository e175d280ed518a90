"""The words of an HTML letter: nh3 cleans it, the stdlib's parser reads only nh3's output. Pure, but slow by nature.

Run it in the parser worker: raw mail can take nh3 seconds, and would take `html.parser` minutes.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from html.parser import HTMLParser

TAGS = frozenset({
    "p", "div", "br", "hr", "span", "b", "i", "u", "em", "strong", "a", "ul", "ol", "li", "table", "tr", "td", "th",
    "tbody", "thead", "blockquote", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "img", "font", "center", "section",
    "article", "header", "footer", "dl", "dt", "dd",
})  # fmt: skip
DROPPED = frozenset({"script", "style", "title", "head", "template", "noscript", "svg", "math"})
BREAKS = frozenset({
    "p", "div", "tr", "table", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "section", "article", "dl", "dt",
    "dd", "hr", "blockquote",
})  # fmt: skip
QUOTES = ("gmail_quote", "gmail_attr", "yahoo_quoted", "moz-cite-prefix", "protonmail_quote")
REST = ("divrplyfwdmsg", "appendonsend", "olk_src_body_section")  #: from here on all is quoted
TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,20})")
VOID = frozenset({"br", "hr", "img", "input", "meta", "link", "col", "wbr", "area", "base", "source", "p", "li"})
DEPTH = 2000  # elements open at once; programs stay below a hundred
MOST = 8_388_608  # characters of cleaned HTML that are read


@dataclass(frozen=True, slots=True)
class Words:
    """What the letter says, and what of it is somebody else's."""

    new: str
    quoted: str


def words(source: str) -> Words:
    """Plain text of `source`, lines kept, quoted parts apart. Non-empty in, non-empty out where there is any word."""
    import nh3  # late: only letters without plain text need it

    clean = nh3.clean(
        source,
        tags=set(TAGS),
        clean_content_tags=set(DROPPED),
        attributes={"*": {"class", "id"}, "blockquote": {"type"}, "a": {"href"}, "img": {"alt"}},
        url_schemes={"http", "https", "mailto", "tel"},
        link_rel=None,
        strip_comments=True,
    )[:MOST]
    reader = _Reader()
    reader.feed(clean)
    reader.close()
    found = Words(_tidy("".join(reader.new)), _tidy("".join(reader.quoted)))
    if found.new or found.quoted:
        return found
    return Words(crude(source), "")


def too_deep(source: str) -> bool:
    """Are elements so deep in each other that cleaning takes for ever? Counted roughly, in linear time."""
    depth = 0
    for tag in TAG.finditer(source):
        if tag[2].lower() not in VOID:
            depth = max(depth - 1, 0) if tag[1] else depth + 1
        if depth > DEPTH:
            return True
    return False


def crude(source: str) -> str:
    """The words without regard to structure, in linear time: what is shown when the careful way takes too long."""
    return _tidy(html.unescape(re.sub(r"<[^<>]*>", " ", source)))


@dataclass(slots=True)
class _Open:
    tag: str
    quote: bool


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.new: list[str] = []
        self.quoted: list[str] = []
        self._open: list[_Open] = []
        self._depth = 0
        self._rest = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: (value or "").lower() for name, value in attrs}
        if said.get("id", "").removeprefix("x_") in REST or said.get("name", "") in REST:
            self._rest = True
        quote = (tag == "blockquote" and said.get("type") == "cite") or any(q in said.get("class", "") for q in QUOTES)
        if tag not in ("br", "hr", "img"):
            self._open.append(_Open(tag, quote))
            self._depth += quote
        if tag == "br" or tag in BREAKS:
            self._put("\n")
        elif tag in ("td", "th"):
            self._put("\t")
        elif tag == "li":
            self._put("\n- ")
        elif tag == "img" and said.get("alt"):
            self._put(f"[{dict(attrs)['alt']}]")

    def handle_endtag(self, tag: str) -> None:
        if any(o.tag == tag for o in self._open[-50:]):
            while self._open:
                last = self._open.pop()
                self._depth -= last.quote
                if last.tag == tag:
                    break
        if tag in BREAKS:
            self._put("\n")

    def handle_data(self, data: str) -> None:
        keep = any(o.tag == "pre" for o in self._open[-10:])
        self._put(data if keep else re.sub(r"[ \t\r\n\f]+", " ", data))

    def _put(self, piece: str) -> None:
        (self.quoted if self._rest or self._depth else self.new).append(piece)


def _tidy(text: str) -> str:
    lines = [re.sub(r"[ \t\u00a0]+", " ", line).strip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
