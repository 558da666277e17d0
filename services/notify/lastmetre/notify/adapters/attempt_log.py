"""Tells the log of each message that is about to go out and cannot be repeated.

By a producer of its own, past the outbox: it has to be on the log before the message is out, and no
longer matters once the message's end is.
"""

import asyncio
from typing import TYPE_CHECKING, Final

import structlog
from aiokafka.errors import KafkaError

from lastmetre.common.contracts.topics import PARTITIONS
from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.clients import idempotent_producer
from lastmetre.common.kafka.codec import kafka_headers
from lastmetre.common.kafka.partitioner import partitions_of
from lastmetre.common.service.clock import Clock
from lastmetre.common.telemetry.traces import KAFKA_SEND, TRACES
from lastmetre.notify.adapters.deliveries import attempted
from lastmetre.notify.domain.provider import OutboundMessage

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

log = structlog.get_logger()

REBUILD_SECONDS: Final = 0.5
_AWAY: Final = (KafkaError, OSError, TimeoutError)


class KafkaAttemptLog:
    """An `AttemptLog`. `clock` is the city's; topics carry `prefix` on the broker."""

    def __init__(self, access: KafkaAccess, prefix: str, clock: Clock) -> None:
        self._access = access
        self._prefix = prefix
        self._clock = clock
        self._producer: AIOKafkaProducer | None = None
        self._failed = asyncio.Event()

    async def run(self) -> None:
        """Keep a producer that has not failed, until cancelled."""
        while True:
            try:
                async with idempotent_producer(self._access, "notify-attempts") as producer:
                    self._failed.clear()
                    self._producer = producer
                    try:
                        await self._failed.wait()
                    finally:
                        self._producer = None
            except _AWAY as error:
                log.warning("attempts wait for Kafka", error=type(error).__name__)
            await asyncio.sleep(REBUILD_SECONDS)

    async def tell(self, provider: str, message: OutboundMessage) -> bool:
        """Whether Kafka has acknowledged it in time."""
        producer = self._producer
        if producer is None:
            return False
        record = attempted(message, provider, self._clock.now())
        (partition,) = partitions_of([record.key], PARTITIONS)
        try:
            with TRACES.span(f"send {record.topic}", "producer", KAFKA_SEND):
                async with asyncio.timeout(self._access.request_timeout):
                    await producer.send_and_wait(
                        self._prefix + record.topic,
                        record.value,
                        record.key,
                        partition,
                        headers=kafka_headers(record.headers),
                    )
        except _AWAY as error:
            log.warning("an attempt cannot be told", error=type(error).__name__)
            self._failed.set()
            return False
        return True
