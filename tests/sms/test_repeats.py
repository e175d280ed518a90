"""What comes again after a restart, or is pushed again, costs nothing and is kept once."""

from __future__ import annotations

from pathlib import Path

from sms.providers.base import Arrival
from tests.sms.house import House, house

PHONE = "09120000001"
ASKED = ("راهنما", "وضعیت", "123", "لغو", "وصل")  # five sentences, as many as an hour has
TOLD = ["help", "mine_none", "no_question", "stopped", "started"]


async def polled(here: House) -> None:
    """The provider hands out again what it handed out in the last 48 h."""
    here.paper().inbox = [Arrival(f"{n}", PHONE, "30001234", words, at=n) for n, words in enumerate(ASKED)]
    assert await here.channel.fetch("main", 0) == len(ASKED)


async def test_old_texts_polled_again_after_a_restart_spend_no_budget(tmp_path: Path):
    async with house(tmp_path) as here:
        await polled(here)
        assert await here.keys() == TOLD
        await here.text(PHONE, "72940518364")
        assert await here.keys() == TOLD, "the hour's budget is spent"
    async with house(tmp_path) as here:
        for _ in range(3):
            await polled(here)
        assert await here.keys() == TOLD
        here.clock.advance(13 * 60)  # one of five an hour has come back, and nobody else has it
        await here.text(PHONE, "72940518364", number="later")
        assert await here.keys() == [*TOLD, "code_wrong"]


async def test_a_deed_that_is_refused_is_kept_once_however_often_it_is_pushed(tmp_path: Path):
    async with house(tmp_path) as here:
        await here.text(PHONE, "آب کوچه قطع است")
        code = await here.code()
        for _ in range(3):
            assert (await here.text("09350000002", f"{code} 31", number="7")).status == 200
        assert await here.kept() == [("refused", f"{code} 31".encode())]
        assert await here.keys() == ["received", "need_proof"]
    async with house(tmp_path) as here:
        await here.text("09350000002", f"{code} 31", number="7")
        assert len(await here.kept()) == 1
