"""What a service's database says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from tests.support.city.waiting import WAIT_SECONDS, eventually


class Database:
    """One database, asked as its owner. `database_url` may change: a backup is gone on with."""

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """A connection of its own."""
        connection = await asyncpg.connect(self.database_url)
        try:
            yield connection
        finally:
            await connection.close()

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """All rows."""
        async with self.connection() as connection:
            return await connection.fetch(sql, *arguments)

    async def execute(self, sql: str, *arguments: Any) -> None:
        """A change."""
        async with self.connection() as connection:
            await connection.execute(sql, *arguments)

    async def value(self, sql: str, *arguments: Any) -> Any:
        """The first row's first column."""
        async with self.connection() as connection:
            return await connection.fetchval(sql, *arguments)

    async def until(self, sql: str, expected: Any, *, seconds: float = WAIT_SECONDS) -> None:
        """Wait until that value is as expected; raises TimeoutError with what it is instead."""
        found: Any = None
        async with self.connection() as connection:

            async def as_expected() -> bool:
                nonlocal found
                found = await connection.fetchval(sql)
                return bool(found == expected)

            try:
                await eventually(as_expected, seconds=seconds)
            except TimeoutError:
                raise TimeoutError(f"{sql}: {found}, not {expected}") from None
