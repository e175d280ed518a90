"""Which ticket a letter may continue, as hints in the order core resolves them. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core import codes
from core.channels import Hint, HintKind, Trust
from gateway.mail.address import Keys, Purpose, Token, read_message_id
from gateway.mail.marks import plain
from gateway.mail.mime import Mail

CODE = re.compile(r"\[\s*#\s*([0-9 \-]{11,20})\s*\]")
MOST = 40  # ids of a letter that are asked for


def hints(mail: Mail, tokens: Sequence[Token], keys: Keys, domain: str, trust: Trust) -> tuple[Hint, ...]:
    """Tokens of the recipients, then our own Message-IDs, then others', then `[#code]` of a proven sender."""
    out = [Hint(HintKind.TICKET, str(t.id), t.participant) for t in tokens if t.purpose is Purpose.FEEDBACK]
    ids = list(dict.fromkeys([*mail.in_reply_to, *reversed(mail.references)]))[:MOST]
    own = {value for value in ids if read_message_id(keys, value, domain)}
    out += [Hint(HintKind.OWN_ID, value) for value in ids if value in own]
    out += [Hint(HintKind.SEEN_ID, value) for value in ids if value not in own]
    return (*out, *codes_of(mail, trust))


def codes_of(mail: Mail, trust: Trust) -> tuple[Hint, ...]:
    """`[#code]` of the subject, from a proven sender only."""
    return tuple(Hint(HintKind.CODE, code) for code in codes_in(mail.subject)) if trust is Trust.PASS else ()


def codes_in(subject: str) -> list[str]:
    """The tracking codes of `[#code]` marks whose check digit holds."""
    found = (codes.parse(piece) for piece in CODE.findall(plain(subject)))
    return [code for code in found if code is not None and codes.ok(code)]
