"""One Chromium and the sample city for all tests of the pages."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from lastmetre.devstack import Stack
from lastmetre.devstack.demo.city import Area, Lead, SampleCity, load_city
from tests.support.browser import Visitor, chromium, must_have_chromium, start_chromium
from tests.support.city import City

SAMPLE_CITY = Path(__file__).parents[3] / "deploy" / "sample-city"

Visit = Callable[..., Awaitable[Visitor]]


@pytest.fixture(scope="session")
def sample() -> SampleCity:
    """Areas and leads with names as long as names are."""
    return load_city(SAMPLE_CITY)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """This machine's Chromium. Without one the tests of the pages are left out, but not in CI."""
    if chromium() is None:
        reason = "no Chromium here (Debian: apt-get install chromium), the pages are not tested"
        if must_have_chromium():
            pytest.fail(reason)
        pytest.skip(reason)
    async with async_playwright() as playwright:
        started = await start_chromium(playwright)
        yield started
        await started.close()


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser) -> AsyncIterator[Visit]:
    """Opens people's browsers; afterwards none of them may have had anything to complain about."""
    visitors: list[Visitor] = []

    async def arrive(*arguments: Any, **options: Any) -> Visitor:
        visitors.append(await Visitor.arrive(browser, *arguments, **options))
        return visitors[-1]

    yield arrive
    for visitor in visitors:
        await visitor.context.close()
    assert [line for visitor in visitors for line in visitor.complaints] == []


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def town(browser: Browser, stack: Stack, sample: SampleCity) -> AsyncIterator[City]:
    """Somebody who talks to the services, whose network is the sample city.

    The browser is asked for first: without one no stack is started.
    """
    async with City(stack.endpoints.model_dump(mode="json", by_alias=True)) as opened:
        leads = {area_id: lead for lead in sample.leads for area_id in lead.area_ids}
        areas = [_published(area, leads[area.area_id]) for area in sample.areas]
        await opened.import_network(areas)

        async def shown() -> bool:
            return 'id="f-area"' in (await opened.http.get(opened.url("intake", "/report"))).text

        # Intake reads the network from its topic: until then its form has no list of areas.
        await opened.until(shown, "list of areas in intake's form")
        yield opened


def _published(area: Area, lead: Lead) -> dict[str, Any]:
    def both(thing: Any, name: str) -> dict[str, str]:
        return {each: getattr(thing, f"{name}_{each}") for each in ("zh", "en")}

    return {
        "area_id": area.area_id,
        "name": both(area, "name"),
        "town": both(area, "town"),
        "outline": area.outline,
        "lead": {"lead_id": lead.lead_id, "name": both(lead, "name"), "post": both(lead, "post")},
    }
