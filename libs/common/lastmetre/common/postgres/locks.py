"""Advisory locks between the processes of a service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.postgres.errors import DATABASE_ERRORS

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Pool

CATCH_UP_LOCK: Final = 0x6C6D0003
TRY_EVERY_SECONDS: Final = 0.1


@asynccontextmanager
async def service_lock(pool: "Pool") -> AsyncIterator[None]:
    """One process of the service at a time; as long as the block, or until the connection ends."""
    async with pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
        # Tried, not waited for: a session that waits is ended by its command timeout.
        taken = False
        while not taken:
            taken = await connection.fetchval("SELECT pg_try_advisory_lock($1)", CATCH_UP_LOCK)
            if not taken:
                await asyncio.sleep(TRY_EVERY_SECONDS)
        try:
            yield
        finally:
            with suppress(*DATABASE_ERRORS):
                await connection.execute("SELECT pg_advisory_unlock($1)", CATCH_UP_LOCK)
