"""Plays the demo in a terminal and takes the pictures for README into docs/pictures.

It has a home of its own, so nothing of a stack that runs here is touched. The home is kept: a day
that was played there already need not be played again.
"""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Final

from playwright.async_api import async_playwright

from lastmetre.cli.endpoints import default_home
from tests.pictures.shots import SHOTS, take, take_terminal
from tests.pictures.terminal import Terminal
from tests.support.browser import chromium, start_chromium

FOLDER: Final = Path(__file__).parents[2] / "docs" / "pictures"
PLAYED: Final = "Ctrl-C stops everything."
DOORS: Final = {"board": "/board", "progress": "/progress", "work": "/lead", "centre": "/centre"}


def addresses_in(lines: str) -> dict[str, str]:
    """The demo's links to the pages that are pictured."""
    links = re.findall(r"http://[^\s│]+", lines)
    return {
        page: next(link for link in links if link.endswith(door)) for page, door in DOORS.items()
    }


async def take_all(terminal: Terminal) -> None:
    """Every picture, one after the other."""
    lines = "\n".join(terminal.screen.lines)
    addresses = addresses_in(lines)
    FOLDER.mkdir(parents=True, exist_ok=True)
    async with async_playwright() as playwright:
        browser = await start_chromium(playwright)
        for shot in SHOTS:
            await take(browser, shot, addresses, FOLDER)
        await take_terminal(browser, terminal.screen.html(), FOLDER / "demo.webp")
        await browser.close()


def main() -> int:
    """Exit code 0 if all pictures were taken."""
    if chromium() is None:
        print("No Chromium here. Way out (Debian): apt-get install chromium", file=sys.stderr)
        return 1
    home = default_home() / "pictures"
    command = [str(Path(sys.executable).parent / "lastmetre"), "demo"]
    with Terminal(command, {**os.environ, "LASTMETRE_HOME": str(home)}) as terminal:
        terminal.until(PLAYED)
        asyncio.run(take_all(terminal))
    for picture in sorted(FOLDER.glob("*.webp")):
        print(f"{picture.relative_to(FOLDER.parents[1])}  {picture.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
