"""A provider of somebody's own in one file: it prints texts on paper. Named in lines.toml as `tests.sms.paper:make`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.channels import RawRequest
from sms.providers.base import Accepted, Arrival, Caps, Outcome, Plain, Report, Sink, Text
from sms.settings import ProviderSettings

PRINTED: list[Text] = []


class Paper(Plain):
    """Every text is accepted and lies in `PRINTED`."""

    caps = Caps(max_batch=10, keyed=True)

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        self.name = name

    async def start(self, sink: Sink) -> None:
        PRINTED.clear()

    async def send(self, batch: Sequence[Text]) -> Sequence[Outcome]:
        PRINTED.extend(batch)
        return [Accepted(f"sheet-{text.key}") for text in batch]

    async def find(self, keys: Sequence[int]) -> Mapping[int, Accepted | None]:
        known = {text.key: Accepted(f"sheet-{text.key}") for text in PRINTED}
        return {key: known.get(key) for key in keys}

    def read_push(self, request: RawRequest) -> Sequence[Arrival | Report]:
        query = request.query
        if not query.get("from"):
            raise ValueError("push without sender")
        return [Arrival(query.get("id"), query["from"], query.get("to", ""), query.get("text", ""))]


def make(name: str, settings: ProviderSettings) -> Paper:
    return Paper(name, settings)
