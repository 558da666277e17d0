"""Commits what became of letters, many in one transaction, each with its MessageDelivered."""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog

from common.contracts.deliveries import DeliveryResult
from common.runtime.clock import Clock
from common.runtime.database import ACQUIRE_TIMEOUT_SECONDS, TRANSIENT
from common.runtime.runtime import Runtime
from common.telemetry import metrics
from notify.deliveries import delivered
from notify.domain.messages import recipient_kind
from notify.sending.letters import Outcome
from notify.store import sending
from notify.store.sending import Due, Ended, Ending

if TYPE_CHECKING:
    from common.runtime.database import Connection

log = structlog.get_logger()

FLOW: Final = "sending"
RETRY_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a message waits after an attempt in vain: doubled each time, seconds."""

    first: float
    longest: float

    def after(self, attempts: int) -> timedelta:
        """The wait after so many attempts, with some jitter."""
        seconds = min(self.first * 2 ** min(attempts - 1, 20), self.longest)
        return timedelta(seconds=seconds * (0.75 + random.random() / 2))


@dataclass(frozen=True, slots=True)
class Attempt:
    """A claimed message and what came of calling its provider."""

    message: Due
    provider: str
    outcome: Outcome

    @property
    def attempts(self) -> int:
        """Its number of attempts, as the claim left it."""
        return self.message.attempts + 1


class Settler:
    """Takes outcomes as they come and commits them together.

    Never gives up: while the database is away the outcomes wait here, and their rows `sending`.
    """

    def __init__(
        self,
        runtime: Runtime,
        real_clock: Clock,
        backoff: Backoff,
        settled: Callable[[Sequence[Due]], None],
    ) -> None:
        self._runtime = runtime
        self._real_clock = real_clock
        self._backoff = backoff
        self._settled = settled
        self._arrived: list[Attempt] = []
        self._arrival = asyncio.Event()

    def put(self, attempts: Sequence[Attempt]) -> None:
        """These are through."""
        self._arrived.extend(attempts)
        self._arrival.set()

    async def run(self) -> None:
        """Commit what arrives, until cancelled."""
        while True:
            await self._arrival.wait()
            self._arrival.clear()
            taken, self._arrived = self._arrived, []
            await self._settle_until_done(taken)
            self._settled([each.message for each in taken])

    async def _settle_until_done(self, attempts: Sequence[Attempt]) -> None:
        while True:
            try:
                async with (
                    self._runtime.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection,
                    connection.transaction(),
                ):
                    ended = await self._settle(connection, attempts)
            except TRANSIENT as error:
                log.warning("results wait for the database", error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self.committed(ended)
                return

    async def _settle(self, connection: "Connection", attempts: Sequence[Attempt]) -> list[Ended]:
        later = [each for each in attempts if each.outcome.result is None]
        if later:
            now = self._real_clock.now()
            await sending.put_off(connection, [self._put_off(each, now) for each in later])
        return await self.end(
            connection,
            [
                Ending(
                    *each.message.key,
                    each.attempts,
                    each.outcome.result.value,
                    each.provider,
                    each.outcome.error,
                )
                for each in attempts
                if each.outcome.result is not None
            ],
        )

    def _put_off(self, attempt: Attempt, now: datetime) -> tuple[sending.Key, int, str, datetime]:
        not_before = now + self._backoff.after(attempt.attempts)
        return attempt.message.key, attempt.attempts, attempt.outcome.error or "", not_before

    async def end(self, connection: "Connection", endings: Sequence[Ending]) -> list[Ended]:
        """Bring messages to their end, in the caller's transaction; he calls `committed` after."""
        if not endings:
            return []
        work = self._runtime.unit_of_work(connection, FLOW)
        ended = await sending.finish(connection, endings, work.now)
        for each in ended:
            work.send(
                delivered(
                    each.case_id,
                    each.recipient,
                    each.seq,
                    provider=each.provider,
                    result=DeliveryResult(each.result),
                    error=each.error,
                    occurred_at=work.now,
                    recorded_at=work.now,
                    traceparent=each.traceparent,
                )
            )
        await work.flush()
        return ended

    def committed(self, ended: Sequence[Ended]) -> None:
        """These are at their end for good."""
        if ended:
            self._runtime.relay.wake()
        for each in ended:
            metrics.MESSAGES.labels(
                recipient_kind(each.recipient).value, each.provider or "", each.result
            ).inc()


async def cancelled(task: "asyncio.Task[None]") -> None:
    """Cancel a task and wait until it is gone."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
