"""The progress page is live by a stream, says so only while it is, and gets on without one."""

from typing import Final

import pytest
from playwright.async_api import Page, Request, Route, expect

from tests.e2e.pages.conftest import Visit
from tests.e2e.pages.people import LEAD, SLOWEST_UPDATE
from tests.e2e.pages.test_residents import reported
from tests.support.city import City

pytestmark = pytest.mark.asyncio(loop_scope="session")

SAYS_SO: Final = 10_000
"""Milliseconds until a page that hears nothing says so."""


def looks(page: Page, address: str) -> list[Request]:
    """The requests by which the page loads itself again, from now on."""
    found: list[Request] = []

    def note(request: Request) -> None:
        if request.url == address and request.resource_type == "xhr":
            found.append(request)

    page.on("request", note)
    return found


async def test_a28_a_page_that_has_not_changed_is_not_loaded_again(
    town: City, visit: Visit
) -> None:
    """One stream, and one look when something has happened."""
    case_id, address = await reported(town)
    resident = await visit("en", "phone")
    page = await resident.open(address)
    await expect(page.locator(".live")).to_have_text("Updates by itself")
    await expect(page.locator(".live")).to_be_visible()
    seen = looks(page, address)
    (await town.act(case_id, "accept", lead_id=LEAD)).raise_for_status()
    await expect(page.locator("h1")).to_contain_text("has accepted it", timeout=SLOWEST_UPDATE)
    assert len(seen) == 1
    await expect(page.locator(".live")).to_have_text("Updates by itself")


async def test_b2_a_page_that_hears_nothing_says_so_and_is_live_again_by_itself(
    town: City, visit: Visit
) -> None:
    case_id, address = await reported(town)
    resident = await visit("en", "phone")
    page = await resident.context.new_page()

    async def refuse(route: Route) -> None:
        if route.request.resource_type == "document":
            await route.continue_()
        else:
            await route.fulfill(status=503)

    await page.route(f"{address}**", refuse)
    await page.goto(address)
    badge = page.locator(".live")
    await expect(badge).to_have_text("No connection", timeout=SAYS_SO)
    await expect(badge).to_be_visible()
    await page.unroute(f"{address}**")
    await expect(badge).to_have_text("Updates by itself", timeout=SLOWEST_UPDATE)
    (await town.act(case_id, "accept", lead_id=LEAD)).raise_for_status()
    await expect(page.locator("h1")).to_contain_text("has accepted it", timeout=SLOWEST_UPDATE)
    resident.complaints[:] = [each for each in resident.complaints if "Error Code 503" not in each]


async def test_without_a_stream_the_page_asks_by_itself(town: City, visit: Visit) -> None:
    """A proxy that lets no stream through, or too many of them."""
    case_id, address = await reported(town)
    resident = await visit("en", "phone")
    page = await resident.context.new_page()
    await page.route(f"{address}/events", lambda route: route.fulfill(status=503))
    await page.goto(address)
    (await town.act(case_id, "accept", lead_id=LEAD)).raise_for_status()
    await expect(page.locator("h1")).to_contain_text("has accepted it", timeout=SLOWEST_UPDATE)
    await expect(page.locator(".live")).to_have_text("Updates by itself")
