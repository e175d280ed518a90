"""SMPP as a provider: texts into the window and out of it, receipts and texts of citizens in.

Nothing can be looked up here: what was in the window when a connection was lost stays in doubt and is shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import OrderedDict
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from core.errors import Busy
from sms import alphabet
from sms.providers import base
from sms.providers.base import Accepted, Arrival, Caps, Health, LineState, Outcome, Part, Plain, Rejected, Sink, Text
from sms.providers.smpp import longtext, report, sending, status
from sms.providers.smpp.book import Book
from sms.providers.smpp.events import Came
from sms.providers.smpp.link import Link, authorities
from sms.providers.smpp.pdu import Data, Message, Tag
from sms.providers.smpp.sending import BULK, Job, Queue, Sending, again, late
from sms.providers.smpp.session import Mode, Pace, Session
from sms.providers.smpp.settings import Settings
from sms.providers.smpp.status import Kind
from sms.providers.smpp.tries import REFERENCE
from sms.providers.smpp.wire import GIVEN_UP

log = logging.getLogger("pasokh.sms.smpp")

MOST_PASSWORD = 8  # octets, s 5.2.2
SWEEP = 0.5  # seconds between looks at what waits


class Smpp(Plain):
    """One account: one connection, or one to send and one to receive."""

    caps = Caps(max_batch=1, max_chars=900)

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self._settings = settings
        self._kinds = settings.kinds()
        self._pace = Pace(settings.rate)
        self._queue = Queue()
        self._jobs: dict[tuple[Link, int], Job] = {}
        self._given_up: OrderedDict[tuple[Link, int], Job] = OrderedDict()  # whose answers may still come, late
        self._bulk = 0  # of those, of notices and surveys
        self._links: list[Link] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._runs: list[asyncio.Task[None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._paced: asyncio.TimerHandle | None = None
        self._ref = random.randrange(0x10000)
        self._sink: Sink | None = None
        self._book = Book(None, 0)
        self._finding = asyncio.Lock()
        self._stopping = self._noted = self._pumping = False
        self._quiet = asyncio.Event()  # set when a part is answered or something has been kept

    # ------------------------------------------------------------ life

    async def start(self, sink: Sink) -> None:
        """Read the password and begin to connect. Raises OSError naming the file that is no good."""
        self._sink = sink
        password = await asyncio.to_thread(_password, self._settings)
        self._book = await asyncio.to_thread(Book, self._path(sink), sink.clock.now())
        self._spread(self._book.told_before)
        modes = [Mode.TX, Mode.RX] if self._settings.bind == "tx+rx" else [Mode(self._settings.bind)]
        self._links = [Link(self._settings, mode, password, sink.reactor, self) for mode in modes]
        self._runs = [asyncio.create_task(link.run(), name=f"smpp {self.name}") for link in self._links]
        self._sweep()

    def _path(self, sink: Sink) -> Path | None:
        return Path(sink.folder) / f"{self.name}.receipts" if sink.folder else None

    async def stop(self, drain: float) -> None:
        """Queued texts go back unsent, the window gets `drain` seconds for its answers, then goodbye."""
        self._stopping = True
        ends = time.monotonic() + drain
        for each in self._queue.empty():
            each.refused(base.ProviderDown("stopping"))
        await self._settled(ends)
        await asyncio.gather(*(link.stop(max(0.0, ends - time.monotonic())) for link in self._links))
        for timer in (self._timer, self._paced):
            if timer is not None:
                timer.cancel()
        for task in [*self._runs, *self._tasks]:
            task.cancel()
        await asyncio.gather(*self._runs, *self._tasks, return_exceptions=True)
        self._book.close()

    async def _settled(self, ends: float) -> None:
        """Wait until nothing is in the window and nothing is being kept, at most till `ends`."""
        while (self._jobs or self._tasks) and (left := ends - time.monotonic()) > 0:
            self._quiet.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._quiet.wait(), left)

    def health(self) -> Health:
        """Up while something is bound that sends, or receives where nothing is to be sent."""
        facts = {
            "bound": sum(link.up for link in self._links),
            "window": len(self._jobs),
            "queued": len(self._queue),
            "strays": sum(link.session.strays for link in self._links if link.session is not None),
        }
        down = [link for link in self._links if not link.up]
        if not down:
            return Health(base.Link.UP, "slowed" if self._pace.slowed else "", facts)
        return Health(base.Link.DOWN if down[0].why else base.Link.STARTING, down[0].why, facts)

    # ------------------------------------------------------------ out

    async def send(self, batch: Sequence[Text]) -> Sequence[Outcome]:
        """The one text there is in a batch; returns when each of its parts is answered, refused or in doubt."""
        return [await self._send(text) for text in batch]

    async def _send(self, text: Text) -> Outcome:
        if self._settings.bind == "rx":
            return Rejected(base.AuthOrConfig("this account only receives"))
        if self._stopping:
            return Rejected(base.ProviderDown("stopping"))
        self._ref = (self._ref + 1) & 0xFFFF
        try:
            concat = longtext.Concat(self._settings.concat)
            found = longtext.pieces(text.text, self._settings.coding, concat, self._ref)
        except ValueError as fault:
            return Rejected(base.BadContent(str(fault)))
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._queue.put(Sending(text, found, time.monotonic(), lambda s, o: self._over(s, o, done)))
        self._soon()
        return await done

    def _over(self, one: Sending, outcome: Outcome | None, done: asyncio.Future[Outcome]) -> None:
        if outcome is None:
            ref, early = self._book.accepted(one.ids, one.text.to, self._clock(), one.text.key)
            outcome = Accepted(ref, len(one.pieces))
            self._spread(early)
        elif isinstance(outcome, base.Doubt):
            self._spread(self._book.doubted(one.text.key, one.ids, self._clock()))
        else:
            self._book.refused(one.text.key)
        self._note()
        if not done.done():
            done.set_result(outcome)

    def _spread(self, reports: Sequence[base.Report]) -> None:
        """Tell what the book came to, beside what runs."""
        if reports or self._book.any_found:
            self._spawn(self._tell(reports))

    async def _tell(self, reports: Sequence[base.Report]) -> None:
        """What was found first, then what is reported of it. Raises Busy."""
        assert self._sink is not None
        async with self._finding:  # whoever comes meanwhile acknowledges nothing before what it found is on disk
            found = self._book.take_found()
            try:
                while found:
                    await self._sink.found(found[0].key, Accepted(found[0].ref, found[0].parts))
                    log.info("a text in doubt was sent after all", extra={"provider": self.name})
                    found.pop(0)
            finally:
                self._book.found_again(found)
        for told in reports:
            await self._told(told)

    def remembered(self, key: int) -> Accepted | None:
        """A text whose answer was written down here, though nobody else has heard of it."""
        known = self._book.known(key)
        return None if known is None else Accepted(*known)

    def _note(self) -> None:
        """What came in one go is written in one go."""
        if not self._noted:
            self._noted = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._noted = False
        self._book.flush()

    def _soon(self) -> None:
        """Fill the windows at the end of this turn of the loop: what comes in one go leaves in one go."""
        if not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        """Fill the windows."""
        self._pumping = False
        used: set[Link] = set()
        while self._queue and (link := self._free()) is not None:
            job = self._next()
            if job is None:
                break
            self._put(link, job)
            used.add(link)
        if used:
            self._book.flush()  # what leaves is known to have left, whenever we are killed
        for link in used:
            link.flush()

    def _free(self) -> Link | None:
        widest = max(self._links, key=_room, default=None)
        return widest if widest is not None and widest.room > 0 else None

    def _next(self) -> Job | None:
        """The next part that may go now."""
        now = time.monotonic()
        if now < self._pace.next_at():
            self._look_at(self._pace.next_at())
            return None
        job = self._queue.next(now, self._bulk < max(1, self._settings.window // 2))
        if job is not None:
            self._pace.take(now)
        return job

    def _put(self, link: Link, job: Job) -> None:
        piece, text = job.piece, job.sending.text
        if not job.sending.begun:
            job.sending.begun = True
            self._book.tried(text.key, text.to, len(job.sending.pieces), self._clock())
        mine = (Tag.USER_MESSAGE_REF, (text.key & REFERENCE).to_bytes(2, "big"))
        try:
            seq = link.submit(self._message(text, piece), (*piece.tlvs, mine) if link.optional else piece.tlvs)
        except (ValueError, UnicodeEncodeError):
            job.sending.refused(base.Bug("a field does not fit"))
            return
        self._jobs[link, seq] = job
        self._bulk += job.sending.lane == BULK

    def _message(self, text: Text, piece: longtext.Piece) -> Message:
        chosen = self._settings
        ton, npi = _kind_of(text.line)
        return Message(
            service_type=chosen.service_type,
            source_ton=ton if chosen.source_ton is None else chosen.source_ton,
            source_npi=npi if chosen.source_npi is None else chosen.source_npi,
            source=text.line.removeprefix("+"),
            dest_ton=chosen.dest_ton,
            dest_npi=chosen.dest_npi,
            dest=chosen.number_format + text.to.removeprefix("+98") if text.to.startswith("+98") else text.to[1:],
            esm_class=piece.esm_class,
            validity=_validity(text.not_after, self._clock()),
            registered=report.WANTED if chosen.receipts else 0,
            coding=piece.coding,
            text=piece.text,
        )

    def _sweep(self) -> None:
        """What waits too long goes back unsent."""
        self._timer = asyncio.get_running_loop().call_later(SWEEP, self._sweep)
        bound = any(link.up and link.mode is not Mode.RX for link in self._links)
        for each in list(self._queue.overdue(time.monotonic(), bound)):
            each.refused(late(bound))
        self._pump()

    def _look_at(self, when: float) -> None:
        """Look again when the pace lets the next one go; one timer at a time."""
        if self._paced is None:
            self._paced = asyncio.get_running_loop().call_later(max(0.001, when - time.monotonic()), self._again)

    def _again(self) -> None:
        self._paced = None
        self._pump()

    # ------------------------------------------------------------ what a link tells

    def bound(self, link: Link) -> None:
        log.info("SMPP bound", extra={"provider": self.name, "mode": link.mode})
        self._state(LineState.UP)
        self._pump()

    def ended(self, link: Link, why: str, told: int) -> None:
        for place in [place for place in self._given_up if place[0] is link]:
            del self._given_up[place]
        if self._stopping:
            return  # our own goodbye is no news
        paused = told and status.kind(told, self._kinds) is Kind.PAUSE
        self._state(LineState.PAUSED if paused else LineState.DOWN, why)

    def answered(self, link: Link, seq: int, told: int, id_: str) -> None:
        job = self._taken(link, seq)
        if told == status.OK:
            job.sending.accepted(job.index, id_)
        else:
            self._refused(job, told)
        self._soon()

    def doubtful(self, link: Link, seq: int, why: str) -> None:
        job = self._taken(link, seq)
        self._given_up[link, seq] = job
        if len(self._given_up) > GIVEN_UP:
            self._given_up.popitem(last=False)
        job.sending.doubted(why)

    def late(self, link: Link, seq: int, told: int, id_: str) -> None:
        """A refusal that comes late changes nothing: the text stays in doubt, and is shown."""
        job = self._given_up.pop((link, seq), None)
        if job is not None and told == status.OK:
            self._spread(self._book.late(job.sending.text.key, id_, self._clock()))
            self._note()

    def _taken(self, link: Link, seq: int) -> Job:
        job = self._jobs.pop((link, seq))
        self._bulk -= job.sending.lane == BULK
        self._quiet.set()
        return job

    def _refused(self, job: Job, told: int) -> None:
        now = time.monotonic()
        kind = status.kind(told, self._kinds)
        if kind is Kind.SLOW:
            self._pace.slow(now)
            self._state(LineState.SLOW, "throttled")
        elif kind is Kind.PAUSE:
            self._state(LineState.PAUSED, "account or line")
        if self._stopping or not again(job, told, self._kinds, now, self._queue):
            job.sending.refused(status.error(told, self._kinds))
        else:
            asyncio.get_running_loop().call_later(sending.PAUSE + 0.01, self._pump)

    # ------------------------------------------------------------ in

    def came(self, link: Link, came: Came) -> None:
        self._spawn(self._take(link, link.session, came))

    async def _take(self, link: Link, session: Session | None, came: Came) -> None:
        """Answered after commit only, on the connection it came by: 0, or what makes the peer send it again."""
        try:
            await self._kept(came)
            told = status.OK
        except Busy:
            told = status.TRY_AGAIN
        except Exception:
            log.exception("a text could not be kept", extra={"provider": self.name})
            told = status.SYSTEM_ERROR
        link.answer(session, came.seq, told)

    async def _kept(self, came: Came) -> None:
        if came.pdu is None:
            await self._unreadable(came.raw, came.fault)
            return
        receipt = report.read(came.pdu)
        if receipt is None:
            await self._text(came)
        elif receipt.id:
            told = self._book.received(receipt, self._clock())
            self._note()
            await self._tell(told)
        else:
            log.warning("a receipt names no text", extra={"provider": self.name})

    async def _text(self, came: Came) -> None:
        pdu = came.pdu
        assert pdu is not None
        assert isinstance(pdu.body, Message | Data)
        body, coding = pdu.body, alphabet.coding(pdu.body.coding, self._settings.coding)
        try:
            octets, place = longtext.content(pdu)
        except ValueError as fault:
            await self._unreadable(came.raw, str(fault))
            return
        sender = _written(body.source_ton, body.source)
        if place is not None:
            numbers = (place.ref, place.width, place.total, place.number)
            await self._arrived(Part(None, sender, body.dest, *numbers, octets, coding))
            return
        words, defects = alphabet.text(octets, coding)
        if octets and not words:
            await self._unreadable(came.raw, "octets of no alphabet", sender, body.dest)
            return
        await self._arrived(Arrival(None, sender, body.dest, words, defects=defects))

    async def _unreadable(self, raw: bytes, why: str, sender: str = "", to: str = "") -> None:
        """Kept as it came, a ticket for the desk."""
        await self._arrived(Arrival(None, sender, to, "", defects=(why,), raw=raw))

    async def _arrived(self, item: Arrival | Part) -> None:
        assert self._sink is not None
        await self._sink.arrived(item)

    async def _told(self, told: base.Report) -> None:
        assert self._sink is not None
        await self._sink.reported(told)

    # ------------------------------------------------------------ small

    def _state(self, state: LineState, why: str = "") -> None:
        if self._sink is not None:
            self._sink.line_state("", state, why)

    def _clock(self) -> int:
        return self._sink.clock.now() if self._sink is not None else 0

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._kept_one)

    def _kept_one(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._quiet.set()


def _room(link: Link) -> int:
    return link.room


def _password(settings: Settings) -> str:
    """What lies in the two files is looked at before anything begins."""
    if settings.tls and settings.ca_file is not None:
        authorities(settings.ca_file)
    password = Path(settings.password_file).read_text().strip()
    if not password.isascii() or len(password) > MOST_PASSWORD:
        raise OSError(f"{settings.password_file}: a password over SMPP has at most {MOST_PASSWORD} ASCII characters")
    return password


def _kind_of(line: str) -> tuple[int, int]:
    """Type and plan of a sender: a name, an international number, or a short code (s 5.2.5, 5.2.6)."""
    if line.startswith("+"):
        return 1, 1
    return (3, 0) if line.isdecimal() else (5, 0)


def _written(ton: int, number: str) -> str:
    return f"+{number}" if ton == 1 and number.isdecimal() and not number.startswith("0") else number


def _validity(not_after: int | None, now: int) -> str:
    """Seconds left as the relative format (s 7.1.1.2), at most what its fields hold; '' = the peer's own."""
    if not_after is None:
        return ""
    left = min(max(60, (not_after - now) // 1000), 98 * 86400)
    days, rest = divmod(left, 86400)
    months, days = divmod(days, 30)
    return f"00{months:02}{days:02}{rest // 3600:02}{rest // 60 % 60:02}{rest % 60:02}000R"


def make(name: str, settings: Settings) -> Smpp:
    """What `kind = "smpp"` in lines.toml stands for."""
    return Smpp(name, settings)
