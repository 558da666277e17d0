"""Every page there is, in both languages, light and dark, on a desk and a phone."""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from lastmetre.common.security.callers import TOKEN_PARAMETER, Role
from lastmetre.common.security.signed_links import LinkPurpose
from tests.e2e.pages.conftest import Visit
from tests.e2e.pages.people import INSIDE, LEAD, staff_url
from tests.support.browser import (
    DESKTOP,
    PHONE,
    Language,
    Scheme,
    Screen,
    Visitor,
    faults_of,
)
from tests.support.city import City

pytestmark = pytest.mark.asyncio(loop_scope="session")

AT_A_TIME: Final = 3
HEAVIEST: Final = 80_000  # bytes that a phone loads the first time
STEPS: Final = ("accept", "arrive", "resolve")
MAIN_PAGES: Final = ("form", "progress, on site", "work", "centre", "board", "rate")
"""Looked at in both schemes on both screens; the others light on a desk, dark on a phone."""

HTML_LANGUAGES: Final[dict[Language, str]] = {"zh": "zh-CN", "en": "en"}

Addresses = dict[str, str]


async def bring_to(city: City, steps: int, **fields: Any) -> tuple[uuid.UUID, str]:
    """A new case so many steps on; with the address of its progress page."""
    receipt = await city.report(f"seen-{uuid.uuid4()}", **{"position": INSIDE} | fields)
    case_id = await city.case_of(receipt)
    for step in STEPS[:steps]:
        (await city.act(case_id, step, lead_id=LEAD)).raise_for_status()
    identity = city.links.open(LinkPurpose.RECEIPT, receipt)
    assert identity is not None
    return case_id, city.url(
        "intake", f"/progress/{city.links.seal(LinkPurpose.PROGRESS, identity)}"
    )


async def a_message_of(city: City, case_id: uuid.UUID) -> str:
    """The id of a message about a case."""
    listed = city.url("notify", f"/api/notify/v1/cases/{case_id}/messages")

    async def first() -> str | None:
        answer = await city.http.get(listed, headers=city.bearer(Role.OPERATOR))
        return next((each["first_id"] for each in answer.json()["messages"]), None)

    return await city.until(first, "message about the case")


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
    identity = town.links.open(LinkPurpose.RECEIPT, refused) or b""
    secret = town.links.seal(LinkPurpose.PROGRESS, identity)
    board = staff_url(town, "metrics", "/board", Role.SUPERVISOR)
    again = f"/messages/{case_id}/{await a_message_of(town, case_id)}/again"
    yield progress | {
        "form": town.url("intake", "/report"),
        "sent": progress["progress, dispatched"].replace("/progress/", "/report/sent/"),
        "sent, refused": town.url("intake", f"/report/sent/{secret}"),
        "progress, refused": town.url("intake", f"/progress/{secret}"),
        "find": town.url("intake", "/progress"),
        "work": staff_url(town, "dispatch", "/work", Role.LEAD, LEAD),
        "work, nothing to do": staff_url(town, "dispatch", "/work", Role.LEAD, "lead-9999"),
        "centre": staff_url(town, "dispatch", "/centre", Role.OPERATOR),
        "case": staff_url(town, "dispatch", f"/cases/{unplaced}", Role.OPERATOR),
        "case, closed": staff_url(town, "dispatch", f"/cases/{case_id}", Role.SUPERVISOR),
        "case, lead": staff_url(town, "dispatch", f"/cases/{case_id}", Role.LEAD, LEAD),
        "cases": staff_url(town, "dispatch", "/cases", Role.SUPERVISOR),
        "rate": town.url("notify", f"/rate/{town.links.seal(LinkPurpose.RATE, closing)}"),
        "messages": staff_url(town, "notify", "/messages/log", Role.OPERATOR),
        "sending again": staff_url(town, "notify", again, Role.OPERATOR),
        "board": board,
        "board, all days": f"{board}&period=all",
        "board on the wall": board.replace("/board?", "/board/wall?"),
        "board, how": town.url("metrics", "/board/how"),
        "not signed in": town.url("dispatch", "/work"),
        "not open": staff_url(town, "dispatch", "/work", Role.OPERATOR),
        "no such page": town.url("intake", "/progress/nothing"),
    }


def by_person(addresses: Addresses) -> list[list[str]]:
    """The pages' names by who opens them: who has signed in is not somebody else's tab."""
    pages = defaultdict(list)
    for name, url in addresses.items():
        pages[parse_qs(urlsplit(url).query).get(TOKEN_PARAMETER, [""])[0]].append(name)
    return list(pages.values())


@pytest.mark.parametrize(
    ("language", "screen", "scheme"), [("zh", "desktop", "light"), ("en", "phone", "dark")]
)
async def test_every_page_is_accessible_and_fits_both_screens(
    addresses: Addresses, visit: Visit, language: Language, screen: Screen, scheme: Scheme
) -> None:
    at_a_time = asyncio.Semaphore(AT_A_TIME)

    async def look_at(visitor: Visitor, name: str) -> list[str]:
        async with at_a_time:
            page = await visitor.open(addresses[name])
            found = await faults_of(page, ["light", "dark"] if name in MAIN_PAGES else [scheme])
            if await page.locator("html").get_attribute("lang") != HTML_LANGUAGES[language]:
                found.append(f"{name} is in another language")
            await page.set_viewport_size(PHONE if screen == "desktop" else DESKTOP)
            found += await faults_of(page, ["dark" if scheme == "light" else "light"])
            await page.close()
            return found

    looks = []
    for names in by_person(addresses):
        visitor = await visit(language, screen)
        looks += [look_at(visitor, name) for name in names]
    assert [line for lines in await asyncio.gather(*looks) for line in lines] == []


@pytest.mark.parametrize(
    "name", ["form", "progress, closed", "rate", "work", "centre", "case", "messages", "board"]
)
async def test_a_phone_loads_little(addresses: Addresses, visit: Visit, name: str) -> None:
    visitor = await visit("zh", "phone")
    page = await visitor.context.new_page()
    network = await visitor.context.new_cdp_session(page)
    await network.send("Network.enable")
    loaded: list[float] = []
    network.on("Network.loadingFinished", lambda event: loaded.append(event["encodedDataLength"]))
    await page.goto(addresses[name], wait_until="networkidle")
    assert 5_000 < sum(loaded) <= HEAVIEST
