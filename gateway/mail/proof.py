"""Judging senders by their DKIM signatures ourselves, where no server in front does it (`verify_dkim`)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from core.channels import Trust
from gateway.mail.mime import Mail
from gateway.mail.trust import aligned

log = logging.getLogger("pasokh.mail.proof")
logging.getLogger("dkimpy").setLevel(logging.CRITICAL)

SIGNATURES = 3  # of a letter that are looked at
WAIT = 5  # seconds for the whole of it, DNS included
MOST = 1 << 20  # octets of a letter whose signature is checked; a longer one stays a claim
Dns = Callable[..., bytes | None]


async def judge(mail: Mail, raw: bytes, dns: Dns | None = None) -> Trust:
    """PASS for a valid signature of From's domain or its parent, else NONE. `dns(name, timeout)` gives a TXT record."""
    if mail.senders != 1 or not mail.first("dkim-signature") or len(raw) > MOST:
        return Trust.NONE
    domain = mail.sender.rpartition("@")[2].lower()
    try:
        async with asyncio.timeout(WAIT):
            signed = await asyncio.to_thread(_domains, raw, min(len(mail.all("dkim-signature")), SIGNATURES), dns)
    except TimeoutError:
        log.warning("a signature could not be checked in time")
        return Trust.NONE
    return Trust.PASS if any(aligned(one, domain) for one in signed) else Trust.NONE


def _domains(raw: bytes, many: int, dns: Dns | None) -> list[str]:
    """The domains whose signatures hold."""
    import dkim  # late: it asks the system for its name servers

    how: dict[str, Any] = {"dnsfunc": dns} if dns is not None else {}
    found = []
    for number in range(many):
        letter = dkim.DKIM(raw, timeout=WAIT)
        try:
            if letter.verify(idx=number, **how):
                found.append(letter.domain.decode("ascii", "replace").lower())
        except Exception as error:  # noqa: BLE001  it raises many things for broken signatures: none of them holds
            log.info("a signature does not hold", extra={"kind": type(error).__name__})
    return found
