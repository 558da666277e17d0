"""The batch consumer: what it does for a batch is one transaction, position included.

Positions live in PostgreSQL. Kafka's own offsets are committed lazily and only for lag tools.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import FAKE_CONSUMER, KafkaMessage
from pydantic import ValidationError

from lastmetre.common.kafka import fetched
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord, UnknownEventType, describe
from lastmetre.common.kafka.poll_loop import Turns
from lastmetre.common.kafka.positions import Place, Places
from lastmetre.common.outbox.relay import Relay
from lastmetre.common.outbox.unit_of_work import PayloadCipher, UnitOfWork
from lastmetre.common.postgres import core_tables as store
from lastmetre.common.postgres.core_tables import StoredOffset
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.clock import Clock
from lastmetre.common.telemetry import metrics

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer
    from faststream.kafka.subscriber.usecase import BatchSubscriber

    from lastmetre.common.postgres.database import Pool

log = structlog.get_logger()

Handler = Callable[[UnitOfWork, Sequence[ConsumedRecord]], Awaitable[None]]

BATCH_RECORDS: Final = 1000
PROMPTLY_SECONDS: Final = 0.1
AT_LEISURE_SECONDS: Final = 0.5
"""How long a flow gathers records for a turn: somebody waits for what it does, or nobody does."""
PAUSE_MILLISECONDS: Final = 10
"""What FastStream sleeps after an empty poll."""
SESSION_TIMEOUT_MS: Final = 6_000
REBALANCE_TIMEOUT_MS: Final = 60_000
OFFSET_COMMIT_SECONDS: Final = 1.0
OFFSET_COMMIT_TIMEOUT_SECONDS: Final = 5.0
BACKOFF_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0)
DEAD_LETTER_WINDOW: Final = 1000
DEAD_LETTER_SHARE: Final = 0.5


class FencedError(Exception):
    """A stored position is not where we left it: another process has the partition now."""


class DeadLetterLimit:
    """Stops a consumer that would empty its topic into the dead letters."""

    def __init__(self) -> None:
        self._seen = 0
        self._dead = 0

    def reached(self, handled: int, dead: int) -> bool:
        """Count a batch; True once over half of the last thousand records died."""
        self._seen += handled
        self._dead += dead
        if self._seen >= DEAD_LETTER_WINDOW:
            over = self._dead > self._seen * DEAD_LETTER_SHARE
            self._seen = self._dead = 0
            return over
        return False


class BatchConsumer(ConsumerRebalanceListener):
    """One consumer group of a service over some topics, all in one order of effects.

    `handle` gets a unit of work and records in partition order; it may give up or park single ones.
    What it raises decides: a transient error waits, anything else is narrowed down to the record
    at fault, which is buried. UnknownEventType stops that record's partition: this build is too old
    for it, and for nothing else.
    """

    def __init__(
        self,
        name: str,
        topics: Sequence[str],
        handle: Handler,
        *,
        service: str,
        pool: "Pool",
        relay: Relay,
        clock: Clock,
        sealing: PayloadCipher,
        prefix: str,
        gather_seconds: float = PROMPTLY_SECONDS,
        batch_records: int = BATCH_RECORDS,
    ) -> None:
        self.name = name
        self.topics = tuple(topics)
        self.handle = handle
        self._stopped: str | None = None
        self.assigned: set[Place] | None = None
        self.waiting_for: str | None = None
        self._turns = Turns(gather_seconds, self._fetch_failed)
        self._service = service
        self._pool = pool
        self._relay = relay
        self._clock = clock
        self._sealing = sealing
        self._prefix = prefix
        self._batch_records = batch_records
        self._busy = asyncio.Lock()
        self._places = Places(service, name, prefix, lambda: self._consumer)
        self._limit = DeadLetterLimit()
        self._committed_at = 0.0
        self._subscriber: BatchSubscriber | None = None
        self._random = random.Random()

    # --- joining the broker -------------------------------------------------------------

    def subscribe(self, broker: KafkaBroker) -> None:
        """Register with FastStream. Acknowledging is ours: MANUAL, and nothing is raised."""
        fetched.install()
        subscriber = broker.subscriber(
            *(self._prefix + topic for topic in self.topics),
            batch=True,
            group_id=f"{self._prefix}{self._service}.{self.name}",
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            # What a partner's transaction took back was not said; our own records have none.
            isolation_level="read_committed",
            max_records=self._batch_records,
            batch_timeout_ms=PAUSE_MILLISECONDS,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=SESSION_TIMEOUT_MS // 4,
            rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
            max_poll_interval_ms=24 * 60 * 60 * 1000,
            listener=self,
            parser=_raw_message,
            decoder=_raw_records,
        )
        subscriber(self._consume)
        self._subscriber = subscriber

    @property
    def _consumer(self) -> "AIOKafkaConsumer":
        if self._subscriber is None or self._subscriber.consumer is None:
            raise RuntimeError(f"flow {self.name} is not started")
        return self._subscriber.consumer

    @property
    def stopped_because(self) -> str | None:
        """Why the flow, or a partition of it, is not read on; None if nothing is stopped."""
        return self._stopped or self._places.halted_because()

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Let the running batch finish: its partitions may be somebody else's after this."""
        async with self._busy:
            self._places.leave()
            self.assigned = None
            metrics.ASSIGNED.labels(self._service, self.name).set(0)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Go where the database says we stand, whatever Kafka remembers."""
        async with self._busy:
            self._turns.watch(self._consumer)
            fetched.as_ours(self._consumer, self._prefix)
            mine = {self._places.logical(each) for each in assigned}
            self._places.begin(mine, await self._stored_positions())
            self.assigned = mine
            metrics.FLOW_STOPPED.labels(self._service, self.name).set(self._stopped is not None)
            metrics.ASSIGNED.labels(self._service, self.name).set(len(mine))

    def _fetch_failed(self, error: Exception) -> None:
        self.waiting_for = type(error).__name__
        log.warning("a fetch cannot be read, going back", flow=self.name, error=self.waiting_for)
        with suppress(KafkaError):
            self._places.begin_again()

    def idle_seconds(self) -> float:
        """Since the consume loop last turned, seconds."""
        return self._turns.idle_seconds()

    def lag(self) -> int:
        """Records behind the end of the assigned partitions, as far as the broker has told."""
        return self._places.lag()

    async def _stored_positions(self) -> dict[Place, StoredOffset]:
        while True:
            try:
                async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
                    return await store.positions(connection, self.name)
            except DATABASE_ERRORS as error:
                log.warning("positions wait for the database", error=type(error).__name__)
                await asyncio.sleep(BACKOFF_SECONDS[-1])

    # --- a batch ------------------------------------------------------------------------

    async def _consume(self, batch: tuple[ConsumedRecord, ...]) -> None:
        await self._relay.has_room.wait()
        async with self._busy:
            records = self._places.current(batch)
            if records and self._stopped is None:
                await self._handle_until_done(records)
            elif records:
                self._places.rewind(records)
                await asyncio.sleep(BACKOFF_SECONDS[-1])
        await self._commit_offsets()

    async def _handle_until_done(self, records: list[ConsumedRecord]) -> None:
        attempt = 0
        pending = [records]
        while pending:
            part = pending[0]
            try:
                await self._transact(part)
            except FencedError:
                log.warning("another process took over", flow=self.name)
                await self._return_to_stored()
                return
            except UnknownEventType as error:
                if len(part) > 1:
                    pending[:1] = _halves(part)
                else:
                    pending = self._without_its_partition(part[0], str(error), pending[1:])
            except DATABASE_ERRORS as error:
                metrics.BATCH_RETRIES.labels(self._service, self.name, type(error).__name__).inc()
                self.waiting_for = type(error).__name__
                log.warning(
                    "batch waits",
                    flow=self.name,
                    records=len(part),
                    error=f"{type(error).__name__}: {error}",
                )
                if isinstance(error, TimeoutError) and len(part) > 1:
                    pending[:1] = _halves(part)
                backoff = BACKOFF_SECONDS[min(attempt, len(BACKOFF_SECONDS) - 1)]
                attempt += 1
                await asyncio.sleep(backoff * (0.5 + self._random.random()))
                self._turns.note()
            except Exception as error:
                if len(part) > 1:
                    pending[:1] = _halves(part)
                else:
                    log.exception(
                        "record cannot be handled",
                        flow=self.name,
                        topic=part[0].topic,
                        partition=part[0].partition,
                        offset=part[0].offset,
                    )
                    await self._bury_until_done(part[0], error)
                    pending.pop(0)
            else:
                pending.pop(0)

    async def _bury_until_done(self, record: ConsumedRecord, error: Exception) -> None:
        reason = _reason(error)

        async def dead_letter(work: UnitOfWork, records: Sequence[ConsumedRecord]) -> None:
            work.dead_letter(records[0], reason)

        while True:
            try:
                await self._transact([record], dead_letter)
            except DATABASE_ERRORS:
                await asyncio.sleep(BACKOFF_SECONDS[-1])
            except FencedError:
                await self._return_to_stored()
                return
            else:
                return

    async def _transact(self, records: list[ConsumedRecord], handle: Handler | None = None) -> None:
        started = time.perf_counter()
        after, gaps = self._places.after(records)
        passed_over = await self._places.without_a_record(gaps) if gaps else []
        async with (
            self._pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection,
            connection.transaction(),
        ):
            if not await store.move_positions(connection, self.name, self._places.positions, after):
                raise FencedError
            work = UnitOfWork(
                connection,
                service=self._service,
                flow=self.name,
                now=self._clock.now(),
                sealing=self._sealing,
            )
            await (handle or self.handle)(work, records)
            await work.flush()
            if passed_over:
                await store.insert_passed_over(connection, self.name, passed_over)
        self._places.move(after)
        self.waiting_for = None
        if work.sends:
            self._relay.wake()
        work.committed()
        metrics.CONSUMED.labels(self._service, self.name).inc(len(records))
        metrics.BATCHES.labels(self._service, self.name).observe(time.perf_counter() - started)
        if work.dead_count:
            metrics.DEAD_LETTERS.labels(self._service, self.name).inc(work.dead_count)
        if self._limit.reached(len(records), work.dead_count):
            self._stop("more than half of the last thousand records are dead letters")

    async def _return_to_stored(self) -> None:
        self._places.begin_again(await self._stored_positions())

    def _stop(self, reason: str) -> None:
        self._stopped = reason
        metrics.FLOW_STOPPED.labels(self._service, self.name).set(1)
        log.error("flow stops until it is restarted", flow=self.name, reason=reason)

    def _without_its_partition(
        self, record: ConsumedRecord, reason: str, rest: list[list[ConsumedRecord]]
    ) -> list[list[ConsumedRecord]]:
        """Read no further where `record` is; returns what of `rest` lies elsewhere."""
        place = record.topic, record.partition
        self._places.halt(place, reason)
        metrics.FLOW_STOPPED.labels(self._service, self.name).set(1)
        log.error(
            "partition stops until this build is replaced",
            flow=self.name,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=reason,
        )
        elsewhere = [[r for r in part if (r.topic, r.partition) != place] for part in rest]
        return [part for part in elsewhere if part]

    async def _commit_offsets(self) -> None:
        """For lag tools only, so errors do not matter, and once a second is enough."""
        now = time.monotonic()
        if now - self._committed_at < OFFSET_COMMIT_SECONDS:
            return
        self._committed_at = now
        offsets = self._places.offsets()
        with suppress(KafkaError, TimeoutError, ValueError):
            if offsets:
                await asyncio.wait_for(
                    self._consumer.commit(offsets), OFFSET_COMMIT_TIMEOUT_SECONDS
                )


async def _raw_message(message: Any) -> KafkaMessage:
    """FastStream's own parser decodes headers, and one that is not UTF-8 would drop a batch."""
    return KafkaMessage(raw_message=message, body=b"", consumer=FAKE_CONSUMER)


async def _raw_records(message: KafkaMessage) -> Any:
    return message.raw_message


def _halves(records: list[ConsumedRecord]) -> list[list[ConsumedRecord]]:
    middle = len(records) // 2
    return [records[:middle], records[middle:]]


def _reason(error: Exception) -> str:
    """What is wrong, without the data itself."""
    if isinstance(error, ValidationError):
        return describe(error)
    if isinstance(error, BadRecord):
        return str(error)
    return type(error).__name__
