"""What the pictures show: pages of a played demo, in both languages, on a desk and a phone."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, Page

from tests.support.browser import DESKTOP, PHONE, Language, Scheme, Screen, Visitor

SHARPNESS: Final = 1.5
"""Pixels of a picture to one of the page."""
WEBP: Final[dict[str, Any]] = {"format": "webp", "quality": 82}


@dataclass(frozen=True)
class Shot:
    """One picture: which of the demo's pages, for whom, and how much of it in CSS pixels."""

    file: str
    page: str
    language: Language
    screen: Screen
    height: int | None = None
    """None: the whole page."""
    scheme: Scheme = "light"
    query: str = ""
    """Asked of the page once signed in, as the day that was played."""
    follow: str = ""
    """The link that is followed first."""


PLAYED: Final = "period=yesterday"
SHOTS: Final = (
    Shot("board-zh", "board", "zh", "desktop", query=PLAYED),
    Shot("board-en", "board", "en", "desktop", scheme="dark", query=PLAYED),
    Shot("board-phone-zh", "board", "zh", "phone", 1180, query=PLAYED),
    Shot("progress-phone-zh", "progress", "zh", "phone", 1180),
    Shot("progress-phone-en", "progress", "en", "phone", 1180),
    Shot("work-phone-zh", "work", "zh", "phone", 1180),
    Shot("work-phone-en", "work", "en", "phone", 1180, "dark"),
    Shot("centre-en", "centre", "en", "desktop", 860, follow=".q-list a:has-text('Outside')"),
)


async def take(browser: Browser, shot: Shot, addresses: Mapping[str, str], folder: Path) -> None:
    """Open the page as its reader would, and take the picture.

    Raises RuntimeError with what the page complained about.
    """
    visitor = await Visitor.arrive(browser, shot.language, shot.screen, sharpness=SHARPNESS)
    page = await visitor.open(addresses[shot.page])
    if shot.query:
        await page.goto(f"{page.url.partition('?')[0]}?{shot.query}")
    if shot.follow:
        async with page.expect_navigation():
            await page.locator(shot.follow).first.click()
    await page.emulate_media(color_scheme=shot.scheme, reduced_motion="reduce")
    badge = page.locator("[data-live]")
    if await badge.count():
        # Shown by the stream's first beat.
        await badge.wait_for()
    width = (PHONE if shot.screen == "phone" else DESKTOP)["width"]
    await _save(page, width, shot.height, folder / f"{shot.file}.webp")
    await visitor.context.close()
    if visitor.complaints:
        raise RuntimeError("\n".join(visitor.complaints))


async def take_terminal(browser: Browser, html: str, file: Path) -> None:
    """A picture of a terminal's screen, as large as what stands on it."""
    page = await browser.new_page(device_scale_factor=SHARPNESS)
    await page.set_content(html)
    box = await page.locator("pre").bounding_box()
    assert box is not None
    await _save(page, round(box["width"]), round(box["height"]), file)
    await page.close()


async def _save(page: Page, width: int, height: int | None, file: Path) -> None:
    """As WebP, which Playwright itself does not write: a third of PNG's size."""
    whole: int = await page.evaluate("document.documentElement.scrollHeight")
    await page.set_viewport_size({"width": width, "height": height or whole})
    devtools = await page.context.new_cdp_session(page)
    answer = await devtools.send("Page.captureScreenshot", WEBP)
    file.write_bytes(base64.b64decode(answer["data"]))
