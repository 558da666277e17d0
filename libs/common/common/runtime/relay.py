"""The outbox relay: what was committed reaches Kafka, in order, though perhaps twice."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import Final

import asyncpg
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from common.contracts.topics import MESSAGE_BYTES, PARTITIONS
from common.runtime import store
from common.runtime.database import TRANSIENT, queue_settings
from common.runtime.records import kafka_headers
from common.runtime.shards import ShardLocks
from common.runtime.store import OutboxRow
from common.runtime.work import shard_of
from common.telemetry import metrics

log = structlog.get_logger()

RELAY_LOCKS: Final = 1
ROWS_A_TURN: Final = 2000
POLL_SECONDS: Final = 0.2
BALANCE_SECONDS: Final = 1.0
ACKNOWLEDGED_WITHIN_SECONDS: Final = 30.0
STOP_WITHIN_SECONDS: Final = 5.0
OUTBOX_LIMIT: Final = 100_000
BATCH_BYTES: Final = 512 * 1024


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
            except (*TRANSIENT, KafkaError) as error:
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
            server_settings=queue_settings(f"{self._service}-relay"),
        )
        try:
            locks = ShardLocks(connection, RELAY_LOCKS, self._shards)
            await locks.join()
            async with idempotent_producer(self._bootstrap, f"{self._service}-relay") as producer:
                await self._turns(connection, locks, producer)
        finally:
            with suppress(*TRANSIENT):
                await connection.close(timeout=STOP_WITHIN_SECONDS)

    async def _turns(
        self,
        connection: "asyncpg.Connection[asyncpg.Record]",
        locks: ShardLocks,
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
            head = await store.outbox_head(connection, locks.owned, ROWS_A_TURN)
            acknowledged: list[int] = []
            if head:
                acknowledged = await self._send(producer, head)
                await store.delete_outbox(connection, acknowledged)
                metrics.RELAYED.labels(self._service).inc(len(acknowledged))
            elif self._stopping:
                return
            if len(acknowledged) == len(head) < ROWS_A_TURN:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), POLL_SECONDS)

    async def _measure(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        waiting = await store.outbox_size(connection, OUTBOX_LIMIT + 1)
        metrics.OUTBOX_ROWS.labels(self._service).set(waiting)
        if waiting > OUTBOX_LIMIT:
            self.has_room.clear()
        elif waiting < OUTBOX_LIMIT // 2:
            self.has_room.set()

    async def _send(self, producer: AIOKafkaProducer, head: list[OutboxRow]) -> list[int]:
        """One batch a partition; returns the ids that the broker has."""
        waiting: dict[tuple[str, int], list[OutboxRow]] = defaultdict(list)
        for row in head:
            waiting[row.topic, row.partition].append(row)
        sent: list[int] = []
        futures = []
        for (topic, partition), rows in waiting.items():
            batch = producer.create_batch()
            taken = 0
            for row in rows:
                if (
                    batch.append(
                        key=row.key,
                        value=row.value,
                        timestamp=None,
                        headers=kafka_headers(row.headers),
                    )
                    is None
                ):
                    break
                taken += 1
            futures.append(
                await producer.send_batch(batch, self._prefix + topic, partition=partition)
            )
            sent.extend(row.id for row in islice(rows, taken))
        await asyncio.wait_for(asyncio.gather(*futures), ACKNOWLEDGED_WITHIN_SECONDS)
        return sent
