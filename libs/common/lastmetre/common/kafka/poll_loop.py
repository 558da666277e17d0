"""When a flow looks for records, and what happens if a fetch fails.

FastStream's loop has no hook for either, so its consumer's `getmany` is replaced.
"""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from aiokafka.errors import ConsumerStoppedError

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer

POLL_MILLISECONDS: Final = 500
"""A fetch that brings something ends at once; idle flows turn twice a second."""
AFTER_FAILURE_SECONDS: Final = 1.0


class Turns:
    """The turns of one flow.

    While less comes than a turn can take, one begins `gather_seconds` after the one before, and
    what came meanwhile is one batch: a turn costs as much as fifty records. The partitions are
    paused until then, or the first record to come would be fetched alone, and be all there is.
    """

    def __init__(self, gather_seconds: float, failed: Callable[[Exception], None]) -> None:
        self._gather_seconds = gather_seconds
        self._failed = failed
        self._turned_at = time.monotonic()
        self._took_at = 0.0
        self._watched: AIOKafkaConsumer | None = None

    def note(self) -> None:
        """The flow is at work, even if it has not come round."""
        self._turned_at = time.monotonic()

    def idle_seconds(self) -> float:
        """Since the flow's last sign of life, seconds."""
        return time.monotonic() - self._turned_at

    def watch(self, consumer: "AIOKafkaConsumer") -> None:
        """Have `consumer`, if it is a new one, looked at by our turns only."""
        if consumer is self._watched:
            return
        self._watched = consumer
        poll = consumer.getmany

        async def getmany(*places: Any, timeout_ms: Any = 0, max_records: Any = None) -> Any:
            if consumer.paused():
                await asyncio.sleep(self._took_at + self._gather_seconds - time.monotonic())
                consumer.resume(*consumer.paused())
            self.note()
            try:
                polled = await poll(*places, timeout_ms=POLL_MILLISECONDS, max_records=max_records)
            except ConsumerStoppedError:
                raise
            except Exception as error:
                # FastStream's loop would end or go on without what this turn had taken already.
                self._failed(error)
                await asyncio.sleep(AFTER_FAILURE_SECONDS)
                return {}
            self._took_at = time.monotonic()
            if polled and sum(map(len, polled.values())) < max_records:
                consumer.pause(*consumer.assignment())
            return polled

        consumer.getmany = getmany  # type: ignore[method-assign]
