"""Locks that a test holds in a service's database, so that it decides who comes first.

PostgreSQL lets those who wait for a row or a table in by the order of their coming.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import UUID

import asyncpg

from tests.support.city import City


@asynccontextmanager
async def holding(
    city: City, service: str, statement: str, *arguments: object
) -> AsyncIterator[None]:
    """Hold what `statement` locks until left."""
    connection = await asyncpg.connect(city.endpoints["databases"][service])
    try:
        async with connection.transaction():
            await connection.execute(statement, *arguments)
            yield
    finally:
        await connection.close()


def held_case(city: City, case_id: UUID) -> AbstractAsyncContextManager[None]:
    """Nobody decides anything about this case."""
    return holding(city, "dispatch", 'SELECT 1 FROM "case" WHERE case_id = $1 FOR UPDATE', case_id)


def held_table(city: City, service: str, table: str) -> AbstractAsyncContextManager[None]:
    """The table can be read, but nobody writes."""
    return holding(city, service, f"LOCK TABLE {table} IN SHARE MODE")


async def blocked(city: City, service: str, count: int, application: str = "") -> None:
    """Wait until that many sessions of the service wait for a lock, or of its `application`."""
    database = await city.database(service)

    async def look() -> bool:
        waiting = await database.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            " AND application_name = $1",
            application or service,
        )
        return bool(waiting == count)

    await city.until(look, f"{count} sessions of {service} behind the lock")
