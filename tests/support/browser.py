"""Headless Chromium as a person would use it, and everything that must not go wrong meanwhile."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import axe_playwright_python
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    Request,
    ViewportSize,
)

Language = Literal["zh", "en"]
Screen = Literal["desktop", "phone"]
Scheme = Literal["light", "dark"]

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
# As root there is no sandbox; the others keep Chromium from calling home.
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LOCALES: Final[dict[Language, str]] = {"zh": "zh-CN", "en": "en-GB"}
DESKTOP: Final[ViewportSize] = {"width": 1280, "height": 800}
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
AXE: Final = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
# Without `preload` the stylesheets are not fetched once more, for a rule that we do not need.
OPTIONS: Final[dict[str, Any]] = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"],
    "resultTypes": ["violations"],
    "preload": False,
}

TOO_WIDE: Final = """
() => [document.documentElement, ...document.querySelectorAll('.pane')]
  .filter(each => each.scrollWidth > each.clientWidth)
  .map(each => `${each.tagName}.${each.className} (${each.scrollWidth} px)`)
"""


def chromium() -> str | None:
    """Where this machine's Chromium is, if it has one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def must_have_chromium() -> bool:
    """Whether its absence is a failure: continuous integration leaves nothing out."""
    return os.environ.get("CI") == "true"


async def start_chromium(playwright: Playwright) -> Browser:
    """The browser of this machine; ends with `close()`."""
    return await playwright.chromium.launch(executable_path=chromium(), args=FLAGS)


class Visitor:
    """One person's browser with its own cookies, and what it had to complain about."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.complaints: list[str] = []
        context.on("page", self._listen)

    @classmethod
    async def arrive(
        cls,
        browser: Browser,
        language: Language,
        screen: Screen,
        *,
        javascript: bool = True,
        sharpness: float = 1,
    ) -> "Visitor":
        """Somebody new, who reads that language on that screen."""
        context = await browser.new_context(
            viewport=PHONE if screen == "phone" else DESKTOP,
            has_touch=screen == "phone",
            is_mobile=screen == "phone",
            locale=LOCALES[language],
            java_script_enabled=javascript,
            device_scale_factor=sharpness,
        )
        context.set_default_timeout(20_000)
        return cls(context)

    def _listen(self, page: Page) -> None:
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("request", self._notice)

    def _hear(self, message: ConsoleMessage) -> None:
        """Errors, which broken content security is among; an answer of 4xx is no error here."""
        expected = message.text.startswith("Failed to load resource: the server responded")
        if message.type in ("error", "warning") and not expected:
            self.complaints.append(f"{message.location.get('url')}: {message.text}")

    def _notice(self, request: Request) -> None:
        host = urlsplit(request.url).hostname
        if host not in (None, "127.0.0.1"):
            self.complaints.append(f"a request to {host}: {request.url}")

    async def open(self, url: str) -> Page:
        """That address in a new tab."""
        page = await self.context.new_page()
        await page.goto(url)
        return page


async def faults_of(page: Page, schemes: Sequence[Scheme] = ("light",)) -> list[str]:
    """What axe-core finds on a page as it is now, and whether it is wider than the screen."""
    found: list[str] = await page.evaluate(TOO_WIDE)
    found = [f"{page.url}: {each} is wider than its place" for each in found]
    await page.evaluate(AXE)
    for scheme in schemes:
        await page.emulate_media(color_scheme=scheme)
        result: dict[str, Any] = await page.evaluate("axe.run", OPTIONS)
        found += [
            f"{page.url}, {scheme}: {rule['id']}, {node['html'][:200]}, {node['failureSummary']}"
            for rule in result["violations"]
            for node in rule["nodes"]
        ]
    return found
