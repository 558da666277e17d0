"""What people do on the pages, in the words that they read there."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg
from playwright.async_api import Page, expect

from lastmetre.common.security.callers import TOKEN_PARAMETER, Role
from tests.support.browser import Language
from tests.support.city import City

PHONE_NUMBER: Final = "13900010002"
INSIDE: Final = {"latitude": 24.075, "longitude": 112.93}
LEAD: Final = "lead-0101"
"""Who answers for the place `INSIDE`."""
SLOWEST_UPDATE: Final = 20_000  # milliseconds: pages ask every four seconds, or sooner


@dataclass(frozen=True)
class Words:
    """What the pages say in one language, as far as the tests act on it."""

    see: str
    address: str
    area: str
    phone: str
    send_report: str
    progress: str
    told: str
    closed: str
    accept: str
    here: str
    resolved: str
    assign: str
    solved: str
    very_good: str
    send_rating: str
    thanks: str
    rated: str


WORDS: Final[dict[Language, Words]] = {
    "zh": Words(
        see="您看到了什么？",
        address="地址或位置描述",
        area="大概在哪一带？",
        phone="手机号",
        send_report="提交",
        progress="查看进展",
        told="已派给",
        closed="问题已解决，已办结",
        accept="接单",
        here="我到了",
        resolved="已解决",
        assign="派单",
        solved="已解决",
        very_good="非常满意",
        send_rating="提交",
        thanks="谢谢您",
        rated="已评价",
    ),
    "en": Words(
        see="What do you see?",
        address="Address or description of the place",
        area="Roughly where?",
        phone="Your phone",
        send_report="Send the report",
        progress="See the progress",
        told="has been told",
        closed="It is resolved and closed",
        accept="Accept",
        here="I am here",
        resolved="Resolved",
        assign="Assign",
        solved="Yes, it is solved",
        very_good="Very good",
        send_rating="Send",
        thanks="Thank you",
        rated="Rated",
    ),
}


def staff_url(city: City, service: str, path: str, role: Role, lead_id: str | None = None) -> str:
    """The link that signs a member of staff in."""
    token = city.bearer(role, lead_id)["Authorization"].removeprefix("Bearer ")
    return city.url(service, f"{path}{'&' if '?' in path else '?'}{TOKEN_PARAMETER}={token}")


async def number_on(page: Page) -> str:
    """The case's number, which the page after the form shows as soon as there is one."""
    number = page.locator("h1.number")
    await expect(number).to_have_text(re.compile(r"^\d{6}-\d{4,}$"), timeout=SLOWEST_UPDATE)
    return await number.inner_text()


async def case_numbered(city: City, number: str) -> tuple[UUID, str | None]:
    """A case's id and its lead."""
    # A connection of its own: two people look at once.
    dispatch = await asyncpg.connect(city.endpoints["databases"]["dispatch"])
    try:
        query = 'SELECT case_id, lead_id FROM "case" WHERE number = $1'
        row = await dispatch.fetchrow(query, number)
    finally:
        await dispatch.close()
    assert row is not None
    return row["case_id"], row["lead_id"]


async def rating_link(city: City, outbox: Path, number: str) -> str:
    """The link in the message that the reporter got when his case was closed."""

    async def look() -> str | None:
        for file in outbox.glob(f"*/{number}-*-reporter-closed-*.txt"):
            link = re.search(r"http://\S+/rate/\w+", file.read_text("utf-8"))
            return link and link.group()
        return None

    return await city.until(look, "message with the rating's link")


async def press_until(page: Page, key: str, selector: str, most: int = 80) -> None:
    """Go on by a key until what is meant has the focus, and shows that it has."""
    # What was waited for may be gone already while the page after it has not even a body.
    await page.wait_for_load_state()
    for _ in range(most):
        await page.keyboard.press(key)
        if await page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
            shown = await page.evaluate("document.activeElement.matches(':focus-visible')")
            assert shown, f"{selector} does not show that it has the focus"
            return
    raise AssertionError(f"{key} does not lead to {selector}")
