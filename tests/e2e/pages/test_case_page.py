"""One case, one page: what each member of staff finds on it, and gets there from."""

import re
import uuid

import pytest
from playwright.async_api import expect

from lastmetre.common.security.callers import Role
from tests.e2e.pages.conftest import Visit
from tests.e2e.pages.people import INSIDE, LEAD, SLOWEST_UPDATE, staff_url
from tests.support.browser import faults_of
from tests.support.city import City

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE = "13900010009"


async def reported(town: City) -> uuid.UUID:
    return await town.new_case(
        f"page-{uuid.uuid4()}", position=INSIDE, contact={"name": "陈先生", "phone": PHONE}
    )


async def test_a_contact_that_is_shown_is_kept(town: City, visit: Visit) -> None:
    case_id = await reported(town)
    operator = await visit("en", "desktop")
    page = await operator.open(staff_url(town, "dispatch", f"/cases/{case_id}", Role.OPERATOR))
    await expect(page.locator("#contact")).to_contain_text("139****0009")
    await page.get_by_role("button", name="Show the contact").click()
    await expect(page.get_by_role("link", name=PHONE)).to_be_visible()
    intake = await town.database("intake")
    dispatch = await town.database("dispatch")
    report_id = await dispatch.fetchval('SELECT report_id FROM "case" WHERE case_id = $1', case_id)
    kept = await intake.fetch("SELECT actor FROM contact_look WHERE report_id = $1", report_id)
    assert [row["actor"] for row in kept] == ["operator:operator.1"]


async def test_what_was_told_is_on_the_page(town: City, visit: Visit) -> None:
    case_id = await reported(town)
    supervisor = await visit("en", "desktop")
    page = await supervisor.open(staff_url(town, "dispatch", f"/cases/{case_id}", Role.SUPERVISOR))

    async def sent() -> bool:
        await page.reload()
        return await page.locator(".msgs", has_text="139****0009").count() > 0

    await town.until(sent, "message to the reporter")
    message = page.locator(".msgs li", has_text="139****0009")
    await expect(message.locator(".said")).to_contain_text("已收到，编号")
    await expect(message.locator(".said")).not_to_contain_text("http")
    assert await faults_of(page) == []


async def test_a_supervisor_goes_everywhere(town: City, visit: Visit) -> None:
    case_id = await reported(town)
    supervisor = await visit("en", "desktop")
    page = await supervisor.open(staff_url(town, "metrics", "/board", Role.SUPERVISOR))
    number = await (await town.database("dispatch")).fetchval(
        'SELECT number FROM "case" WHERE case_id = $1', case_id
    )
    moved = page.locator(".feed").get_by_role("link", name=number)
    await moved.click(timeout=SLOWEST_UPDATE)
    await expect(page).to_have_url(town.url("dispatch", f"/cases/{number}"))
    for name, service, path in (
        ("Messages", "notify", "/messages/log"),
        ("Cases", "dispatch", "/cases"),
        ("Board", "metrics", "/board"),
    ):
        await (
            page.get_by_role("navigation", name="Main pages").get_by_role("link", name=name).click()
        )
        await expect(page).to_have_url(town.url(service, path))


async def test_a_lead_sees_his_own_cases(town: City, visit: Visit) -> None:
    case_id = await reported(town)
    own = await visit("en", "phone")
    page = await own.open(staff_url(town, "dispatch", f"/cases/{case_id}", Role.LEAD, LEAD))
    await page.get_by_role("button", name=re.compile("^Accept")).click()
    await expect(page.get_by_role("button", name=re.compile("^I am here"))).to_be_visible()

    async def accepted() -> bool:
        return (await town.state(case_id))[1] == "accepted"

    await town.until(accepted, "accepted case")
    other = await visit("en", "phone")
    page = await other.open(
        staff_url(town, "dispatch", f"/cases/{case_id}", Role.LEAD, "lead-0102")
    )
    await expect(page.get_by_role("heading", level=1)).to_have_text("This case is not yours")
