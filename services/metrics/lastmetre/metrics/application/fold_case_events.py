"""The ledger becomes facts and recent activity, a batch at a time."""

from collections.abc import Sequence
from heapq import nlargest
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from lastmetre.common.contracts.case_model import SHORT_NAMES, LedgerBroken
from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.common.kafka.case_sequence import Event, in_case_order
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.metrics.adapters.postgres import facts
from lastmetre.metrics.adapters.postgres.facts import ACTIVITY_KEPT, RecentActivity
from lastmetre.metrics.domain.fact import Fact, apply

CONSUMER: Final = "cases"
"""The consumer of the ledger: its positions say how far the facts have come."""
FORGET_EVERY: Final = 16
"""Batches between two clearings of old activity."""


class FoldCaseEvents:
    """In the batch's transaction. `zone` is the city's: it decides on what day it was reported."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._recorded = 0

    async def __call__(self, work: UnitOfWork, records: Sequence[ConsumedRecord]) -> None:
        """Apply the events whose turn it is: one read a batch, and what differs is written.

        Raises BadRecord for an event that cannot follow those before it.
        """
        known: dict[UUID, Fact] = {}

        async def last_seqs(case_ids: list[UUID]) -> dict[UUID, int]:
            known.update(await facts.known(work.connection, case_ids))
            return {case_id: fact.seq for case_id, fact in known.items()}

        new: list[Fact] = []
        changes: list[tuple[Fact, Fact]] = []
        steps: list[tuple[CaseEvent, Fact]] = []
        for case_id, events in await in_case_order(work, records, last_seqs):
            was = known.get(case_id)
            fact = self._after(was, events)
            if was is None:
                new.append(fact)
            else:
                changes.append((was, fact))
            steps.append((events[-1][0], fact))
        if new:
            await facts.add(work.connection, new)
        await facts.change(work.connection, changes)
        if steps:
            await self._record_recent_activity(work, steps)

    def _after(self, fact: Fact | None, events: Sequence[Event]) -> Fact:
        try:
            for event, _ in events:
                fact = apply(fact, event, self._zone)
        except LedgerBroken as error:
            raise BadRecord(str(error)) from error
        assert fact is not None
        return fact

    async def _record_recent_activity(
        self, work: UnitOfWork, steps: Sequence[tuple[CaseEvent, Fact]]
    ) -> None:
        newest = nlargest(ACTIVITY_KEPT, steps, key=lambda step: step[0].occurred_at)
        activity = [
            RecentActivity(
                event.case_id,
                event.seq,
                fact.number,
                fact.channel,
                fact.area_id,
                SHORT_NAMES[event.TYPE],
                event.occurred_at,
            )
            for event, fact in newest
        ]
        await facts.record_recent_activity(work.connection, activity)
        self._recorded += 1
        if self._recorded % FORGET_EVERY == 0:
            await facts.forget_old_activity(work.connection)
