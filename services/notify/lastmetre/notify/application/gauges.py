"""What waits, measured by a task of its own: the sender's may be what it waits for."""

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import Final, NoReturn

from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.clock import Clock
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.telemetry import metrics
from lastmetre.notify.adapters.postgres import sending

MEASURE_SECONDS: Final = 5.0
COUNTED_AT_MOST: Final = 100_000


class MessageGauges:
    """How many messages wait, and how old the oldest is: of all shards, in every process.

    While the database does not answer, the oldest message goes on growing older.
    """

    def __init__(self, host: ServiceHost, real_clock: Clock) -> None:
        self._host = host
        self._real_clock = real_clock
        self._oldest: datetime | None = None

    async def run(self) -> NoReturn:
        """Measure until cancelled."""
        while True:
            with suppress(*DATABASE_ERRORS):
                async with asyncio.timeout(MEASURE_SECONDS):
                    await self._look()
            metrics.MESSAGES_OLDEST.set(self.age())
            await asyncio.sleep(MEASURE_SECONDS)

    async def _look(self) -> None:
        async with self._host.pool.acquire() as connection:
            waiting = await sending.waiting(connection, COUNTED_AT_MOST)
        metrics.MESSAGES_WAITING.set(waiting.messages)
        self._oldest = waiting.oldest_asked_at

    def age(self) -> float:
        """Seconds since the oldest message was asked for, as far as is known; 0 if none waits."""
        if self._oldest is None:
            return 0.0
        return max((self._real_clock.now() - self._oldest).total_seconds(), 0.0)
