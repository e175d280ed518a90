"""Commands to a running program: the socket in its data folder, and what it says to nonsense."""

from __future__ import annotations

import asyncio
import contextlib
import stat
from pathlib import Path

import pytest

from core.errors import NotFound, WrongInput
from gateway import control, texting
from gateway.control import Control


async def running(folder: Path) -> Control:
    async def echo(asked):
        return asked["word"]

    async def missing(asked):
        raise NotFound("no line moon")

    async def broken(asked):
        raise RuntimeError("secret")

    made = Control(folder, {"echo": echo, "missing": missing, "broken": broken})
    await made.start()
    return made


async def test_a_command_is_answered_and_only_the_owner_may_ask(tmp_path: Path):
    made = await running(tmp_path)
    assert await control.ask(tmp_path, "echo", word="سلام") == "سلام"
    assert stat.S_IMODE((tmp_path / control.NAME).stat().st_mode) == 0o600
    await made.stop(0)
    with pytest.raises(control.NotRunning):
        await control.ask(tmp_path, "echo", word="")


async def test_faults_are_told_in_words_and_inner_ones_by_name_only(tmp_path: Path):
    made = await running(tmp_path)
    for deed, said in (("missing", "no line moon"), ("broken", "RuntimeError"), ("none", "no such command")):
        with pytest.raises(RuntimeError, match=said):
            await control.ask(tmp_path, deed)
    await made.stop(0)


async def test_nonsense_on_the_socket_is_answered_and_the_next_command_works(tmp_path: Path):
    made = await running(tmp_path)
    for junk in (b"\n", b"[]\n", b"{\n", b"x" * 2_000_000 + b"\n"):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / control.NAME))
        writer.write(junk)
        try:
            assert b"fault" in await reader.readline()
        except ConnectionError:
            assert len(junk) > control.MOST
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    assert await control.ask(tmp_path, "echo", word="a") == "a"
    await made.stop(0)


async def test_a_socket_left_by_a_crash_is_in_nobodys_way(tmp_path: Path):
    first = await running(tmp_path)
    (tmp_path / "copy").write_text("")
    await first.stop(0)
    (tmp_path / control.NAME).write_text("left over")
    second = await running(tmp_path)
    assert await control.ask(tmp_path, "echo", word="b") == "b"
    await second.stop(0)


@pytest.mark.parametrize(("to", "text", "field"), [("02433000000", "سلام", "to"), ("09120000000", " \n", "text")])
async def test_a_text_to_no_mobile_or_without_words_is_not_queued(to, text, field):
    with pytest.raises(WrongInput, match=field):
        await texting.Texting(None, None, {}).send({"to": to, "text": text})


def test_moments_are_hours_ago_or_dates():
    assert texting.moment("1h") < texting.moment("0h")
    assert texting.moment("2024-08-14T11:00:00+03:30") == 1_723_620_600_000
    with pytest.raises(ValueError, match="neither hours like 6h nor a moment"):
        texting.moment("yesterday")
