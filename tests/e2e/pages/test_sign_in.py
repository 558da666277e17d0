"""A foreign page that leads staff to a sign-in link: nobody works under another name unnoticed."""

import pytest
from playwright.async_api import Page, expect

from lastmetre.common.security.callers import TOKEN_COOKIE, Role
from tests.e2e.pages.conftest import Visit
from tests.e2e.pages.people import staff_url
from tests.support.browser import faults_of
from tests.support.city import City

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def is_signed_in(page: Page) -> bool:
    return any(each["name"] == TOKEN_COOKIE for each in await page.context.cookies())


async def test_m8_another_site_signs_nobody_in_until_he_says_so(town: City, visit: Visit) -> None:
    link = staff_url(town, "dispatch", "/centre", Role.OPERATOR)
    operator = await visit("en", "desktop")
    page = await operator.context.new_page()
    await page.set_content(f'<a href="{link}">A prize</a>')  # of no site at all, so not of ours
    await page.get_by_role("link", name="A prize").click()
    await expect(page.locator("h1")).to_have_text("Do you want to sign in?")
    await expect(page.locator("main")).to_contain_text("act as operator:")
    assert await faults_of(page) == []
    assert not await is_signed_in(page)
    await page.get_by_role("link", name="Sign in").click()
    await expect(page.locator("#list")).to_be_visible()
    assert await is_signed_in(page)
    assert "token" not in page.url


async def test_m8_a_link_that_is_typed_signs_in_at_once(town: City, visit: Visit) -> None:
    operator = await visit("en", "desktop")
    page = await operator.open(staff_url(town, "dispatch", "/centre", Role.OPERATOR))
    await expect(page.locator("#list")).to_be_visible()


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("screen", ["desktop", "phone"])
async def test_the_form_for_name_password_and_code(
    town: City, visit: Visit, language: str, screen: str
) -> None:
    somebody = await visit(language, screen)
    page = await somebody.open(town.url("intake", "/sign-in?next=/work"))
    assert await faults_of(page) == []
    await page.locator("#sign-in-form button.pri").click()
    await expect(page.locator(".err-sum li")).to_have_count(3)
    assert await faults_of(page) == []
    for name, kind in (("subject", "username"), ("code", "one-time-code")):
        await expect(page.locator(f"#f-{name}")).to_have_attribute("autocomplete", kind)
