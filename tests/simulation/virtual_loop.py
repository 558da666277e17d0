"""An event loop whose time is a number, with neither sockets nor threads: little work a call.

What asyncio.Runner, tasks, futures and locks ask of a loop, and nothing else. As in asyncio's own,
a round makes the calls that were ready when it began; those of one instant in the order of asking.
"""

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeVar

Result = TypeVar("Result")


class Deadlock(Exception):
    """Everybody waits for something that never happens."""


class _Call:
    """A callback that is to come: what asyncio.TimerHandle is, without what debugging needs."""

    __slots__ = ("_arguments", "_callback", "_context", "_is_cancelled", "_when")

    def __init__(
        self,
        callback: Callable[..., object],
        arguments: tuple[object, ...],
        context: Context | None,
        when: float = 0.0,
    ) -> None:
        self._callback = callback
        self._arguments = arguments
        self._context = copy_context() if context is None else context
        self._is_cancelled = False
        self._when = when

    def cancel(self) -> None:
        """It is not made."""
        self._is_cancelled = True

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._is_cancelled

    def when(self) -> float:
        """Seconds since the loop began."""
        return self._when

    def make(self) -> None:
        """Call it, unless it was cancelled."""
        if not self._is_cancelled:
            self._context.run(self._callback, *self._arguments)


class VirtualLoop(asyncio.AbstractEventLoop):
    """Time passes as soon as nobody has anything to do. Raises Deadlock where nobody ever will."""

    def __init__(self) -> None:
        self.unhandled: list[dict[str, Any]] = []
        self._now = 0.0
        self._ready: deque[_Call] = deque()
        self._later: list[tuple[float, int, _Call]] = []
        self._order = count()
        self._is_running = False
        self._is_stopping = False
        self._is_closed = False

    def time(self) -> float:
        """Seconds since the loop began."""
        return self._now

    def call_soon(  # type: ignore[override]  # asyncio's own handle knows debugging
        self, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> _Call:
        """In the next round."""
        call = _Call(callback, args, context)
        self._ready.append(call)
        return call

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: object,
        context: Context | None = None,
    ) -> _Call:
        """`delay` seconds from now."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: object,
        context: Context | None = None,
    ) -> _Call:
        """At `when` of this loop's time; those of one instant in the order of their asking."""
        call = _Call(callback, args, context, when)
        heappush(self._later, (when, next(self._order), call))
        return call

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, Result] | Coroutine[Any, Any, Result],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[Result]:
        """A task of this loop."""
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def run_forever(self) -> None:
        """Round after round, until somebody calls `stop`."""
        self._is_running = True
        events._set_running_loop(self)  # noqa: SLF001 - as asyncio does
        try:
            while not self._is_stopping:
                self._run_round()
        finally:
            self._is_running = self._is_stopping = False
            events._set_running_loop(None)  # noqa: SLF001

    def _run_round(self) -> None:
        ready, later = self._ready, self._later
        if not ready:
            while later and later[0][2].cancelled():
                heappop(later)
            if not later:
                raise Deadlock
            self._now = max(self._now, later[0][0])
        while later and later[0][0] <= self._now:
            ready.append(heappop(later)[2])
        for _ in range(len(ready)):
            try:
                ready.popleft().make()
            except Exception as error:
                self.call_exception_handler({"message": "a callback failed", "exception": error})

    def run_until_complete(self, future: Any) -> Any:
        """The result of a coroutine or future."""
        task = asyncio.ensure_future(future, loop=self)
        task.add_done_callback(self._stop_after)
        try:
            self.run_forever()
        finally:
            task.remove_done_callback(self._stop_after)
        return task.result()

    def _stop_after(self, _: asyncio.Future[Any]) -> None:
        self.stop()

    def stop(self) -> None:
        """After the present round."""
        self._is_stopping = True

    def is_running(self) -> bool:
        """Whether rounds are being run."""
        return self._is_running

    def is_closed(self) -> bool:
        """Whether it has been closed."""
        return self._is_closed

    def close(self) -> None:
        """Forget what was to come."""
        self._is_closed = True
        self._ready.clear()
        self._later.clear()

    def get_debug(self) -> bool:
        """Never."""
        return False

    def set_debug(self, enabled: bool) -> None:
        """Has no effect."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What nobody awaited or caught is kept for the run's verdict."""
        self.unhandled.append(context)

    async def shutdown_asyncgens(self) -> None:
        """None are tracked."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """There is none."""
