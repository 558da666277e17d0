"""Staff's pages on paper (A29): a case, or figures, and nothing to press or to believe live."""

import re
from typing import Final

import pytest
from playwright.async_api import Page

from lastmetre.common.security.callers import Role
from tests.e2e.pages.conftest import Visit
from tests.e2e.pages.people import INSIDE, staff_url
from tests.support.browser import Language
from tests.support.city import City

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHEET: Final = re.compile(rb"/Type\s*/Page\b")
ROWS_OF_ACTIVITY: Final = 16
CONTROLS: Final = "button, select, input, summary, nav, .skip, .lang, .live, noscript a, .no-print"


async def sheets(page: Page) -> int:
    """How many sheets of A4 the page is."""
    return len(SHEET.findall(await page.pdf(prefer_css_page_size=True, format="A4")))


async def controls_on_paper(page: Page) -> list[str]:
    await page.emulate_media(media="print")
    return await page.locator(CONTROLS).filter(visible=True).all_inner_texts()


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_a_case_is_one_sheet_without_controls(
    town: City, visit: Visit, language: Language
) -> None:
    case_id = await town.new_case(f"paper-{language}", position=INSIDE)
    operator = await visit(language, "desktop")
    page = await operator.open(staff_url(town, "dispatch", f"/cases/{case_id}", Role.OPERATOR))
    assert await controls_on_paper(page) == []
    assert await sheets(page) == 1


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_the_board_is_one_sheet_without_controls(
    town: City, visit: Visit, language: Language
) -> None:
    receipts = [
        await town.report(f"paper-{language}-{number}") for number in range(ROWS_OF_ACTIVITY)
    ]
    for receipt in receipts:
        await town.case_of(receipt)
    supervisor = await visit(language, "desktop")
    for path, at_most in (("/board?period=all", 1), ("/board/how", 2)):
        page = await supervisor.open(staff_url(town, "metrics", path, Role.SUPERVISOR))
        assert await controls_on_paper(page) == [], path
        assert await sheets(page) <= at_most, path
