"""What a letter does besides speaking: «اعتراض» objects to an answer, a bare code asks for the state. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core import codes
from core.channels import Act, Auto, HintKind, Inbound, Trust
from gateway.mail.marks import plain
from gateway.mail.thread import codes_in

LONGEST = 40  # characters of a letter that is but a code
HOLDS = (Trust.PASS, Trust.UNJUDGED)


def asked(message: Inbound) -> str | None:
    """The tracking code a person asks the state of: a letter of nothing else, to no ticket."""
    by_thread = any(hint.kind is not HintKind.CODE for hint in message.hints)
    if by_thread or message.quiet or message.auto is not Auto.NO or message.contact is None or message.files:
        return None
    code = codes.parse(plain(message.text)) if len(message.text) < LONGEST and message.trust in HOLDS else None
    return code if code is not None and codes.ok(code) else None


def objection(message: Inbound, words: Sequence[str]) -> Inbound | None:
    """`message` as an objection to the ticket its token and its subject's code name; None when it is none.

    `words` are first lines that object, in every language. Whether the sender may, core decides.
    """
    by_token = any(hint.kind is HintKind.TICKET for hint in message.hints)
    if message.auto is not Auto.NO or not by_token or message.trust not in HOLDS:
        return None
    named = codes_in(message.subject or "")
    if len(named) != 1:
        return None
    first = next((line for line in message.text.split("\n") if line.strip() and not line.startswith(">")), "")
    said = plain(first).lower().strip(" .!،:؛-")
    return replace(message, act=Act.OBJECT, code=named[0]) if said in {plain(word).lower() for word in words} else None
