"""What residents need of a browser: Back, large type, no script, a last word. See docs/pages.md."""

import re
import uuid
from typing import Any, Final

import pytest
from playwright.async_api import Page, ViewportSize, expect

from lastmetre.common.security.signed_links import LinkPurpose
from tests.e2e.pages.conftest import Visit
from tests.e2e.pages.people import INSIDE, LEAD, SLOWEST_UPDATE, WORDS, number_on
from tests.support.browser import TOO_WIDE, Language, faults_of
from tests.support.city import City

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALLEST: Final[ViewportSize] = {"width": 320, "height": 640}


async def reported(city: City, **fields: Any) -> tuple[uuid.UUID, str]:
    """A new case, and the address of its reporter's progress page."""
    receipt = await city.report(f"resident-{uuid.uuid4()}", **{"position": INSIDE} | fields)
    case_id = await city.case_of(receipt)
    identity = city.links.open(LinkPurpose.RECEIPT, receipt)
    assert identity is not None
    secret = city.links.seal(LinkPurpose.PROGRESS, identity)
    return case_id, city.url("intake", f"/progress/{secret}")


async def test_b9_who_left_no_contact_has_a_closing_taken_up_again(
    town: City, visit: Visit
) -> None:
    case_id, address = await reported(town)
    (await town.act(case_id, "resolve", lead_id=LEAD)).raise_for_status()
    resident = await visit("en", "phone")
    page = await resident.open(address)
    await expect(page.locator("h1")).to_have_text("It is resolved and closed")
    # A2: nobody accepted it or came.
    await expect(page.locator(".track .skipped")).to_have_count(2)
    await page.get_by_role("link", name="No, have it taken up again").click()
    await expect(page.get_by_label("No, please take it up again")).to_be_checked()
    await page.get_by_label("Poor", exact=False).last.check()
    assert await faults_of(page) == []
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator("h1")).to_have_text("Thank you")
    await page.get_by_role("link", name="Back to the progress").click()
    await expect(page.locator("h1")).to_contain_text("has been told", timeout=SLOWEST_UPDATE)
    assert (await town.ledger(case_id))[-3:] == ["rated", "reopened", "dispatched"]


async def test_b9_a_rating_is_not_the_last_word(town: City, visit: Visit) -> None:
    case_id, address = await reported(town)
    (await town.act(case_id, "resolve", lead_id=LEAD)).raise_for_status()
    resident = await visit("zh", "desktop")
    page = await resident.open(address)
    await page.get_by_role("link", name="已解决，去评价").click()
    await page.get_by_label("非常满意").check()
    await page.get_by_role("button", name="提交").click()
    await page.get_by_role("button", name="请重新办理").click()
    await page.get_by_role("link", name="返回进展页").click()
    await expect(page.locator("h1")).to_contain_text("已派给", timeout=SLOWEST_UPDATE)
    assert (await town.ledger(case_id))[-3:] == ["rated", "reopened", "dispatched"]


async def test_what_is_typed_stays_while_the_page_moves_and_stands_there_once_sent(
    town: City, visit: Visit
) -> None:
    case_id, address = await reported(town)
    resident = await visit("en", "phone")
    page = await resident.open(address)
    note = page.get_by_label("What else is to be known?")
    await note.fill("It sparks now.")
    (await town.act(case_id, "accept", lead_id=LEAD)).raise_for_status()
    await expect(page.locator("h1")).to_contain_text("has accepted it", timeout=SLOWEST_UPDATE)
    await expect(note).to_have_value("It sparks now.")
    await page.get_by_role("button", name="Add it").click()
    await expect(page.locator(".additions")).to_contain_text(
        "It sparks now.", timeout=SLOWEST_UPDATE
    )
    assert await faults_of(page) == []


async def test_a19_back_finds_the_form_as_it_was_left_and_b8_a_correction_is_added(
    town: City, visit: Visit
) -> None:
    resident = await visit("en", "phone")
    page = await resident.open(town.url("intake", "/report"))
    say = WORDS["en"]
    await page.get_by_label(say.see).fill("The lamp is out")
    await page.locator("[data-area=yq-0101]").click()
    await page.get_by_label(say.address).fill("Lucky Road 12")
    typed = await values(page)
    assert typed["lat"]
    await page.get_by_role("button", name=say.send_report).click()
    await number_on(page)
    await page.go_back()
    assert await values(page) == typed
    await expect(page.locator(".m-picked")).to_be_visible()
    await page.get_by_label(say.address).fill("Lucky Road 112")
    await page.get_by_role("button", name=say.send_report).click()
    await expect(page.locator(".additions")).to_contain_text(
        "Lucky Road 112", timeout=SLOWEST_UPDATE
    )
    await page.goto(town.url("intake", "/report"))
    await expect(page.get_by_label(say.see)).to_have_value("")


async def values(page: Page) -> dict[str, str]:
    """What the form would send."""
    found: dict[str, str] = await page.evaluate(
        "Object.fromEntries(new FormData(document.getElementById('report-form')))"
    )
    return found


@pytest.mark.parametrize("script", [True, False])
async def test_a5_another_language_keeps_the_form(town: City, visit: Visit, script: bool) -> None:
    resident = await visit("zh", "phone", javascript=script)
    page = await resident.open(town.url("intake", "/report"))
    await page.get_by_label(WORDS["zh"].see).fill("路灯不亮")
    await page.get_by_role("button", name="English").click()
    await expect(page.get_by_label(WORDS["en"].see)).to_have_value("路灯不亮")
    # Enter in a field sends the form and changes no language: nothing says where it is.
    await page.get_by_label("Your name").press("Enter")
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await expect(page.locator(".err-sum")).to_be_visible()


async def test_a26_without_script_the_number_comes_and_nothing_claims_to_be_live(
    town: City, visit: Visit
) -> None:
    say = WORDS["en"]
    resident = await visit("en", "phone", javascript=False)
    page = await resident.open(town.url("intake", "/report"))
    await page.get_by_label(say.see).fill("The bin is full")
    await page.get_by_label(say.address).fill("Lucky Road 12")
    await page.get_by_role("button", name=say.send_report).click()
    await number_on(page)
    await page.get_by_role("link", name=say.progress).click()
    await expect(page.locator(".live")).to_be_hidden()
    await expect(page.get_by_role("link", name="Load the page again")).to_be_visible()


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_a22_large_type_is_cut_off_nowhere(
    town: City, visit: Visit, language: Language
) -> None:
    _, going = await reported(town, contact={"phone": "13900010003"}, address="滨江路 128 号")
    closed_id, closed = await reported(town)
    (await town.act(closed_id, "resolve", lead_id=LEAD)).raise_for_status()
    resident = await visit(language, "phone")
    page = await resident.open(closed)
    rate = await page.locator("#h-ask ~ p a").first.get_attribute("href")
    assert rate is not None
    addresses = [going, closed, rate, *(town.url("intake", p) for p in ("/report", "/progress"))]
    sent = going.replace("/progress/", "/report/sent/")
    for address in [*addresses, sent]:
        await page.goto(address)
        for size, screen in (("200%", None), ("100%", SMALLEST)):
            if screen:
                await page.set_viewport_size(screen)
            await page.evaluate(f"document.documentElement.style.fontSize = '{size}'")
            assert await page.evaluate(TOO_WIDE) == [], f"{address} at {size}"
        await page.set_viewport_size({"width": 390, "height": 844})


async def test_a3_whom_to_call_can_be_tapped_on_every_page(town: City, visit: Visit) -> None:
    _, progress = await reported(town)
    resident = await visit("zh", "phone")
    for path in ("/report", "/progress", progress.removeprefix(town.url("intake", ""))):
        page = await resident.open(town.url("intake", path))
        numbers = await page.locator(".foot a[href^='tel:']").all_inner_texts()
        assert numbers == ["110", "119", "120", "12345"]


async def test_a29_paper_has_neither_a_live_mark_nor_controls(town: City, visit: Visit) -> None:
    _, progress = await reported(town)
    resident = await visit("en", "desktop")
    page = await resident.open(progress)
    await page.emulate_media(media="print")
    await expect(page.locator(".live")).to_be_hidden()
    await expect(page.locator("#add-form")).to_be_hidden()
    height = await page.evaluate("document.documentElement.scrollHeight")
    assert height <= 1400, "one sheet of A4 at this width"
    assert re.fullmatch(r".*\d{6}-\d{4,}", await page.locator(".eyebrow").inner_text())
