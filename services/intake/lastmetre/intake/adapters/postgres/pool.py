"""A connection for one request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection, Pool

WAIT_SECONDS: Final = 5.0


@asynccontextmanager
async def connected(pool: "Pool") -> "AsyncIterator[Connection]":
    """A connection of the pool; raises TimeoutError rather than keep somebody waiting."""
    async with pool.acquire(timeout=WAIT_SECONDS) as connection:
        yield connection
