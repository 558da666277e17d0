"""What the outbox holds: messages of one transaction for one partition, packed as a row."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from lastmetre.common.contracts.topics import PARTITIONS
from lastmetre.common.kafka.codec import OutboxMessage
from lastmetre.common.kafka.partitioner import partitions_of

RECORD_OVERHEAD_BYTES: Final = 1024
BATCH_BYTES: Final = 7_000
"""What fits one page of PostgreSQL's with what the arrays need."""


class MessageTooLarge(ValueError):
    """The message would not fit its topic; found before it can stop the relay."""


class NewOutboxBatch(NamedTuple):
    """Messages for one partition, in this order, an item of each list for each of them."""

    topic: str
    partition: int
    shard: int
    records: int
    keys: list[bytes]
    headers: list[bytes]
    bodies: list[bytes | None]


class OutboxBatch(NamedTuple):
    """A row of the outbox, see `NewOutboxBatch`."""

    id: int
    topic: str
    partition: int
    shard: int
    keys: list[bytes]
    headers: list[bytes]
    bodies: list[bytes | None]

    @property
    def messages(self) -> list[tuple[bytes, bytes, bytes | None]]:
        """Key, headers and body of each."""
        return list(zip(self.keys, self.headers, self.bodies, strict=True))


@lru_cache(maxsize=4096)
def shard_of(topic: str, partition: int) -> int:
    """The relay's lock for a partition: a stable number in PostgreSQL's int range."""
    return partitions_of([f"{topic}-{partition}".encode()], 0x7FFFFFFF)[0]


def batches_of(messages: Sequence[OutboxMessage]) -> list[NewOutboxBatch]:
    """The messages as rows, in their order, each with its partition worked out."""
    partitions = partitions_of([each.key for each in messages], PARTITIONS)
    by_partition: dict[tuple[str, int], list[OutboxMessage]] = defaultdict(list)
    for each, partition in zip(messages, partitions, strict=True):
        by_partition[each.topic, partition].append(each)
    return [
        NewOutboxBatch(
            topic,
            partition,
            shard_of(topic, partition),
            len(run),
            [each.key for each in run],
            [each.headers for each in run],
            [each.value for each in run],
        )
        for (topic, partition), found in by_partition.items()
        for run in _rows(found)
    ]


def _rows(messages: Sequence[OutboxMessage]) -> Iterator[Sequence[OutboxMessage]]:
    """Cut so that each fits a row; a message that is larger has one for itself."""
    first = size = 0
    for at, message in enumerate(messages):
        size += message.size
        if size > BATCH_BYTES and at > first:
            yield messages[first:at]
            first, size = at, message.size
    yield messages[first:]
