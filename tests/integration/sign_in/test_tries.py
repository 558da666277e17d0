"""Whoever fails too often at the sign-in is not listened to for a while, and nobody else is hit."""

from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import pytest

from tests.integration.sign_in.conftest import AUDIENCE, FAILURES, Browser
from tests.integration.sign_in.test_links_and_programs import exchange, lead_link
from tests.integration.sign_in.test_wall_displays import link_for
from tests.support.city import IntakeAlone
from tests.support.openid_provider import OpenIdProviderOfTests

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

BAD_CODE: Final = f"/sign-in/callback?{urlencode({'code': 'x', 'state': 'y'})}"
Ask = Callable[[Browser, IntakeAlone, OpenIdProviderOfTests], Awaitable[httpx.Response]]


async def bad_callback(browser: Browser, *_: Any) -> httpx.Response:
    return await browser.get(BAD_CODE, Accept="application/json")


async def good_callback(browser: Browser, *_: Any) -> httpx.Response:
    browser.client.cookies.clear()
    return await browser.sign_in()


async def bad_link(browser: Browser, *_: Any) -> httpx.Response:
    return await browser.get("/sign-in/link/rubbish", Accept="application/json")


async def good_link(browser: Browser, city: IntakeAlone, _: Any) -> httpx.Response:
    browser.client.cookies.clear()
    return await browser.get(lead_link(city))


async def bad_exchange(
    browser: Browser, _: IntakeAlone, provider: OpenIdProviderOfTests
) -> httpx.Response:
    return await exchange(browser, provider.token("another"))


async def good_exchange(
    browser: Browser, _: IntakeAlone, provider: OpenIdProviderOfTests
) -> httpx.Response:
    return await exchange(browser, provider.token(AUDIENCE))


async def bad_end(browser: Browser, *_: Any) -> httpx.Response:
    return await browser.client.post("/sign-in/ended", data={"logout_token": "x"})


async def bad_display(browser: Browser, *_: Any) -> httpx.Response:
    return await browser.get("/sign-in/display/rubbish", Accept="application/json")


async def good_display(browser: Browser, city: IntakeAlone, _: Any) -> httpx.Response:
    """Looking at a screen's link, which somebody at another address has made."""
    async with city.processes[0].client() as client:
        centre = Browser(client, city)
        await centre.sign_in()
        return await browser.get(await link_for(centre, uuid4().hex))


async def good_end(
    browser: Browser, _: IntakeAlone, provider: OpenIdProviderOfTests
) -> httpx.Response:
    notice = {"logout_token": provider.logout_token(sid="nobody's")}
    return await browser.client.post("/sign-in/ended", data=notice)


@pytest.mark.parametrize(
    ("bad", "good", "failed", "came_off"),
    [
        (bad_callback, good_callback, 403, 303),
        (bad_link, good_link, 404, 303),
        (bad_exchange, good_exchange, 401, 200),
        (bad_display, good_display, 404, 200),
        (bad_end, good_end, 400, 200),
    ],
    ids=["callback", "link", "exchange", "display", "ended"],
)
async def test_failures_are_counted_by_client(
    browser: Browser,
    signing_in: IntakeAlone,
    provider: OpenIdProviderOfTests,
    bad: Ask,
    good: Ask,
    failed: int,
    came_off: int,
) -> None:
    world = (browser, signing_in, provider)
    for _ in range(FAILURES + 1):
        assert (await good(*world)).status_code == came_off, "what comes off counts no more"
    for _ in range(FAILURES):
        assert (await bad(*world)).status_code == failed
    for refused in (await bad(*world), await good(*world)):
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "900")
    problem = await bad(*world)
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json()["type"] == "/problems/too-many-tries"
    # The others, and whoever has a session, notice nothing.
    browser.client.cookies.clear()
    browser.client.headers["X-Forwarded-For"] = "203.0.113.9"
    assert (await good(*world)).status_code == came_off


async def test_who_is_refused_is_told_so_on_a_page_and_keeps_his_session(browser: Browser) -> None:
    await browser.sign_in()
    for _ in range(FAILURES):
        await bad_callback(browser)
    for language, words in (("en", "Too many tries"), ("zh", "尝试次数太多")):
        page = await browser.get(f"{BAD_CODE}&lang={language}")
        assert (page.status_code, words in page.text) == (429, True)
    assert (await browser.post("/sign-in/renew")).status_code == 204
    assert (await browser.get("/sign-in")).status_code == 200


async def test_that_the_provider_is_away_is_nobodys_failure(
    browser: Browser, provider: OpenIdProviderOfTests
) -> None:
    back = await browser.to_provider()
    provider.away = True
    for _ in range(FAILURES + 1):
        assert (await browser.get(back)).status_code == 503
    provider.away = False
    assert (await browser.get(back)).status_code == 303
