"""The outbox relay: what was committed reaches Kafka, in order, though perhaps twice."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

import asyncpg
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from lastmetre.common.contracts.topics import MESSAGE_BYTES, PARTITIONS
from lastmetre.common.kafka.codec import kafka_headers
from lastmetre.common.outbox.shard_locks import ShardLeases
from lastmetre.common.outbox.unit_of_work import shard_of
from lastmetre.common.postgres import core_tables as store
from lastmetre.common.postgres.core_tables import OutboxBatch
from lastmetre.common.postgres.database import queue_settings
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.telemetry import metrics

if TYPE_CHECKING:
    from aiokafka.producer.message_accumulator import BatchBuilder

log = structlog.get_logger()

RELAY_LOCKS: Final = 1
PACKS_A_TURN: Final = 250
POLL_SECONDS: Final = 0.2
BALANCE_SECONDS: Final = 1.0
ACKNOWLEDGED_WITHIN_SECONDS: Final = 30.0
STOP_WITHIN_SECONDS: Final = 5.0
OUTBOX_LIMIT: Final = 100_000
ASYNC_COMMIT: Final = {"synchronous_commit": "off"}
"""A crash of the database may bring back the last packs that were deleted. Whatever was committed
after them would have made that lasting: so they come again behind nothing, and in order.
"""
BATCH_BYTES: Final = 512 * 1024
FRAME_BYTES: Final = 256
"""More than a record's lengths and the names of its headers take."""


@asynccontextmanager
async def idempotent_producer(bootstrap: str, client_id: str) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that is thrown away on any error: one that failed a send stays broken."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        client_id=client_id,
        acks="all",
        enable_idempotence=True,
        max_batch_size=BATCH_BYTES,
        max_request_size=3 * MESSAGE_BYTES,
        request_timeout_ms=15_000,
    )
    try:
        await asyncio.wait_for(producer.start(), ACKNOWLEDGED_WITHIN_SECONDS)
        yield producer
    finally:
        with suppress(TimeoutError, KafkaError):
            await asyncio.wait_for(producer.stop(), STOP_WITHIN_SECONDS)
        with suppress(TimeoutError, KafkaError):
            await asyncio.wait_for(producer.client.close(), STOP_WITHIN_SECONDS)


class Relay:
    """Moves a service's outbox to Kafka. Several processes share it by partition."""

    def __init__(
        self,
        *,
        service: str,
        dsn: str,
        bootstrap: str,
        prefix: str,
        topics: Sequence[str],
    ) -> None:
        self._service = service
        self._dsn = dsn
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._shards = [shard_of(topic, p) for topic in topics for p in range(PARTITIONS)]
        self._wake = asyncio.Event()
        self._stopping = False
        self.has_room = asyncio.Event()
        """Set while the outbox is below its limit; consumers and actions wait for it."""
        self.has_room.set()
        self.owned_shards = 0
        self.working = False

    def wake(self) -> None:
        """Something was committed: look now rather than at the next poll."""
        self._wake.set()

    def stop(self) -> None:
        """Relay what is there, then end."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Relay until stopped; on any failure begin anew at the head."""
        while not self._stopping:
            try:
                await self._session()
            except (*DATABASE_ERRORS, KafkaError) as error:
                self.working = False
                self.owned_shards = 0
                metrics.RELAY_RESTARTS.labels(self._service).inc()
                log.warning("relay begins anew", error=f"{type(error).__name__}: {error}")
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), 0.5)
                self._wake.clear()

    async def _session(self) -> None:
        connection = await asyncpg.connect(
            self._dsn,
            timeout=10,
            command_timeout=30,
            server_settings=queue_settings(f"{self._service}-relay") | ASYNC_COMMIT,
        )
        try:
            locks = ShardLeases(connection, RELAY_LOCKS, self._shards)
            await locks.join()
            async with idempotent_producer(self._bootstrap, f"{self._service}-relay") as producer:
                await self._turns(connection, locks, producer)
        finally:
            with suppress(*DATABASE_ERRORS):
                await connection.close(timeout=STOP_WITHIN_SECONDS)

    async def _turns(
        self,
        connection: "asyncpg.Connection[asyncpg.Record]",
        locks: ShardLeases,
        producer: AIOKafkaProducer,
    ) -> None:
        loop = asyncio.get_running_loop()
        balance_at = 0.0
        while True:
            if loop.time() >= balance_at:
                await locks.balance()
                await self._measure(connection)
                self.owned_shards = len(locks.owned)
                self.working = True
                balance_at = loop.time() + BALANCE_SECONDS
            self._wake.clear()
            head = await store.outbox_head(connection, locks.owned, PACKS_A_TURN)
            acknowledged: list[int] = []
            if head:
                acknowledged = await self._send(producer, head)
                await store.delete_outbox(connection, acknowledged)
            elif self._stopping:
                return
            if len(acknowledged) == len(head) < PACKS_A_TURN:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), POLL_SECONDS)

    async def _measure(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        waiting = await store.outbox_size(connection, OUTBOX_LIMIT + 1)
        metrics.OUTBOX_ROWS.labels(self._service).set(waiting)
        if waiting > OUTBOX_LIMIT:
            self.has_room.clear()
        elif waiting < OUTBOX_LIMIT // 2:
            self.has_room.set()

    async def _send(self, producer: AIOKafkaProducer, head: list[OutboxBatch]) -> list[int]:
        """One batch a partition; returns the ids of the packs that the broker has."""
        waiting: dict[tuple[str, int], list[OutboxBatch]] = defaultdict(list)
        for pack in head:
            waiting[pack.topic, pack.partition].append(pack)
        sent: list[OutboxBatch] = []
        futures = []
        for (topic, partition), packs in waiting.items():
            batch, taken = _batch(producer, packs)
            futures.append(
                await producer.send_batch(batch, self._prefix + topic, partition=partition)
            )
            sent += packs[:taken]
        await asyncio.wait_for(asyncio.gather(*futures), ACKNOWLEDGED_WITHIN_SECONDS)
        metrics.RELAYED.labels(self._service).inc(sum(len(pack.keys) for pack in sent))
        return [pack.id for pack in sent]


def _batch(producer: AIOKafkaProducer, packs: Sequence[OutboxBatch]) -> "tuple[BatchBuilder, int]":
    """As many whole packs as fit one batch, and how many those are: one at the least."""
    batch = producer.create_batch()
    room = BATCH_BYTES
    for taken, pack in enumerate(packs):
        records = list(zip(pack.keys, pack.headers, pack.bodies, strict=True))
        room -= sum(len(k) + len(h) + len(b or b"") + FRAME_BYTES for k, h, b in records)
        if room < 0 and taken:
            return batch, taken
        for key, headers, body in records:
            added = batch.append(
                key=key, value=body, timestamp=None, headers=kafka_headers(headers)
            )
            if added is None:
                raise RuntimeError(f"a pack of {len(records)} records does not fit a batch")
    return batch, len(packs)
