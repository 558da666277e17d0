"""Results of attempts wait here until they are recorded, whatever the database says meanwhile."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from typing import Final, NamedTuple, NoReturn, Protocol

import structlog

from lastmetre.common.postgres.errors import is_data_error
from lastmetre.common.telemetry import metrics
from lastmetre.notify.sending.provider import Outcome
from lastmetre.notify.store.sending import Attempted

log = structlog.get_logger()

BATCH: Final = 500
RETRY_FIRST_SECONDS: Final = 0.1
RETRY_LONGEST_SECONDS: Final = 2.0
HELD_LONGEST_SECONDS: Final = 5.0
SILENT_SECONDS: Final = 3.0
"""Nothing recorded for so long while results wait is reported."""


class Attempt(NamedTuple):
    """A claimed message and what came of calling its provider, or None, which nobody called."""

    message: Attempted
    provider: str | None
    outcome: Outcome


class Results(Protocol):
    """Where results are recorded."""

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Record all of these or none. One that is recorded already changes nothing.

        May raise anything; whether they are recorded is then not known.
        """


class Held(NamedTuple):
    """A result that could not be recorded standing alone, and when it is tried again."""

    attempt: Attempt
    since: float
    failures: int
    retry_at: float
    error: str


class ResultCommitter:
    """Records results as they come, many in one transaction.

    It gives up nothing and ends for no error: a result stays here, and its message claimed, until
    it is recorded. A batch that fails is halved, so that a result which cannot be recorded for a
    fault of its own comes to stand alone; the others then go past it, while it is tried again and
    again and reported. `recorded` is told of each that is. `jitter` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        results: Results,
        recorded: Callable[[Sequence[Attempt]], None],
        jitter: Callable[[], float],
    ) -> None:
        self._results = results
        self._recorded = recorded
        self._jitter = jitter
        self._waiting: deque[Attempt] = deque()
        self._held: list[Held] = []
        self._arrival = asyncio.Event()
        self._limit = BATCH
        self._recording = 0
        self._failures = 0
        self._error = ""
        self._silent_since = 0.0

    @property
    def unrecorded(self) -> int:
        """How many results are not recorded yet."""
        return len(self._waiting) + self._recording + len(self._held)

    @property
    def held(self) -> Set[Attempted]:
        """The messages of those that could not be recorded standing alone."""
        return {each.attempt.message for each in self._held}

    @property
    def waiting_for(self) -> str | None:
        """Why results are not being recorded; None if they are."""
        if self._failures:
            return f"results wait to be recorded: {self._error}"
        if self._held:
            return f"{len(self._held)} results cannot be recorded: {self._held[0].error}"
        return None

    def health(self) -> list[str]:
        """What is wrong, once it has lasted for a while."""
        now = asyncio.get_running_loop().time()
        found = []
        silent = now - self._silent_since
        if self.unrecorded > len(self._held) and silent > SILENT_SECONDS:
            why = f": {self._error}" if self._failures else ""
            found.append(f"no result recorded for {silent:.0f} s, {self.unrecorded} wait{why}")
        lasting = [each for each in self._held if now - each.since > SILENT_SECONDS]
        if lasting:
            found.append(f"{len(lasting)} results cannot be recorded: {lasting[0].error}")
        return found

    def put(self, attempts: Sequence[Attempt]) -> None:
        """These are through."""
        if self.unrecorded == len(self._held):
            self._silent_since = asyncio.get_running_loop().time()
        self._waiting.extend(attempts)
        metrics.MESSAGE_RESULTS_WAITING.set(self.unrecorded)
        self._arrival.set()

    async def run(self) -> NoReturn:
        """Record what arrives, until cancelled."""
        while True:
            if held := await self._next_held():
                await self._record([held.attempt], held)
            elif self._waiting:
                size = min(self._limit, len(self._waiting))
                await self._record([self._waiting.popleft() for _ in range(size)], None)

    async def _next_held(self) -> Held | None:
        """The held result that is to be tried now; waits until there is something to do."""
        now = asyncio.get_running_loop().time()
        first = min(self._held, key=lambda held: held.retry_at, default=None)
        if first and first.retry_at <= now:
            self._held.remove(first)
            return first
        if not self._waiting:
            self._arrival.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(first.retry_at - now if first else None):
                    await self._arrival.wait()
        return None

    async def _record(self, batch: Sequence[Attempt], held: Held | None) -> None:
        self._recording = len(batch)
        try:
            await self._results.record(batch)
        # Whatever it is: these results stand for messages that went out. They wait.
        except Exception as error:
            self._recording = 0
            await self._failed(batch, held, error)
        else:
            self._recording = 0
            self._failures = 0
            self._limit = min(2 * self._limit, BATCH)
            self._silent_since = asyncio.get_running_loop().time()
            metrics.MESSAGE_RESULTS_WAITING.set(self.unrecorded)
            self._recorded(batch)

    async def _failed(self, batch: Sequence[Attempt], held: Held | None, error: Exception) -> None:
        self._failures += 1
        self._error = _words(error)
        pause = self._pause(self._failures, RETRY_LONGEST_SECONDS)
        if len(batch) > 1:
            self._waiting.extendleft(reversed(batch))
            self._limit = len(batch) // 2
        else:
            self._hold(batch[0], held)
        log.warning(
            "results cannot be recorded",
            error=self._error,
            results=len(batch),
            unrecorded=self.unrecorded,
            retry_seconds=round(pause, 2),
        )
        # What is wrong with a value stays wrong: nothing is gained by waiting before halving.
        if not (is_data_error(error) and self._waiting):
            await asyncio.sleep(pause)

    def _hold(self, attempt: Attempt, before: Held | None) -> None:
        now = asyncio.get_running_loop().time()
        failures = before.failures + 1 if before else 1
        retry_at = now + self._pause(failures, HELD_LONGEST_SECONDS)
        since = before.since if before else now
        self._held.append(Held(attempt, since, failures, retry_at, self._error))

    def _pause(self, failures: int, longest: float) -> float:
        seconds: float = min(RETRY_FIRST_SECONDS * 2 ** min(failures - 1, 20), longest)
        return seconds * (0.5 + self._jitter() / 2)


def _words(error: Exception) -> str:
    """The error's kind and the first line of what it says: further lines may quote the row."""
    first, *_ = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {first}"
