"""PostgreSQL: how our sessions behave, and the pools."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from lastmetre.common.telemetry.traces import TRACES

if TYPE_CHECKING:
    from asyncpg.connection import LoggedQuery
    from asyncpg.pool import PoolConnectionProxy

    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]

COMMAND_TIMEOUT_SECONDS: Final = 60.0
ACQUIRE_TIMEOUT_SECONDS: Final = 30.0


def server_settings(application: str) -> dict[str, str]:
    """How every session of ours behaves.

    Plans are made for the tables as they are: one that was kept from when a table was empty reads
    all of it, batch by batch, until the statistics catch up.
    """
    return {
        "application_name": application,
        "timezone": "UTC",
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "60s",
        "plan_cache_mode": "force_custom_plan",
        "jit": "off",
    }


def queue_settings(application: str) -> dict[str, str]:
    """For a session that works off a queue, by keys and always with the same few statements.

    They are planned once, along the indexes and in their order, whatever the statistics say: those
    of a table that fills and empties are never right, and planning anew costs more than doing it.
    """
    return server_settings(application) | {
        "plan_cache_mode": "force_generic_plan",
        "enable_seqscan": "off",
        "enable_sort": "off",
    }


async def create_pool(
    dsn: str,
    *,
    size: int,
    settings: dict[str, str],
    for_transactions_only: bool = False,
    check: "Callable[[Any], Awaitable[None]] | None" = None,
) -> "Pool":
    """A pool that does not need the database to be up yet.

    `for_transactions_only`: nothing outlives a transaction in its sessions, so that they are not
    reset, which is a round trip, each time that one is given back. The pool itself rolls back.
    `check` is awaited with every new connection; what it raises is raised to whoever asked.
    """
    return await asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=size,
        command_timeout=COMMAND_TIMEOUT_SECONDS,
        server_settings=settings,
        reset=_nothing_to_reset if for_transactions_only else None,
        init=partial(_traced, check) if TRACES.on else check,  # type: ignore[arg-type]
    )


async def _traced(
    check: "Callable[[Any], Awaitable[None]] | None", connection: "Connection"
) -> None:
    """Prepare a new connection whose statements are spans."""
    connection.add_query_logger(_statement)
    if check:
        await check(connection)


def _statement(query: "LoggedQuery") -> None:
    error = type(query.exception).__name__ if query.exception else None
    TRACES.statement(query.query, query.elapsed, error)


async def _nothing_to_reset(_: "Connection") -> None:
    pass


class PostgresDatabase:
    """The core's `Database`, by a pool."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool

    @asynccontextmanager
    async def transaction(self) -> "AsyncIterator[Connection]":
        """A transaction that commits at the end of the block."""
        async with (
            self._pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection,
            connection.transaction(),
        ):
            yield connection

    @asynccontextmanager
    async def connection(self) -> "AsyncIterator[Connection]":
        """A connection for reading."""
        async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            yield connection
