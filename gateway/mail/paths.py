"""Who is named in MAIL and RCPT, and with what options: paths of RFC 5321 s 4.1.2 as values. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.mail.replies import SYNTAX, TOO_BIG, Reply

PATH = re.compile(r'<(?:@[^:<>]*:)?(?P<box>(?:"(?:\\.|[^"\\])*"|[^"<>@\s])*(?:@[^<>@\s]+)?)>(?P<rest>.*)', re.DOTALL)
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Rcpt:
    """A recipient as it was named; `domain` is lower case, '' for the bare `postmaster`."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}" if self.domain else self.local


def path(word: str, rest: str) -> tuple[str, list[str]] | None:
    """`FROM:<a@b> X Y` → ("a@b", ["X", "Y"]); None for a bad path (RFC 5321 s 4.1.2)."""
    if rest[: len(word)].upper() != word:
        return None
    found = PATH.fullmatch(rest[len(word) :].lstrip(" "))
    if found is None or (found["rest"] and not found["rest"].startswith(" ")) or len(found["box"]) > 1000:
        return None
    if CONTROL.search(found["box"]):
        return None
    return found["box"], found["rest"].split()


def option(word: str) -> tuple[str, str]:
    """`SIZE=5` → ("SIZE", "5")."""
    name, _, value = word.partition("=")
    return name.upper(), value.upper()


def fault(options: dict[str, str], size: int) -> Reply | None:
    """What is wrong with the options of MAIL, given how big a letter may be (RFC 1870, RFC 6152)."""
    said = options.get("SIZE", "0")
    if not (said.isascii() and said.isdigit() and len(said) <= 20):
        return SYNTAX
    if options.get("BODY", "7BIT") not in ("7BIT", "8BITMIME"):
        return SYNTAX
    return TOO_BIG if int(said) > size else None
