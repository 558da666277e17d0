"""The facts of single cases, as they are."""

from collections.abc import Sequence
from uuid import UUID

from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.service.host import ServiceHost
from lastmetre.metrics.adapters.postgres import facts
from lastmetre.metrics.domain.fact import Fact


class ReadFacts:
    """Reads only."""

    def __init__(self, host: ServiceHost) -> None:
        self._host = host

    async def of_case(self, case_id: UUID) -> Fact | None:
        """The facts of one case; None if nobody knows it."""
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            return await facts.one(connection, case_id)

    async def page(self, after: UUID | None, limit: int) -> Sequence[Fact]:
        """At most `limit` facts in order of their case ids, beginning behind `after`."""
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            return await facts.page(connection, after, limit)
