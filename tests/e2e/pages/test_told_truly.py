"""What the pages once said that was not so, and people acted on."""

import uuid
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from playwright.async_api import Route, expect

from lastmetre.common.security.callers import TOKEN_PARAMETER, Role
from lastmetre.common.security.tokens import issue_token
from tests.e2e.pages.conftest import Visit
from tests.e2e.pages.people import INSIDE, LEAD, SLOWEST_UPDATE, staff_url
from tests.support.browser import Language, Screen, faults_of
from tests.support.city import City, key_bytes

pytestmark = pytest.mark.asyncio(loop_scope="session")

LIVE = {"zh": ("实时", "连接中断"), "en": ("Live", "No connection")}
REFUSALS = (401, 500, 503)


async def refuse(status: int, route: Route) -> None:
    """An answer without figures."""
    await route.fulfill(status=status, body="")


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_a_board_that_gets_no_figures_is_not_live(
    town: City, visit: Visit, language: Language
) -> None:
    supervisor = await visit(language, "desktop")
    board = await supervisor.open(staff_url(town, "metrics", "/board", Role.SUPERVISOR))
    live, lost = LIVE[language]
    badge = board.locator("[data-live]")
    await expect(badge).to_contain_text(live)
    for status in REFUSALS:
        await board.route("**/board/live*", partial(refuse, status))
        await town.new_case(f"live-{uuid.uuid4()}")  # so that there are other figures to ask for
        await expect(badge).to_contain_text(lost, timeout=SLOWEST_UPDATE)
        await board.unroute("**/board/live*")
        await expect(badge).to_contain_text(live, timeout=SLOWEST_UPDATE)
    said = [line for line in supervisor.complaints if "Response Status Error Code" not in line]
    supervisor.complaints[:] = said  # htmx tells of each answer that this test has made


async def test_a_place_outside_the_city_takes_the_chosen_one_away(town: City, visit: Visit) -> None:
    resident = await visit("en", "phone")
    page = await resident.open(town.url("intake", "/report"))
    await page.locator("[data-area=yq-0101]").click()
    await expect(page.locator("[name=lat]")).not_to_have_value("")
    drawing = page.locator("svg[data-pick]")
    await drawing.click(position={"x": 2, "y": 2})
    for name in ("lat", "lng", "area"):
        await expect(page.locator(f"form [name={name}]")).to_have_value("")
    await expect(page.locator(".m-picked")).to_be_hidden()


@pytest.mark.parametrize("screen", ["phone", "desktop"])
async def test_a_word_without_an_end_widens_no_page(
    town: City, visit: Visit, screen: Screen
) -> None:
    case_id = await town.new_case(
        f"long-{uuid.uuid4()}", position=INSIDE, address="w" * 150, text="路灯不亮"
    )
    lead = await visit("zh", screen)
    work = await lead.open(staff_url(town, "dispatch", "/work", Role.LEAD, LEAD))
    await expect(work.get_by_text("w" * 150).first).to_be_visible()
    assert await faults_of(work) == []
    operator = await visit("zh", screen)
    path = f"/cases/{case_id}"
    centre = await operator.open(staff_url(town, "dispatch", path, Role.OPERATOR))
    assert await faults_of(centre) == []
    label = centre.locator(".facts dt").first
    box = await label.bounding_box()
    assert box is not None
    assert box["width"] > box["height"]  # a label of two characters stays on one line


async def test_the_wall_lists_what_it_numbers(town: City, visit: Visit) -> None:
    """A21: the list beside the map is not on the wall."""
    await town.new_case(f"wall-{uuid.uuid4()}", position=INSIDE)
    supervisor = await visit("en", "desktop")
    board = await supervisor.open(staff_url(town, "metrics", "/board", Role.SUPERVISOR))
    await board.get_by_role("link", name="For a wall screen").click()
    await board.set_viewport_size({"width": 1920, "height": 1080})
    numbers = board.locator(".b-map .m-num")
    await expect(numbers.first).to_have_text("1", timeout=SLOWEST_UPDATE)
    listed = await board.locator(".wall-list .no").all_inner_texts()
    assert sorted(await numbers.all_text_contents()) == sorted(listed)
    tall = "document.documentElement.scrollHeight > document.documentElement.clientHeight"
    assert not await board.evaluate(tall)


async def test_a_wall_whose_sign_in_ends_says_so_within_ten_seconds(
    town: City, visit: Visit
) -> None:
    ends_in = timedelta(seconds=8)
    key = key_bytes(town.endpoints["token_key"])
    token = issue_token(key, "supervisor.1", Role.SUPERVISOR, None, datetime.now(UTC), ends_in)
    wall = await visit("en", "desktop")
    page = await wall.open(town.url("metrics", f"/board/wall?{TOKEN_PARAMETER}={token}"))
    badge = page.locator("[data-live]")
    await expect(badge).to_contain_text("Live")
    await expect(badge).to_contain_text(
        "No connection", timeout=ends_in.total_seconds() * 1000 + 10_000
    )
    told = [line for line in wall.complaints if "Response Status Error Code" not in line]
    wall.complaints[:] = told  # htmx tells of each refusal
