"""A provider of somebody's own in one file: it prints texts on paper. Named in lines.toml as `tests.sms.paper:make`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.channels import RawRequest
from sms.providers.base import Accepted, Arrival, Caps, Outcome, Plain, ProviderError, Report, Sink, Text
from sms.settings import ProviderSettings

PRINTED: list[Text] = []
PAPERS: dict[str, Paper] = {}


@dataclass(frozen=True, slots=True)
class PaperSettings(ProviderSettings):
    """`keyed`: it can be asked for a key."""

    keyed: bool = True
    find_for: int = 0


class Paper(Plain):
    """Every text is accepted and lies in `PRINTED`, but for the answers laid ready in `next`."""

    def __init__(self, name: str, settings: PaperSettings) -> None:
        self.name = name
        self.caps = Caps(max_batch=10, keyed=settings.keyed, find_for=settings.find_for, inbound=True)
        self.next: list[Outcome | ProviderError] = []
        self.printed: list[Text] = []
        self.inbox: list[Arrival] = []
        self.sink: Sink | None = None
        PAPERS[name] = self

    async def start(self, sink: Sink) -> None:
        self.sink = sink
        PRINTED.clear()

    async def send(self, batch: Sequence[Text]) -> Sequence[Outcome]:
        return [self._one(text) for text in batch]

    def _one(self, text: Text) -> Outcome:
        if self.next:
            answer = self.next.pop(0)
            if isinstance(answer, ProviderError):
                raise answer
            return answer
        self.printed.append(text)
        PRINTED.append(text)
        return Accepted(f"sheet-{text.key}")

    async def find(self, keys: Sequence[int]) -> Mapping[int, Accepted | None]:
        known = {text.key: Accepted(f"sheet-{text.key}") for text in self.printed}
        return {key: known.get(key) for key in keys}

    async def poll(self, line: str, since: int | None) -> Sequence[Arrival]:
        return self.inbox if since is not None else []

    def read_push(self, request: RawRequest) -> Sequence[Arrival | Report]:
        query = request.query
        if not query.get("from"):
            raise ValueError("push without sender")
        return [Arrival(query.get("id"), query["from"], query.get("to", ""), query.get("text", ""))]


def make(name: str, settings: PaperSettings) -> Paper:
    return Paper(name, settings)


Settings = PaperSettings
