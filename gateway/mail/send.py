"""From an outbox row to a letter: words, names, addresses, thread. The same row gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core import codes
from core.channels import Outbound, Outcome, Purpose, Say, Sent, TryLater
from core.text import clean
from gateway.mail import address, dkim, write
from gateway.mail.address import Keys
from gateway.mail.settings import LineSettings

REFERENCES = 20  # of the thread that are named
WAITS = (60, 300, 900, 3600, 14_400)  # seconds after the 1st, 2nd, … try, ± 20 %; the last one repeats for three days
AUTOMATIC = {
    Purpose.RECEIPT: "auto-replied",
    Purpose.STATE: "auto-replied",
    Purpose.NOTICE: "auto-generated",
    Purpose.SURVEY: "auto-generated",
    Purpose.OTP: "auto-generated",
}
UNASKED = ("reminder",)  # sentences that answer no letter (RFC 3834 s 5)


@dataclass(frozen=True, slots=True)
class Ready:
    """A letter as it will be handed to the relay."""

    sender: str  #: envelope; '' for automatic letters
    to: str
    data: bytes
    message_id: str


@dataclass(frozen=True, slots=True)
class Style:
    """What all letters of a line are written with. `units`: slug → address; `signatures`: slug → language → words."""

    keys: Keys
    say: Say
    units: Mapping[str, str] = field(default_factory=dict)
    signatures: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    signer: dkim.Key | None = None


def ready(row: Outbound, line: LineSettings, style: Style, at: int, files: Sequence[Any] = ()) -> Ready:
    """`at` is the letter's date in ms UTC; `files` (name, type, content).

    Raises ValueError for an address or name that cannot stand in a header.
    """
    keys, say = style.keys, style.say
    number = row.epoch << 36 | row.id
    message_id = address.message_id(keys, number, line.domain)
    automatic = "auto-generated" if row.key in UNASKED else AUTOMATIC.get(row.purpose, "")
    unit = str(row.facts.get("unit_slug") or row.facts.get("unit") or "")
    token = address.mint(
        keys, address.Purpose.FEEDBACK, row.ticket, int(row.thread.get("participant") or 0), delimiter=line.delimiter
    )
    bounce = address.mint(keys, address.Purpose.BOUNCE, number, delimiter=line.delimiter)
    draft = write.Draft(
        from_name=one_line(str(row.facts.get("unit") or "")),
        from_address=_whole(str(row.facts.get("unit_email") or style.units.get(unit) or "postmaster"), line),
        to=row.to,
        subject=subject(row, say),
        message_id=message_id,
        at=at // 1000,
        lines=[*lines(row, say), *signature(style.signatures.get(unit, {}), row.lang)],
        lang=row.lang,
        seed=message_id[1:14],
        reply_to=f"{token}@{line.domain}" if row.ticket else "",
        in_reply_to=str(row.thread.get("in_reply_to") or ""),
        references=references(row.thread),
        automatic=automatic,
        loop=loop(line) if automatic else "",
        files=files,
    )
    sender = "" if automatic else f"{bounce}@{line.domain}"
    data = write.letter(draft)
    return Ready(
        sender, row.to, dkim.sign(data, style.signer, at // 1000) if style.signer is not None else data, message_id
    )


def weighed(outcome: Outcome, row: Outbound, chance: float) -> Outcome:
    """What came of a try, with the wait till the next, and the mark of a letter that may have arrived twice."""
    if isinstance(outcome, TryLater) and outcome.after is None:
        step = WAITS[min(max(row.attempt, 1), len(WAITS)) - 1]
        return replace(outcome, after=step * (0.8 + 0.4 * chance))
    if isinstance(outcome, Sent) and row.in_doubt:
        return replace(outcome, why="maybe_twice")
    return outcome


def signature(words: Mapping[str, str], lang: str) -> list[str]:
    """The unit's own last lines, set off as mail programs know it."""
    said = words.get(lang) or next(iter(words.values()), "")
    return ["", "-- ", *clean(said).strip().split("\n")] if said.strip() else []


def _whole(local: str, line: LineSettings) -> str:
    return local if "@" in local else f"{local}@{line.domain}"


def loop(line: LineSettings) -> str:
    """X-Loop's value: a letter that carries it is our own, come back."""
    return f"pasokh@{line.domain}"


def subject(row: Outbound, say: Say) -> str:
    """`Re: … [#code]`; a subject that carries our mark already does not get it twice."""
    code = codes.show(str(row.facts["code"])) if row.facts.get("code") else ""
    said = one_line(str(row.facts.get("subject") or "")) or say("mail.no_subject", row.lang)
    while said[:3].lower() == "re:":
        said = said[3:].strip()
    said = said.replace(f"[#{code}]", "").strip()[:300]
    return "Re: " + (say("mail.subject", row.lang, subject=said, code=code) if code else said)


def lines(row: Outbound, say: Say) -> list[str]:
    """Our own first line, then the words: a sentence by key, or an operator's text."""
    facts = {**row.facts, "code": codes.show(str(row.facts["code"])) if row.facts.get("code") else ""}
    if row.facts.get("state"):
        facts["state"] = say(f"core.state_told.{row.facts['state']}", row.lang)
    if row.key is not None:
        words = say(f"mail.{row.key}", row.lang, **facts)
    else:
        words = say("mail.answer", row.lang, **{"unit": "", **facts, "answer": row.text})
    return [say("mail.above", row.lang), "", *words.split("\n"), *along(row, say)]


def along(row: Outbound, say: Say) -> list[str]:
    """Code and PIN of earlier letters whose receipt was held back."""
    told = row.facts.get("along") or ()
    if not told:
        return []
    each = (say("mail.along_one", row.lang, code=codes.show(str(code)), pin=pin) for code, pin in told)
    return ["", say("mail.along", row.lang), *each]


def references(thread: Mapping[str, Any]) -> list[str]:
    """What came before, oldest first, ended by what is answered (RFC 5322 s 3.6.4)."""
    known = [str(value) for value in thread.get("references") or ()]
    answered = thread.get("in_reply_to")
    if answered:
        known.append(str(answered))
    return list(dict.fromkeys(known))[-REFERENCES:]


def one_line(text: str) -> str:
    return " ".join(clean(text).split())
