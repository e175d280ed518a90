"""The channels that need no sending: what is written for web and desk is there to be read at commit."""

from __future__ import annotations

from core.channels import Door, Gear, Outbound, Outcome, Sent


class Quiet:
    """A channel without sockets. `can_send` is False: the outbox gives it no rows."""

    can_send = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.door: Door | None = None

    async def start(self, door: Door) -> None:
        self.door = door

    async def stop(self, drain: float) -> None:
        self.door = None

    async def send(self, message: Outbound) -> Outcome:
        return Sent()


def web(gear: Gear) -> Quiet:
    """The portal: an answer is read there with the code and a proof."""
    return Quiet("web")


def desk(gear: Gear) -> Quiet:
    """The service desk: the operator tells it, the receipt is printed."""
    return Quiet("desk")
