"""What a reply does besides speaking: «اعتراض» as its first line objects to the answer. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.channels import Act, Auto, HintKind, Inbound, Trust
from gateway.mail.marks import plain
from gateway.mail.thread import codes_in

HOLDS = (Trust.PASS, Trust.UNJUDGED)


def objection(message: Inbound, words: Sequence[str]) -> Inbound | None:
    """`message` as an objection to the ticket its token and its subject's code name; None when it is none.

    `words` are first lines that object, in every language. Whether the sender may, core decides.
    """
    first = next((line for line in message.text.split("\n") if line.strip()), "")
    said = plain(first).lower().strip(" .!،:؛-")
    by_token = any(hint.kind is HintKind.TICKET for hint in message.hints)
    codes = codes_in(message.subject or "")
    if message.auto is not Auto.NO or not by_token or message.trust not in HOLDS or len(codes) != 1:
        return None
    return replace(message, act=Act.OBJECT, code=codes[0]) if said in {plain(word).lower() for word in words} else None
