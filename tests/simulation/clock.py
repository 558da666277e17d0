"""Virtual time: it passes as soon as nobody has anything to do, and nothing waits in earnest."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from tests.simulation.virtual_loop import VirtualLoop

Result = TypeVar("Result")

BEGINNING: Final = datetime(2026, 1, 1, tzinfo=UTC)


class VirtualClock:
    """The city's clock in virtual time."""

    def now(self) -> datetime:
        """The present instant."""
        return BEGINNING + timedelta(seconds=asyncio.get_running_loop().time())


def milliseconds() -> int:
    """As a broker stamps what it appends."""
    return int(BEGINNING.timestamp() * 1000 + asyncio.get_running_loop().time() * 1000)


def run_virtually(main: Coroutine[Any, Any, Result]) -> Result:
    """Run to the end of `main`; what still runs then is cancelled."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
