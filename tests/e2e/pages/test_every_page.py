"""Every page there is, in both languages, light and dark, on a desk and a phone."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from common.runtime.links import Purpose
from common.web.access import Role
from tests.e2e.pages.conftest import Visit
from tests.e2e.pages.people import staff_url
from tests.support.browser import DESKTOP, PHONE, Language, Screen, faults_of, too_wide
from tests.support.city import City

pytestmark = pytest.mark.asyncio(loop_scope="session")

HEAVIEST: Final = 150_000  # bytes that a phone loads the first time
INSIDE: Final = {"latitude": 24.075, "longitude": 112.93}
LEAD: Final = "lead-0101"
STEPS: Final = ("accept", "arrive", "resolve")

HTML_LANGUAGES: Final[dict[Language, str]] = {"zh": "zh-CN", "en": "en"}

Addresses = dict[str, str]


async def bring_to(city: City, steps: int, **fields: Any) -> tuple[uuid.UUID, str]:
    """A new case so many steps on; with the address of its progress page."""
    receipt = await city.report(f"seen-{uuid.uuid4()}", **{"position": INSIDE} | fields)
    case_id = await city.case_of(receipt)
    for step in STEPS[:steps]:
        (await city.act(case_id, step, lead_id=LEAD)).raise_for_status()
    identity = city.links.open(Purpose.RECEIPT, receipt)
    assert identity is not None
    return case_id, city.url("intake", f"/progress/{city.links.seal(Purpose.PROGRESS, identity)}")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def addresses(town: City) -> AsyncIterator[Addresses]:
    """Each page by a name; the pages of staff sign in by their link."""
    contact = {"name": "陈先生", "phone": "13900010003", "email": "chen@reports.invalid"}
    progress: Addresses = {}
    for steps, state in enumerate(("dispatched", "accepted", "on site", "closed")):
        case_id, progress[f"progress, {state}"] = await bring_to(
            town, steps, address="滨江路 128 号门前", contact=contact
        )
    unplaced, progress["progress, unplaced"] = await bring_to(town, 0, position=None)
    cancelled, progress["progress, cancelled"] = await bring_to(town, 0, position=None)
    await town.act(
        cancelled, "cancel", Role.OPERATOR, expected_seq=2, cancel_reason="not_a_problem"
    )
    closing = case_id.bytes + (7).to_bytes(4, "big")
    refused = await town.report(f"seen-{uuid.uuid4()}", text=None)
    identity = town.links.open(Purpose.RECEIPT, refused) or b""
    secret = town.links.seal(Purpose.PROGRESS, identity)
    board = staff_url(town, "metrics", "/board", Role.SUPERVISOR)
    yield progress | {
        "form": town.url("intake", "/report"),
        "sent": progress["progress, dispatched"].replace("/progress/", "/report/sent/"),
        "sent, refused": town.url("intake", f"/report/sent/{secret}"),
        "progress, refused": town.url("intake", f"/progress/{secret}"),
        "find": town.url("intake", "/progress"),
        "work": staff_url(town, "dispatch", "/work", Role.LEAD, LEAD),
        "work, nothing to do": staff_url(town, "dispatch", "/work", Role.LEAD, "lead-9999"),
        "centre": staff_url(town, "dispatch", "/centre", Role.OPERATOR),
        "case": staff_url(town, "dispatch", f"/centre/cases/{unplaced}", Role.OPERATOR),
        "case, closed": staff_url(town, "dispatch", f"/centre/cases/{case_id}", Role.OPERATOR),
        "rate": town.url("notify", f"/rate/{town.links.seal(Purpose.RATE, closing)}"),
        "messages": staff_url(town, "notify", "/messages/log", Role.OPERATOR),
        "board": board,
        "board, all days": f"{board}&period=all",
        "board on the wall": board.replace("/board?", "/board/wall?"),
        "board, how": town.url("metrics", "/board/how"),
        "not signed in": town.url("dispatch", "/work"),
        "not open": staff_url(town, "dispatch", "/work", Role.OPERATOR),
        "no such page": town.url("intake", "/progress/nothing"),
    }


@pytest.mark.parametrize(("language", "screen"), [("zh", "desktop"), ("en", "phone")])
async def test_every_page_is_accessible_and_fits_both_screens(
    addresses: Addresses, visit: Visit, language: Language, screen: Screen
) -> None:
    at_a_time = asyncio.Semaphore(3)

    async def look_at(url: str) -> list[str]:
        async with at_a_time:
            # A visitor each: who signs in as somebody is not somebody else's tab.
            page = await (await visit(language, screen)).open(url)
            found = await faults_of(page)
            if await page.locator("html").get_attribute("lang") != HTML_LANGUAGES[language]:
                found.append(f"{url} is in another language")
            await page.set_viewport_size(PHONE if screen == "desktop" else DESKTOP)
            found += await too_wide(page)
            await page.close()
            return found

    found = await asyncio.gather(*map(look_at, addresses.values()))
    assert [line for lines in found for line in lines] == []


@pytest.mark.parametrize("name", ["form", "progress, closed", "work", "board"])
async def test_a_phone_loads_little(addresses: Addresses, visit: Visit, name: str) -> None:
    visitor = await visit("zh", "phone")
    page = await visitor.context.new_page()
    network = await visitor.context.new_cdp_session(page)
    await network.send("Network.enable")
    loaded: list[float] = []
    network.on("Network.loadingFinished", lambda event: loaded.append(event["encodedDataLength"]))
    await page.goto(addresses[name], wait_until="networkidle")
    assert 5_000 < sum(loaded) <= HEAVIEST
