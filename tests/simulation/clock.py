"""Virtual time: it passes as soon as nobody has anything to do, and nothing waits in earnest."""

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

Result = TypeVar("Result")

BEGINNING: Final = datetime(2026, 1, 1, tzinfo=UTC)


class Deadlock(Exception):
    """Everybody waits for something that never happens."""


class _Selector(selectors.SelectSelector):
    """Asks no operating system: there are neither sockets nor threads."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock
        if timeout > 0:
            self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is a number."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)
        self.unhandled: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.unhandled.append(context))

    def time(self) -> float:
        """Seconds since the loop began."""
        return self._virtual.now


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
