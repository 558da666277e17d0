"""What the core needs of Kafka and of a database; aiokafka and PostgreSQL, or a simulation's."""

import asyncio
from collections.abc import Awaitable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from lastmetre.common.kafka.codec import ConsumedRecord


class TopicPartition(NamedTuple):
    """A partition; `topic` is without the city's prefix."""

    topic: str
    partition: int

    def __str__(self) -> str:
        """As Kafka's tools write it."""
        return f"{self.topic}-{self.partition}"


class OffsetRange(NamedTuple):
    """Offsets from `first` to below `end`."""

    first: int
    end: int


class BrokerError(Exception):
    """The broker did not do what it was asked, or did not answer: wait, and ask again."""


class ClientSpent(BrokerError):
    """This client answers the same for ever, whatever the broker does: take another one."""


class AssignmentListener(Protocol):
    """Is told of a rebalance, and awaited before the consumer goes on."""

    async def on_assigned(self, assigned: set[TopicPartition]) -> None:
        """These are ours now; nothing of them has been handed out."""

    async def on_revoked(self) -> None:
        """All that was ours may be somebody else's after this returns."""


class ConsumerClient(Protocol):
    """A member of a consumer group. Every call but `poll` and `close` may raise BrokerError."""

    async def start(self, listener: AssignmentListener) -> None:
        """Join the group. The listener may be called before this returns."""

    async def poll(
        self, max_records: int, timeout_seconds: float
    ) -> Mapping[TopicPartition, Sequence[ConsumedRecord]]:
        """Records of partitions that are not paused, each partition's in order; maybe none.

        Raises BrokerError for a fetch that cannot be read: what other partitions had given in the
        same call is lost then, and has to be sought again.
        """

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from `offset`; the partition is assigned."""

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        """Hand out nothing of these; those that are not assigned any more are passed over."""

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        """Hand them out again."""

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Tell Kafka how far we are, for lag tools only."""

    async def beginning_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """The first offset that each partition still holds."""

    async def end_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """The offset after each partition's last record."""

    async def topic_ids(self) -> Mapping[str, UUID]:
        """The id of each topic that is read, as far as it exists and the broker has ids.

        A topic that is deleted and made anew has another one.
        """

    async def close(self) -> None:
        """Leave the group. Never raises, and never waits without an end."""


class Acknowledgement(NamedTuple):
    """What the broker says of records that it has: the offset of the first, and its append time."""

    offset: int
    appended_at: int


class ProducerClient(Protocol):
    """An idempotent producer with acks of all replicas."""

    def send(
        self, partition: TopicPartition, records: Sequence[tuple[bytes, bytes, bytes | None]]
    ) -> Awaitable[Acknowledgement]:
        """Append (key, headers as the outbox keeps them, body) as one batch.

        Raises BrokerError; the producer has to be replaced then, for what follows a batch that
        failed may be refused, or put out of order.
        """

    async def close(self) -> None:
        """Never raises, and never waits without an end."""


class LogReader(Protocol):
    """Reads partitions together, each from an offset to its end, outside any group."""

    async def end_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """The offset after each partition's last record; raises BrokerError."""

    async def beginning_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """The first offset that each partition still holds; raises BrokerError."""

    async def read(
        self, wanted: Mapping[TopicPartition, OffsetRange], max_records: int
    ) -> Mapping[TopicPartition, Sequence[ConsumedRecord]]:
        """Records of some of these partitions, each partition's from its first wanted offset on.

        Waits until there is something to tell. A partition given without records has none left
        below its end. Raises BrokerError.
        """

    async def close(self) -> None:
        """Never raises."""


class Database(Protocol):
    """Where a service keeps what it remembers."""

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """A transaction that commits at the end of the block, and rolls back what raises."""

    def connection(self) -> AbstractAsyncContextManager[Any]:
        """A connection for reading."""


class Outbox(Protocol):
    """What a consumer asks of the relay."""

    @property
    def has_room(self) -> asyncio.Event:
        """Set while the outbox is below its limit."""

    def wake(self) -> None:
        """Something was committed."""
