"""One unit of work: everything that a batch does, committed together or not at all."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

import structlog

from lastmetre.common.contracts.topics import MESSAGE_BYTES, PARTITIONS, dead_letter_topic
from lastmetre.common.kafka.codec import ConsumedRecord, OutboxMessage, instant, packed
from lastmetre.common.kafka.partitioner import partitions_of
from lastmetre.common.postgres import core_tables as store
from lastmetre.common.postgres.core_tables import NewOutboxBatch

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

log = structlog.get_logger()

RECORD_OVERHEAD_BYTES: Final = 1024
PACK_BYTES: Final = 7_000
"""What fits one page of PostgreSQL's with what the arrays need."""


class PayloadCipher(Protocol):
    """How a service keeps the bodies of its dead letters; intake encrypts them."""

    def seal(self, body: bytes) -> bytes:
        """As it is stored."""

    def open(self, sealed: bytes) -> bytes:
        """As it came."""


class NoCipher:
    """For services that see no personal data."""

    def seal(self, body: bytes) -> bytes:
        """The same."""
        return body

    def open(self, sealed: bytes) -> bytes:
        """The same."""
        return sealed


class MessageTooLarge(ValueError):
    """The record would not fit its topic; found before it can stop the relay."""


def shard_of(topic: str, partition: int) -> int:
    """The relay's lock for a partition: a stable number in PostgreSQL's int range."""
    return partitions_of([f"{topic}-{partition}".encode()], 0x7FFFFFFF)[0]


class ShardTable:
    """Shard numbers worked out once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], int] = {}

    def of(self, topic: str, partition: int) -> int:
        """The shard of a partition."""
        found = self._known.get((topic, partition))
        if found is None:
            found = self._known[topic, partition] = shard_of(topic, partition)
        return found


_SHARDS: Final = ShardTable()


async def append(connection: "Connection", outgoing: list[OutboxMessage]) -> None:
    """Put records into the outbox, in this order, each with its partition worked out."""
    if not outgoing:
        return
    partitions = partitions_of([each.key for each in outgoing], PARTITIONS)
    lanes: dict[tuple[str, int], list[OutboxMessage]] = defaultdict(list)
    for each, partition in zip(outgoing, partitions, strict=True):
        lanes[each.topic, partition].append(each)
    await store.append_outbox(
        connection,
        [_pack(place, run) for place, records in lanes.items() for run in _runs(records)],
    )


def _runs(records: Sequence[OutboxMessage]) -> Iterator[Sequence[OutboxMessage]]:
    """Cut so that each run fits a pack; a record that is larger has one for itself."""
    first = size = 0
    for at, record in enumerate(records):
        size += record.size
        if size > PACK_BYTES and at > first:
            yield records[first:at]
            first, size = at, record.size
    yield records[first:]


def _pack(place: tuple[str, int], run: Sequence[OutboxMessage]) -> NewOutboxBatch:
    return NewOutboxBatch(
        *place,
        _SHARDS.of(*place),
        len(run),
        [each.key for each in run],
        [each.headers for each in run],
        [each.value for each in run],
    )


class UnitOfWork:
    """What one transaction has done so far. `now` is one instant for all of it, UTC."""

    def __init__(
        self,
        connection: "Connection",
        *,
        service: str,
        flow: str,
        now: datetime,
        sealing: PayloadCipher,
    ) -> None:
        self.connection = connection
        self.flow = flow
        self.now = now
        self._service = service
        self._sealing = sealing
        self._outgoing: list[OutboxMessage] = []
        self._dead: list[tuple[ConsumedRecord, str]] = []
        self._parked: list[tuple[UUID, int, ConsumedRecord]] = []
        self._unparked: list[ConsumedRecord] = []
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
        """These parked records have had their turn."""
        self._unparked.extend(records)

    def after_commit(self, call: Callable[[], None]) -> None:
        """Have `call` made once the work is committed: a hint, which a crash may lose."""
        self._after_commit.append(call)

    def committed(self) -> None:
        """The caller has committed."""
        for call in self._after_commit:
            call()

    async def parked(self, keys: list[UUID]) -> dict[UUID, list[ConsumedRecord]]:
        """What waits in this flow for each of these keys, in order."""
        return await store.parked_of(self.connection, self.flow, keys)

    async def flush(self) -> None:
        """Write what was collected; the caller commits."""
        if self._unparked:
            await store.delete_parked(self.connection, self.flow, self._unparked)
        if self._parked:
            await store.insert_parked(self.connection, self.flow, self._parked, self.now)
        if self._dead:
            await self._flush_dead()
        await append(self.connection, self._outgoing)

    async def _flush_dead(self) -> None:
        sealed = [(self._sealed(record), error) for record, error in self._dead]
        await store.insert_dead_letters(self.connection, self.flow, sealed, self.now)
        for record, error in self._dead:
            log.warning("dead letter", flow=self.flow, error=error, **record.log_context)
        self._outgoing.extend(self._letter(record, error) for record, error in self._dead)

    def _sealed(self, record: ConsumedRecord) -> ConsumedRecord:
        if record.value is None:
            return record
        return ConsumedRecord(
            record.topic,
            record.partition,
            record.offset,
            record.timestamp,
            record.key,
            self._sealing.seal(record.value),
            record.headers,
        )

    def _letter(self, record: ConsumedRecord, error: str) -> OutboxMessage:
        headers = {
            name: "" if value is None else value.decode("utf-8", "replace")
            for name, value in record.pairs
        } | {
            "lastmetre_error": error,
            "lastmetre_flow": self.flow,
            "lastmetre_topic": record.topic,
            "lastmetre_partition": str(record.partition),
            "lastmetre_offset": str(record.offset),
            "lastmetre_died_at": instant(self.now),
        }
        topic = dead_letter_topic(self._service)
        return OutboxMessage(topic, record.key or b"", packed(headers), record.value)
