"""What staff put right on a case: its place, its kind, a note (A13, A30)."""

import re
import uuid

import pytest
from playwright.async_api import Page, expect

from lastmetre.common.security.callers import Role
from tests.e2e.pages.conftest import Visit
from tests.e2e.pages.people import INSIDE, LEAD, SLOWEST_UPDATE, staff_url
from tests.support.browser import faults_of
from tests.support.city import City

pytestmark = pytest.mark.asyncio(loop_scope="session")

IN_THE_CITY = re.compile(r"^2[34]\.\d{6}$")
COVER, LAMP = "part:01002", "part:01003"


async def number_of(town: City, case_id: uuid.UUID) -> str:
    dispatch = await town.database("dispatch")
    number: str = await dispatch.fetchval('SELECT number FROM "case" WHERE case_id = $1', case_id)
    return number


async def unfold(page: Page) -> None:
    await page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")


async def test_a_place_is_pointed_at_and_the_leads_nearby_are_offered(
    town: City, visit: Visit
) -> None:
    case_id = await town.new_case(f"nowhere-{uuid.uuid4()}", position=None)
    number = await number_of(town, case_id)
    operator = await visit("en", "desktop")
    path = f"/centre?case={number}"
    page = await operator.open(staff_url(town, "dispatch", path, Role.OPERATOR))
    await expect(page.locator("#case [data-assign] .cand")).to_have_count(0)
    await page.locator(".side svg[data-pick]").click()
    await expect(page.get_by_label("Latitude")).to_have_value(IN_THE_CITY)
    await (
        page.locator("form[data-locate]")
        .get_by_label("How is that known?")
        .select_option("said_by_reporter")
    )
    await page.get_by_role("button", name=f"Set the place {number}").click()
    await expect(page.locator("#told")).to_contain_text(number)
    await expect(page.locator("#current")).to_have_value(number)
    await expect(page.locator("#case [data-assign] .cand").first).to_be_visible(
        timeout=SLOWEST_UPDATE
    )
    assert await town.ledger(case_id) == ["registered", "unplaced", "location_changed"]
    assert (await town.state(case_id))[1] == "unplaced"
    await unfold(page)
    assert await faults_of(page, ("light", "dark")) == []


async def test_a_kind_is_corrected_without_script(town: City, visit: Visit) -> None:
    case_id = await town.new_case(f"kind-{uuid.uuid4()}", position=INSIDE, category=LAMP)
    number = await number_of(town, case_id)
    operator = await visit("en", "desktop", javascript=False)
    address = staff_url(town, "dispatch", f"/cases/{number}", Role.OPERATOR)
    page = await operator.open(address)
    await page.get_by_text("It is of another kind").click()
    await page.get_by_label("Kind", exact=True).select_option(COVER)
    await page.locator(f"#kind-why-{case_id}").select_option("seen_on_site")
    await page.get_by_role("button", name="Correct the kind").click()
    await expect(page.get_by_text("its kind is being corrected")).to_be_visible()
    await expect(page.get_by_role("button", name="Take back")).to_be_visible()

    async def corrected() -> bool:
        return "category_changed" in await town.ledger(case_id)

    await town.until(corrected, "corrected kind")
    await page.goto(address)
    await expect(page.locator(".tl")).to_contain_text("it was seen on the spot")


async def test_what_the_words_suggest_is_confirmed_by_hand_and_no_key_chooses_it(
    town: City, visit: Visit
) -> None:
    case_id = await town.new_case(f"words-{uuid.uuid4()}", position=None, text="路灯不亮")
    number = await number_of(town, case_id)
    operator = await visit("zh", "desktop")
    path = f"/centre?case={number}"
    page = await operator.open(staff_url(town, "dispatch", path, Role.OPERATOR))
    kinds = page.get_by_role("group", name="文字像是在说").get_by_role("radio")
    await expect(kinds.first).to_be_visible()
    await page.keyboard.press("2")
    await expect(kinds.nth(1)).not_to_be_checked()
    assert await faults_of(page, ("light", "dark")) == []
    await kinds.first.check()
    kind = await kinds.first.get_attribute("value")
    await page.get_by_role("button", name="确定类别").click()

    async def confirmed() -> bool:
        dispatch = await town.database("dispatch")
        now = await dispatch.fetchval('SELECT category FROM "case" WHERE case_id = $1', case_id)
        return bool(now == kind)

    await town.until(confirmed, "confirmed kind")


async def test_a_lead_notes_something_by_keyboard(town: City, visit: Visit) -> None:
    case_id = await town.new_case(f"note-{uuid.uuid4()}", position=INSIDE)
    number = await number_of(town, case_id)
    lead = await visit("zh", "phone")
    address = staff_url(town, "dispatch", f"/cases/{number}", Role.LEAD, LEAD)
    page = await lead.open(address)
    await page.locator("summary", has_text="添加备注").focus()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await page.keyboard.type("已电话联系，明早处理")
    assert await faults_of(page, ("light", "dark")) == []
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("将添加备注")).to_be_visible()

    async def noted() -> bool:
        return "noted" in await town.ledger(case_id)

    await town.until(noted, "note")
    await page.goto(address)
    await expect(page.locator(".tl")).to_contain_text("已电话联系，明早处理")
