"""A running demo: a prompt spoken by staff by telephone, and a reload by signal."""

from __future__ import annotations

import re
import signal

import numpy as np
import pytest

from core.text import digits
from ivr.media import g711
from tests.journeys.phones import ear
from tests.journeys.phones.small import Small
from tests.journeys.running import Demo, Operator, until

SENTENCE = "ivr.menu.opinion"
WORDS = "برای پیشنهاد یک، برای انتقاد دو، برای سپاس سه."


def number(demo: Demo, dialled: str) -> str:
    return str(demo.facts["sip"]).replace("1888", dialled)


@pytest.mark.slow
def test_a_prompt_is_spoken_by_phone_heard_on_the_page_and_withdrawn(demo: Demo, tmp_path):
    admin = Operator(demo, "admin")
    page = admin.get("/console/phone/prompts")
    told = admin.submit(page, "/console/phone/prompts", key=SENTENCE, lang="fa")
    permit = digits(re.search(r'class="permit"><bdi dir="ltr">(.{8})<', told.html)[1])
    voice = ear.spoken(WORDS).astype(np.int16)
    (tmp_path / "say.wav").write_bytes(g711.write_wav(voice))
    with Small(number(demo, "1889"), f"{permit},wait,say,#,,3,,hangup", say=tmp_path / "say.wav") as phone:
        assert phone.end() == 0, phone.lines
    page = admin.get("/console/phone/prompts?in=fa")
    card = page.text.split(SENTENCE)[1][:60]
    assert "ضبط‌شده" in card
    sound = admin.session.get(f"{admin.base}/console/phone/sound/fa/{SENTENCE}")
    assert ear.share(ear.read(sound.content), voice.astype(float)) > 0.8
    gone = admin.submit(page, "/console/phone/prompts/withdraw", key=SENTENCE, lang="fa")
    assert "صدای ساختگی" in gone.text.split(SENTENCE)[1][:60]


def test_a_reload_by_signal_says_what_came_of_it(demo: Demo):
    assert demo.process is not None
    demo.process.send_signal(signal.SIGHUP)
    log = demo.folder.parent / f"{demo.folder.name}.log"
    until(lambda: "phone: menus and texts are read again" in log.read_text())
