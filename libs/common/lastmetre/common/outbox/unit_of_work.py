"""One unit of work: everything that a batch does, committed together or not at all."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import structlog

from lastmetre.common.contracts.topics import MESSAGE_BYTES, dead_letter_topic
from lastmetre.common.kafka.codec import ConsumedRecord, OutboxMessage, instant, packed
from lastmetre.common.outbox.messages import (
    RECORD_OVERHEAD_BYTES,
    MessageTooLarge,
    NewOutboxBatch,
    batches_of,
)

log = structlog.get_logger()


class PayloadCipher(Protocol):
    """How a service keeps bodies that it could not or must not handle; intake encrypts them, each
    for its own record: in another row it does not open."""

    def seal(self, record: ConsumedRecord) -> ConsumedRecord:
        """As it is stored."""

    def open(self, sealed: ConsumedRecord) -> ConsumedRecord:
        """As it came."""


class NoCipher:
    """For services that see no personal data."""

    def seal(self, record: ConsumedRecord) -> ConsumedRecord:
        """The same."""
        return record

    def open(self, sealed: ConsumedRecord) -> ConsumedRecord:
        """The same."""
        return sealed


class WorkTables(Protocol):
    """The core's tables that a unit of work writes: PostgreSQL's, or the simulation's."""

    async def append_outbox(self, connection: Any, batches: Iterable[NewOutboxBatch], /) -> None:
        """Insert rows, in this order."""

    async def insert_dead_letters(
        self,
        connection: Any,
        consumer: str,
        dead: Sequence[tuple[ConsumedRecord, str]],
        now: datetime,
        /,
    ) -> None:
        """Keep records that cannot be handled. A repetition changes nothing."""

    async def insert_parked(
        self,
        connection: Any,
        consumer: str,
        parked: Sequence[tuple[UUID, int, ConsumedRecord]],
        now: datetime,
        /,
    ) -> None:
        """Keep records whose turn has not come, by (key, seq)."""

    async def insert_held_back(
        self, connection: Any, consumer: str, records: Sequence[ConsumedRecord], now: datetime, /
    ) -> None:
        """Keep records of stopped senders."""

    async def parked_of(
        self, connection: Any, consumer: str, keys: Sequence[UUID], /
    ) -> Mapping[UUID, list[ConsumedRecord]]:
        """The parked records of these keys, each key's in order."""

    async def delete_parked(
        self, connection: Any, consumer: str, handled: Sequence[ConsumedRecord], /
    ) -> None:
        """These have had their turn."""


class UnitOfWork:
    """What one transaction has done so far. `now` is one instant for all of it, UTC."""

    def __init__(
        self,
        connection: Any,
        tables: WorkTables,
        *,
        service: str,
        consumer: str,
        now: datetime,
        cipher: PayloadCipher,
    ) -> None:
        self.connection = connection
        self._tables = tables
        self.consumer = consumer
        self.now = now
        self._service = service
        self._cipher = cipher
        self._outgoing: list[OutboxMessage] = []
        self._dead: list[tuple[ConsumedRecord, str]] = []
        self._parked: list[tuple[UUID, int, ConsumedRecord]] = []
        self._unparked: list[ConsumedRecord] = []
        self._held_back: list[ConsumedRecord] = []
        self._after_commit: list[Callable[[], None]] = []

    @property
    def sends(self) -> bool:
        """Whether committing this gives the relay something to do."""
        return bool(self._outgoing)

    @property
    def dead_count(self) -> int:
        """How many records this work gave up."""
        return len(self._dead)

    @property
    def dead(self) -> Sequence[tuple[ConsumedRecord, str]]:
        """The records that this work gave up, each with what is wrong with it."""
        return self._dead

    @property
    def first_error(self) -> str:
        """Why the first record was given up."""
        return self._dead[0][1]

    def send(self, outgoing: OutboxMessage) -> None:
        """Put a record into the outbox; raises MessageTooLarge."""
        if outgoing.size + RECORD_OVERHEAD_BYTES > MESSAGE_BYTES:
            raise MessageTooLarge(f"{outgoing.size} bytes do not fit {outgoing.topic}")
        self._outgoing.append(outgoing)

    def dead_letter(self, record: ConsumedRecord, error: str) -> None:
        """Give a record to the dead letters, with what is wrong with it."""
        self._dead.append((record, error))

    def park(self, key: UUID, seq: int, record: ConsumedRecord) -> None:
        """Keep a record until its turn within `key` has come."""
        self._parked.append((key, seq, record))

    def unpark(self, records: Iterable[ConsumedRecord]) -> None:
        """These parked records, or some that were held back, have had their turn."""
        self._unparked.extend(records)

    def hold_back(self, record: ConsumedRecord) -> None:
        """Keep a record until its sender, who was stopped, is released."""
        self._held_back.append(record)

    def after_commit(self, call: Callable[[], None]) -> None:
        """Have `call` made once the work is committed: a hint, which a crash may lose."""
        self._after_commit.append(call)

    def committed(self) -> None:
        """The caller has committed."""
        for call in self._after_commit:
            call()

    async def parked(self, keys: list[UUID]) -> Mapping[UUID, list[ConsumedRecord]]:
        """What waits in this flow for each of these keys, in order."""
        return await self._tables.parked_of(self.connection, self.consumer, keys)

    async def flush(self) -> None:
        """Write what was collected; the caller commits."""
        if self._unparked:
            await self._tables.delete_parked(self.connection, self.consumer, self._unparked)
        if self._parked:
            await self._tables.insert_parked(self.connection, self.consumer, self._parked, self.now)
        if self._held_back:
            sealed = [self._cipher.seal(record) for record in self._held_back]
            await self._tables.insert_held_back(self.connection, self.consumer, sealed, self.now)
        if self._dead:
            await self._flush_dead()
        if self._outgoing:
            await self._tables.append_outbox(self.connection, batches_of(self._outgoing))

    async def _flush_dead(self) -> None:
        sealed = [(self._cipher.seal(record), error) for record, error in self._dead]
        await self._tables.insert_dead_letters(self.connection, self.consumer, sealed, self.now)
        for record, error in self._dead:
            log.warning("dead letter", consumer=self.consumer, error=error, **record.log_context)
        self._outgoing.extend(self._letter(record, error) for record, error in self._dead)

    def _letter(self, record: ConsumedRecord, error: str) -> OutboxMessage:
        headers = {
            name: "" if value is None else value.decode("utf-8", "replace")
            for name, value in record.headers
        } | {
            "lastmetre_error": error,
            "lastmetre_flow": self.consumer,
            "lastmetre_topic": record.topic,
            "lastmetre_partition": str(record.partition),
            "lastmetre_offset": str(record.offset),
            "lastmetre_died_at": instant(self.now),
        }
        topic = dead_letter_topic(self._service)
        return OutboxMessage(topic, record.key or b"", packed(headers), record.value)
