"""A person's way through the pages: reporting, working, placing by hand, rating, watching."""

import asyncio
import re
import uuid
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from lastmetre.common.security.callers import Role
from tests.e2e.pages.conftest import Visit
from tests.e2e.pages.people import (
    INSIDE,
    LEAD,
    PHONE_NUMBER,
    SLOWEST_UPDATE,
    WORDS,
    case_numbered,
    number_on,
    press_until,
    rating_link,
    staff_url,
)
from tests.support.browser import Language, Screen, faults_of
from tests.support.city import City

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def assert_good(page: Page) -> None:
    """Accessible as it stands there after its last update, and no wider than the screen."""
    assert await faults_of(page) == []


async def test_from_the_map_to_the_board(town: City, visit: Visit, outbox: Path) -> None:
    """Two people at a time: most of it is waiting for pages that update themselves."""
    async with asyncio.TaskGroup() as people:
        people.create_task(_from_the_map_to_the_board(town, visit, outbox, "zh", "phone"))
        people.create_task(_from_the_map_to_the_board(town, visit, outbox, "en", "desktop"))


async def _from_the_map_to_the_board(
    town: City, visit: Visit, outbox: Path, language: Language, screen: Screen
) -> None:
    say = WORDS[language]
    resident = await visit(language, screen)
    page = await resident.open(town.url("intake", "/report"))
    await page.get_by_label(say.see).fill("路灯不亮，晚上看不见路。")
    await page.locator("[data-area=yq-0101]").click()
    await expect(page.locator("[name=lat]")).not_to_have_value("")
    await page.get_by_label(say.phone).fill(PHONE_NUMBER)
    await page.get_by_role("button", name=say.send_report).click()
    number = await number_on(page)
    await assert_good(page)
    await page.get_by_role("link", name=say.progress).click()
    await expect(page.locator("h1")).to_contain_text(say.told)

    case_id, lead_id = await case_numbered(town, number)
    lead = await visit(language, "phone")
    work = await lead.open(staff_url(town, "dispatch", "/work", Role.LEAD, lead_id))
    row = work.locator("li.row", has_text=number)
    for step in (say.accept, say.here):
        await row.get_by_role("button", name=step, exact=False).first.click()
    await row.get_by_role("button", name=f"{say.resolved} {number}").first.click()
    await expect(row).to_have_count(0)

    # The progress page learns it by itself.
    await expect(page.locator("h1")).to_have_text(say.closed, timeout=SLOWEST_UPDATE)
    await expect(page.locator(".track .past")).to_have_count(5)
    await assert_good(page)

    supervisor = await visit(language, "desktop")
    board = await supervisor.open(staff_url(town, "metrics", "/board", Role.SUPERVISOR))
    moved = board.locator(f"[id='m-{number}']")
    await expect(moved).to_be_visible(timeout=SLOWEST_UPDATE)

    await page.goto(await rating_link(town, outbox, number))
    await page.get_by_label(say.solved).check()
    await page.get_by_label(say.very_good).check()
    await page.get_by_role("button", name=say.send_rating).click()
    await expect(page.locator("h1")).to_have_text(say.thanks)
    await expect(moved).to_contain_text(say.rated, timeout=SLOWEST_UPDATE)
    await assert_good(board)
    assert (await town.ledger(case_id))[-1] == "rated"


async def test_what_has_no_place_is_placed_by_hand(town: City, visit: Visit) -> None:
    async with asyncio.TaskGroup() as people:
        people.create_task(_placed_by_hand(town, visit, "zh", "desktop"))
        people.create_task(_placed_by_hand(town, visit, "en", "phone"))


async def _placed_by_hand(town: City, visit: Visit, language: Language, screen: Screen) -> None:
    say = WORDS[language]
    resident = await visit(language, screen)
    page = await resident.open(town.url("intake", "/report"))
    await page.get_by_label(say.see).fill("老钟楼后面半夜施工，吵得睡不着。")
    await page.get_by_label(say.address).fill("老钟楼后面")
    await page.get_by_label(say.phone).fill(PHONE_NUMBER)
    await page.get_by_role("button", name=say.send_report).click()
    number = await number_on(page)
    await page.get_by_role("link", name=say.progress).click()

    operator = await visit(language, screen)
    centre = await operator.open(staff_url(town, "dispatch", "/centre", Role.OPERATOR))
    # By its number: other tests' cases may have waited longer than the queue's page shows.
    await centre.get_by_role("searchbox").fill(number)
    await centre.keyboard.press("Enter")
    # Whom the operator may have to ask where it is.
    await expect(centre.locator(".facts")).to_contain_text("139****0002")
    await centre.locator("select[name=area_id]").select_option("yq-0102")
    await centre.get_by_role("button", name=f"{say.assign} {number}").click()
    await expect(centre.locator("#told")).to_contain_text(number)
    await expect(centre.locator(".q-list a", has_text=number)).to_have_count(0)
    await expect(page.locator("h1")).to_contain_text(say.told, timeout=SLOWEST_UPDATE)


async def test_a_supervisor_sees_the_case_and_no_more(town: City, visit: Visit) -> None:
    """No button is there to be refused; one that came too late says so, and can be read twice.

    A supervisor may note something at any time.
    """
    case_id = await town.new_case(f"watched-{uuid.uuid4()}", position=INSIDE)
    (await town.act(case_id, "resolve", lead_id=LEAD)).raise_for_status()
    own_page = re.compile(re.escape(town.url("dispatch", "/cases/")) + r"\d{6}-\d+(\?.*)?$")
    supervisor = await visit("en", "desktop")
    page = await supervisor.open(staff_url(town, "dispatch", f"/cases/{case_id}", Role.SUPERVISOR))
    await expect(page.locator("a[href='/centre']")).to_have_count(0)
    seq, _ = await town.state(case_id)
    meanwhile = await town.act(case_id, "reopen", Role.OPERATOR, expected_seq=seq)
    meanwhile.raise_for_status()
    await page.get_by_role("button", name="Take it up again").click()
    await expect(page.get_by_role("alert")).to_contain_text("The case has moved on")
    await assert_good(page)
    await page.get_by_role("link", name="中文").click()
    await expect(page).to_have_url(own_page)
    await expect(page.locator("form[method=post]")).to_have_count(1)
    await expect(page.locator("form[method=post] [name=action]")).to_have_value("note")


async def test_what_a_reader_opened_stays_open_while_the_board_moves(
    town: City, visit: Visit
) -> None:
    supervisor = await visit("en", "desktop")
    board = await supervisor.open(staff_url(town, "metrics", "/board", Role.SUPERVISOR))
    opened, clock = board.locator("details").first, board.locator("time.clock")
    await opened.locator("summary").click()
    await expect(clock).not_to_have_text(await clock.inner_text(), timeout=SLOWEST_UPDATE)
    await expect(opened).to_have_attribute("open", "")


async def test_by_keyboard_alone(town: City, visit: Visit) -> None:
    resident = await visit("en", "desktop")
    page = await resident.open(town.url("intake", "/report"))
    await press_until(page, "Tab", ".skip", 1)
    await page.keyboard.press("Enter")
    await press_until(page, "Tab", "form button[type=submit]")
    await page.keyboard.press("Enter")
    # Nothing was filled in: the summary has the focus and leads to the field.
    await expect(page.locator(".err-sum")).to_be_focused()
    await assert_good(page)
    await press_until(page, "Tab", ".err-sum a", 1)
    await page.keyboard.press("Enter")
    await expect(page.locator("#f-text")).to_be_focused()
    await page.keyboard.type("The lamp is out")
    await press_until(page, "Tab", "#f-area")
    await page.keyboard.type("Academy")
    await press_until(page, "Tab", "form button[type=submit]")
    await page.keyboard.press("Enter")
    number = await number_on(page)
    case_id, lead_id = await case_numbered(town, number)

    lead = await visit("en", "phone")
    work = await lead.open(staff_url(town, "dispatch", "/work", Role.LEAD, lead_id))
    for step in ("accept", "arrive", "resolve"):
        button = f"form[action*='{case_id}']:has([value={step}]) button.pri"
        await press_until(work, "Tab", button)
        await work.keyboard.press("Enter")
        await expect(work.locator(button)).to_have_count(0)


async def test_without_javascript(town: City, visit: Visit, outbox: Path) -> None:
    say = WORDS["zh"]
    resident = await visit("zh", "phone", javascript=False)
    page = await resident.open(town.url("intake", "/report"))
    await page.get_by_label(say.see).fill("垃圾桶满了")
    await page.get_by_label(say.area).select_option("yq-0103")
    await page.get_by_label(say.phone).fill(PHONE_NUMBER)
    await page.get_by_role("button", name=say.send_report).click()
    await page.wait_for_url("**/report/sent/**")

    async def numbered() -> str | None:
        await page.reload()
        shown = page.locator("h1.number")
        return await shown.inner_text() if await shown.count() else None

    number = await town.until(numbered, "number")
    await page.get_by_role("link", name=say.progress).click()

    _, lead_id = await case_numbered(town, number)
    lead = await visit("zh", "phone", javascript=False)
    work = await lead.open(staff_url(town, "dispatch", "/work", Role.LEAD, lead_id))
    row = work.locator("li.row", has_text=number)
    for step in (say.accept, say.here, say.resolved):
        await row.locator("button.pri", has_text=step).click()
    await expect(row).to_have_count(0)

    async def closed() -> bool:
        await page.reload()
        return await page.locator("h1").inner_text() == say.closed

    await town.until(closed, "closed case")
    await page.goto(await rating_link(town, outbox, number))
    await page.get_by_label(say.solved).check()
    await page.get_by_label(say.very_good).check()
    await page.get_by_role("button", name=say.send_rating).click()
    await expect(page.locator("h1")).to_have_text(say.thanks)
