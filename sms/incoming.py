"""Texts in: judged once, read by the table of keywords, answered or taken. Nothing here is acknowledged before it is
on disk, and whatever repeats comes to the same end."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core import codes, phones
from core import text as words_of
from core.channels import (
    Act,
    Answer,
    Asker,
    Asks,
    Auto,
    Clock,
    Contact,
    ContactKind,
    Door,
    Heard,
    Hint,
    HintKind,
    Inbound,
    Note,
    Question,
    Say,
    State,
    Verdict,
)
from core.errors import Guarded, Locked, NotFound, WrongInput, WrongState
from sms import assembly, echo, keywords, wording
from sms.joining import Whole
from sms.keywords import Open, Reading, Wish
from sms.providers.base import Arrival
from sms.settings import LineSettings

log = logging.getLogger("pasokh.sms")

RECEIPTS = ("receipt_sms",)  # budgets of a number: codes of new tickets
SENTENCES = ("sms_auto_hour", "sms_auto_day")  # and every other automatic sentence
BLOCK = 4  # last digits of a number that its block of 10,000 has not
ONCE, DAILY = "sms_sentence", "sms_sentence_day"  # how often the same sentence is told
LATE = 30 * 86_400_000  # ms after an answer in which it can be accepted or objected to
OVER = (State.CLOSED, State.MERGED, State.JUNK)
TAKEN = (Wish.NEW, Wish.ACT, Wish.INSIDE, Wish.REASON, Wish.CHOSEN, Wish.VERDICT)  #: end in `Door.take`
REFUSALS = (NotFound, WrongState, Guarded, Locked, WrongInput)


@dataclass(frozen=True, slots=True)
class Said:
    """One text that came in, with what was decided and understood of it."""

    name: str
    line: LineSettings
    arrival: Arrival
    sender: str | None  #: E.164
    verdict: Verdict
    reading: Reading

    @property
    def contact(self) -> Contact | None:
        """The network vouches for a sender as far as SMS goes: it opens what was sent to it before."""
        return Contact(ContactKind.PHONE, self.sender, proven=True) if self.sender else None

    @property
    def octets(self) -> bytes:
        """The text as it came; providers cut characters in two, and half of one is kept as well."""
        return self.arrival.text.encode(errors="surrogatepass")

    @property
    def quiet(self) -> bool:
        return bool(self.verdict.quiet)

    @property
    def about(self) -> Question | None:
        return self.verdict.question

    def inbound(self, act: Act = Act.NEW, code: str | None = None, text: str | None = None, **more: Any) -> Inbound:
        """What the door is given."""
        return Inbound(
            "sms", self.verdict.ref, self.arrival.text if text is None else text, act=act, code=code,
            contact=self.contact, line=self.name, to=(self.arrival.to or self.line.number,), lang=self.line.lang,
            raw=self.octets, quiet=self.quiet, defects=tuple(self.arrival.defects),
            facts={} if self.sender else {"sender": self.arrival.sender}, **more,
        )  # fmt: skip

    def asker(self) -> Asker:
        return Asker("sms", self.sender or self.arrival.sender, self.contact, self.reading.proof)


class Incoming:
    """`arrived` and `joined` are the channel's."""

    def __init__(
        self,
        lines: Mapping[str, LineSettings],
        say: Say,
        words: Mapping[str, keywords.Vocabulary],
        clock: Clock,
        exempt: bool,
        portal: str,
    ) -> None:
        self._lines, self._say, self._words, self._clock, self._exempt = lines, say, words, clock, exempt
        self._portal = portal
        self._own = {phones.parse(line.number) or line.number for line in lines.values()}
        self._ours = {name: echo.skeletons(wording.sentences(say, line.lang)) for name, line in lines.items()}

    async def arrived(self, door: Door, provider: str, name: str, arrival: Arrival, polled: bool = False) -> str:
        """Judge, read, do. Returns the number of the ticket it became, '' for none. Raises Busy."""
        line, sender = self._lines[name], phones.parse(arrival.sender)
        words, masked = self._words[name], echo.mask(arrival.text)
        readings: dict[Open | None, Reading] = {None: keywords.read(arrival.text, words)}

        def read(asked: Question | None) -> Reading:
            """What it asks for, given the open question; each read once."""
            open_ = _open(asked)
            if open_ not in readings:
                readings[open_] = keywords.read(arrival.text, words, open_)
            return readings[open_]

        heard = Heard(
            "sms", f"{provider}:{name}:{arrival.id}" if arrival.id else "", name,
            Contact(ContactKind.PHONE, sender, proven=True) if sender else None,
            "\x00".join((sender or arrival.sender, line.number, arrival.text.strip())),
            lambda asked: _rules(read(asked), sender or ""), polled, self._silent(sender), masked,
            echo.holds(masked, self._ours[name]), self._exempt,
        )  # fmt: skip
        verdict = await door.judge(heard)
        if verdict.quiet and verdict.first:
            log.info("no automatic text", extra={"line": name, "why": verdict.quiet})
        return await self._do(door, Said(name, line, arrival, sender, verdict, read(verdict.question)))

    def _silent(self, sender: str | None) -> str:
        """Only mobiles are answered, and never our own lines."""
        return "" if sender is not None and sender not in self._own and phones.mobile(sender) else "nobody"

    async def joined(self, door: Door, name: str, whole: Whole) -> str:
        """A text put together of parts; what came too late amends the ticket."""
        lang = self._lines[name].lang
        show = words_of.persian if lang == "fa" else str
        text = whole.arrival.text
        for first, last in assembly.gaps(whole.missing):
            which = show(first) if first == last else f"{show(first)}–{show(last)}"
            hole = self._say("sms.part_missing", lang, n=which, total=show(whole.total))
            text = text.replace(assembly.HOLE * (last - first + 1), hole, 1)
        defects = (*whole.arrival.defects, *(["part_missing"] if whole.missing else []))
        arrival = replace(whole.arrival, text=text, defects=defects)
        if not whole.late:
            return await self.arrived(door, whole.provider, name, arrival)
        verdict = Verdict(f"{whole.provider}:{name}:{arrival.id}", "late", None, None)
        sender = phones.parse(arrival.sender)
        said = Said(name, self._lines[name], arrival, sender, verdict, Reading(Wish.NEW))
        if whole.late == "0":
            await self._kept(door, said, "late part")
            return ""
        return await self._onto(door, said, int(whole.late))

    # ---- doing

    async def _do(self, door: Door, said: Said) -> str:
        wish = said.reading.wish
        if said.verdict.joins is not None and wish not in (Wish.STOP, Wish.START, Wish.CONFIDENTIAL):
            return await self._onto(door, said, said.verdict.joins)
        match wish:
            case Wish.NEW:
                return str((await door.take(said.inbound())).ticket)
            case Wish.INSIDE:
                hint = Hint(HintKind.CODE, said.reading.code or "")
                return str((await door.take(said.inbound(hints=(hint,)))).ticket)
            case Wish.ACT | Wish.REASON | Wish.CHOSEN | Wish.VERDICT:
                return await self._act(door, said)
            case Wish.STATE:
                await self._state(door, said)
            case Wish.MINE:
                await self._mine(door, said)
            case _:
                await self._aside(door, said)
        return ""

    async def _onto(self, door: Door, said: Said, ticket: int) -> str:
        """Beside a ticket in silence; nothing moves by it."""
        hint = Hint(HintKind.TICKET, str(ticket))
        receipt = await door.take(replace(said.inbound(hints=(hint,), auto=Auto.WEAK), quiet=True))
        return str(receipt.ticket)

    async def _act(self, door: Door, said: Said) -> str:
        """Onto a ticket: by its code, as an answer to what was asked, or onto the one that was answered."""
        reading, about = said.reading, said.about
        match reading.wish:
            case Wish.REASON if about is not None:
                message = said.inbound(Act.ADD, about.code, answers=about.id, ack="objected")
            case Wish.CHOSEN if about is not None:
                rows = about.data["codes"]
                act, text = Act(about.data["act"]), about.data["text"]
                message = _deed(said, act, rows[reading.choice - 1], text, about.id)
            case Wish.VERDICT if about is not None and about.kind == "verdict":
                message = _deed(said, reading.act, about.code, reading.rest, about.id)
            case Wish.VERDICT:
                return await self._answered(door, said)
            case _:
                message = _deed(said, reading.act, reading.code, reading.rest)
        return await self._take(door, said, replace(message, proof=reading.proof))

    async def _answered(self, door: Door, said: Said) -> str:
        """Row 15: the newest answered ticket of the number; several are offered to choose from."""
        rows = await self._tickets(door, said)
        since = self._clock.now() - LATE
        found = [row for row in rows if row["state"] == State.ANSWERED and (row["answered_at"] or 0) > since]
        if not found:
            await self._kept(door, said, "no question")
            await self._tell(door, said, "no_question", once=DAILY)
            return ""
        if len(found) == 1:
            message = _deed(said, said.reading.act, found[0]["code"], said.reading.rest)
            return await self._take(door, said, message)
        listed = [str(row["code"]) for row in found[:9]]
        data = {"codes": listed, "act": said.reading.act.value, "text": said.reading.rest}
        await self._kept(door, said, "choice")
        await self._tell(door, said, "which", {"choices": wording.choices(listed)}, asks=Asks("choice", data))
        return ""

    async def _take(self, door: Door, said: Said, message: Inbound) -> str:
        try:
            return str((await door.take(message)).ticket)
        except REFUSALS as error:
            return await self._instead(door, said, message, error)

    async def _instead(self, door: Door, said: Said, message: Inbound, error: Exception) -> str:
        """A code that opens nothing: an addition becomes a ticket of its own, a deed gets its reason told."""
        if message.act is Act.ADD:
            return str((await door.take(said.inbound())).ticket)
        await self._kept(door, said, "refused")
        key = "need_proof" if isinstance(error, NotFound | Locked) else "not_now"
        await self._tell(door, said, key, answers=message.answers)
        return ""

    async def _state(self, door: Door, said: Said) -> None:
        if said.quiet:
            return await self._kept(door, said, said.verdict.quiet)
        answer = await self._answer(door, said, said.reading.code)
        if answer is None and said.reading.other is not None:
            answer = await self._answer(door, said, said.reading.other)
        if answer is None:
            return await self._tell(door, said, "code_wrong")
        return await self._tell(door, said, *wording.state(answer), ticket=answer.ticket)

    async def _answer(self, door: Door, said: Said, code: str | None) -> Answer | None:
        try:
            return await door.answer_for(code or "", said.asker())
        except Locked:
            return None

    async def _mine(self, door: Door, said: Said) -> None:
        rows = [row for row in await self._tickets(door, said) if row["state"] not in OVER]
        if not rows:
            return await self._tell(door, said, "mine_none")
        shown = "\n".join(codes.show(str(row["code"])) for row in rows[:3])
        return await self._tell(door, said, "mine", {"codes": shown})

    async def _tickets(self, door: Door, said: Said) -> Sequence[Mapping[str, Any]]:
        facts = await door.look_up("mine", said.sender or "", said.asker())
        return facts.rows if facts is not None else ()

    async def _aside(self, door: Door, said: Said) -> None:
        """What makes no ticket: the raw text is kept, a sentence told."""
        wish = said.reading.wish
        if wish not in (Wish.STOP, Wish.START, Wish.HELP):
            await self._kept(door, said, wish)
        if wish in (Wish.STOP, Wish.START) and said.contact is not None:
            await door.opt("sms", said.name, said.contact, wish is Wish.STOP, "asked by text")
        facts = {"portal": self._portal} if wish is Wish.CONFIDENTIAL else {}
        await self._tell(door, said, wording.ASIDE[wish], facts, once=DAILY if wish in wording.SELDOM else ONCE)

    async def _kept(self, door: Door, said: Said, why: str) -> None:
        await door.raw("sms", said.verdict.ref, said.octets, why)

    async def _tell(
        self,
        door: Door,
        said: Said,
        key: str,
        facts: Mapping[str, Any] | None = None,
        ticket: int | None = None,
        once: str = ONCE,
        asks: Asks | None = None,
        answers: int | None = None,
    ) -> None:
        """Queue a sentence, unless nothing may be told, or this very one was told to this number a moment ago."""
        if said.quiet or said.sender is None:
            return
        body = hashlib.sha256(said.octets).hexdigest()[:8]
        note = Note(
            "sms", f"tell:{said.verdict.ref}:{body}", said.sender, key, facts or {}, said.name, said.line.lang,
            ticket=ticket, once=None if self._exempt else once, asks=asks, answers=answers,
        )  # fmt: skip
        await door.tell(note)


def _rules(reading: Reading, sender: str) -> list[tuple[str, str]]:
    """Budgets that the answer to a reading takes."""
    names = RECEIPTS if reading.wish in TAKEN else SENTENCES
    return [*((name, sender) for name in names), ("sms_block_day", sender[:-BLOCK])]


def _open(asked: Question | None) -> Open | None:
    return Open(asked.kind, len(asked.data.get("codes", ()))) if asked is not None else None


def _deed(said: Said, act: Act, code: str | None, text: str, answers: int | None = None) -> Inbound:
    """An objection without a word of why asks for it."""
    silent = act is Act.OBJECT and not text
    return said.inbound(
        act, code, text, answers=answers, ack="why" if silent else None, asks=Asks("why") if silent else None
    )
