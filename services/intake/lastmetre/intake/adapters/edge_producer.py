"""Concurrent reports on their way into Kafka, gathered by partition: one request for many."""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from lastmetre.common.contracts.topics import PARTITIONS
from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.clients import idempotent_producer
from lastmetre.common.kafka.partitioner import partitions_of
from lastmetre.intake.domain.bytes_in_flight import BytesInFlight
from lastmetre.intake.domain.submission import NotAcknowledged

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

log = structlog.get_logger()

Headers = list[tuple[str, bytes]]

REBUILD_SECONDS: Final = 0.5
FLUSH_SECONDS: Final = 0.02
"""Between two requests: one costs the broker and this side more than the report in it."""
SILENT_SECONDS: Final = 2.75
"""Without an acknowledgement for so long, others may be asked instead of this process: within
three seconds, by whoever asks four times a second."""
RETRY_SECONDS: Final = 10.0
"""After a failure, with a connection and nothing to send: requests may come again."""
METADATA_SECONDS: Final = 1.0
METADATA_ANSWER_SECONDS: Final = 2.0


class Report(NamedTuple):
    """A record for a channel's topic."""

    key: bytes
    value: bytes
    headers: Headers


class _PendingAcknowledgement:
    """One caller's wait for all of its reports."""

    __slots__ = ("done", "missing", "sender")

    def __init__(self, missing: int, sender: str) -> None:
        self.missing = missing
        self.sender = sender
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def acknowledge(self) -> None:
        self.missing -= 1
        if not self.missing and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: NotAcknowledged) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class _PartitionQueue:
    """What waits for one partition. At most one batch of it is in flight."""

    __slots__ = ("broken", "partition", "sending", "topic", "waiting")

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.waiting: deque[tuple[Report, _PendingAcknowledgement]] = deque()
        self.sending = False
        self.broken: object | None = None
        """The producer that failed here: it would refuse every later batch of this partition."""


class _Batch(NamedTuple):
    """What is in flight with a producer: since when, and with which leader."""

    queue: _PartitionQueue
    producer: "AIOKafkaProducer"
    sent_at: float
    leader: int | None
    limit: asyncio.Timeout

    def abandon(self, now: float) -> None:
        """Wait no longer for a broker that is not the leader any more: it may be frozen."""
        if now - self.sent_at > METADATA_SECONDS and self.leader != _leader(
            self.producer, self.queue
        ):
            with suppress(RuntimeError):  # it has ended this moment
                self.limit.reschedule(now)


def _leader(producer: "AIOKafkaProducer", queue: _PartitionQueue) -> int | None:
    partition = TopicPartition(queue.topic, queue.partition)
    leader: int | None = producer.client.cluster.leader_for_partition(partition)
    return leader


class EdgeProducer:
    """Takes reports into Kafka with acks=all.

    `in_flight` bounds what is held in memory. `within` is how long a caller waits, seconds. A
    partition that fails waits for another producer; the others go on with the one that they have
    until that is there.
    """

    def __init__(
        self, access: KafkaAccess, *, prefix: str, in_flight: BytesInFlight, within: float
    ) -> None:
        self._access = access
        self._prefix = prefix
        self._in_memory = in_flight
        self._within = within
        self._producer: AIOKafkaProducer | None = None
        self._queues: dict[tuple[str, int], _PartitionQueue] = {}
        self._in_flight: dict[asyncio.Task[None], _Batch] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._flush_timer: asyncio.TimerHandle | None = None
        self._flushed_at = 0.0
        self._broken = asyncio.Event()
        self._unforeseen: BaseException | None = None
        self._connected = False
        self._acknowledged_at = 0.0
        self._failure: tuple[float, str] | None = None

    @property
    def not_acknowledging(self) -> str | None:
        """Why this process should not be given reports now; None when it may.

        None, too, with a connection and nothing to send: that is how it is tried again.
        """
        now = asyncio.get_running_loop().time()
        if self._producer is None or not self._connected:
            return "no connection to Kafka"
        began = min((each.sent_at for each in self._in_flight.values()), default=now)
        if now - began > SILENT_SECONDS and self._acknowledged_at < began:
            return f"Kafka has acknowledged nothing for {now - began:.0f} s"
        if self._failure and now - self._failure[0] < RETRY_SECONDS:
            return f"Kafka did not acknowledge the last reports: {self._failure[1]}"
        return None

    async def run(self) -> None:
        """Keep a working producer until cancelled."""
        try:
            while True:
                self._broken.clear()
                ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                task = asyncio.create_task(self._keep(ready))
                self._retiring.add(task)
                task.add_done_callback(self._retiring.discard)
                try:
                    await ready
                    await self._broken.wait()
                    if self._unforeseen:
                        raise self._unforeseen
                except (KafkaError, OSError, TimeoutError) as error:
                    log.warning("the edge waits for Kafka", error=type(error).__name__)
                self._drop_given_up()
                await asyncio.sleep(REBUILD_SECONDS)
        finally:
            self._producer = None
            for task in self._retiring:
                task.cancel()
            await asyncio.gather(*self._retiring, return_exceptions=True)

    async def _keep(self, ready: "asyncio.Future[None]") -> None:
        """Use a new producer until another one takes its place and its batches have ended."""
        try:
            async with idempotent_producer(self._access, "intake-edge") as producer:
                self._producer = producer
                self._connected = True
                ready.set_result(None)
                self._flush_soon()
                try:
                    while self._producer is producer:
                        await asyncio.sleep(METADATA_SECONDS)
                        await self._ask_for_metadata(producer)
                finally:
                    await self._end_batches(producer)
        except (KafkaError, OSError, TimeoutError) as error:
            if ready.done():
                log.warning("a producer ended badly", error=type(error).__name__)
            else:
                ready.set_exception(error)
        except BaseException as error:
            # Nobody foresaw it: `run` ends with it, and so does the process.
            if ready.done():
                self._unforeseen = error
                self._broken.set()
            else:
                ready.set_exception(error)
            raise

    async def _ask_for_metadata(self, producer: "AIOKafkaProducer") -> None:
        """An edge that has nothing to send must notice by itself that no broker answers."""
        answered = False
        with suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(METADATA_ANSWER_SECONDS):
                answered = bool(await producer.client.force_metadata_update())
        if self._producer is producer:
            self._connected = answered
            now = asyncio.get_running_loop().time()
            for batch in self._in_flight.values():
                if batch.producer is producer:
                    batch.abandon(now)

    async def send(self, topic: str, reports: Sequence[Report], sender: str) -> None:
        """Returns once Kafka has all of them; raises NotAcknowledged, and then it may have some."""
        if not reports:
            return
        if not self._in_memory.reserve(sender, sum(len(report.value) for report in reports)):
            raise NotAcknowledged("too many bytes in flight")
        pending = _PendingAcknowledgement(len(reports), sender)
        partitions = partitions_of([report.key for report in reports], PARTITIONS)
        for report, partition in zip(reports, partitions, strict=True):
            self._queue(topic, partition).waiting.append((report, pending))
        self._flush_soon()
        try:
            async with asyncio.timeout(self._within):
                await pending.done
        except TimeoutError as error:
            raise NotAcknowledged("no acknowledgement in time") from error

    def _queue(self, topic: str, partition: int) -> _PartitionQueue:
        queue = self._queues.get((topic, partition))
        if queue is None:
            queue = _PartitionQueue(self._prefix + topic, partition)
            self._queues[topic, partition] = queue
        return queue

    def _flush_soon(self) -> None:
        """At once, unless the last request was just now."""
        if self._flush_timer is None:
            at = self._flushed_at + FLUSH_SECONDS
            self._flush_timer = asyncio.get_running_loop().call_at(at, self._flush)

    def _flush(self) -> None:
        self._flush_timer = None
        producer = self._producer
        if producer is None:
            return
        now = self._flushed_at = asyncio.get_running_loop().time()
        for queue in self._queues.values():
            if queue.waiting and not queue.sending and queue.broken is not producer:
                queue.sending = True
                limit = asyncio.timeout(self._access.request_timeout)
                batch = _Batch(queue, producer, now, _leader(producer, queue), limit)
                task = asyncio.create_task(self._send(batch))
                self._in_flight[task] = batch
                task.add_done_callback(self._in_flight.pop)

    async def _send(self, batch: _Batch) -> None:
        """Send what waits in a queue, as much as fits a batch."""
        queue, producer = batch.queue, batch.producer
        try:
            await self._send_batch(queue, producer, batch.limit)
        except (KafkaError, OSError, TimeoutError) as error:
            kind = type(error).__name__
            log.warning(
                "the edge builds a new producer",
                error=kind,
                topic=queue.topic,
                partition=queue.partition,
            )
            queue.broken = producer
            self._failure = asyncio.get_running_loop().time(), kind
            if producer is self._producer:
                self._broken.set()
        finally:
            queue.sending = False
            if queue.waiting:
                self._flush_soon()

    async def _send_batch(
        self, queue: _PartitionQueue, producer: "AIOKafkaProducer", limit: asyncio.Timeout
    ) -> None:
        batch = producer.create_batch()
        added: list[_PendingAcknowledgement] = []
        taken: Counter[str] = Counter()
        while queue.waiting:
            report, pending = queue.waiting[0]
            if not pending.done.done():
                fits = batch.append(
                    key=report.key, value=report.value, timestamp=None, headers=report.headers
                )
                if fits is None:
                    break
                added.append(pending)
            queue.waiting.popleft()
            taken[pending.sender] += len(report.value)
        try:
            if added:
                async with limit:
                    sent = await producer.send_batch(batch, queue.topic, partition=queue.partition)
                    await sent
                self._acknowledged_at = asyncio.get_running_loop().time()
                self._failure = None
        except BaseException:
            for pending in added:
                pending.fail(NotAcknowledged("Kafka did not acknowledge it"))
            raise
        finally:
            for sender, size in taken.items():
                self._in_memory.release(sender, size)
        for pending in added:
            pending.acknowledge()

    async def _end_batches(self, producer: "AIOKafkaProducer") -> None:
        """Wait for what is in flight with a producer; each batch ends in time by itself."""
        batches = [task for task, each in self._in_flight.items() if each.producer is producer]
        try:
            await asyncio.gather(*batches, return_exceptions=True)
        except asyncio.CancelledError:
            for task in batches:
                task.cancel()
            raise

    def _drop_given_up(self) -> None:
        """Forget what nobody waits for any more, so that an outage does not fill the memory."""
        for queue in self._queues.values():
            kept = [each for each in queue.waiting if not each[1].done.done()]
            for report, pending in queue.waiting:
                if pending.done.done():
                    self._in_memory.release(pending.sender, len(report.value))
            queue.waiting = deque(kept)
