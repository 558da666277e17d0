"""Tasks that somebody owns: none can end without being noticed."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, Final

import structlog

log = structlog.get_logger()

Work = Callable[[], Awaitable[None]]
AGAIN_SECONDS: Final = 1.0


async def cancel_until_gone(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel these until they are gone: what they await may keep a cancellation to itself, as
    `asyncio.wait_for` does when what it waits for is done at the same moment."""
    left = list(tasks)
    while left:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=AGAIN_SECONDS)
        left = [task for task in left if not task.done()]


class OwnedTasks:
    """The tasks of a process. One that ends by itself ends the process, loudly.

    Crash rather than limp: the supervisor starts the process again, and nothing is lost by it.
    """

    def __init__(self) -> None:
        self.failed = False
        """Whether the process ends because something of its own failed."""
        self._stopping = False
        self._tasks: dict[asyncio.Task[None], str] = {}

    def spawn(self, name: str, work: Work, *, may_end: bool = False) -> asyncio.Task[None]:
        """Run `work`, for as long as the process lives unless it `may_end`."""

        async def run() -> None:
            await work()

        task = asyncio.create_task(run(), name=name)
        self._tasks[task] = name

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.pop(task, None)
            error = None if task.cancelled() else task.exception()
            if self._stopping or (may_end and error is None):
                return
            self.failed = True
            log.critical("a task has ended, the process ends", task=name, exc_info=error)
            signal.raise_signal(signal.SIGTERM)

        task.add_done_callback(ended)
        return task

    def stopping(self) -> None:
        """From now on tasks end because they are told to."""
        self._stopping = True

    @property
    def running(self) -> list[str]:
        """The names of those that have not ended."""
        return sorted(self._tasks.values())

    async def cancel(self, *, spare: Collection[asyncio.Task[None] | None]) -> None:
        """Ask what still runs to end, but for what is spared, and wait until it is gone."""
        tasks = [task for task in self._tasks if task not in spare]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def end(self) -> None:
        """End what still runs, though it should not want to."""
        await cancel_until_gone(self._tasks)
