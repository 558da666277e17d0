"""A lead's day on his phone (A7, A8, A10, A11, A25, B10)."""

import re
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import expect

from lastmetre.common.security.callers import SESSION_COOKIE, Role
from tests.e2e.pages.conftest import Visit
from tests.e2e.pages.people import INSIDE, LEAD, SLOWEST_UPDATE, staff_url
from tests.support.browser import faults_of
from tests.support.city import City

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def number_of(town: City, case_id: uuid.UUID) -> str:
    dispatch = await town.database("dispatch")
    number: str = await dispatch.fetchval('SELECT number FROM "case" WHERE case_id = $1', case_id)
    return number


OFFLINE_FROM = timedelta(minutes=1)
STEPS = (
    ("Accept", "accepted", timedelta(minutes=1)),
    ("I am here", "arrived", timedelta(minutes=5)),
    ("Resolved", "resolved", timedelta(minutes=8, seconds=30)),
)
"""With the time since the page was opened."""
ONLINE_AGAIN = timedelta(minutes=11)


async def test_a_whole_case_in_ten_minutes_without_a_connection(town: City, visit: Visit) -> None:
    """The phone's clock runs ten minutes while ours does not: its steps lie around our present,
    within what a terminal's clock may be wrong."""
    case_id = await town.new_case(f"offline-{uuid.uuid4()}", position=INSIDE)
    number = await number_of(town, case_id)
    lead = await visit("en", "phone")
    opened = (datetime.now(UTC) - timedelta(minutes=4, seconds=30)).replace(microsecond=0)
    await lead.context.clock.install(time=opened)
    page = await lead.open(staff_url(town, "dispatch", "/work", Role.LEAD, LEAD))
    row = page.locator("li.row", has_text=number)
    await expect(row).to_be_visible()
    await page.clock.pause_at(opened + OFFLINE_FROM)
    await lead.context.set_offline(True)
    at = OFFLINE_FROM
    for button, _, then in STEPS:
        await page.clock.fast_forward(milliseconds(then - at))
        at = then
        await row.get_by_role("button", name=f"{button} {number}").first.click()
        await expect(row.locator(".kept", has_text=button)).to_be_visible()
    await page.clock.fast_forward(milliseconds(ONLINE_AGAIN - at))
    assert (await town.state(case_id))[1] == "dispatched"
    kept = await page.evaluate("JSON.parse(localStorage.getItem('lastmetre-steps')).length")
    assert kept == 3
    await page.clock.resume()
    assert await faults_of(page) == []
    await lead.context.set_offline(False)

    async def closed() -> bool:
        return (await town.state(case_id))[1] == "closed"

    await town.until(closed, "closed case")
    await expect(row).to_have_count(0)
    dispatch = await town.database("dispatch")
    rows = await dispatch.fetch(
        "SELECT split_part(type, '.', 3) AS event, occurred_at FROM ledger"
        " WHERE case_id = $1 AND actor_role = 'lead' ORDER BY seq",
        case_id,
    )
    assert [tuple(each) for each in rows] == [(event, opened + then) for _, event, then in STEPS]
    assert await page.evaluate("localStorage.getItem('lastmetre-steps')") == "[]"
    lead.complaints[:] = [
        line for line in lead.complaints if "ERR_INTERNET_DISCONNECTED" not in line
    ]


def milliseconds(some: timedelta) -> int:
    return some // timedelta(milliseconds=1)


async def test_the_link_in_his_message_signs_a_fresh_browser_in(
    town: City, visit: Visit, outbox: Path
) -> None:
    case_id = await town.new_case(f"linked-{uuid.uuid4()}", position=INSIDE)
    number = await number_of(town, case_id)
    intake = town.url("intake", "/api/intake/v1/lead-contacts")
    contact = {"lead_id": LEAD, "phone": "13900010004", "language": "en"}
    (await town.http.put(
        intake, json={"contacts": [contact]}, headers=town.bearer(Role.ADMINISTRATOR)
    )).raise_for_status()  # fmt: skip

    async def link() -> str | None:
        for file in outbox.glob(f"*/{number}-*-lead-assigned-*.txt"):
            found = re.search(r"http://\S+/work/open/\S+", file.read_text("utf-8"))
            return found and found.group()
        return None

    # A message that found no address is not sent again: another case after the contact is known.
    case_id = await town.new_case(f"linked-{uuid.uuid4()}", position=INSIDE)
    number = await number_of(town, case_id)
    address = await town.until(link, "message with the lead's link")
    fresh = await visit("en", "phone")
    page = await fresh.open(address)
    await expect(page).to_have_url(town.url("dispatch", f"/cases/{number}"))
    kept = {each["name"]: each for each in await fresh.context.cookies()}
    assert kept[SESSION_COOKIE]["httpOnly"]
    days = (kept[SESSION_COOKIE]["expires"] - time.time()) / 86400
    assert 89 < days <= 90, "stays when the browser is closed"
    await page.get_by_role("button", name=re.compile("^Accept")).click()
    await expect(page.locator(".kept")).to_have_count(0)

    async def accepted() -> bool:
        return (await town.state(case_id))[1] == "accepted"

    await town.until(accepted, "accepted case")


async def test_danger_first_and_what_was_not_solved_says_so(town: City, visit: Visit) -> None:
    unsolved = await town.new_case(f"unsolved-{uuid.uuid4()}", position=INSIDE)
    (await town.act(unsolved, "resolve", lead_id=LEAD)).raise_for_status()
    seq, _ = await town.state(unsolved)
    (await town.rate(unsolved, seq, solved=False, score=2, reopen=True)).raise_for_status()

    async def reopened() -> bool:
        return (await town.state(unsolved))[1] == "dispatched"

    await town.until(reopened, "reopened case")
    danger = await town.new_case(
        f"danger-{uuid.uuid4()}", position=INSIDE, text="一根电线垂到离地一米多，不知道带不带电"
    )
    lead = await visit("en", "phone")
    page = await lead.open(staff_url(town, "dispatch", "/work", Role.LEAD, LEAD))
    rows = page.locator("li.row")
    await expect(rows.first).to_contain_text(await number_of(town, danger))
    await expect(rows.first).to_contain_text("Danger")
    again = page.locator("li.row", has_text=await number_of(town, unsolved))
    await expect(again).to_contain_text("Not solved, time 2")
    await expect(again).to_contain_text("2 stars of 5 · says it is not solved")
    places = await rows.evaluate_all("rows => rows.map(row => row.dataset.case)")
    assert places.index(str(danger)) < places.index(str(unsolved))
    await again.get_by_text("Way there").click()
    hrefs = await again.locator(".ways a").evaluate_all("all => all.map(a => a.href)")
    assert [href.split(":")[0] for href in hrefs] == ["https", "https", "geo"]
    assert await faults_of(page) == []


async def test_an_error_stands_beside_its_row(town: City, visit: Visit) -> None:
    case_id = await town.new_case(f"given-{uuid.uuid4()}", position=INSIDE)
    lead = await visit("en", "phone")
    page = await lead.open(staff_url(town, "dispatch", "/work", Role.LEAD, LEAD))
    row = page.locator(f"#case-{case_id}")
    await row.get_by_text("More actions").click()
    await row.get_by_role("button", name="Give back").click()
    await expect(row.get_by_role("alert")).to_contain_text("Please say why.")
    await expect(row.locator("select")).to_be_visible()


async def test_a_second_tap_on_what_is_done_is_no_error(town: City, visit: Visit) -> None:
    case_id = await town.new_case(f"twice-{uuid.uuid4()}", position=INSIDE)
    lead = await visit("en", "phone", javascript=False)
    page = await lead.open(staff_url(town, "dispatch", "/work", Role.LEAD, LEAD))
    (await town.act(case_id, "accept", lead_id=LEAD)).raise_for_status()
    await page.locator(f"#case-{case_id}").get_by_role("button", name=re.compile("^Accept")).click()
    await expect(page.get_by_role("alert")).to_have_count(0)
    button = page.locator(f"#case-{case_id}").get_by_role("button", name=re.compile("^I am here"))
    await expect(button).to_be_visible()


async def test_a_new_case_comes_by_itself_and_a_closing_can_be_taken_back(
    town: City, visit: Visit
) -> None:
    lead = await visit("en", "phone")
    page = await lead.open(staff_url(town, "dispatch", "/work", Role.LEAD, LEAD))
    case_id = await town.new_case(f"new-{uuid.uuid4()}", position=INSIDE)
    row = page.locator(f"#case-{case_id}")
    await expect(row).to_be_visible(timeout=SLOWEST_UPDATE)
    await row.get_by_text("More actions").click()
    await row.get_by_role("button", name="It is resolved already").click()
    await expect(row).to_have_count(0, timeout=SLOWEST_UPDATE)
    number = await number_of(town, case_id)
    await page.get_by_role("button", name=f"Take back {number}").click()
    await expect(row).to_be_visible()
    assert (await town.state(case_id))[1] == "dispatched"


async def test_the_focus_is_never_under_the_tabs(town: City, visit: Visit) -> None:
    """A23: by keyboard every stop of the worklist is in sight."""
    for _ in range(3):
        await town.new_case(f"focus-{uuid.uuid4()}", position=INSIDE)
    lead = await visit("en", "phone")
    page = await lead.open(staff_url(town, "dispatch", "/work", Role.LEAD, LEAD))
    stops = 0
    while stops < 60:
        await page.keyboard.press("Tab")
        # How far the focused thing reaches below the upper edge of the tabs; None: it is a tab.
        hidden = await page.evaluate(
            "() => { const it = document.activeElement, tabs = document.querySelector('.tabs');"
            " return tabs.contains(it) || it === document.body ? null :"
            " it.getBoundingClientRect().bottom - tabs.getBoundingClientRect().top }"
        )
        if hidden is None:
            break
        stops += 1
        name = await page.evaluate("document.activeElement.outerHTML.slice(0, 120)")
        assert hidden <= 0, f"{name} lies {hidden} px under the tabs"
    assert stops > 9
