"""What the API and the pages do with cases."""

from collections.abc import Sequence
from uuid import UUID

from lastmetre.common.case_numbers import read_case_number
from lastmetre.common.contracts.case_model import Case
from lastmetre.common.contracts.cases import CaseRated
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.service.host import ServiceHost
from lastmetre.dispatch.adapters.postgres import cases as store
from lastmetre.dispatch.adapters.postgres import ledger
from lastmetre.dispatch.application.network_cache import NetworkCache
from lastmetre.dispatch.application.publish_network import PublishNetwork
from lastmetre.dispatch.domain.ledger import LedgerLine, Step
from lastmetre.dispatch.domain.network import Network


class CaseService:
    """What people read of cases; `publish` replaces the network."""

    def __init__(self, host: ServiceHost, network: NetworkCache) -> None:
        self._host = host
        self._network = network
        self.publish = PublishNetwork(host)

    async def case(self, case_id: UUID) -> tuple[Case, list[LedgerLine]] | None:
        """A case and its ledger."""
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            case = await store.case_by_id(connection, case_id)
            return None if case is None else (case, await ledger.after(connection, case_id, 0))

    async def case_with_steps(self, case_id: UUID) -> tuple[Case, list[Step]] | None:
        """A case and what happened to it, with all that was said of that."""
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            case = await store.case_by_id(connection, case_id)
            return None if case is None else (case, await ledger.steps_of(connection, case_id))

    async def case_with_steps_known_as(
        self, known_as: str | None
    ) -> tuple[Case, list[Step]] | None:
        """The same by id or number; None if there is no such case, or none was asked for."""
        case_id = await self.case_known_as(known_as) if known_as else None
        return None if case_id is None else await self.case_with_steps(case_id)

    async def case_known_as(self, known_as: str) -> UUID | None:
        """The case's id, by itself or by the number for people; whatever was typed."""
        try:
            return UUID(known_as)
        except ValueError:
            return await self.case_numbered(known_as)

    async def case_numbered(self, number: str) -> UUID | None:
        """The case that people know by `number`; whatever was typed."""
        read = read_case_number(number)
        if read is None:
            return None
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            return await store.case_id_of(connection, read)

    async def worklist(self, lead_id: str, limit: int) -> tuple[list[Case], int]:
        """A lead's open cases, the longest waiting first, and how many there are in all."""
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            found = await store.open_cases_of(connection, lead_id, limit)
            return found, await store.count_open(connection, lead_id)

    async def last_ratings(self, case_ids: Sequence[UUID]) -> dict[UUID, CaseRated]:
        """What the reporters of these cases said last, of those who said anything."""
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            return await ledger.last_ratings(connection, case_ids)

    async def open_counts(self, lead_ids: Sequence[str]) -> dict[str, int]:
        """How many open cases each of these leads has."""
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            return await store.open_counts(connection, lead_ids)

    async def network(self) -> Network:
        """The network that decides now."""
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            return await self._network.current(connection)
