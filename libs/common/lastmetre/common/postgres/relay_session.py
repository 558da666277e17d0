"""The relay's session: shard locks, heads and acknowledgements on one connection of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

import asyncpg

from lastmetre.common.kafka.failures import FencedError
from lastmetre.common.kafka.ports import TopicPartition
from lastmetre.common.kafka.positions import StoredOffset
from lastmetre.common.outbox.messages import OutboxBatch
from lastmetre.common.outbox.shard_locks import ShardLeases
from lastmetre.common.postgres import outbox_table
from lastmetre.common.postgres.database import queue_settings
from lastmetre.common.postgres.errors import DATABASE_ERRORS

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

RELAY_LOCKS: Final = 1
CONNECT_SECONDS: Final = 10.0
COMMAND_SECONDS: Final = 30.0
CLOSE_SECONDS: Final = 2.0
ASYNC_COMMIT: Final = {"synchronous_commit": "off"}
"""A crash of the database may bring back the last rows that were deleted. Whatever was committed
after them would have made that lasting: so they come again behind nothing, and in order.
"""


class PostgresRelaySession:
    """A `RelaySession`."""

    def __init__(self, connection: "Connection", locks: ShardLeases) -> None:
        self._connection = connection
        self._locks = locks

    async def balance(self, busy: Sequence[int]) -> Sequence[int]:
        """The shards that are owned."""
        await self._locks.balance(busy)
        return self._locks.owned

    async def head(self, shards: Sequence[int], limit: int) -> Sequence[OutboxBatch]:
        """Of each of these shards the lowest ids."""
        return await outbox_table.outbox_head(self._connection, shards, limit)

    async def acknowledge(
        self,
        sent: Sequence[OutboxBatch],
        reached: Mapping[TopicPartition, StoredOffset],
        sent_in: int,
    ) -> None:
        """Forget these rows, and note how far their partitions have come."""
        if not await outbox_table.acknowledge(self._connection, sent, reached, sent_in):
            raise FencedError

    async def writer_epoch(self) -> int:
        """In which this service writes."""
        return await outbox_table.writer_epoch(self._connection)

    async def acknowledged(self) -> Mapping[TopicPartition, StoredOffset]:
        """How far each partition has come."""
        return await outbox_table.acknowledged(self._connection)


@asynccontextmanager
async def relay_session(
    dsn: str,
    application: str,
    shards: Sequence[int],
    check: "Callable[[Connection], Awaitable[None]]",
) -> AsyncIterator[PostgresRelaySession]:
    """A session that is counted among those that share the shards."""
    connection = await asyncpg.connect(
        dsn,
        timeout=CONNECT_SECONDS,
        command_timeout=COMMAND_SECONDS,
        server_settings=queue_settings(application) | ASYNC_COMMIT,
    )
    try:
        await check(connection)
        locks = ShardLeases(connection, RELAY_LOCKS, shards)
        await locks.join()
        yield PostgresRelaySession(connection, locks)
    finally:
        with suppress(*DATABASE_ERRORS):
            await connection.close(timeout=CLOSE_SECONDS)
