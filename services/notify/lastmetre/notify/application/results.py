"""Records results in PostgreSQL: the message's end, and its MessageDelivered in the outbox."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from lastmetre.common.contracts.deliveries import DeliveryResult, Recipient
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.service.clock import Clock
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.service.ids import milliseconds_of
from lastmetre.common.telemetry import metrics
from lastmetre.common.telemetry.traces import TRACES
from lastmetre.notify.adapters.deliveries import delivered
from lastmetre.notify.adapters.postgres import sending
from lastmetre.notify.adapters.postgres.sending import Attempted, End, Ended
from lastmetre.notify.application.result_committer import Attempt
from lastmetre.notify.domain.messages import recipient_kind

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

Ends = dict[tuple[Recipient, End], list[Ended]]

FLOW: Final = "sending"
PLACED_AT_ONCE: Final = 2
"""The number of the event behind a registration: no person has placed the case."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a message waits after an attempt in vain: doubled each time, seconds."""

    first: float
    longest: float

    def after(self, attempts: int) -> timedelta:
        """The wait after so many attempts, with some jitter."""
        seconds = min(self.first * 2 ** min(attempts - 1, 20), self.longest)
        return timedelta(seconds=seconds * (0.75 + random.random() / 2))


class PostgresResults:
    """One transaction for all results that are handed over together."""

    def __init__(self, host: ServiceHost, real_clock: Clock, backoff: Backoff) -> None:
        self._host = host
        self._real_clock = real_clock
        self._backoff = backoff

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Bring messages to their end or put them off, by what came of them.

        The number of attempts fences: a repetition, or a result that comes too late, finds no row.
        """
        async with (
            self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection,
            connection.transaction(),
        ):
            later = [each for each in attempts if each.outcome.result is None]
            if later:
                now = self._real_clock.now()
                await sending.reschedule(connection, [self._later(each, now) for each in later])
            ends = await self._end(connection, attempts)
        if ends:
            self._host.relay.wake()
        for (recipient, end), messages in ends.items():
            metrics.MESSAGES.labels(recipient, end.provider or "", end.result).inc(len(messages))
            if end.result is DeliveryResult.SENT:
                self._observe(recipient, messages)

    def _observe(self, recipient: Recipient, sent: Sequence[Ended]) -> None:
        """How long these have taken; a case's id has the time of its report's record in it."""
        now = self._real_clock.now()
        wait = metrics.MESSAGE_WAIT.labels(recipient)
        for each in sent:
            example = TRACES.exemplar(each.traceparent)
            wait.observe(max((now - each.asked_at).total_seconds(), 0.0), example)
            if recipient is Recipient.LEAD and each.seq == PLACED_AT_ONCE:
                reported = milliseconds_of(each.case_id) / 1000
                took = max(now.timestamp() - reported, 0.0)
                metrics.REPORT_TO_MESSAGE.observe(took, example)

    def _later(self, attempt: Attempt, now: datetime) -> tuple[sending.Key, int, str, datetime]:
        attempts = attempt.message.attempts
        not_before = now + self._backoff.after(attempts)
        return attempt.message.key, attempts, attempt.outcome.error or "", not_before

    async def _end(self, connection: "Connection", attempts: Sequence[Attempt]) -> Ends:
        by_end: dict[End, list[Attempted]] = defaultdict(list)
        for message, provider, outcome in attempts:
            if outcome.result is not None:
                by_end[End(outcome.result, provider, outcome.error)].append(message)
        work = self._host.unit_of_work(connection, FLOW)
        counted: Ends = defaultdict(list)
        for end, messages in by_end.items():
            for ended in await sending.finish(connection, end, messages, work.now):
                counted[recipient_kind(ended.recipient), end].append(ended)
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
                        again=ended.again,
                    )
                )
        await work.flush()
        return counted
