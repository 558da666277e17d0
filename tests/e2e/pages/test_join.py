"""An operator joins a case to another of the same problem, and tells the reports apart again."""

import uuid

import pytest
from playwright.async_api import expect

from lastmetre.common.security.callers import Role
from tests.e2e.pages.conftest import Visit
from tests.e2e.pages.people import INSIDE, staff_url
from tests.e2e.pages.test_corrections import number_of
from tests.support.browser import faults_of
from tests.support.city import City

pytestmark = pytest.mark.asyncio(loop_scope="session")

CURB = "part:01036"
"""A kind that no other test reports."""


async def two_cases(town: City) -> tuple[tuple[uuid.UUID, str], tuple[uuid.UUID, str]]:
    """Of one kind, at one spot: each with its number."""
    found = []
    for what in ("first", "second"):
        case_id = await town.new_case(f"{what}-{uuid.uuid4()}", position=INSIDE, category=CURB)
        found.append((case_id, await number_of(town, case_id)))
    return found[0], found[1]


async def test_two_cases_are_compared_and_joined_by_keyboard(town: City, visit: Visit) -> None:
    (a, first), (b, second) = await two_cases(town)
    operator = await visit("zh", "desktop")
    address = staff_url(town, "dispatch", f"/cases/{second}", Role.OPERATOR)
    page = await operator.open(address)
    same = page.get_by_role("region", name="可能是同一问题")
    await expect(same.get_by_role("link", name=first, exact=True)).to_be_visible()
    await expect(same.locator("li", has_text=first)).to_contain_text("类别相同")
    assert await faults_of(page, ("light", "dark")) == []
    await same.get_by_role("link", name=f"比较并案 {first}").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="另一案件（继续办理）")).to_be_visible()
    assert await faults_of(page, ("light", "dark")) == []
    await page.get_by_label("依据").focus()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("正在并入另一案件")).to_be_visible()
    await town.let_time_pass(b)

    async def merged() -> bool:
        return (await town.state(b))[1] == "merged"

    await town.until(merged, "merged case")
    await page.goto(address)
    await expect(page.get_by_role("link", name=first).first).to_be_visible()
    await page.goto(staff_url(town, "dispatch", f"/cases/{first}", Role.OPERATOR))
    await expect(page.locator(".tl").get_by_role("link", name=second)).to_be_visible()
    assert await town.ledger(a) == ["registered", "dispatched", "report_merged"]


async def test_a_number_is_typed_and_a_report_separated_without_script(
    town: City, visit: Visit
) -> None:
    (a, first), (b, second) = await two_cases(town)
    operator = await visit("en", "phone", javascript=False)
    page = await operator.open(staff_url(town, "dispatch", f"/cases/{second}/join", Role.OPERATOR))
    await page.get_by_label("Number of the other case").fill("999999-999")
    await page.get_by_role("button", name="Show both").click()
    await expect(page.get_by_role("alert")).to_contain_text("There is no case of that number")
    await page.get_by_label("Number of the other case").fill(first)
    await page.get_by_role("button", name="Show both").click()
    await expect(page.get_by_text("0 m apart")).to_be_visible()
    await page.get_by_label("What does that rest on?").select_option("said_by_reporter")
    await page.get_by_role("button", name=f"Join {second} to {first}").click()
    await town.let_time_pass(b)

    async def joined() -> bool:
        return "report_merged" in await town.ledger(a)

    await town.until(joined, "report that has joined")
    page = await operator.open(staff_url(town, "dispatch", f"/cases/{first}", Role.OPERATOR))
    await page.get_by_text("A report is about something else").click()
    form = page.locator("form", has=page.get_by_role("button", name="Separate this report"))
    await form.get_by_label("What does that rest on?").select_option("seen_on_site")
    await form.get_by_role("button").click()
    await expect(page.get_by_text("a report is being made a case of its own")).to_be_visible()
    await town.let_time_pass(a)

    async def apart() -> bool:
        return await town.ledger(b) == ["registered", "dispatched", "merged", "split", "dispatched"]

    await town.until(apart, "case of its own again")
