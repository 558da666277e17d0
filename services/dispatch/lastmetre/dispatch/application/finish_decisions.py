"""Decisions of which the log held only the first events, when the database was behind it."""

from typing import Final

import structlog

from lastmetre.common.contracts.case_model import Case
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.common.service.host import ServiceHost
from lastmetre.dispatch.adapters.postgres import cases as store
from lastmetre.dispatch.adapters.postgres import ledger
from lastmetre.dispatch.adapters.postgres.ledger import LedgerEntry
from lastmetre.dispatch.application.events import append_events
from lastmetre.dispatch.application.network_cache import NetworkCache
from lastmetre.dispatch.application.transactions import own_transaction
from lastmetre.dispatch.domain.decide import UNFINISHED, finish
from lastmetre.dispatch.domain.network import Network

log = structlog.get_logger()

FINISH_BATCH: Final = 500


class FinishDecisions:
    """What is missing of them, decided anew."""

    def __init__(self, host: ServiceHost, network: NetworkCache) -> None:
        self._host = host
        self._network = network

    async def __call__(self) -> None:
        """Finish some of them, if there are any."""
        async with own_transaction(self._host) as work:
            network = await self._network.current(work.connection)
            await finish_decisions(work, network, self._host.identities.traceparent())


async def finish_decisions(work: UnitOfWork, network: Network, traceparent: str) -> None:
    """Add what is missing of decisions whose first events alone had come to be in the log.

    A decision is one transaction, but its events may lie in two packs of the outbox, and the
    database that knew of the second is gone.
    """
    connection = work.connection
    case_ids = await ledger.unfinished(connection, FINISH_BATCH)
    if not case_ids:
        return
    cases = await store.lock_cases(connection, case_ids)
    last = await ledger.last_lines(connection, case_ids)
    changed: list[Case] = []
    entries: list[LedgerEntry] = []
    for case_id, case in cases.items():
        line = last[case_id]
        if line.type in UNFINISHED:
            decision = finish(case, line.type, line.occurred_at, network=network, now=work.now)
            changed.append(decision.case)
            entries += append_events(work, decision.events, traceparent)
            log.warning("a decision is finished", case_id=str(case_id), after=line.type)
    await store.update_cases(connection, changed)
    await ledger.append(connection, entries)
    await ledger.mark_finished(connection, case_ids)
