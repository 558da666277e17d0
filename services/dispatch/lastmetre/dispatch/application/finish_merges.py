"""Merges and splits of which the log held one half, when the database was behind it."""

from typing import Final
from uuid import UUID

import structlog

from lastmetre.common.contracts.case_model import Case
from lastmetre.common.contracts.cases import CaseMerged, CaseSplit, ReportMerged, ReportSplit
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.common.service.host import ServiceHost
from lastmetre.dispatch.adapters.postgres import cases as store
from lastmetre.dispatch.adapters.postgres import ledger, unfinished_merges
from lastmetre.dispatch.application.events import append_events
from lastmetre.dispatch.application.network_cache import NetworkCache
from lastmetre.dispatch.application.transactions import own_transaction
from lastmetre.dispatch.domain.finishing_merges import finish_merge
from lastmetre.dispatch.domain.network import Network

log = structlog.get_logger()

AT_ONCE: Final = 100
_TYPES: Final = [kind.TYPE for kind in (CaseMerged, CaseSplit, ReportMerged, ReportSplit)]


class FinishMerges:
    """What is missing of them, decided to their end."""

    def __init__(self, host: ServiceHost, network: NetworkCache) -> None:
        self._host = host
        self._network = network

    async def __call__(self) -> None:
        """Finish some of them, if there are any."""
        async with own_transaction(self._host) as work:
            network = await self._network.current(work.connection)
            await finish_merges(work, network, self._host.identities.traceparent())


async def finish_merges(work: UnitOfWork, network: Network, traceparent: str) -> None:
    """A decision about two cases is one transaction, but their events lie in two partitions, and
    the database that knew of both is gone."""
    connection = work.connection
    marked = await unfinished_merges.marked(connection, AT_ONCE)
    if not marked:
        return
    known = {case_id: await store.case_by_id(connection, case_id) for case_id in marked}
    wanted = set(marked)
    for each in known.values():
        if each is not None:
            wanted |= await _beside(work, each)
    cases = await store.lock_cases(connection, wanted)
    for case_id in marked:
        if case_id in cases:
            await _finish(work, cases, case_id, network, traceparent)
    await unfinished_merges.forget(connection, marked)


async def _beside(work: UnitOfWork, case: Case) -> set[UUID]:
    """The cases that it was merged into, and the one that its report belongs to."""
    events = await unfinished_merges.events_of(work.connection, [case.case_id], _TYPES)
    found = {each.into_case_id for each in events if isinstance(each, CaseMerged)}
    joined = await store.case_joined_by(work.connection, case.report_id)
    return found | ({joined.case_id} if joined else set())


async def _finish(
    work: UnitOfWork,
    cases: dict[UUID, Case],
    case_id: UUID,
    network: Network,
    traceparent: str,
) -> None:
    connection, case = work.connection, cases[case_id]
    others = {each: cases[each] for each in await _beside(work, case) if each in cases}
    events = await unfinished_merges.events_of(connection, [case_id, *others], _TYPES)
    reports = await ledger.reports_of(connection, [case_id])
    for decision in finish_merge(case, others, events, reports, network=network, now=work.now):
        cases[decision.case.case_id] = decision.case
        await store.update_cases(connection, [decision.case])
        await ledger.append(connection, append_events(work, decision.events, traceparent))
        log.warning("a merge or a split is finished", case_id=str(decision.case.case_id))
