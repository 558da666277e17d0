"""Kafka in: the ledger into facts; reports, messages and areas into what is counted beside."""

from collections.abc import Sequence
from heapq import nlargest
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic_core import to_json

from lastmetre.common.contracts.case_model import SHORT_NAMES, LedgerBroken
from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.common.contracts.deliveries import MessageAttempted, MessageDelivered
from lastmetre.common.contracts.network import AreaPublished
from lastmetre.common.contracts.reports import ReportAccepted, ReportRejected
from lastmetre.common.contracts.topics import CASE_EVENTS, NETWORK_AREAS, NOTIFY_DELIVERIES, REPORTS
from lastmetre.common.kafka import batches
from lastmetre.common.kafka.area_changes import (
    AreaChange,
    AreaRemoved,
    decode_area_change,
    newest_of_each,
)
from lastmetre.common.kafka.case_sequence import Event, in_case_order
from lastmetre.common.kafka.codec import BadRecord, decode
from lastmetre.common.kafka.consumer import LINGER_BACKGROUND
from lastmetre.common.kafka.subscribers import Work
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.common.postgres.area_removals import remove_areas
from lastmetre.common.service.host import ServiceHost
from lastmetre.metrics.adapters.postgres import facts, report_and_message_counts
from lastmetre.metrics.adapters.postgres.facts import ACTIVITY_KEPT, RecentActivity
from lastmetre.metrics.adapters.postgres.report_and_message_counts import Area, Message, Report
from lastmetre.metrics.domain.fact import Fact, apply

CASES_FLOW: Final = "cases"
FORGET_EVERY: Final = 16
"""Batches between two clearings of old activity."""

_REPORT_TYPES: Final = {kind.TYPE: kind for kind in (ReportAccepted, ReportRejected)}
_DELIVERY_TYPES: Final = {kind.TYPE: kind for kind in (MessageAttempted, MessageDelivered)}


class Consumers:
    """What each flow does with a batch. `zone` is the city's: it decides what day it was."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._noted = 0

    def join(self, host: ServiceHost) -> None:
        """Declare the flows."""
        host.consume(CASES_FLOW, [CASE_EVENTS], self.cases, LINGER_BACKGROUND)
        host.consume("reports", [REPORTS], self.reports, LINGER_BACKGROUND)
        host.consume("deliveries", [NOTIFY_DELIVERIES], self.deliveries, LINGER_BACKGROUND)
        host.consume("network", [NETWORK_AREAS], self.network)

    async def cases(self, work: Work, records: batches.CaseEvents) -> None:
        """Fold the ledger into facts: one read a batch, and what differs is written."""
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
        await facts.record_recent_activity(work.connection, _recent_activity(steps))
        self._noted += 1
        if self._noted % FORGET_EVERY == 0:
            await facts.forget_old_activity(work.connection)

    async def reports(self, work: Work, records: batches.Reports) -> None:
        """Count reports by what intake made of them, each once."""
        found: list[Report] = []
        for record in records:
            try:
                report = decode(record, _REPORT_TYPES)
            except BadRecord as error:
                work.dead_letter(record, str(error))
                continue
            assert isinstance(report, ReportAccepted | ReportRejected)
            reasons = report.reasons if isinstance(report, ReportRejected) else ()
            found.append(
                Report(
                    report.report_id,
                    report.channel,
                    report.origin,
                    report.reported_at.astimezone(self._zone).date(),
                    isinstance(report, ReportAccepted),
                    reasons,
                )
            )
        if found:
            await report_and_message_counts.add_reports(work.connection, found)

    async def deliveries(self, work: Work, records: batches.Deliveries) -> None:
        """Count messages by what became of them, each once."""
        found: list[Message] = []
        for record in records:
            try:
                message = decode(record, _DELIVERY_TYPES)
            except BadRecord as error:
                work.dead_letter(record, str(error))
                continue
            if isinstance(message, MessageAttempted):
                continue
            assert isinstance(message, MessageDelivered)
            found.append(
                Message(
                    message.message_id,
                    message.occurred_at.astimezone(self._zone).date(),
                    message.recipient,
                    message.provider,
                    message.result,
                )
            )
        if found:
            await report_and_message_counts.add_messages(work.connection, found)

    async def network(self, work: Work, records: batches.Areas) -> None:
        """Keep the areas as they are published; the highest version of each counts."""
        changes: list[AreaChange] = []
        for record in records:
            try:
                changes.append(decode_area_change(record))
            except BadRecord as error:
                work.dead_letter(record, str(error))
        newest = newest_of_each(changes)
        if removed := [each for each in newest if isinstance(each, AreaRemoved)]:
            await remove_areas(work.connection, removed)
        if published := [_area(each) for each in newest if isinstance(each, AreaPublished)]:
            await report_and_message_counts.put_areas(work.connection, published)


def _recent_activity(steps: Sequence[tuple[CaseEvent, Fact]]) -> list[RecentActivity]:
    """The newest of these last steps of cases."""
    newest = nlargest(ACTIVITY_KEPT, steps, key=lambda step: step[0].occurred_at)
    return [
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


def _area(area: AreaPublished) -> Area:
    lead = area.lead
    return Area(
        area.area_id,
        area.name.zh,
        area.name.en,
        lead.lead_id if lead else None,
        lead.name.zh if lead else None,
        lead.name.en if lead else None,
        to_json(area.outline).decode(),
        area.network_version,
    )
