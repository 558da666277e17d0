"""The batch consumer: what it does for a batch is one transaction, its positions included.

Positions live in PostgreSQL; Kafka's own offsets are committed for lag tools only. Nothing leaves
`run` unless it is to end the process.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Final

import structlog

from lastmetre.common.kafka.batch_transaction import BatchTransaction, ConsumerTables
from lastmetre.common.kafka.codec import ConsumedRecord, UnknownEventType
from lastmetre.common.kafka.dead_letter_limit import Sender
from lastmetre.common.kafka.failures import (
    DatabaseWentBack,
    FencedError,
    halves,
    is_record_at_fault,
    reason_of,
)
from lastmetre.common.kafka.ports import (
    BrokerError,
    ClientSpent,
    ConsumerClient,
    Database,
    Outbox,
    TopicPartition,
)
from lastmetre.common.kafka.positions import PartitionPositions
from lastmetre.common.kafka.subscribers import Handler
from lastmetre.common.kafka.topic_comparison import TopicComparison
from lastmetre.common.kafka.waiting import Waiting
from lastmetre.common.outbox.unit_of_work import PayloadCipher
from lastmetre.common.service.clock import Clock
from lastmetre.common.telemetry import metrics

log = structlog.get_logger()

BATCH_RECORDS: Final = 1000
POLL_SECONDS: Final = 0.5
"""A fetch that brings something ends at once; idle consumers look round twice a second."""
LINGER_INTERACTIVE: Final = 0.1
LINGER_BACKGROUND: Final = 0.5
"""How long records are gathered for a batch: somebody waits for what is done, or nobody does."""
OFFSET_COMMIT_SECONDS: Final = 1.0


class BatchConsumer:
    """One consumer group of a service over some topics, all in one order of effects.

    `handle` gets a unit of work and records in partition order; it may give up or park single ones.
    What it raises decides: an error that proves a record bad is narrowed down to that record, which
    becomes a dead letter; an unknown event type stops its partition, for this build is too old; any
    other error waits. A rebalance ends the waiting.
    """

    def __init__(
        self,
        name: str,
        topics: Sequence[str],
        handle: Handler,
        *,
        service: str,
        connect: Callable[[], ConsumerClient],
        database: Database,
        tables: ConsumerTables,
        outbox: Outbox,
        clock: Clock,
        cipher: PayloadCipher,
        random: Random,
        linger_seconds: float = LINGER_INTERACTIVE,
        batch_records: int = BATCH_RECORDS,
    ) -> None:
        self.name = name
        self.topics = tuple(topics)
        self.handle = handle
        self._waiting = Waiting(service, name, random)
        self.state = self._waiting.state
        self._service = service
        self._connect = connect
        self._outbox = outbox
        self._linger_seconds = linger_seconds
        self._batch_records = batch_records
        self._positions = PartitionPositions(service, name)
        self._transaction = BatchTransaction(
            name,
            handle,
            self._positions,
            service=service,
            database=database,
            tables=tables,
            clock=clock,
            cipher=cipher,
        )
        self._client: ConsumerClient | None = None
        self._to_place: set[TopicPartition] | None = None
        self._revoked = False
        self._assignment_changed = asyncio.Event()
        self._busy = asyncio.Lock()
        self._giving_up = False
        self._stopping = self._waiting.stopping
        self._committed: dict[TopicPartition, int] = {}
        self._committed_at = 0.0
        self._topics = TopicComparison()

    # --- what others ask ----------------------------------------------------------------

    @property
    def stopped_because(self) -> str | None:
        """Why a partition, or a sender, is not read on; None if nothing is stopped."""
        held = ", ".join(
            sorted(f"sender {each.source} held back" for each in self._transaction.stopped_senders)
        )
        return "; ".join(filter(None, (self._positions.halted_because(), held))) or None

    @property
    def assigned(self) -> int | None:
        """How many partitions are read; None before the first assignment and in a rebalance."""
        return len(self._positions.assigned) if self._placed else None

    @property
    def _placed(self) -> bool:
        return self._client is not None and self._to_place is None and not self._revoked

    def missing(self) -> list[str]:
        """What keeps records from being handled; empty when all is well."""
        if self.stopped_because:
            return [f"consumer {self.name}: stopped, {self.stopped_because}"]
        if self.state.waiting_for:
            return [f"consumer {self.name}: waiting, {self.state.waiting_for}"]
        return [] if self._placed else [f"consumer {self.name}: no assignment"]

    def stop(self) -> None:
        """Take no more records; a batch under way is finished, unless it is waiting."""
        self._stopping.set()
        self._giving_up = True

    # --- the rebalance: called by the client, while `run` goes on ------------------------

    async def on_revoked(self) -> None:
        """Let the running batch finish: its partitions may be somebody else's after this."""
        self._giving_up = True
        async with self._busy:
            await self._commit_offsets()
            self._positions.revoke()
            self._revoked, self._to_place = True, None
            metrics.ASSIGNED.labels(self._service, self.name).set(0)

    async def on_assigned(self, assigned: set[TopicPartition]) -> None:
        """Hand out nothing yet: where we stand is asked, and sought, by the loop."""
        if self._client is None:
            return  # it leaves the group, and another one was quicker
        self._client.pause(assigned)
        async with self._busy:
            self._positions.revoke()
            self._revoked, self._to_place = False, set(assigned)
            self._giving_up = self._stopping.is_set()
            self._assignment_changed.set()

    # --- the loop ------------------------------------------------------------------------

    async def run(self) -> None:
        """Consume until `stop`. What it raises was foreseen by nobody: the process has to end."""
        attempt = 0
        while not self._stopping.is_set():
            client = self._client = self._connect()
            self._revoked = True
            try:
                await client.start(self)
                attempt = 0
                while not self._stopping.is_set():
                    await self._turn(client)
            except BrokerError as error:
                await self._waiting.after(error, "Kafka", attempt)
                attempt += 1
            finally:
                async with self._busy:
                    await self._commit_offsets()
                    self._positions.revoke()
                    self._to_place, self._client = None, None
                await self._topics.end()
                await client.close()
        self.state.ended()

    async def _turn(self, client: ConsumerClient) -> None:
        self.state.works()
        if not self._outbox.has_room.is_set():
            await self._waiting.until(self._outbox.has_room, "room in the outbox", POLL_SECONDS)
            return
        if self._revoked:
            self._assignment_changed.clear()
            await self._waiting.until(self._assignment_changed, "an assignment", POLL_SECONDS)
            return
        if self._to_place is not None:
            await self._place(client, self._to_place)
            return
        if topic_ids := await self._topics.answer(client):
            async with self._busy:
                # Anew from its beginning, even if it has grown beyond us.
                self._positions.compare_topics(client, topic_ids)
        await self._poll(client)
        if self._now() - self._committed_at >= OFFSET_COMMIT_SECONDS:
            await self._commit_offsets()
            if self._transaction.stopped_senders:
                await self._ask_whether_released()

    async def _poll(self, client: ConsumerClient) -> None:
        """Take what there is; after less than a full batch, let more gather."""
        began = self._now()
        epoch = self._positions.epoch
        try:
            fetched = await client.poll(self._batch_records, POLL_SECONDS)
        except BrokerError as error:
            # What this call had taken already is lost with it, so all of it is sought again.
            async with self._busy:
                self._positions.seek(client, self._positions.assigned)
            await self._waiting.after(error, "a fetch that cannot be read", attempt=4)
            if isinstance(error, ClientSpent):
                raise
            return
        if not fetched:
            return
        full = sum(map(len, fetched.values())) >= self._batch_records
        async with self._busy:
            if epoch != self._positions.epoch:
                self._positions.seek(client, list(fetched))
                return
            if not full:
                client.pause(self._positions.assigned)
            await self._handle_fetched(client, fetched)
        if not full:
            await self._waiting.pause(began + self._linger_seconds - self._now())
            if self._placed:
                client.resume(self._positions.readable)

    async def _place(self, client: ConsumerClient, wanted: set[TopicPartition]) -> None:
        """Seek to where the database says we stand, whatever Kafka remembers."""
        try:
            stored, held = await self._transaction.standing()
            known = all(each in stored and stored[each].topic_id for each in wanted)
            topic_ids = {} if known else await client.topic_ids()
        except Exception as error:
            await self._waiting.after(error, "where it stands", attempt=3)
            return
        async with self._busy:
            if self._to_place is not wanted:
                return
            self._positions.assign(client, wanted, stored, topic_ids)
            self._know_stopped(held)
            self._to_place = None
            client.resume(wanted)
            self.state.works()
            metrics.ASSIGNED.labels(self._service, self.name).set(len(wanted))
            metrics.REBALANCES.labels(self._service, self.name).inc()

    async def _handle_fetched(
        self, client: ConsumerClient, fetched: Mapping[TopicPartition, Sequence[ConsumedRecord]]
    ) -> None:
        ours: list[ConsumedRecord] = []
        for partition, records in fetched.items():
            taken, in_doubt = self._positions.take(partition, records)
            ours.extend(taken)
            if in_doubt:
                await self._find_out(client, partition, records[0])
        if ours:
            await self._handle_until_done(client, ours)
        client.pause(self._positions.halted)
        self._tell_stopped()

    async def _find_out(
        self, client: ConsumerClient, partition: TopicPartition, first: ConsumedRecord
    ) -> None:
        """A record below where we read, or another one before our position: what is it?"""
        try:
            end = (await client.end_offsets([partition]))[partition]
        except BrokerError:
            self._positions.seek(client, [partition])
        else:
            self._positions.settle_doubt(client, partition, first, end)

    # --- a batch -------------------------------------------------------------------------

    async def _handle_until_done(
        self, client: ConsumerClient, records: Sequence[ConsumedRecord]
    ) -> None:
        pending: list[tuple[Sequence[ConsumedRecord], str | None]] = [(records, None)]
        attempt, suspect = 0, None
        while pending:
            part, reason = pending[0]
            try:
                await self._try(client, part, reason)
            except FencedError:
                await self._after_fencing(client, part)
                return
            except UnknownEventType as error:
                pending[:1] = self._too_new(part, error)
                pending = [each for each in pending if each[0]]
            except Exception as error:
                if reason is None and is_record_at_fault(error):
                    if len(part) > 1 or suspect is part[0]:
                        pending[:1] = self._narrow(part, error)
                        continue
                    suspect = part[0]  # once more, alone: it may have met another transaction
                await self._waiting.after(error, "a batch", attempt)
                if self._giving_up:
                    log.warning("a batch is given up with its partitions", consumer=self.name)
                    return
                if isinstance(error, TimeoutError) and len(part) > 1:
                    pending[:1] = [(half, reason) for half in halves(part)]
                attempt += 1
            else:
                pending.pop(0)
                attempt = 0

    def _narrow(
        self, part: Sequence[ConsumedRecord], error: Exception
    ) -> list[tuple[Sequence[ConsumedRecord], str | None]]:
        """Towards the record at fault; alone, it is to become a dead letter."""
        if len(part) > 1:
            return [(half, None) for half in halves(part)]
        log.error("record cannot be handled", exc_info=error, **part[0].log_context)
        return [(part, reason_of(error))]

    def _too_new(
        self, part: Sequence[ConsumedRecord], error: UnknownEventType
    ) -> list[tuple[Sequence[ConsumedRecord], str | None]]:
        """Read no further where the record lies that this build is too old for."""
        if len(part) > 1:
            return [(half, None) for half in halves(self._positions.not_halted(part))]
        partition = TopicPartition(part[0].topic, part[0].partition)
        self._positions.halt(partition, str(error))
        log.error("partition stops until this build is replaced", reason=str(error),
                  **part[0].log_context)  # fmt: skip
        return []

    async def _try(
        self, client: ConsumerClient, part: Sequence[ConsumedRecord], reason: str | None
    ) -> None:
        if records := self._positions.not_halted(part):
            if await self._transaction.run(client, records, reason):
                self._outbox.wake()
            self.state.works()

    async def _after_fencing(self, client: ConsumerClient, part: Sequence[ConsumedRecord]) -> None:
        """Another process took over, or the database has forgotten what we committed."""
        while not self._giving_up:
            try:
                stored, held = await self._transaction.standing()
            except Exception as error:
                await self._waiting.after(error, "where it stands", attempt=3)
                continue
            for partition in {TopicPartition(each.topic, each.partition) for each in part}:
                ours, theirs = self._positions.stored(partition), stored.get(partition)
                if ours and (theirs is None or theirs.next_offset < ours.next_offset):
                    raise DatabaseWentBack(f"{partition} stands before {ours.next_offset}")
            log.warning("another process took over", consumer=self.name)
            self._positions.assign(client, list(self._positions.assigned), stored, {})
            self._know_stopped(held)
            return

    async def _ask_whether_released(self) -> None:
        """A partition in which nothing is sent would be told to be stopped for ever."""
        try:
            _, held = await self._transaction.standing()
        except Exception as error:
            await self._waiting.after(error, "which senders are stopped", attempt=3)
        else:
            self._know_stopped(held)

    def _know_stopped(self, senders: set[Sender]) -> None:
        self._transaction.know_stopped(senders)
        self._tell_stopped()

    # --- telling ------------------------------------------------------------------

    async def _commit_offsets(self) -> None:
        """For lag tools only, so a failure does not matter: the next one says it all again."""
        offsets = self._positions.committed()
        self._committed_at = self._now()
        if self._client is None or not offsets or offsets == self._committed:
            return
        with suppress(BrokerError):
            await self._client.commit(offsets)
            self._committed = offsets

    def _tell_stopped(self) -> None:
        labels = self._service, self.name
        metrics.PARTITIONS_STOPPED.labels(*labels).set(len(self._positions.halted))
        metrics.SENDERS_STOPPED.labels(*labels).set(len(self._transaction.stopped_senders))

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
