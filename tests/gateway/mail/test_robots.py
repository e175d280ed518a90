"""Machines that answer everything, against the running program: each gets one automatic letter, and no more."""

from __future__ import annotations

import pytest

from core.schema import automatic, outbox, ticket
from tests.gateway.mail.robots import ROBOTS
from tests.gateway.mail.system import INFO, running
from tests.gateway.mail.test_channel import deliver

ROUNDS = 4
OTHER = "other.example.ir"


@pytest.fixture
async def system(reactor, tmp_path, box):
    async with running(tmp_path / "data", box) as found:
        yield found


async def told(system):
    """Wait until nothing waits to be sent."""

    async def quiet():
        rows = await system.rows(outbox.c.id, outbox.c.state)
        return all(row.state in ("accepted", "delivered", "undelivered") for row in rows)

    await system.until(quiet)


@pytest.mark.slow
async def test_twelve_kinds_of_robots_get_at_most_one_automatic_letter_each(system, box):
    for robot in ROBOTS:
        await box.send(robot.address, INFO, f"درخواست {robot.name}", "لطفاً رسیدگی کنید.")
    await told(system)
    answered = 0
    for round_ in range(ROUNDS):
        for robot in ROBOTS:
            got = [each for each in box.of(robot.address) if each.way == "in"]
            said = robot.answer(got[-1], round_)
            code, _ = await deliver(system.mail, said.data, (said.to,), said.sender)
            assert code == 250, robot.name
            answered += 1
        await told(system)
    counts = {robot.name: sum(each.way == "in" for each in box.of(robot.address)) for robot in ROBOTS}
    assert answered == ROUNDS * len(ROBOTS)
    assert counts == {robot.name: 1 for robot in ROBOTS}
    assert len(await system.rows(automatic.c.id)) == len(ROBOTS)


@pytest.mark.slow
async def test_two_of_us_back_to_back_fall_silent(reactor, tmp_path, box):
    """Each takes the other's receipt for what it is: one letter each way, and nothing comes back."""
    async with running(tmp_path / "one", box) as one:
        await box.send(f"water@{OTHER}", INFO, "پیام", "متن")
        first = (await one.arrived(f"water@{OTHER}", 1))[0]
    async with running(tmp_path / "two", box, domain=OTHER) as two:
        top = "".join(f"{name}: {value}\r\n" for name, value in first.headers.items() if value.isascii())
        data = f"{top}\r\n{first.text}".replace("\r\n", "\n").replace("\n", "\r\n").encode()
        assert (await deliver(two.mail, data, (f"postmaster@{OTHER}",), first.envelope_from))[0] == 250
        assert await two.rows(ticket.c.id) == []
        assert await two.rows(outbox.c.id) == []
