"""The transaction of a use case that no batch of records brings one for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.problem import busy


@asynccontextmanager
async def own_transaction(host: ServiceHost, consumer: str) -> AsyncIterator[UnitOfWork]:
    """Committed on leaving, rolled back by whatever is raised; what it sends goes out then.

    What it parks is `consumer`'s. Raises StillStarting until the service has caught up with its own
    topics, and what asyncpg raises.
    """
    async with (
        host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection,
        connection.transaction(),
    ):
        work = host.unit_of_work(connection, consumer)
        yield work
        await work.flush()
    work.committed()
    if work.sends:
        host.relay.wake()


def check_room(host: ServiceHost) -> None:
    """To be called before something is decided. Raises Problem 503 while the outbox is over its
    limit."""
    if not host.relay.has_room.is_set():
        raise busy()
