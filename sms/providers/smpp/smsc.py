"""The message centre's end of SMPP: takes binds and texts, delivers texts and receipts. For tests and the demo."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from typing import Protocol as Contract

from twisted.internet.protocol import Factory, Protocol

from sms.providers.smpp import status
from sms.providers.smpp.events import TIMES, Answered, BindAsked, Came, Doubtful, Ended, Event, Times
from sms.providers.smpp.pdu import (
    BINDS,
    RESPONSE,
    VERSION,
    Bind,
    Command,
    Data,
    Message,
    Pdu,
    Tag,
    Tlvs,
    encode,
)
from sms.providers.smpp.pdu import Bound as BoundBody
from sms.providers.smpp.wire import OPEN, Phase, Wire

LOOK = 0.5  # seconds between ticks of a session


class ServerSession(Wire):
    """One client's connection. Pure."""

    texts = Command.DELIVER_SM
    takes = (Command.SUBMIT_SM, Command.DATA_SM)

    def __init__(self, now: float, window: int = 10, times: Times = TIMES, open_most: int = OPEN) -> None:
        super().__init__(now, window, times, open_most)
        self.bound_by = 0
        self._began = now

    @property
    def room(self) -> int:
        """Texts that may be delivered now; none to a transmitter."""
        return 0 if self.bound_by == Command.BIND_TRANSMITTER else super().room

    def welcome(self, asked: Pdu, told: int, system_id: str) -> list[Event]:
        """Answer a bind."""
        if told:
            self._say(asked.command | RESPONSE, asked.seq, told)
            return [self._end("bind refused", told)]
        tlvs = ((Tag.SC_VERSION, bytes((VERSION,))),)
        self._out.append(encode(Pdu(asked.command | RESPONSE, asked.seq, 0, BoundBody(system_id), tlvs)))
        self.phase, self.bound_by = Phase.BOUND, asked.command
        return []

    def tick(self, now: float) -> list[Event]:
        """Let time pass; who does not bind is sent away."""
        if self.phase is Phase.OPEN and now >= self._began + self.times.bind:
            return [self._end("no bind")]
        return super().tick(now)

    def next_at(self) -> float:
        """When `tick` has something to do."""
        return self._began + self.times.bind if self.phase is Phase.OPEN else super().next_at()

    def _bind_came(self, pdu: Pdu, now: float, events: list[Event]) -> None:
        if pdu.command not in BINDS:
            super()._bind_came(pdu, now, events)
        elif self.phase is Phase.OPEN:
            self.phase = Phase.BINDING
            events.append(BindAsked(pdu.seq, pdu))
        else:
            self._say(pdu.command | RESPONSE, pdu.seq, status.ALREADY_BOUND)


class Centre(Contract):
    """Who decides behind the wire."""

    def asked(self, bind: Bind) -> int: ...

    def bound(self, client: Client) -> None: ...

    def submitted(self, client: Client, came: Came) -> None: ...

    def answered(self, client: Client, seq: int, told: int) -> None: ...

    def gone(self, client: Client) -> None: ...


class Client(Protocol):
    """One connection on Twisted."""

    transport: Any

    def __init__(self, centre: Centre, system_id: str, window: int) -> None:
        self.session = ServerSession(time.monotonic(), window)
        self._centre, self._system_id = centre, system_id
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self._look()

    def dataReceived(self, data: bytes) -> None:
        self._play(self.session.receive(data, time.monotonic()))

    def connectionLost(self, reason: Any = None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._play(self.session.lost())
        self._centre.gone(self)

    def deliver(self, body: Message | Data, tlvs: Tlvs = ()) -> int:
        """Send a text or receipt. Raises wire.Full."""
        seq = self.session.submit(body, time.monotonic(), tlvs)
        self.flush()
        return seq

    def answer(self, seq: int, told: int, id_: str = "") -> None:
        """Answer a text of the client."""
        self._play(self.session.answer(seq, told, time.monotonic(), id_))

    def raw(self, octets: bytes) -> None:
        """Octets as they are, past every rule."""
        self.transport.write(octets)

    def unbind(self) -> None:
        """Say goodbye."""
        self.session.unbind(time.monotonic())
        self.flush()

    def drop(self) -> None:
        """Cut the connection without a word."""
        self.transport.abortConnection()

    def flush(self) -> None:
        """Write what the session has to say; read on or not."""
        data = self.session.take_out()
        if data:
            self.transport.write(data)
        if self.session.reading is self._paused:
            self._paused = not self.session.reading
            (self.transport.pauseProducing if self._paused else self.transport.resumeProducing)()

    def _look(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK, self._look)
        self._play(self.session.tick(time.monotonic()))

    def _play(self, events: list[Event]) -> None:
        ended = False
        for event in events:
            match event:
                case Came():
                    self._centre.submitted(self, event)
                case Answered(seq, told, _):
                    self._centre.answered(self, seq, told)
                case Doubtful(seq, _):
                    self._centre.answered(self, seq, status.SYSTEM_ERROR)
                case BindAsked(_, asked):
                    ended = self._welcome(asked)
                case Ended():
                    ended = True
        self.flush()
        if ended:
            self.transport.loseConnection()

    def _welcome(self, asked: Pdu) -> bool:
        assert isinstance(asked.body, Bind)
        told = self._centre.asked(asked.body)
        refused = bool(self.session.welcome(asked, told, self._system_id))
        if not refused:
            self.flush()
            self._centre.bound(self)
        return refused


def factory(centre: Centre, system_id: str = "pasokh", window: int = 10) -> Factory:
    """What `reactor.listenTCP` or `listenSSL` is given."""
    made: Factory = Factory.forProtocol(lambda: Client(centre, system_id, window))
    made.noisy = False
    return made


__all__ = ["Centre", "Client", "ServerSession", "factory"]
