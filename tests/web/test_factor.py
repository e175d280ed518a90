"""Staff sign in with a second factor, as a site off loopback asks it: enrolment, codes, recovery, one's own page."""

from __future__ import annotations

import base64
import re
from dataclasses import replace

import pytest

from config.values import Config
from core import factors
from tests.web.conftest import Browser, Page, Site, sample

SECOND = "/console/login/second"
CODES = r'<code dir="ltr">([^<]+)</code>'


@pytest.fixture
def settings() -> Config:
    """As shipped: a second factor is asked."""
    return replace(sample(), settings=replace(sample().settings, second_factor="required"))


def secret_of(page: Page) -> bytes:
    found = re.search(r'id="secret">([A-Z2-7 ]+)<', page.html)
    assert found, page.text
    letters = found[1].replace(" ", "")
    return base64.b32decode(letters + "=" * (-len(letters) % 8))


def now(site: Site, secret: bytes) -> str:
    return factors.code(secret, site.clock.now() // 1000 // factors.STEP)


async def enrol(site: Site, browser: Browser) -> tuple[bytes, list[str]]:
    page = await browser.sign_in("director")
    assert page.status == 200
    assert "<svg" in page.html
    secret = secret_of(page)
    done = await browser.submit(page, SECOND, code=now(site, secret))
    assert done.status == 200
    return secret, re.findall(CODES, done.html)


async def test_the_first_sign_in_enrols_and_the_next_asks_for_a_code(site: Site):
    browser = site.browser()
    page = await browser.sign_in("director")
    assert (await site.client.get("/console/", allow_redirects=False)).status == 303, "a password alone opens nothing"
    wrong = await browser.submit(page, SECOND, code="000000")
    assert wrong.status == 422
    assert secret_of(wrong) == secret_of(page)
    secret, recovery = await enrol(site, browser)
    assert len(recovery) == 10
    assert (await browser.get("/console/queue?view=new")).status == 200
    await browser.submit(await browser.get("/console/"), "/console/logout")
    page = await browser.sign_in("director")
    assert 'id="secret"' not in page.html
    again = await browser.submit(page, SECOND, code=now(site, secret))
    assert again.status == 422, "a code works once"
    site.clock.advance(30)
    done = await browser.submit(again, SECOND, code=now(site, secret))
    assert done.status == 200
    assert (await browser.get("/console/queue?view=new")).status == 200


async def test_a_recovery_code_signs_in_once(site: Site):
    browser = site.browser()
    _, recovery = await enrol(site, browser)
    for status in (200, 422):
        await browser.submit(await browser.get("/console/me"), "/console/logout")
        page = await browser.submit(await browser.sign_in("director"), SECOND, code=recovery[0])
        assert page.status == status
        if status == 200:
            assert site.parts.say("console.factor.left", "fa", n="۹") in (await browser.get("/console/me")).text
        else:
            break


async def test_five_wrong_codes_make_it_wait(site: Site):
    browser = site.browser()
    await enrol(site, browser)
    page = await browser.sign_in("director")
    for _ in range(5):
        page = await browser.submit(page, SECOND, code="000000")
    shut = await browser.submit(page, SECOND, code="000000")
    assert shut.status == 429
    assert int(shut.headers["Retry-After"]) > 0


async def test_what_was_not_signed_by_us_or_is_old_asks_for_the_password_again(site: Site):
    browser = site.browser()
    page = await browser.sign_in("director")
    forged = await browser.submit(page, SECOND, code="000000", **{"pass": "x.y"})
    assert forged.status == 422
    assert 'name="password"' in forged.html
    site.clock.advance(301)
    late = await browser.submit(page, SECOND, code=now(site, secret_of(page)))
    assert late.status == 422
    assert 'name="password"' in late.html


async def test_new_recovery_codes_are_made_on_one_s_own_page(site: Site):
    browser = site.browser()
    secret, recovery = await enrol(site, browser)
    mine = await browser.get("/console/me")
    assert (await browser.submit(mine, "/console/me/confirm", code="000000")).status == 422
    site.clock.advance(60)
    page = await browser.submit(mine, "/console/me/confirm", code=now(site, secret))
    fresh = re.findall(CODES, page.html)
    assert len(fresh) == 10
    assert not set(fresh) & set(recovery)
    assert (await browser.post("/console/me/factor", mine.fields("/console/me/confirm"))).status == 409


class TestOptional:
    @pytest.fixture
    def settings(self) -> Config:
        """As the demo has it."""
        return sample()

    async def test_a_factor_of_one_s_own_choice_is_asked_from_then_on(self, site: Site):
        browser = site.browser()
        await browser.sign_in("director")
        page = await browser.submit(await browser.get("/console/me"), "/console/me/factor")
        done = await browser.submit(page, "/console/me/confirm", code=now(site, secret_of(page)))
        assert len(re.findall(CODES, done.html)) == 10
        await browser.submit(await browser.get("/console/me"), "/console/logout")
        page = await browser.sign_in("director")
        assert f'action="{SECOND}"' in page.html
