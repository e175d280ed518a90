"""The settings of `[sms.provider.NAME]` with `kind = "smpp"`, as lines.toml holds them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from config.shape import Bad, Port, Range
from sms.providers.base import Coding
from sms.providers.smpp.status import Kind

Octet = Annotated[int, Range(0, 255)]
Short = Annotated[str, Range(None, 15)]


def _codes(table: Mapping[str, Any]) -> None:
    for key in table:
        if not re.fullmatch(r"0x[0-9a-fA-F]{1,8}", key):
            raise Bad("bad-value", f"give statuses like 0x45, not {key!r}")


@dataclass(frozen=True, slots=True)
class Settings:
    """One account at an operator's message centre."""

    kind: Literal["smpp"]
    host: str  #: name or address
    system_id: Annotated[str, Range(1, 15)]
    password_file: str  #: a file with the password, at most 8 octets (s 5.2.2)
    port: Port = 2775
    tls: bool = False
    ca_file: str | None = None  #: who signed the peer's certificate; None = the system's authorities
    system_type: Annotated[str, Range(None, 12)] = ""
    address_range: Annotated[str, Range(None, 40)] = ""
    bind: Literal["trx", "tx+rx", "tx", "rx"] = "trx"
    window: Annotated[int, Range(1, 1000)] = 10  #: texts that may wait for an answer on one connection
    rate: Annotated[float, Range(0, 100_000)] = 0.0  #: parts a second; 0 = as fast as they are answered
    concat: Literal["udh8", "udh16", "sar", "payload"] = "udh8"
    alphabet: Literal["gsm7", "ascii", "latin1"] = "gsm7"  #: what data_coding 0 means on this link
    number_format: Literal["98", "+98", "0"] = "98"  #: how a recipient is written: 98912…, +98912…, 0912…
    service_type: Annotated[str, Range(None, 5)] = ""
    source_ton: Octet | None = None  #: None = by the line's number: 5 for a name, 3 for a short code, 1 with a plus
    source_npi: Octet | None = None
    dest_ton: Octet = 1
    dest_npi: Octet = 1
    receipts: bool = True  #: ask for delivery receipts
    enquire_s: Annotated[float, Range(1, 600)] = 30.0  #: seconds of silence until the peer is asked
    answer_s: Annotated[float, Range(1, 120)] = 10.0  #: seconds until a text without an answer is in doubt
    codes: Annotated[Mapping[str, Kind], _codes] = field(default_factory=dict)  #: `"0x45" = "slow"`: an operator's ways

    @property
    def coding(self) -> Coding:
        """The alphabet as the codec names it."""
        return Coding(self.alphabet)

    def kinds(self) -> dict[int, Kind]:
        """`codes` by number."""
        return {int(key, 16): kind for key, kind in self.codes.items()}
