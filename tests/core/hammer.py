"""A program that takes messages without end and prints each acknowledged ref; its parent kills it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import config as configuration
from core import office, store
from core.channels import Act, Inbound
from core.cipher import Keyring
from core.clock import SystemClock
from core.files import Files
from core.intake import Desk
from core.throttle import Throttle

CLIENTS = 20


async def main(place: str, folder: Path, start: str) -> None:
    clock, ring, config = SystemClock(), Keyring({1: b"k" * 32}), configuration.read()
    opened = await store.open(place, clock, folder, ring.key("chain"))
    throttle = Throttle(config.settings.limits, clock)
    office.bind(opened, office.Office(config, ring, clock, throttle))
    desk = Desk(opened, config, ring, Files(folder / "files", ring, opened), clock, throttle)

    async def client(number: int) -> None:
        for turn in range(100_000):
            ref = f"{start}-{number}-{turn}"
            text = f"پیام {ref}"
            kept = [await desk.keep(text.encode(), "صدا.txt")] if turn % 10 == 9 else []
            receipt = await desk.take(Inbound("web", ref, text, files=kept))
            print(f"{ref} {receipt.code} {kept[0].key if kept else '-'}", flush=True)
            if turn % 5 == 4:
                add = Inbound("web", f"{ref}+", "افزوده", act=Act.ADD, code=receipt.code, proof=receipt.pin)
                await desk.take(add)
                print(f"{ref}+ {receipt.code} -", flush=True)

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
