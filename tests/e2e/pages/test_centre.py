"""The centre by keyboard, with a second operator at the same queue (B3, A10, A12, A14)."""

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

BY_KEYBOARD = 20
OUTSIDE = {"latitude": 24.3, "longitude": 112.93}
"""Of every area, so the centre places it; the closest leads are offered."""


async def queued(town: City, how_many: int) -> list[uuid.UUID]:
    receipts = [
        await town.report(f"queued-{uuid.uuid4()}", position=OUTSIDE) for _ in range(how_many)
    ]
    return [await town.case_of(receipt) for receipt in receipts]


async def placed(town: City) -> dict[str, str]:
    """Who placed which case, by number."""
    dispatch = await town.database("dispatch")
    rows = await dispatch.fetch(
        'SELECT number, actor_id FROM ledger JOIN "case" USING (case_id)'
        " WHERE type = 'lastmetre.case.dispatched.v1'"
        " AND actor_role IN ('operator', 'administrator')"
    )
    return {row["number"]: row["actor_id"] for row in rows}


async def current_of(page: Page) -> str:
    return await page.locator("#current").input_value()


async def test_twenty_cases_by_keyboard_while_somebody_else_works_the_same_queue(
    town: City, visit: Visit
) -> None:
    await queued(town, BY_KEYBOARD + 15)
    first, second = await visit("en", "desktop"), await visit("zh", "desktop")
    mine = await first.open(staff_url(town, "dispatch", "/centre", Role.OPERATOR))
    other = await second.open(staff_url(town, "dispatch", "/centre", Role.ADMINISTRATOR))
    rows = mine.locator("#list li[data-number]")
    numbers = await rows.evaluate_all("rows => rows.map(row => row.dataset.number)")
    assert len(numbers) >= BY_KEYBOARD + 15
    # Into the middle of the queue, and from there on.
    for number in numbers[1:10]:
        await mine.keyboard.press("j")
        await expect(mine.locator("#current")).to_have_value(number)
    row = mine.locator(f"#row-{numbers[9]}")
    assert await row.locator("a[aria-current=true]").count() == 1
    await expect(row).to_be_in_viewport()
    taken_by_other = 0
    done: list[str] = []
    while len(done) < BY_KEYBOARD:
        number = await current_of(mine)
        if len(done) % 5 == 4:
            # The other one takes the first of the queue meanwhile: nobody loses his place for it.
            his = await current_of(other)
            await other.keyboard.press("1")
            await other.keyboard.press("Enter")
            await expect(other.locator("#current")).not_to_have_value(his)
            taken_by_other += 1
        await mine.keyboard.press("2")
        await mine.keyboard.press("Enter")
        await expect(mine.locator("#current")).not_to_have_value(number)
        await expect(mine.locator("#told")).to_contain_text(number)
        done.append(number)
        # The next one is the one below, and in sight.
        assert numbers.index(await current_of(mine)) == numbers.index(number) + 1
        await expect(mine.locator(".q-list a[aria-current=true]")).to_be_in_viewport()
    assert done == numbers[9 : 9 + BY_KEYBOARD]

    async def all_placed() -> bool:
        found = await placed(town)
        mine_done = all(found.get(number) == "operator.1" for number in done)
        return mine_done and list(found.values()).count("administrator.1") == taken_by_other

    await town.until(all_placed, "placed cases")
    # What the other one placed goes from this list by itself.
    await expect(mine.locator("#list li[data-number]")).to_have_count(
        len(numbers) - BY_KEYBOARD - taken_by_other, timeout=SLOWEST_UPDATE
    )
    assert await faults_of(mine) == []


async def test_a_step_is_taken_back_by_a_key(town: City, visit: Visit) -> None:
    (case_id,) = await queued(town, 1)
    operator = await visit("en", "desktop")
    page = await operator.open(staff_url(town, "dispatch", "/centre", Role.OPERATOR))
    number = await (await town.database("dispatch")).fetchval(
        'SELECT number FROM "case" WHERE case_id = $1', case_id
    )
    await page.goto(town.url("dispatch", f"/centre?case={number}"))
    await page.keyboard.press("1")
    await page.keyboard.press("Enter")
    await expect(page.locator("#told")).to_contain_text(number)
    await page.keyboard.press("u")
    await expect(page.locator("#told")).to_contain_text("Taken back")
    await expect(page.locator("#current")).to_have_value(number)
    dispatch = await town.database("dispatch")
    held = "SELECT count(*) FROM held_action WHERE case_id = $1"
    assert await dispatch.fetchval(held, case_id) == 0
    assert await town.state(case_id) == (2, "unplaced")


async def test_who_else_has_it_open_is_said(town: City, visit: Visit) -> None:
    (case_id,) = await queued(town, 1)
    number = await (await town.database("dispatch")).fetchval(
        'SELECT number FROM "case" WHERE case_id = $1', case_id
    )
    path = f"/centre?case={number}"
    one = await (await visit("en", "desktop")).open(
        staff_url(town, "dispatch", path, Role.OPERATOR)
    )
    await (await visit("en", "desktop")).open(staff_url(town, "dispatch", path, Role.ADMINISTRATOR))
    await expect(one.locator("#viewers")).to_have_text(
        "administrator.1 also has this open", timeout=SLOWEST_UPDATE
    )


async def test_a_case_that_moves_on_is_shown_as_it_is(town: City, visit: Visit) -> None:
    (case_id,) = await queued(town, 1)
    number = await (await town.database("dispatch")).fetchval(
        'SELECT number FROM "case" WHERE case_id = $1', case_id
    )
    operator = await visit("en", "desktop")
    page = await operator.open(staff_url(town, "dispatch", f"/centre?case={number}", Role.OPERATOR))
    await expect(page.locator("#case .case-h")).to_contain_text("Waiting for the command centre")
    (await town.act(case_id, "cancel", Role.OPERATOR, expected_seq=2,
                    cancel_reason="not_a_problem")).raise_for_status()  # fmt: skip
    await expect(page.locator("#case .case-h")).to_contain_text("Cancelled", timeout=SLOWEST_UPDATE)


async def test_lists_by_view_filter_and_words(town: City, visit: Visit) -> None:
    word = f"bench{uuid.uuid4().hex[:8]}"
    case_id = await town.new_case(
        f"found-{uuid.uuid4()}", position=INSIDE, text=f"A broken {word}",
        contact={"phone": "13900017731"},
    )  # fmt: skip
    number = await (await town.database("dispatch")).fetchval(
        'SELECT number FROM "case" WHERE case_id = $1', case_id
    )
    operator = await visit("en", "desktop")
    page = await operator.open(staff_url(town, "dispatch", "/centre", Role.OPERATOR))
    await page.get_by_role("link", name=re.compile("^Not accepted")).click()
    await page.get_by_text("Filter", exact=True).click()
    listed = page.locator("#list li[data-number]")
    for words in (word, "7731", "139 0001 7731"):
        await page.locator("#q-words").fill(words)
        await page.locator("#q-words").press("Enter")
        await expect(page.locator(f"#row-{number}")).to_be_visible()
    await page.locator("#q-words").fill(word)
    await page.locator("#q-lead").select_option(LEAD)
    await page.locator("#q-channel").select_option("app")
    await page.get_by_role("button", name="Show", exact=True).click()
    await expect(listed).to_have_count(1)
    (await town.act(case_id, "resolve", lead_id=LEAD)).raise_for_status()
    await page.get_by_role("link", name=re.compile("^Closed or cancelled")).click()
    await expect(page.locator(f"#row-{number}")).to_be_visible()
    # A number in any spelling leads to its case.
    await page.locator("#number").fill(number.replace("-", ""))
    await page.locator("#number").press("Enter")
    await expect(page.locator("#current")).to_have_value(number)
