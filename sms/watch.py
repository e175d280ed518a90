"""What the SMS channel looks after by itself: polls, states nobody pushed, credit, blocked numbers, old marks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence

from core.channels import Clock, Contact, ContactKind, DeliveryState, Door
from core.errors import Busy
from sms.providers import base
from sms.providers.base import Credit, Provider, Report
from sms.settings import LineSettings
from sms.ways import Ways

log = logging.getLogger("pasokh.sms")

MINUTE, HOUR = 60.0, 3600.0  # seconds
AGAIN = 48 * 3_600_000  # ms; what was handed out in that time is fetched again: a crash may have lost it
LOOKS = (600_000, 3_600_000, 21_600_000, 86_400_000, 169_200_000)  # ms after acceptance: 10 min, 1, 6, 24, 47 h
EXPIRED = 172_800_000  # ms; no report by then is never
MARKS = 3 * 86_400_000  # ms marks of tries and of parts are kept
SPARE = 30.0  # seconds a poller may be late, beyond two polls, before another one takes its line
CREDIT = 300.0  # seconds between looks at the account
STATES = "sms:looks"  #: box: when each provider was asked for states last

Get = Callable[[str, str, base.Arrival], Awaitable[object]]
Job = Callable[[Door], Awaitable[None]]
Tell = Callable[[str, Report], Awaitable[None]]


class Watch:
    """Tasks that end with `stop`. `get` takes a polled text (line, provider's name), `tell` a report."""

    def __init__(
        self,
        lines: Mapping[str, LineSettings],
        providers: Mapping[str, Provider],
        ways: Ways,
        clock: Clock,
        get: Get,
        tell: Tell,
    ) -> None:
        self._lines, self._providers, self._ways, self._clock = lines, providers, ways, clock
        self._get, self._tell = get, tell
        self._tasks: list[asyncio.Task[None]] = []
        self._polled: list[tuple[str, Provider]] = []
        self._door: Door | None = None
        self._me = secrets.token_hex(8)  #: among all processes that may poll
        self.credit: dict[str, Credit] = {}

    def start(self, door: Door) -> None:
        self._door = door
        for name, line in self._lines.items():
            for each in line.providers:
                if line.poll_s and self._providers[each].caps.inbound:
                    self._polled.append((name, self._providers[each]))
                    self._tasks.append(asyncio.create_task(self._poll(door, name, line, self._providers[each])))
        jobs: tuple[tuple[float, Job], ...] = (
            (MINUTE, self.look_at_states), (CREDIT, self.look_at_credit),
            (HOUR, self.look_at_blocked), (HOUR, self.tidy),
        )  # fmt: skip
        for every, job in jobs:
            self._tasks.append(asyncio.create_task(self._every(every, job, door)))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for name, provider in self._polled:
            assert self._door is not None
            with contextlib.suppress(Busy):  # then it runs out by itself
                await self._door.drawer.release(_box(name, provider), self._me)

    async def _every(self, seconds: float, job: Job, door: Door) -> None:
        while True:
            try:
                await job(door)
            except (base.ProviderError, Busy) as error:
                log.warning("a look at an SMS provider failed", extra={"why": type(error).__name__})
            except Exception:
                log.exception("a look at the SMS lines failed, it is tried again")
            await asyncio.sleep(seconds)

    # ---- texts in

    async def _mine(self, door: Door, name: str, line: LineSettings, provider: Provider) -> bool:
        """One poller a line, of however many processes: reading marks as read, and who reads must be who stores."""
        return await door.drawer.lease(_box(name, provider), self._me, 2 * line.poll_s + SPARE)

    async def _poll(self, door: Door, name: str, line: LineSettings, provider: Provider) -> None:
        """At start, after a failure and hourly what was handed out in the last 48 h as well."""
        again_at = self._clock.monotonic()
        while True:
            again = self._clock.monotonic() >= again_at
            try:
                if not await self._mine(door, name, line, provider):
                    again_at = self._clock.monotonic()  # whoever had it may be gone, with texts it had read
                    await asyncio.sleep(line.poll_s)
                    continue
                await self.fetch(name, line, provider, self._clock.now() - AGAIN if again else None)
                again_at = self._clock.monotonic() + HOUR if again else again_at
            except (base.ProviderError, Busy) as error:
                again_at = self._clock.monotonic()
                log.warning("poll failed", extra={"line": name, "why": type(error).__name__})
            except Exception:
                again_at = self._clock.monotonic()
                log.exception("a poll failed, it is tried again", extra={"line": name})
            await asyncio.sleep(line.poll_s)

    async def fetch(self, name: str, line: LineSettings, provider: Provider, since: int | None) -> int:
        """Take what the provider has for a line, in the order it came; how many. Raises ProviderError, Busy.

        One that cannot be taken stops none behind it; what it raised is raised in the end: it comes again.
        """
        found = sorted(await provider.poll(line.number, since), key=lambda arrival: arrival.at or 0)
        faults: list[Exception] = []
        for arrival in found:
            try:
                await self._get(name, provider.name, arrival)
            except Busy:
                raise
            except Exception as fault:  # noqa: BLE001 raised below
                faults.append(fault)
        if faults:
            raise faults[0]
        return len(found)

    # ---- states

    async def look_at_states(self, door: Door) -> None:
        """Ask for what no push told, at 10 min, 1, 6, 24 and 47 h; past 48 h there will be none.

        Each provider from where it answered last: one that cannot be asked keeps no other waiting.
        """
        now = self._clock.now()
        for ref, _ in await door.unreported("sms", 0, now - EXPIRED):
            await door.delivered("sms", ref, DeliveryState.EXPIRED, "no report")
        slots = await door.drawer.get(STATES)
        marks = {name: int(slots.get(name) or now - int(MINUTE * 1000)) for name in self._providers}
        refs = await self._unreported(door, marks, now)
        faults: list[base.ProviderError] = []
        for name in self._providers:
            try:
                await self._ask(name, refs[name])
                await door.drawer.put(STATES, name, str(now).encode())
            except base.ProviderError as fault:
                faults.append(fault)
        if faults:
            raise faults[0]

    async def _unreported(self, door: Door, marks: Mapping[str, int], now: int) -> dict[str, list[str]]:
        """Refs of each provider that have come of an age to be asked for since its mark."""
        refs: dict[str, list[str]] = defaultdict(list)
        for age in LOOKS:
            for ref, at in await door.unreported(
                "sms", max(min(marks.values(), default=now), now - AGAIN) - age, now - age
            ):
                provider, _, own = ref.partition(":")
                if at >= max(marks.get(provider, now), now - AGAIN) - age:
                    refs[provider].append(own)
        return refs

    async def _ask(self, name: str, refs: Sequence[str]) -> None:
        provider = self._providers.get(name)
        if provider is None or not provider.caps.status_for:
            return
        for start in range(0, len(refs), provider.caps.status_batch):
            for report in await provider.status(refs[start : start + provider.caps.status_batch]):
                await self._tell(name, report)

    # ---- account and lists

    async def look_at_credit(self, door: Door) -> None:
        """What is left, and what is set wrongly; below a line's floor an alarm."""
        for name, provider in self._providers.items():
            try:
                left = await provider.credit()
            except base.ProviderError as error:
                log.warning("credit cannot be asked", extra={"provider": name, "why": type(error).__name__})
                continue
            if left is None:
                continue
            first = name not in self.credit
            self.credit[name] = left
            for warning in left.warnings if first else ():
                log.warning(
                    "an SMS account has a setting it should not have", extra={"provider": name, "what": warning}
                )
            for line_name, line in self._lines.items():
                if name in line.providers and left.rial < line.credit_floor:
                    log.error("credit of an SMS provider is low", extra={"provider": name, "line": line_name})

    async def look_at_blocked(self, door: Door) -> None:
        """Who blocks a line at the provider gets no notices by it."""
        since = self._clock.now() - AGAIN
        for name, line in self._lines.items():
            for each in line.providers:
                for number in await self._providers[each].blocked(line.number, since):
                    await door.opt("sms", name, Contact(ContactKind.PHONE, number), True, "blocked at the provider")

    async def tidy(self, door: Door) -> None:
        """Marks of tries, of parts and of refs that nobody will ask for."""
        for box in await door.drawer.boxes(self._clock.now() - MARKS):
            if box.startswith(("sms:try:", "sms:of:", "sms:states:")):
                await door.drawer.close(box)


def _box(line: str, provider: Provider) -> str:
    return f"sms:poll:{line}:{provider.name}"
