"""The sounding half of a call: what is heard comes as events, what is to be said goes to the media plane."""

from __future__ import annotations

import asyncio
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence

from ivr import leg as words
from ivr.leg import LegEvent, Run
from ivr.media import messages as media
from ivr.sip.wire import MediaPlane

OUR_KEYS = frozenset("0123456789*#ABCD")


class Voice(ABC):
    """What legs of every kind do alike; how a call begins and ends is theirs."""

    def __init__(self, plane: MediaPlane, row: int) -> None:
        self.id = secrets.token_hex(16)
        self.row = row
        self.stats: media.Dropped | None = None  #: the plane's counts, once the call is over
        self.overhear: Callable[[LegEvent], None] = lambda event: None  #: hears everything before it is told
        self.refers: Callable[[str], bool] = lambda to: False  #: asked when the far end wants its partner sent on
        self._plane = plane
        self._plays = 0
        self._added = False  # the plane knows the row
        self._keys_seen = False  # a telephone-event came
        self._why: str | None = None  # set once the call is ending
        self._finished = False
        self._events: asyncio.Queue[LegEvent | None] = asyncio.Queue()

    async def events(self) -> AsyncIterator[LegEvent]:
        """Everything that happens, ending after HungUp. For one reader."""
        while True:
            event = await self._events.get()
            if event is None:
                return
            yield event

    def play(self, runs: Sequence[Run]) -> int:
        """Say these after what is being said; returns the number PlayedOut will carry."""
        self._plays += 1
        self._post(media.Play(self.row, self._plays, tuple(runs)))
        return self._plays

    def stop(self) -> None:
        """Fall silent within two ticks."""
        self._post(media.Hush(self.row))

    def record(self, path: str, most: float, silence: float, ends: str = "#") -> None:
        """Spool what is heard until `most` seconds, `silence` of quiet or a key of `ends`; then RecordEnded."""
        self._post(media.Record(self.row, path, most, silence, ends))

    def stop_record(self) -> None:
        """End the recording."""
        self._post(media.EndRecord(self.row))

    def send_keys(self, keys: str) -> None:
        """Press keys towards the other end, as telephone-events."""
        self._post(media.SendKeys(self.row, "".join(key for key in keys if key in OUR_KEYS)))

    @property
    def plays(self) -> int:
        """The number of the last play."""
        return self._plays

    @property
    def ended(self) -> str:
        """Why, once it has begun to end: caller, us, no_media …"""
        return self._why or ""

    @property
    def up(self) -> bool:
        """Has it not begun to end?"""
        return self._why is None

    # ---- with another call

    def music(self, runs: Sequence[Run]) -> None:
        """Play these over and over, under and after what is said; `stop` ends it."""
        self._post(media.Play(self.row, 0, tuple(runs), again=True))

    def bridge(self, other: Voice) -> None:
        """The two hear each other, and keys are passed on."""
        self._post(media.Bridge(self.row, other.row))

    def overhears(self, row: int) -> None:
        """Hear a call of ours that is not answered yet: an announcement, its ringing. `bridge` or `part` ends it."""
        self._post(media.Bridge(row, self.row))

    def part(self) -> None:
        """Hear nobody, be heard by nobody."""
        self._post(media.Part(self.row))

    def listen(self, other: Voice, whisper: bool = False) -> None:
        """Hear the bridge of `other`; with `whisper` be heard by `other` alone."""
        self._post(media.Listen(self.row, other.row, whisper))

    def record_with(self, other: Voice, path: str, most: float) -> None:
        """Spool the bridge with `other` in stereo, `other` left; then RecordEnded."""
        self._post(media.RecordPair(self.row, other.row, path, most))

    # ---- for the line

    @abstractmethod
    def hang_up(self, why: str = "us") -> None:
        """End it from our side."""

    def on_event(self, event: media.Event) -> None:
        """News of the plane about our row."""
        if isinstance(event, media.KeySeen):
            self._keys_seen = True
            self._tell(words.Pressed(event.key))
        elif isinstance(event, media.RunsOut):
            self._tell(words.PlayedOut(event.play))
        elif isinstance(event, media.Recorded):
            self._tell(words.RecordEnded(event.why, event.seconds, event.path))
        elif isinstance(event, media.Lost):
            self.hang_up("no_media")
        else:
            self.stats = event
            self.hang_up()
            self._finish()

    # ---- inside

    def _post(self, command: media.Command) -> None:
        if self._added and self._why is None:
            self._plane.post(command)

    def _tell(self, event: LegEvent) -> None:
        if not self._finished:
            self.overhear(event)
            self._events.put_nowait(event)

    def _finish(self) -> None:
        """Tell HungUp, once."""
        self._why = self._why or "us"
        if not self._finished:
            self._tell(words.HungUp(self._why))
            self._finished = True
            self._events.put_nowait(None)
