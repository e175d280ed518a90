"""How a thing to send is worded as a text message. Pure, given the words.

The code stands on a line of its own: after Persian letters its groups would be shown in reverse (UAX 9, W2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core import codes, jalali
from core.channels import Answer, Outbound, Say
from sms import parts
from sms.keywords import Wish
from sms.settings import LineSettings

#: what is said to a text that makes no ticket
ASIDE: Mapping[Wish, str] = {
    Wish.EMPTY: "help",
    Wish.HELP: "help",
    Wish.STRAY: "no_question",
    Wish.CONFIDENTIAL: "misconduct",
    Wish.BAD_CODE: "code_digit",
    Wish.STOP: "stopped",
    Wish.START: "started",
    Wish.CHOICE_BAD: "choice_bad",
    Wish.LATER: "help",
}
SELDOM = (Wish.EMPTY, Wish.STRAY, Wish.STOP)  #: told once a day
#: our automatic sentences: one of them coming in is a loop
OURS = (
    "received", "added", "accepted", "objected", "withdrawn", "state", "mine_none", "code_digit", "code_wrong",
    "need_proof", "not_now", "no_question", "help", "stopped", "started", "misconduct", "why", "which", "reminder",
)  # fmt: skip


def sentences(say: Say, lang: str) -> list[str]:
    """Our automatic sentences with their {facts} in place."""
    holes = {name: f"{{{name}}}" for name in ("code", "pin", "unit", "state", "due", "choices", "portal", "until")}
    return [say(f"sms.{key}", lang, **holes) for key in OURS]


def choices(listed: Sequence[str]) -> str:
    """Codes to choose from, a number before each."""
    return "\n".join(f"{n}) {codes.show(code)}" for n, code in enumerate(listed, 1))


def answer(text: str, facts: Mapping[str, Any], say: Say, lang: str) -> str:
    """An operator's answer in its frame, as it will go."""
    shown = {**facts, "code": codes.show(str(facts["code"]))}
    return say("sms.answer", lang, **{**shown, "answer": text})


def is_cut(text: str, line: LineSettings) -> bool:
    """Is it longer than may go, however compact?"""
    return not _fits(parts.compact(text) if line.compact else text, line)


def words(message: Outbound, say: Say) -> str:
    """The text of an outbox row: an operator's answer framed, or one of the channel's own sentences."""
    facts = _facts(message, say)
    if message.key is None:
        frame = "sms.question" if message.facts.get("asks") else "sms.answer"
        return say(frame, message.lang, **{**facts, "answer": message.text})
    return say(f"sms.{message.key}", message.lang, **facts)


def _facts(message: Outbound, say: Say) -> dict[str, Any]:
    facts: dict[str, Any] = {"unit": "", "pin": "", "answer": "", "otp": "", **message.facts}
    if facts.get("code"):
        facts["code"] = codes.show(str(facts["code"]))
    if facts.get("state"):
        facts["state"] = say(f"core.state.{facts['state']}", message.lang)
    facts["due"] = _day(int(facts["due_at"]), message.lang) if facts.get("due_at") else "-"
    return facts


def _day(ms: int, lang: str) -> str:
    return jalali.numerals(jalali.local(ms).date(), lang)


def state(answer: Answer) -> tuple[str, dict[str, Any]]:
    """Key and facts for somebody who texted a code: the answer too, where the number is the ticket's own."""
    facts = {
        "code": answer.code,
        "state": answer.state.value,
        "unit": answer.unit_name,
        "due_at": answer.due_at,
        "answer": answer.reply.text if answer.reply else "",
    }
    return ("state_answer" if answer.proven and answer.reply else "state"), facts


def fit(text: str, line: LineSettings, say: Say, lang: str) -> str:
    """At most `max_parts` parts and `max_chars` characters: cut at a word, the rest is on the portal."""
    text = parts.compact(text) if line.compact else text
    if _fits(text, line):
        return text
    more = say("sms.more", lang)
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _fits(text[:middle] + more, line) else (low, middle - 1)
    cut = text[:low]
    return (cut[: cut.rfind(" ")] if " " in cut else cut) + more


def _fits(text: str, line: LineSettings) -> bool:
    return len(text) <= line.max_chars and parts.measure(text).parts <= line.max_parts
