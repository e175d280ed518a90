"""What the virus scanner says of files: who waits, what is noted, what citizens and staff are shown; on both stores."""

from __future__ import annotations

from dataclasses import replace

from core import asking, audit, scans
from core.channels import Asker
from core.clock import HandClock
from core.intake import Desk
from core.model import KeptFile, Scan
from core.schema import event, file
from core.store import Store
from tests.core.test_intake import MAIL, letter, rows


async def attached(desk: Desk, *scan: Scan | None) -> list[KeptFile]:
    kept = [await desk.keep(f"plan {n}".encode(), f"plan{n}.txt") for n, _ in enumerate(scan)]
    return [replace(each, scan=said) for each, said in zip(kept, scan, strict=True)]


async def test_files_wait_until_they_are_called_clean_and_an_infected_one_is_an_event(
    desk: Desk, store: Store, clock: HandClock
):
    files = await attached(desk, Scan.WAITING, Scan.WAITING, Scan.OFF, None)
    receipt = await desk.take(letter("1", files=files))
    one, two = await store.read(scans.due, Scan.WAITING)
    assert (one.key, one.size) == (files[0].key, 6)
    assert await store.read(scans.due, Scan.WAITING, one.id) == [two]
    await store.write(scans.said, one.id, Scan.CLEAN, "", clock.now())
    await store.write(scans.said, two.id, Scan.UNSCANNED, "no answer", clock.now())
    assert await store.read(scans.due, Scan.WAITING) == []
    assert await store.read(scans.due, Scan.UNSCANNED) == [two]
    await store.write(scans.said, two.id, Scan.INFECTED, "Made.Up", clock.now())
    await store.write(scans.said, two.id, Scan.CLEAN, "", clock.now())  # too late: what is infected stays so
    found = {row["label"]: (row["scan"], row["found"]) for row in await rows(store, file)}
    assert found == {
        "plan0.txt": ("clean", ""), "plan1.txt": ("infected", "Made.Up"), "plan2.txt": ("off", None),
        "plan3.txt": (None, None),
    }  # fmt: skip
    (noted,) = await rows(store, event, event.c.kind == "infected")
    assert (noted["ticket"], noted["actor"], noted["data"]["found"]) == (receipt.ticket, "system", "Made.Up")
    assert await store.read(audit.verify, receipt.ticket) == []


async def test_the_citizen_sees_which_file_is_held(desk: Desk, store: Store):
    receipt = await desk.take(letter("1", files=await attached(desk, Scan.WAITING, Scan.OFF)))
    answer = await asking.answer_for(store, receipt.code, Asker("mail", "x", contact=MAIL))
    assert answer is not None
    assert [(each.name, each.held) for each in answer.words[0].files] == [("plan0.txt", True), ("plan1.txt", False)]
