"""The outbox relay: what was committed reaches Kafka, in order, though perhaps twice.

Each partition progresses apart: one batch of it is on its way at a time, and one that is not
acknowledged holds up itself alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from random import Random
from typing import Any, Final, Protocol

import structlog

from lastmetre.common.kafka.failures import DatabaseWentBack
from lastmetre.common.kafka.loop_state import LoopState
from lastmetre.common.kafka.ports import (
    Acknowledgement,
    BrokerError,
    ProducerClient,
    TopicPartition,
)
from lastmetre.common.kafka.positions import StoredOffset
from lastmetre.common.kafka.writer_epochs import written_in
from lastmetre.common.outbox.messages import OutboxBatch
from lastmetre.common.telemetry import metrics

log = structlog.get_logger()

ROWS_A_SHARD: Final = 60
"""More than one request to the broker takes of a partition."""
REQUEST_BYTES: Final = 512 * 1024
FRAME_BYTES: Final = 256
"""More than a record's lengths and the names of its headers take."""
POLL_SECONDS: Final = 0.2
BALANCE_SECONDS: Final = 1.0
SLOW_SECONDS: Final = 5.0
"""From when on a batch that is not acknowledged is told in readiness."""
UNANSWERED_SECONDS: Final = 30.0
"""When nothing at all is acknowledged for so long, the producer is replaced."""
FAILED_SECONDS: Final = 2.0
BACKOFF_SECONDS: Final = (0.1, 0.25, 0.5, 1.0)


class RelaySession(Protocol):
    """A database session that holds the locks of the shards that this process owns."""

    async def balance(self, busy: Sequence[int]) -> Sequence[int]:
        """Take or give up shards until the part is fair; returns those that are owned."""

    async def head(self, shards: Sequence[int], limit: int) -> Sequence[OutboxBatch]:
        """Of each of these shards the lowest ids, `limit` at most; each shard's in order."""

    async def acknowledge(
        self,
        sent: Sequence[OutboxBatch],
        reached: Mapping[TopicPartition, StoredOffset],
        sent_in: int,
    ) -> None:
        """Forget these rows and note how far their partitions have come, in one transaction.

        Raises FencedError, and changes nothing, where another writer epoch than `sent_in` has
        begun: what was sent may not be in force.
        """

    async def writer_epoch(self) -> int:
        """In which the service writes to lasting topics."""

    async def acknowledged(self) -> Mapping[TopicPartition, StoredOffset]:
        """How far each partition has come."""


class _InFlight:
    """The one batch of a shard that is on its way."""

    def __init__(self, rows: Sequence[OutboxBatch], sent_at: float, answer: asyncio.Future[Any]):
        self.rows = rows
        self.sent_at = sent_at
        self.answer = answer

    @property
    def partition(self) -> TopicPartition:
        """Where it goes."""
        return TopicPartition(self.rows[0].topic, self.rows[0].partition)


class Relay:
    """Moves a service's outbox to Kafka. Several processes share it by partition."""

    def __init__(
        self,
        *,
        service: str,
        open_session: Callable[[], AbstractAsyncContextManager[RelaySession]],
        connect: Callable[[], Awaitable[ProducerClient]],
        lasting: frozenset[str],
        random: Random,
    ) -> None:
        self.state = LoopState()
        self._service = service
        self._open_session = open_session
        self._connect = connect
        self._lasting = lasting
        self._random = random
        self._wake = asyncio.Event()
        self.has_room = asyncio.Event()
        """Set while the outbox is below its limit; consumers and actions wait for it."""
        self.has_room.set()
        self._stopping = False
        self._in_flight: dict[int, _InFlight] = {}
        self._failing: dict[TopicPartition, float] = {}
        """Partitions whose last send failed, and since when: each one sent again is in flight for
        a moment only, so that this alone says for how long."""
        self._writer_epoch = 0
        self._reached: dict[TopicPartition, StoredOffset] = {}
        self._behind: dict[TopicPartition, StoredOffset] = {}
        self._owned: Sequence[int] = ()
        self._attempt = 0
        self._acknowledged_at = 0.0

    def wake(self) -> None:
        """Something was committed: look now rather than at the next poll."""
        self._wake.set()

    def stop(self) -> None:
        """Relay what is there, then end."""
        self._stopping = True
        self._wake.set()

    def missing(self) -> list[str]:
        """What keeps messages from Kafka; empty when all is well."""
        if self.state.waiting_for:
            return [f"relay: waiting, {self.state.waiting_for}"]
        now = asyncio.get_running_loop().time()
        since = {each.partition: each.sent_at for each in self._in_flight.values()} | self._failing
        slow = [
            f"relay: {partition} not acknowledged for {now - sent_at:.0f} s"
            for partition, sent_at in sorted(since.items())
            if now - sent_at > SLOW_SECONDS
        ]
        behind = [
            f"relay: the log of {partition} is behind its database: lastmetre recover"
            for partition in sorted(self._behind)
        ]
        return slow + behind

    async def run(self) -> None:
        """Relay until stopped and empty. What it raises was foreseen by nobody."""
        self.state.works()
        while True:
            try:
                async with self._open_session() as session:
                    await self._relay(session)
                break
            except DatabaseWentBack:
                raise
            except Exception as error:
                await self._begin_anew(error)
        self.state.ended()

    async def _begin_anew(self, error: Exception) -> None:
        """Every failure: what was on its way is dropped, and sent again from the head."""
        self._drop()
        self._owned = ()
        metrics.RELAY_RESTARTS.labels(self._service).inc()
        self.state.waits(f"{type(error).__name__}")
        log.warning("relay begins anew", error=f"{type(error).__name__}: {error}")
        backoff = BACKOFF_SECONDS[min(self._attempt, len(BACKOFF_SECONDS) - 1)]
        self._attempt += 1
        await asyncio.sleep(backoff * (0.5 + self._random.random()))

    async def _relay(self, session: RelaySession) -> None:
        self._writer_epoch = await session.writer_epoch()
        self._reached = dict(await session.acknowledged())
        # A broker that is away keeps nobody from ending who has nothing to send.
        while not (self._stopping and await self._nothing_is_left(session)):
            producer = await self._connect()
            try:
                if await self._until_a_send_fails(session, producer):
                    return
            finally:
                await producer.close()
            metrics.RELAY_RESTARTS.labels(self._service).inc()

    async def _nothing_is_left(self, session: RelaySession) -> bool:
        self._owned = await session.balance(())
        return not await session.head(self._owned, 1)

    async def _until_a_send_fails(self, session: RelaySession, producer: ProducerClient) -> bool:
        """Returns True once it was stopped and nothing is left; False to replace the producer."""
        loop = asyncio.get_running_loop()
        balance_at, failed = 0.0, False
        self._acknowledged_at = loop.time()
        while True:
            self.state.works()
            if loop.time() >= balance_at:
                self._owned = await session.balance(list(self._in_flight))
                await self._look_at_the_log(session)
                balance_at = loop.time() + BALANCE_SECONDS
            self._wake.clear()
            sent = 0 if failed else await self._send_heads(session, producer)
            if not sent and not self._in_flight:
                if failed:
                    return False
                if self._stopping:
                    return True
            await self._wait_for_answers()
            failed = await self._settle(session) or failed
            if self._in_flight and self._unanswered(loop.time(), failed=failed):
                self._drop()
                return False

    async def _send_heads(self, session: RelaySession, producer: ProducerClient) -> int:
        idle = [shard for shard in self._owned if shard not in self._in_flight]
        head = await session.head(idle, ROWS_A_SHARD) if idle else []
        self._forget_failing(head)
        by_shard: dict[int, list[OutboxBatch]] = {}
        for row in head:
            by_shard.setdefault(row.shard, []).append(row)
        now = asyncio.get_running_loop().time()
        sent = 0
        for shard, found in by_shard.items():
            partition = TopicPartition(found[0].topic, found[0].partition)
            if partition in self._behind:
                continue
            rows = found[: _fitting(found)]
            records = [message for row in rows for message in row.messages]
            if epoch := self._epoch_in(partition):
                records = [written_in(epoch, message) for message in records]
            answer = asyncio.ensure_future(producer.send(partition, records))
            answer.add_done_callback(self._answered)
            self._in_flight[shard] = _InFlight(rows, now, answer)
            sent += 1
        return sent

    def _epoch_in(self, partition: TopicPartition) -> int:
        return self._writer_epoch if partition.topic in self._lasting else 0

    def _answered(self, answer: "asyncio.Future[Any]") -> None:
        # Looked at also where nobody settles it any more: asyncio would report it as forgotten.
        if not answer.cancelled():
            answer.exception()
        self._wake.set()

    def _forget_failing(self, head: Sequence[OutboxBatch]) -> None:
        """Nothing of ours waits there any more: it was taken out, or is another process's."""
        if self._failing:
            waiting = {TopicPartition(row.topic, row.partition) for row in head}
            waiting |= {each.partition for each in self._in_flight.values()}
            self._failing = {p: since for p, since in self._failing.items() if p in waiting}

    async def _wait_for_answers(self) -> None:
        if not any(each.answer.done() for each in self._in_flight.values()):
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._wake.wait()
        # Answers of one broker come together: they are settled in one transaction.
        await asyncio.sleep(0)

    async def _settle(self, session: RelaySession) -> bool:
        """Delete what was acknowledged; True if a send failed, so that the producer is broken."""
        rows: list[OutboxBatch] = []
        reached: dict[TopicPartition, StoredOffset] = {}
        failed = False
        for shard, flight in list(self._in_flight.items()):
            if not flight.answer.done():
                continue
            try:
                answer: Acknowledgement = flight.answer.result()
            except (BrokerError, asyncio.CancelledError) as error:
                failed = True
                self._failing.setdefault(flight.partition, flight.sent_at)
                log.warning("send failed", partition=str(flight.partition), error=str(error))
            else:
                rows += flight.rows
                self._failing.pop(flight.partition, None)
                self._note(flight, answer, reached)
            del self._in_flight[shard]
        if rows:
            await session.acknowledge(rows, reached, self._writer_epoch)
            self._acknowledged_at = asyncio.get_running_loop().time()
            self._attempt = 0
            metrics.RELAYED.labels(self._service).inc(sum(len(row.keys) for row in rows))
        return failed

    def _note(
        self,
        flight: _InFlight,
        answer: Acknowledgement,
        reached: dict[TopicPartition, StoredOffset],
    ) -> None:
        """How far the partition has come; a lasting one that goes back has lost what we said."""
        partition, records = flight.partition, sum(len(row.keys) for row in flight.rows)
        before = self._reached.get(partition)
        epoch = self._epoch_in(partition)
        now = StoredOffset(answer.offset + records, answer.appended_at, writer_epoch=epoch)
        if before is None or answer.offset >= before.next_offset:
            self._reached[partition] = reached[partition] = now
            return
        log.error(
            "the log is behind its database",
            partition=str(partition),
            acknowledged=before.next_offset,
        )
        if partition.topic in self._lasting:
            self._behind[partition] = before
        else:
            self._reached[partition] = reached[partition] = now

    async def _look_at_the_log(self, session: RelaySession) -> None:
        """Go on where `lastmetre recover` has brought the log up to its database."""
        if self._behind:
            now = await session.acknowledged()
            for partition, before in list(self._behind.items()):
                if now.get(partition) != before:
                    del self._behind[partition]
                    self._reached = dict(now)

    def _unanswered(self, now: float, *, failed: bool) -> bool:
        """Whether nothing has been sent or acknowledged for too long: the broker, or the producer.

        Of a producer that has failed a send the others' answers are waited for, not for long.
        """
        latest = max(each.sent_at for each in self._in_flight.values())
        patience = FAILED_SECONDS if failed else UNANSWERED_SECONDS
        return now - max(latest, self._acknowledged_at) > patience

    def _drop(self) -> None:
        for flight in self._in_flight.values():
            flight.answer.cancel()
        self._in_flight.clear()


def _fitting(rows: Sequence[OutboxBatch]) -> int:
    """How many whole rows fit one request: one at the least."""
    room = REQUEST_BYTES
    for taken, row in enumerate(rows):
        room -= sum(len(k) + len(h) + len(b or b"") + FRAME_BYTES for k, h, b in row.messages)
        if room < 0 and taken:
            return taken
    return len(rows)
