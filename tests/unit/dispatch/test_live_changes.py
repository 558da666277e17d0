"""A page that waits for changes lets its process end at once."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from lastmetre.dispatch.application.live_changes import CannotTell, LiveChanges

LONGER_THAN_ANY_TEST = 3600.0


class Host:
    """Told to stop, it tells others."""

    def __init__(self) -> None:
        self.told: list[Callable[[], None]] = []

    def when_told_to_stop(self, end: Callable[[], None]) -> None:
        self.told.append(end)


async def test_whoever_waits_is_let_go_when_the_process_is_to_end() -> None:
    host = Host()
    changes = LiveChanges(cast("Any", host))
    waiting = [asyncio.create_task(changes.after(0, LONGER_THAN_ANY_TEST)) for _ in range(3)]
    await asyncio.sleep(0)
    for end in host.told:
        end()
    for each in waiting:
        with pytest.raises(CannotTell):
            await each
    with pytest.raises(CannotTell):
        await changes.after(1, LONGER_THAN_ANY_TEST)
