"""A screen on a wall is registered once, and signs in by a link that is good once."""

import asyncio
import re
from typing import Final

import pytest

from lastmetre.common.security.callers import SESSION_COOKIE
from tests.integration.sign_in.conftest import Browser
from tests.support.city import IntakeAlone
from tests.support.openid_provider import OpenIdProviderOfTests

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

PLACE: Final = "/sign-in/displays"
HALL: Final = "大厅 1"


async def link_for(centre: Browser, name: str = HALL) -> str:
    """The path of the link that the page shows for another screen."""
    page = await centre.post(f"{PLACE}?lang=en", name=name)
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store"), page.text
    (address,) = re.findall(r'id="f-link" value="http://staff\.example(/[^"]+)"', page.text)
    assert "good once" in page.text
    return str(address)


async def test_a_screen_shows_the_board_and_nothing_else(
    browser: Browser, signing_in: IntakeAlone
) -> None:
    await browser.sign_in()
    assert "No screen is signed in" in (await browser.get(f"{PLACE}?lang=en")).text
    link = await link_for(browser)
    listed = (await browser.get(f"{PLACE}?lang=en")).text
    assert "its link may be opened until" in listed
    assert link.rpartition("/")[2] not in listed
    async with signing_in.processes[0].client() as client:
        client.headers["User-Agent"] = "A television"
        screen = Browser(client, signing_in)
        for language, words in (("zh", "在此显示看板"), ("en", "Show the board here")):
            page = await screen.get(f"{link}?lang={language}")
            assert (page.status_code, words in page.text, HALL in page.text) == (200, True, True)
        assert screen.acting() is None, "a program that looks at links signs nobody in"
        shown = await screen.post(link)
        assert (shown.status_code, shown.headers["location"][-11:]) == (303, "/board/wall")
        assert screen.acting() == f"display:{HALL}"
        lasts = """SELECT extract(day FROM idle_ends_at - now()), extract(day FROM ends_at - now())
            FROM staff_session WHERE signed_in_by = 'display'"""
        assert [tuple(row) for row in await signing_in.fetch(lasts)] == [(29, 364)]
        for again in (await screen.get(link), await screen.post(link)):
            assert again.status_code == 404
        assert (await screen.post("/sign-in/renew")).status_code == 204
        assert (await screen.get(PLACE)).status_code == 403
        assert (await screen.post(PLACE, name="another")).status_code == 403
        page = await browser.get(f"{PLACE}?lang=en")
        assert "A television" in page.text
        assert "Registered by zhou.lin" in page.text


async def test_any_of_the_centre_signs_a_screen_out(
    browser: Browser, signing_in: IntakeAlone, provider: OpenIdProviderOfTests
) -> None:
    await browser.sign_in()
    link = await link_for(browser)
    provider.claims |= {"sub": "b77", "preferred_username": "qian.wei"}
    async with (
        signing_in.processes[0].client() as his_client,
        signing_in.processes[0].client() as screen_client,
    ):
        other, screen = Browser(his_client, signing_in), Browser(screen_client, signing_in)
        await screen.post(link)
        await other.sign_in()
        page = (await other.get(PLACE)).text
        (session,) = re.findall(r'name="session" value="([^"]+)"', page)
        ended = await other.post(f"{PLACE}/revoke", session=session)
        assert (ended.status_code, ended.headers["location"]) == (303, PLACE)
        assert (await screen.post("/sign-in/renew")).status_code == 401
        for unknown in (session, "rubbish"):
            assert (await other.post(f"{PLACE}/revoke", session=unknown)).status_code == 404
        # Its name is free again.
        await link_for(other)


@pytest.mark.parametrize("name", ["", " ", "x" * 121, HALL])
async def test_a_screen_has_a_name_of_its_own(browser: Browser, name: str) -> None:
    await browser.sign_in()
    await link_for(browser)
    answer = await browser.post(PLACE, name=name)
    assert (answer.status_code, 'class="err' in answer.text) == (422, True)
    assert "f-link" not in answer.text


async def test_only_the_centre_registers_screens(
    browser: Browser, provider: OpenIdProviderOfTests
) -> None:
    led = await browser.get(PLACE)
    assert (led.status_code, led.headers["location"]) == (303, f"/sign-in?next={PLACE}")
    assert (await browser.post(PLACE, name=HALL)).status_code == 401
    provider.claims |= {"groups": ["leads"], "employee": "L017"}
    await browser.sign_in()
    assert (await browser.get(PLACE)).status_code == 403
    assert (await browser.post(PLACE, name=HALL)).status_code == 403


async def test_a_link_is_good_once_soon_and_as_nothing_else(
    browser: Browser, signing_in: IntakeAlone
) -> None:
    await browser.sign_in()
    link = await link_for(browser)
    async with signing_in.processes[0].client() as one, signing_in.processes[0].client() as two:
        screens = [Browser(one, signing_in), Browser(two, signing_in)]
        screens[0].keep(SESSION_COOKIE, link.rpartition("/")[2])
        assert (await screens[0].post("/sign-in/renew")).status_code == 401
        elsewhere = {"Sec-Fetch-Site": "cross-site"}
        assert (await one.post(link, headers=elsewhere)).status_code == 403
        answers = await asyncio.gather(*(each.post(link) for each in screens))
        assert sorted(each.status_code for each in answers) == [303, 404]
        late = await link_for(browser, "late")
        await signing_in.execute(
            "UPDATE staff_session SET idle_ends_at = now() WHERE subject = 'late'"
        )
        assert (await screens[0].get(late)).status_code == 404
        assert (await screens[0].post(late)).status_code == 404


async def test_a_screen_is_none_of_ones_own_sessions_whatever_its_name(
    browser: Browser, signing_in: IntakeAlone
) -> None:
    await browser.sign_in()
    await link_for(browser, "zhou.lin")
    screens = "SELECT session_id::text FROM staff_session WHERE signed_in_by = 'display'"
    screen = str(await signing_in.value(screens))
    assert screen not in (await browser.get("/sign-in")).text
    assert (await browser.post("/sign-in/revoke", session=screen)).status_code == 404


async def test_opened_by_mistake_at_a_desk_it_says_whose_sign_in_would_end(
    browser: Browser,
) -> None:
    await browser.sign_in()
    link = await link_for(browser)
    page = await browser.get(f"{link}?lang=en")
    assert "zhou.lin is signed in in this browser" in page.text
    assert browser.acting() == "operator:zhou.lin"
    before = browser.client.cookies[SESSION_COOKIE]
    await browser.post(link)
    assert browser.acting() == f"display:{HALL}"
    browser.keep(SESSION_COOKIE, before)
    assert (await browser.post("/sign-in/renew")).status_code == 401
