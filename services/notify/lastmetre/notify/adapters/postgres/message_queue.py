"""The queue of messages as one process works on it: its shards, held on a connection of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Final

import asyncpg

from lastmetre.common.outbox.shard_locks import ShardLeases
from lastmetre.common.postgres.database import queue_settings
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.notify.adapters.postgres import sending
from lastmetre.notify.adapters.postgres.sending import Attempted, Due, Key
from lastmetre.notify.domain.messages import SHARDS

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

SENDING_LOCKS: Final = 2
CONNECT_SECONDS: Final = 10.0
COMMAND_SECONDS: Final = 30.0
CLOSE_SECONDS: Final = 2.0

ConnectionCheck = Callable[["Connection"], Awaitable[None]]
"""Raises if a new connection must not be used."""


class PostgresSession:
    """A `SendingSession`. Its shards are owned as long as its connection lives."""

    def __init__(self, connection: "Connection", leases: ShardLeases) -> None:
        self._connection = connection
        self._leases = leases

    @property
    def owned(self) -> Sequence[int]:
        """The shards whose messages this process sends."""
        return self._leases.owned

    async def balance(self, busy: Collection[int]) -> Sequence[int]:
        """Take or give up shards until the part is fair; returns those newly taken."""
        return await self._leases.balance(busy)

    async def recover(
        self, taken: Sequence[int], repeatable: Sequence[str], ours: Collection[Attempted]
    ) -> tuple[int, list[tuple[str, Attempted]]]:
        """Requeue what a former owner left `sending`, where the provider recognises a repetition.

        Returns how many those are, and the others with their providers.
        """
        again = await sending.requeue(self._connection, taken, repeatable, ours)
        return again, await sending.orphaned(self._connection, taken, repeatable, ours)

    async def release_provider_queues(self, taken: Sequence[int], providers: Sequence[str]) -> None:
        """Decide anew about messages that wait for a provider which is not configured any more."""
        await sending.release_provider_queues(self._connection, taken, providers)

    async def due(self, provider_queue: str, now: datetime, limit: int) -> list[Due]:
        """The longest due messages with nothing unfinished before them."""
        return await sending.due(self._connection, self.owned, provider_queue, now, limit)

    async def claim(self, provider: str, messages: Sequence[Due | Attempted]) -> set[Attempted]:
        """Commit that `provider` is about to be given these; returns those that still could be."""
        return await sending.claim(self._connection, provider, messages)

    async def assign_provider_queue(self, keys: Sequence[Key], provider: str) -> None:
        """Let these wait for a provider that has no room now."""
        await sending.assign_provider_queue(self._connection, keys, provider)

    async def expired(self, asked_before: datetime, limit: int) -> list[Attempted]:
        """Messages that have waited too long and are not being sent this moment."""
        return await sending.expired(self._connection, self.owned, asked_before, limit)


@asynccontextmanager
async def sending_session(dsn: str, check: ConnectionCheck) -> AsyncIterator[PostgresSession]:
    """A session on a connection that passes `check`; leaving it gives up its shards."""
    connection = await asyncpg.connect(
        dsn,
        timeout=CONNECT_SECONDS,
        command_timeout=COMMAND_SECONDS,
        server_settings=queue_settings("notify-sender"),
    )
    try:
        await check(connection)
        leases = ShardLeases(connection, SENDING_LOCKS, range(SHARDS))
        await leases.join()
        yield PostgresSession(connection, leases)
    finally:
        with suppress(*DATABASE_ERRORS):
            await connection.close(timeout=CLOSE_SECONDS)
