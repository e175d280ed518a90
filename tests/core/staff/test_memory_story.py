"""One message in and one answer out through the in-memory channel, the real door, the desk and the worker."""

from __future__ import annotations

from pathlib import Path

from core import desk, memory_channel, quiet, replies
from core.channels import Act, Asker, Channel, DeliveryState, Gear, Inbound
from core.files import Files
from core.intake import Desk
from core.model import State
from gateway.worker import Worker
from tests.core.staff.conftest import World, mobile


def gear(name: str) -> Gear:
    return Gear(name, {}, lambda key, lang, /, **facts: key, "")


def made(name: str) -> memory_channel.Memory:
    return memory_channel.make(gear(name))


def test_the_channels_that_ship_keep_the_contract():
    channels: list[Channel] = [made("sms"), quiet.web(gear("web")), quiet.desk(gear("desk"))]
    assert [(one.name, one.can_send) for one in channels] == [("sms", True), ("web", False), ("desk", False)]


async def test_a_message_gets_its_code_then_its_answer_then_an_objection(world: World, tmp_path: Path):
    files = Files(tmp_path / "files", world.ring, world.store)
    door = Desk(world.store, world.office.config, world.ring, files, world.clock, world.office.throttle)
    sms = made("sms")
    worker = Worker(world.store, {"sms": sms, "web": quiet.web(gear("web"))}, world.ring, world.clock)
    await sms.start(door)
    await worker.start()
    try:
        receipt = await sms.receive(Inbound("sms", "m-1", "برق کوچهٔ ما سه روز است قطع است", contact=mobile()))
        await world.until(lambda: sms.arrived)
        told = sms.arrived[0]
        assert (told.purpose, told.facts["code"], told.facts["pin"]) == ("receipt", receipt.code, receipt.pin)

        boss = await world.who("director")
        view = await desk.ticket(world.store, boss, receipt.ticket)
        await replies.reply(world.store, boss, view.id, view.version, "کابل تعویض شد")
        world.clock.advance(11)
        await world.until(lambda: len(sms.arrived) == 2)
        assert (sms.arrived[1].text, sms.arrived[1].to) == ("کابل تعویض شد", "+989120000000")

        async def recorded() -> bool:
            (sent,) = (await desk.ticket(world.store, boss, view.id)).messages[1].deliveries
            return sent.state == "accepted"

        await world.until(recorded)
        await door.delivered("sms", f"sms-{sms.arrived[1].id}", DeliveryState.DELIVERED)
        (sent,) = (await desk.ticket(world.store, boss, view.id)).messages[1].deliveries
        assert sent.state == "delivered"

        answer = await door.answer_for(receipt.code, Asker("phone", "call-1", proof=receipt.pin))
        assert answer is not None
        assert answer.reply is not None
        assert answer.reply.text == "کابل تعویض شد"
        assert Act.OBJECT in answer.can
        act = Inbound("sms", "m-2", "هنوز قطع است", act=Act.OBJECT, code=receipt.code, contact=mobile())
        assert (await sms.receive(act)).state is State.DISPUTED
    finally:
        await worker.stop(2)
        files.close()
