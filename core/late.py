"""What a peer says late of something that is in doubt. SQL only."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from core import outcomes
from core.channels import Sent
from core.schema import meta

NO_FENCE = -1  #: of a word that no claim brought


def sent(s: Connection, epoch: int, row: int, told: Sent, now: int) -> None:
    """It has it, and what was reported of it meanwhile holds. A row that is over, or of another epoch, stays."""
    ours = s.execute(sa.select(meta.c.value).where(meta.c.key == "epoch")).scalar_one_or_none()
    if int(ours or 0) == epoch:
        outcomes.record(s, [outcomes.Result(row, NO_FENCE, told)], now)
