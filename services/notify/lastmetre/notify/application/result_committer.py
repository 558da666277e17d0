"""Results of attempts wait here until they are recorded, whatever the database says meanwhile."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from typing import Final, NamedTuple, NoReturn, Protocol

import structlog

from lastmetre.common.postgres.errors import is_data_error
from lastmetre.common.telemetry import metrics
from lastmetre.notify.adapters.postgres.sending import Attempted
from lastmetre.notify.domain.provider import Outcome

log = structlog.get_logger()

BATCH: Final = 2000
RETRY_FIRST_SECONDS: Final = 0.1
RETRY_LONGEST_SECONDS: Final = 2.0
HELD_LONGEST_SECONDS: Final = 5.0
HALVINGS: Final = 12
"""So many failures one after the other are what it takes to find one result among BATCH."""
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
        self._held_rest = 0.0

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
            if held := self._next_held():
                await self._record_held(held)
            if self._waiting:
                await self._record_waiting()
            else:
                await self._arrived()

    async def _arrived(self) -> None:
        """Wait for a result, or for the time to try one again."""
        first = min((each.retry_at for each in self._held), default=None)
        self._arrival.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(None if first is None else max(first, self._held_rest)):
                await self._arrival.wait()

    def _next_held(self) -> Held | None:
        now = asyncio.get_running_loop().time()
        first = min(self._held, key=lambda held: held.retry_at, default=None)
        return first if first and max(first.retry_at, self._held_rest) <= now else None

    async def _record_held(self, held: Held) -> None:
        self._held.remove(held)
        error = await self._recorded_or([held.attempt])
        if error:
            self._hold(held.attempt, held, error)
            self._held_rest = asyncio.get_running_loop().time() + RETRY_LONGEST_SECONDS

    async def _record_waiting(self) -> None:
        size = min(self._limit, len(self._waiting))
        batch = [self._waiting.popleft() for _ in range(size)]
        error = await self._recorded_or(batch)
        if error is None:
            self._limit = min(2 * self._limit, BATCH)
            return
        self._failures += 1
        self._error = words_of(error)
        if size > 1:
            self._waiting.extendleft(reversed(batch))
            self._limit = size // 2
        else:
            self._hold(batch[0], None, error)
        # A value that is refused stays refused: nothing is gained by waiting before halving.
        if not is_data_error(error) or self._failures > HALVINGS:
            await asyncio.sleep(self._pause(self._failures, RETRY_LONGEST_SECONDS))

    async def _recorded_or(self, batch: Sequence[Attempt]) -> Exception | None:
        """The error for which these could not be recorded; None if they are."""
        self._recording = len(batch)
        try:
            await self._results.record(batch)
        # Whatever it is: these results stand for messages that went out. They wait.
        except Exception as error:
            log.warning(
                "results cannot be recorded",
                error=words_of(error),
                results=len(batch),
                unrecorded=self.unrecorded,
            )
            return error
        finally:
            self._recording = 0
        self._silent_since = asyncio.get_running_loop().time()
        self._held_rest = 0.0
        self._failures = 0
        metrics.MESSAGE_RESULTS_WAITING.set(self.unrecorded)
        self._recorded(batch)
        return None

    def _hold(self, attempt: Attempt, before: Held | None, error: Exception) -> None:
        now = asyncio.get_running_loop().time()
        failures = before.failures + 1 if before else 1
        retry_at = now + self._pause(failures, HELD_LONGEST_SECONDS)
        since = before.since if before else now
        self._held.append(Held(attempt, since, failures, retry_at, words_of(error)))

    def _pause(self, failures: int, longest: float) -> float:
        seconds: float = min(RETRY_FIRST_SECONDS * 2 ** min(failures - 1, 20), longest)
        return seconds * (0.5 + self._jitter() / 2)


def words_of(error: Exception) -> str:
    """The error's kind and the first line of what it says: further lines may quote the row."""
    said = str(error.args[0]) if error.args else ""
    return f"{type(error).__name__}: {(said.splitlines() or [''])[0]}"
