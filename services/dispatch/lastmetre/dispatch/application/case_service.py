"""Requests by people: decided in the request's own transaction, answered at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from lastmetre.common.case_numbers import read_case_number
from lastmetre.common.contracts.case_model import Case
from lastmetre.common.contracts.requests import ActionRequested
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.telemetry.logs import of_case
from lastmetre.dispatch.adapters.postgres import cases as store
from lastmetre.dispatch.adapters.postgres import ledger
from lastmetre.dispatch.adapters.postgres.ledger import LedgerLine, Step
from lastmetre.dispatch.adapters.postgres.results import CommandResult
from lastmetre.dispatch.application.execute_commands import Command, execute_all, refused
from lastmetre.dispatch.application.publish_network import NetworkCache, publish
from lastmetre.dispatch.consumers import CONSUMER
from lastmetre.dispatch.domain.network import Area, Network

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to an action, the case as it is now, and what its asker had not seen."""

    result: CommandResult
    case: Case | None
    events_since: Sequence[LedgerLine]

    @property
    def may_see(self) -> bool:
        """Whether the case is any of the asker's business."""
        return self.result.refusal not in ("not_your_case", "not_allowed_for_role")


@dataclass(frozen=True, slots=True)
class Published:
    """What an import of the network changes."""

    added: int
    changed: int
    removed: int
    open_cases_left: Mapping[str, int]
    """Of each lead who has no area in it any more: his open cases stay with him."""


class CaseService:
    """What the API and the pages do with cases."""

    def __init__(self, host: ServiceHost, network: NetworkCache) -> None:
        self._host = host
        self._network = network

    async def execute(self, request: ActionRequested, traceparent: str) -> Outcome:
        """Decide and commit; an action that was answered before gets that answer again."""
        async with (
            self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection,
            connection.transaction(),
        ):
            work = self._host.unit_of_work(connection, CONSUMER)
            network = await self._network.current(connection)
            command = Command(request, None, traceparent)
            results, _ = await execute_all(work, network, [command])
            result = results[0] if results else refused(command, "unknown_case", 0, work.now)
            case = await store.case_by_id(connection, request.case_id)
            seen = request.expected_seq if request.expected_seq is not None else result.seq
            events_since = await ledger.after(connection, request.case_id, seen)
            await work.flush()
        self._host.relay.wake()
        if result.refusal:
            about = of_case(request.case_id, traceparent)
            log.info("action refused", action=result.kind, reason=result.refusal, **about)
        return Outcome(result, case, events_since)

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

    async def queue(self, limit: int) -> tuple[list[Case], int]:
        """The cases that no lead has, the longest waiting first, and how many there are."""
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            found = await store.unplaced_cases(connection, limit)
            return found, await store.count_open(connection, None)

    async def open_counts(self, lead_ids: Sequence[str]) -> dict[str, int]:
        """How many open cases each of these leads has."""
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            return await store.open_counts(connection, lead_ids)

    async def network(self) -> Network:
        """The network that decides now."""
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            return await self._network.current(connection)

    async def publish(self, areas: Sequence[Area], *, dry_run: bool) -> Published:
        """Replace the network; with `dry_run`, only count what would change."""
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                work = self._host.unit_of_work(connection, CONSUMER)
                counts = await publish(work, areas, self._host.identities)
                leads = {area.lead.lead_id for area in areas if area.lead}
                left = await store.open_counts_of_others(connection, sorted(leads))
                await work.flush()
            except BaseException:
                await transaction.rollback()
                raise
            if dry_run:
                await transaction.rollback()
            else:
                await transaction.commit()
                self._host.relay.wake()
        return Published(*counts, left)
