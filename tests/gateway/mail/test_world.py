"""The made-up mailbox as a program: its JSON, its page, and what it remembers after kill -9."""

from __future__ import annotations

import asyncio
import json
import sys

import aiohttp
import pytest

from gateway.mail.pool import ROOT

CITIZEN = "sara@mailbox.example"


@pytest.fixture
async def world(tmp_path, channel):
    running = []

    async def start():
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.worlds.mail", "--dir", str(tmp_path / "w"), "--port", "0", "--smtp", "0",
            "--target", f"127.0.0.1:{channel.port()}", stdout=asyncio.subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        running.append(process)
        assert process.stdout is not None
        ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
        assert ready["ready"]
        return process, ready["mailbox"]

    yield start
    for process in running:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_letters_go_out_by_json_and_are_there_after_kill_9(world, door):
    process, url = await world()
    letter = {"from": CITIZEN, "to": "water@agency.example.ir", "subject": "<b>آب</b>", "text": "قطع است"}
    async with aiohttp.ClientSession() as client:
        async with client.post(f"{url}/send.json", json=letter) as done:
            assert done.status == 200
            number = (await done.json())["id"]
        async with client.post(f"{url}/send.json", json={**letter, "to": "nobody@agency.example.ir"}) as refused:
            assert refused.status == 422 and "550 5.1.1" in (await refused.json())["reply"]
        async with client.post(f"{url}/send.json", json={**letter, "to": "x\r\ny@z"}) as bad:
            assert bad.status == 400
        assert door.taken[0].message_id == number and door.taken[0].text == "قطع است"
        process.kill()
        await process.wait()
        _, url = await world()
        async with client.get(f"{url}/messages.json", params={"address": CITIZEN}) as got:
            rows = await got.json()
        assert [(row["id"], row["from"], row["text"], row["way"]) for row in rows] == [
            (number, CITIZEN, "قطع است", "out")
        ]
        async with client.get(url, params={"address": CITIZEN}) as page:
            html = await page.text()
        assert 'dir="rtl"' in html and "&lt;b&gt;آب&lt;/b&gt;" in html and "<b>آب" not in html


async def test_what_an_address_does_is_set_by_page_and_json_and_lasts(world):
    process, url = await world()
    async with aiohttp.ClientSession() as client:
        async with client.post(f"{url}/mode.json", json={"address": CITIZEN, "mode": "holiday"}) as done:
            assert (done.status, await done.json()) == (200, {CITIZEN: "holiday"})
        for wrong in ({"address": CITIZEN, "mode": "asleep"}, {"address": "nobody", "mode": "hard"}, ["x"]):
            async with client.post(f"{url}/mode.json", json=wrong) as refused:
                assert refused.status == 422
        async with client.post(f"{url}/mode", data={"address": CITIZEN, "mode": "full"}) as page:
            assert '<option value="full" selected>' in await page.text()
        process.kill()
        await process.wait()
        _, url = await world()
        async with client.get(url, params={"address": CITIZEN.upper()}) as page:
            assert '<option value="full" selected>' in await page.text()
        async with client.post(f"{url}/mode", data={"address": CITIZEN, "mode": ""}) as page:
            assert '<option value="" selected>' in await page.text()
