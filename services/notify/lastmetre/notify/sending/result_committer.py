"""Commits what became of messages, many in one transaction, each with its MessageDelivered."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from lastmetre.common.contracts.deliveries import Recipient
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.clock import Clock
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.telemetry import metrics
from lastmetre.notify.deliveries import delivered
from lastmetre.notify.domain.messages import recipient_kind
from lastmetre.notify.sending.provider import Outcome
from lastmetre.notify.store import sending
from lastmetre.notify.store.sending import Attempted, Due, End

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

log = structlog.get_logger()

Ends = Counter[tuple[Recipient, End]]

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


class Attempt(NamedTuple):
    """A claimed message and what came of calling its provider."""

    message: Due
    provider: str
    outcome: Outcome

    @property
    def attempts(self) -> int:
        """Its number of attempts, as the claim left it."""
        return self.message.attempts + 1


class ResultCommitter:
    """Takes outcomes as they come and commits them together.

    Never gives up: while the database is away the outcomes wait here, and their rows `sending`.
    """

    def __init__(
        self,
        host: ServiceHost,
        real_clock: Clock,
        backoff: Backoff,
        recorded: Callable[[Sequence[Due]], None],
    ) -> None:
        self._host = host
        self._real_clock = real_clock
        self._backoff = backoff
        self._recorded = recorded
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
            await self._commit_until_done(taken)
            self._recorded([each.message for each in taken])

    async def _commit_until_done(self, attempts: Sequence[Attempt]) -> None:
        while True:
            try:
                async with (
                    self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection,
                    connection.transaction(),
                ):
                    ends = await self._commit(connection, attempts)
            except DATABASE_ERRORS as error:
                log.warning("results wait for the database", error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self.committed(ends)
                return

    async def _commit(self, connection: "Connection", attempts: Sequence[Attempt]) -> Ends:
        later = [each for each in attempts if each.outcome.result is None]
        if later:
            now = self._real_clock.now()
            await sending.reschedule(connection, [self._reschedule(each, now) for each in later])
        ends: dict[End, list[Attempted]] = defaultdict(list)
        for each in attempts:
            if each.outcome.result is not None:
                end = End(each.outcome.result, each.provider, each.outcome.error)
                ends[end].append(Attempted(*each.message.key, each.attempts))
        return await self.end(connection, ends)

    def _reschedule(
        self, attempt: Attempt, now: datetime
    ) -> tuple[sending.Key, int, str, datetime]:
        not_before = now + self._backoff.after(attempt.attempts)
        return attempt.message.key, attempt.attempts, attempt.outcome.error or "", not_before

    async def end(self, connection: "Connection", ends: Mapping[End, Sequence[Attempted]]) -> Ends:
        """Bring messages to their end, in the caller's transaction; he calls `committed` after."""
        work = self._host.unit_of_work(connection, FLOW)
        counted: Ends = Counter()
        for end, messages in ends.items():
            for ended in await sending.finish(connection, end, messages, work.now):
                counted[recipient_kind(ended.recipient), end] += 1
                work.send(
                    delivered(
                        ended.case_id,
                        ended.recipient,
                        ended.seq,
                        provider=end.provider,
                        result=end.result,
                        error=end.error,
                        occurred_at=work.now,
                        recorded_at=work.now,
                        traceparent=ended.traceparent,
                    )
                )
        await work.flush()
        return counted

    def committed(self, ends: Ends) -> None:
        """So many messages are at their end for good."""
        if ends:
            self._host.relay.wake()
        for (recipient, end), number in ends.items():
            metrics.MESSAGES.labels(recipient, end.provider or "", end.result).inc(number)


async def cancelled(task: "asyncio.Task[None]") -> None:
    """Cancel a task and wait until it is gone."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
