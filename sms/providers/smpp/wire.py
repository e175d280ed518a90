"""What both ends of SMPP have in common: frames, sequence numbers, the window, timers, signs of life. Pure.

Octets and the time go in, events and octets come out; `next_at` says when to look again.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import StrEnum

from sms.providers.smpp import status
from sms.providers.smpp.events import TIMES, Answered, Came, Doubtful, Ended, Event, Late, Times
from sms.providers.smpp.pdu import (
    LAST_SEQ,
    RESPONSE,
    Answer,
    BadPdu,
    Command,
    Data,
    Message,
    Pdu,
    Tlvs,
    decode,
    encode,
    frame,
)

NEVER = float("inf")
GIVEN_UP = 1000  # doubtful texts whose late answers are still known
OPEN = 50  # texts of the peer that wait for our answer; at more, reading stops
TEXTS = (Command.SUBMIT_SM, Command.DELIVER_SM, Command.DATA_SM)


class Phase(StrEnum):
    """Of one connection, s 2.2."""

    OPEN = "open"
    BINDING = "binding"
    BOUND = "bound"
    UNBINDING = "unbinding"
    CLOSED = "closed"


class Full(Exception):
    """No room in the window, or not bound: nothing was sent."""


class Wire:
    """One connection. `window`: texts of ours that may wait for an answer at the same time."""

    texts: Command  #: what we send texts by
    takes: tuple[Command, ...]  #: what the peer may send them by

    def __init__(self, now: float, window: int, times: Times = TIMES, open_most: int = OPEN) -> None:
        self.phase = Phase.OPEN
        self.window = window
        self.times = times
        self.strays = 0  #: answers to nothing we asked, and requests that could not be read
        self._open_most = open_most
        self._open: dict[int, list[int]] = {}  # sequence → commands that wait for our answer
        self._opened = 0
        self._waiting: dict[int, float] = {}  # our texts → deadline, the first one ends first
        self._given_up: OrderedDict[int, None] = OrderedDict()  # ours whose answer did not come in time
        self._asked: dict[int, tuple[Command, float]] = {}  # bind, unbind, enquire_link
        self._buffer = bytearray()
        self._out: list[bytes] = []
        self._seq = 0
        self._heard = now
        self._paused_at: float | None = None

    # ------------------------------------------------------------ what we say

    @property
    def room(self) -> int:
        """Texts that may be sent now."""
        return self.window - len(self._waiting) if self.phase is Phase.BOUND else 0

    @property
    def waiting(self) -> int:
        """Texts without an answer."""
        return len(self._waiting)

    @property
    def reading(self) -> bool:
        """May more be read? False while too many of the peer's texts wait for our answer."""
        return self._opened < self._open_most

    def submit(self, body: Message | Data, now: float, tlvs: Tlvs = ()) -> int:
        """Send a text; returns its sequence number. Raises Full, ValueError for a field that does not fit."""
        if self.room <= 0:
            raise Full
        command = Command.DATA_SM if isinstance(body, Data) else self.texts
        seq = self._next()
        self._out.append(encode(Pdu(command, seq, 0, body, tlvs)))
        self._waiting[seq] = now + self.times.response
        return seq

    def answer(self, seq: int, told: int, now: float, id_: str = "") -> list[Event]:
        """Answer a text of the peer; what was left unread meanwhile is read on. No harm once the peer is gone."""
        commands = self._open.get(seq)
        if commands is None:
            return []
        command = commands.pop(0)
        self._opened -= 1
        if not commands:
            del self._open[seq]
        if self.phase in (Phase.BOUND, Phase.UNBINDING):
            self._say(command | RESPONSE, seq, told, Answer(id_) if told == 0 else None)
        return self._read_on(now)

    def unbind(self, now: float) -> None:
        """Say goodbye; the connection ends with the peer's answer."""
        if self.phase is Phase.BOUND:
            self.phase = Phase.UNBINDING
            self._ask(Command.UNBIND, now + self.times.unbind)
        elif self.phase is not Phase.UNBINDING:
            self.phase = Phase.CLOSED

    def take_out(self) -> bytes:
        """What is to be written now."""
        if not self._out:
            return b""
        out = b"".join(self._out)
        self._out.clear()
        return out

    # ------------------------------------------------------------ what we hear

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Octets of the peer, cut anyhow."""
        self._heard = now
        self._buffer += data
        return self._parse(now)

    def lost(self) -> list[Event]:
        """The connection is gone: whatever waits for an answer stays in doubt."""
        self.phase = Phase.CLOSED
        doubts: list[Event] = [Doubtful(seq, "connection lost") for seq in self._waiting]
        self._waiting.clear()
        self._asked.clear()
        self._open.clear()
        self._opened = 0
        self._buffer.clear()
        return doubts

    def tick(self, now: float) -> list[Event]:
        """Let time pass."""
        if self.phase is Phase.CLOSED:
            return []
        for command, deadline in self._asked.values():
            if deadline <= now and self.reading:
                return [self._end(f"{command.name.lower()} unanswered")]
        if self._idle_at() <= now:
            self._ask(Command.ENQUIRE_LINK, now + self.times.enquire)
        return self._overdue(now) if self.reading else []

    def next_at(self) -> float:
        """When `tick` has something to do."""
        if self.phase is Phase.CLOSED:
            return NEVER
        deadlines = [self._idle_at(), *(deadline for _, deadline in self._asked.values())]
        return min(*deadlines, next(iter(self._waiting.values()), NEVER), NEVER)

    # ------------------------------------------------------------ inside

    def _idle_at(self) -> float:
        asked = any(command is Command.ENQUIRE_LINK for command, _ in self._asked.values())
        return NEVER if asked or self.phase is not Phase.BOUND or not self.reading else self._heard + self.times.idle

    def _overdue(self, now: float) -> list[Event]:
        events: list[Event] = []
        while self._waiting:
            seq, deadline = next(iter(self._waiting.items()))
            if deadline > now:
                break
            del self._waiting[seq]
            self._given_up[seq] = None
            events.append(Doubtful(seq, "no answer in time"))
        while len(self._given_up) > GIVEN_UP:
            self._given_up.popitem(last=False)
        return events

    def _read_on(self, now: float) -> list[Event]:
        """Reading had stopped by our own doing: nobody else's time ran meanwhile."""
        if self._paused_at is None or not self.reading:
            return []
        pause = now - self._paused_at
        self._paused_at = None
        self._heard += pause
        self._waiting = {seq: deadline + pause for seq, deadline in self._waiting.items()}
        self._asked = {seq: (command, deadline + pause) for seq, (command, deadline) in self._asked.items()}
        return self._parse(now)

    def _parse(self, now: float) -> list[Event]:
        events: list[Event] = []
        at = 0
        while self.reading and self.phase is not Phase.CLOSED:
            try:
                size = frame(self._buffer, at)
            except BadPdu as bad:
                self._say(Command.GENERIC_NACK, bad.seq, bad.status)
                events.append(self._end(bad.why))
                break
            if not size:
                break
            self._one(bytes(self._buffer[at : at + size]), now, events)
            at += size
        del self._buffer[:at]
        if not self.reading and self._paused_at is None:
            self._paused_at = now
        return events

    def _one(self, octets: bytes, now: float, events: list[Event]) -> None:
        try:
            pdu = decode(octets)
        except BadPdu as bad:
            self._unreadable(bad, octets, events)
            return
        if pdu.command & RESPONSE:
            self._heard_answer(pdu, now, events)
        elif pdu.command in TEXTS:
            self._heard_text(pdu.command, pdu.seq, Came(pdu.seq, pdu, octets), events)
        elif pdu.command == Command.ENQUIRE_LINK:
            self._say(Command.ENQUIRE_LINK_RESP, pdu.seq)
        elif pdu.command == Command.UNBIND:
            self._say(Command.UNBIND_RESP, pdu.seq)
            events.append(self._end("unbound by the peer"))
        else:
            self._bind_came(pdu, now, events)

    def _unreadable(self, bad: BadPdu, octets: bytes, events: list[Event]) -> None:
        """An answer still counts by its header, a text is kept as it is, the rest is refused."""
        if bad.command & RESPONSE and bad.command != Command.GENERIC_NACK:
            self._settle(bad.seq, bad.told, "", events)
        elif bad.command in self.takes:
            self._heard_text(bad.command, bad.seq, Came(bad.seq, None, octets, bad.why), events)
        else:
            self.strays += 1
            self._say(Command.GENERIC_NACK, bad.seq, bad.status)

    def _heard_text(self, command: int, seq: int, came: Came, events: list[Event]) -> None:
        if self.phase not in (Phase.BOUND, Phase.UNBINDING) or command not in self.takes:
            self._say(command | RESPONSE, seq, status.NOT_BOUND)
            return
        self._open.setdefault(seq, []).append(command)
        self._opened += 1
        events.append(came)

    def _heard_answer(self, pdu: Pdu, now: float, events: list[Event]) -> None:
        asked = self._asked.pop(pdu.seq, None)
        if asked is not None:
            self._asked_answer(asked[0], pdu, events)
        elif pdu.command == Command.GENERIC_NACK:
            self._settle(pdu.seq, pdu.status or status.SYSTEM_ERROR, "", events)
        else:
            self._settle(pdu.seq, pdu.status, pdu.body.id if isinstance(pdu.body, Answer) else "", events)

    def _asked_answer(self, command: Command, pdu: Pdu, events: list[Event]) -> None:
        """A nack of an enquire_link is a sign of life too."""
        if command is Command.UNBIND:
            events.append(self._end("unbound"))
        elif command is not Command.ENQUIRE_LINK:
            self._bind_answered(pdu, events)

    def _settle(self, seq: int, told: int, id_: str, events: list[Event]) -> None:
        if self._waiting.pop(seq, None) is not None:
            events.append(Answered(seq, told, id_))
        elif seq in self._given_up:
            del self._given_up[seq]
            events.append(Late(seq, told, id_))
        else:
            self.strays += 1

    def _bind_came(self, pdu: Pdu, now: float, events: list[Event]) -> None:
        self._say(pdu.command | RESPONSE, pdu.seq, status.NOT_BOUND)

    def _bind_answered(self, pdu: Pdu, events: list[Event]) -> None:
        """Only who binds is answered."""

    def _end(self, why: str, told: int = 0) -> Ended:
        self.phase = Phase.CLOSED
        return Ended(why, told)

    def _ask(self, command: Command, deadline: float, body: object = None) -> int:
        seq = self._next()
        self._out.append(encode(Pdu(command, seq, 0, body)))  # type: ignore[arg-type]
        self._asked[seq] = (command, deadline)
        return seq

    def _say(self, command: int, seq: int, told: int = 0, body: Answer | None = None) -> None:
        self._out.append(encode(Pdu(command, seq, told, body)))

    def _next(self) -> int:
        self._seq = self._seq % LAST_SEQ + 1
        return self._seq
