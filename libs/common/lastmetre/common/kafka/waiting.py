"""How a consumer waits: it says for what, and ends at once when it is told to stop."""

import asyncio
from contextlib import suppress
from random import Random
from typing import Final

import structlog

from lastmetre.common.kafka.failures import DatabaseWentBack
from lastmetre.common.kafka.loop_state import LoopState
from lastmetre.common.telemetry import metrics

log = structlog.get_logger()

BACKOFF_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0)


class Waiting:
    """The waits of one consumer."""

    def __init__(self, service: str, consumer: str, random: Random) -> None:
        self.state = LoopState()
        self.stopping = asyncio.Event()
        self._service = service
        self._consumer = consumer
        self._random = random

    async def after(self, error: Exception, what: str, attempt: int) -> None:
        """Say what is waited for, and why; then a while, with jitter.

        Raises `error` if no waiting helps: the database has gone back.
        """
        if isinstance(error, DatabaseWentBack):
            raise error
        kind = type(error).__name__
        metrics.BATCH_RETRIES.labels(self._service, self._consumer, kind).inc()
        self.state.waits(f"{what}: {kind}")
        log.warning("consumer waits", consumer=self._consumer, what=what, error=f"{kind}: {error}")
        backoff = BACKOFF_SECONDS[min(attempt, len(BACKOFF_SECONDS) - 1)]
        await self.pause(backoff * (0.5 + self._random.random()))

    async def until(self, event: asyncio.Event, what: str, seconds: float) -> None:
        """Wait for an event, no longer than so many seconds."""
        self.state.waits(what)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()

    async def pause(self, seconds: float) -> None:
        """So many seconds, or until told to stop."""
        if seconds > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.stopping.wait()
