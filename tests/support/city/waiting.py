"""Waiting until it is so."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

Found = TypeVar("Found")

WAIT_SECONDS: Final = 60.0
LOOK_EVERY_SECONDS: Final = 0.05


async def eventually(
    look: Callable[[], Awaitable[Found | None]], what: str = "", seconds: float = WAIT_SECONDS
) -> Found:
    """What `look` finds, as soon as it finds something true; raises TimeoutError, naming `what`."""
    deadline = time.monotonic() + seconds
    while not (found := await look()):
        if time.monotonic() > deadline:
            name = what or getattr(look, "__name__", "such thing")
            raise TimeoutError(f"after {seconds:.0f} s there is still no {name}")
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    return found


def wait_until(condition: Callable[[], object], what: str, seconds: float = WAIT_SECONDS) -> None:
    """Block until it is so; raises TimeoutError, naming `what`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {seconds:.0f} s there is still no {what}")
        time.sleep(LOOK_EVERY_SECONDS)


async def until_true(condition: Callable[[], object], what: str = "") -> None:
    """The same of what needs no awaiting."""

    async def look() -> bool:
        return bool(condition())

    await eventually(look, what)
