"""A screen on a wall is registered at a desk, and shows the board from then on."""

import base64
from datetime import UTC, datetime
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.async_api import expect

from lastmetre.devstack import Stack
from lastmetre.intake.adapters.passwords import code_of
from tests.e2e.pages.conftest import Visit
from tests.support.browser import faults_of
from tests.support.city import City
from tests.support.commands import lastmetre

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(
    ("language", "heading"),
    [("en", "Screens on walls"), ("zh", "大屏")],
)
async def test_a_screen_is_registered_by_keyboard_and_shows_the_board(
    town: City, visit: Visit, stack: Stack, language: str, heading: str
) -> None:
    name, place = f"centre-{uuid4().hex[:8]}", f"Hall {uuid4().hex[:8]}"
    given = await lastmetre(stack, "users", "add", name, "--role", "operator")
    secret = base64.b32decode(given["code_secret"])
    centre = await visit(language, "desktop")
    page = await centre.open(town.url("intake", "/sign-in?next=/sign-in/displays"))
    await page.locator("#f-subject").fill(name)
    await page.locator("#f-password").fill(given["password"])
    await page.locator("#f-code").fill(code_of(secret, int(datetime.now(UTC).timestamp()) // 30))
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text(heading)
    assert await faults_of(page) == []
    await page.locator("#f-name").focus()
    await page.keyboard.type(place)
    await page.keyboard.press("Enter")
    await expect(page.locator("#f-link")).to_be_focused()
    assert await faults_of(page) == []

    screen = await visit(language, "desktop")
    link = urlsplit(await page.locator("#f-link").input_value()).path
    wall = await screen.open(town.url("intake", link))
    await expect(wall.locator("h1")).to_contain_text(place)
    assert await faults_of(wall) == []
    await wall.keyboard.press("Enter")
    await expect(wall.locator("footer")).to_contain_text(place)
    await expect(wall.locator("html[data-wall] [data-live]")).to_be_visible()
    assert await faults_of(wall) == []
    beyond = await screen.context.request.get(town.url("metrics", "/board"))
    assert beyond.status == 403

    await page.goto(town.url("intake", "/sign-in/displays"))
    out = page.locator("li", has_text=place).get_by_role("button")
    await out.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("li", has_text=place)).to_have_count(0)
    renewed = await screen.context.request.post(town.url("intake", "/sign-in/renew"))
    assert renewed.status == 401
