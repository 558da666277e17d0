"""The board over its stream, and on a wall for days."""

import uuid
from datetime import datetime
from functools import partial
from typing import Final

import pytest
from playwright.async_api import Route, expect

from lastmetre.common.security.callers import Role
from tests.e2e.pages.conftest import Visit
from tests.e2e.pages.people import INSIDE, SLOWEST_UPDATE, staff_url
from tests.support.city import City

pytestmark = pytest.mark.asyncio(loop_scope="session")

PARTS: Final = ("**/board/events*", "**/board/live*")
# A server that takes the connection, and says nothing more.
SILENT_AFTER_A_BEAT: Final = """
window.EventSource = class extends EventTarget {
  constructor() {
    super();
    if (!window.wasSilent) setTimeout(() => this.dispatchEvent(new MessageEvent('beat')), 100);
    window.wasSilent = true;
  }
  close() {}
};
"""


async def fulfil(status: int, route: Route) -> None:
    """A stream that is refused."""
    await route.fulfill(status=status, body="")


async def number_of_a_new_case(town: City) -> str:
    case_id = await town.new_case(f"open-{uuid.uuid4()}", position=INSIDE)
    dispatch = await town.database("dispatch")
    number: str = await dispatch.fetchval('SELECT number FROM "case" WHERE case_id = $1', case_id)
    return number


@pytest.mark.parametrize("status", [401, 500, 503])
async def test_a_board_that_is_told_nothing_is_not_live(
    town: City, visit: Visit, status: int
) -> None:
    supervisor = await visit("en", "desktop")
    for part in PARTS:
        await supervisor.context.route(part, partial(fulfil, status))
    board = await supervisor.open(staff_url(town, "metrics", "/board", Role.SUPERVISOR))
    badge = board.locator("[data-live]")
    await expect(badge).to_contain_text("No connection", timeout=SLOWEST_UPDATE)
    await expect(badge).to_be_visible()
    for part in PARTS:
        await supervisor.context.unroute(part)
    await expect(badge).to_contain_text("Live", timeout=SLOWEST_UPDATE)
    said = [line for line in supervisor.complaints if "Response Status Error Code" not in line]
    supervisor.complaints[:] = said  # htmx tells of each answer that this test has made


async def test_a_board_without_a_stream_asks_by_itself(town: City, visit: Visit) -> None:
    supervisor = await visit("en", "desktop")
    await supervisor.context.route("**/board/events*", partial(fulfil, 503))
    board = await supervisor.open(staff_url(town, "metrics", "/board", Role.SUPERVISOR))
    number = await number_of_a_new_case(town)
    await expect(board.locator(f"#m-{number}")).to_be_visible(timeout=SLOWEST_UPDATE)
    await expect(board.locator("[data-live]")).to_contain_text("Live")
    await expect(board.locator("[data-live]")).to_be_visible()


async def test_a_stream_that_says_nothing_is_not_live_after_ten_seconds(
    town: City, visit: Visit
) -> None:
    supervisor = await visit("en", "desktop")
    await supervisor.context.add_init_script(SILENT_AFTER_A_BEAT)
    await supervisor.context.clock.install()
    board = await supervisor.open(staff_url(town, "metrics", "/board", Role.SUPERVISOR))
    badge = board.locator("[data-live]")
    await board.clock.run_for(9_000)
    await expect(badge).to_contain_text("Live")
    await board.clock.run_for(1_500)
    await expect(badge).to_contain_text("No connection")


async def test_a_case_shows_on_an_open_board_by_itself(town: City, visit: Visit) -> None:
    """A28: and what has not changed is not asked for."""
    await town.new_case(f"open-{uuid.uuid4()}", position=INSIDE)
    supervisor = await visit("en", "desktop")
    board = await supervisor.open(staff_url(town, "metrics", "/board", Role.SUPERVISOR))
    number = await number_of_a_new_case(town)
    await expect(board.locator(f"#m-{number}")).to_be_visible(timeout=SLOWEST_UPDATE)


async def test_a_wall_loads_itself_anew_at_night(town: City, visit: Visit) -> None:
    supervisor = await visit("en", "desktop")
    await supervisor.context.clock.install(time=datetime(2026, 11, 30, 3, 59, 30))  # noqa: DTZ001
    url = staff_url(town, "metrics", "/board/wall", Role.SUPERVISOR)
    wall = await supervisor.open(url)
    await wall.evaluate("document.documentElement.dataset.seen = 'yes'")
    seen = wall.locator("html[data-seen]")
    # Where there is nothing to load it stays as it is, and tries again a minute later.
    await wall.route("**/board/wall", partial(fulfil, 503))
    async with wall.expect_response("**/board/wall"):
        await wall.clock.run_for(31_000)
    await expect(seen).to_have_count(1)
    await wall.unroute("**/board/wall")
    async with wall.expect_navigation():
        await wall.clock.run_for(61_000)
    await expect(seen).to_have_count(0)
    await expect(wall.locator("[data-live]")).to_be_visible()
