"""`js/renew.js` in Chromium: an open page asks for a new access token before the old one ends."""

from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

import pytest
from playwright.async_api import Browser, Page, Route

from lastmetre.common.security.callers import FRESH_COOKIE
from lastmetre.common.web.languages import package_directory

pytestmark = pytest.mark.asyncio(loop_scope="session")

HERE: Final = "https://staff.example"
SCRIPT: Final = Path(package_directory("lastmetre.common.web")) / "static" / "js" / "renew.js"
PAGE: Final = "<!doctype html><title>x</title><button>x</button><script src=/renew.js></script>"


class Server:
    """What the page asks, and what it is answered: a token that is fresh for `seconds`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status, self.seconds = 204, 480

    async def answer(self, route: Route) -> None:
        request = route.request
        if request.url.endswith("/sign-in/renew"):
            assert request.method == "POST"
            self.asked.append(parse_qs(request.post_data or "")["used"][0])
            kept = f"__Host-{FRESH_COOKIE}=yes; Path=/; Secure; Max-Age={self.seconds}"
            headers = {"Set-Cookie": kept} if self.status == 204 else {}
            await route.fulfill(status=self.status, headers=headers)
        elif request.url.endswith("/renew.js"):
            await route.fulfill(path=SCRIPT, content_type="text/javascript")
        else:
            await route.fulfill(body=PAGE, content_type="text/html")


async def opened(browser: Browser, server: Server) -> Page:
    page = await (await browser.new_context()).new_page()
    await page.clock.install()
    await page.route("**/*", server.answer)
    await page.goto(f"{HERE}/work")
    return page


async def forget(page: Page) -> None:
    """The cookie ends, as it does two minutes before the token."""
    await page.context.clear_cookies()


async def looked(page: Page) -> None:
    """The page has looked at the cookie again, and has its answer."""
    await page.clock.run_for(21_000)
    await page.evaluate("window.lastmetreFresh()")


async def test_a_page_renews_its_token_before_it_ends(browser: Browser) -> None:
    server = Server()
    page = await opened(browser, server)
    await looked(page)
    assert server.asked == ["yes"]  # it was just opened
    await looked(page)
    await looked(page)
    assert server.asked == ["yes"]
    await forget(page)
    await looked(page)
    assert server.asked == ["yes", "no"]  # nobody has touched it
    await page.locator("button").click()
    await forget(page)
    await looked(page)
    assert server.asked == ["yes", "no", "yes"]
    await page.context.close()


async def test_a_page_whose_sign_in_is_over_stops_asking(browser: Browser) -> None:
    server = Server()
    server.status = 401
    page = await opened(browser, server)
    await page.evaluate("window.lastmetreFresh()")
    asked = len(server.asked)
    await page.clock.run_for(600_000)
    assert await page.evaluate("document.title") == "x"
    assert len(server.asked) == asked
    await page.context.close()
