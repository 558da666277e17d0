"""Kafka in: the channels' reports, the ledger for progress pages, the network for the form."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.cases import (
    CaseEvent,
    CaseRegistered,
    ReportMerged,
    ReportSplit,
)
from lastmetre.common.contracts.network import AreaPublished
from lastmetre.common.contracts.topics import CASE_EVENTS, NETWORK_AREAS, REPORTS, channel_topic
from lastmetre.common.kafka import batches
from lastmetre.common.kafka.area_changes import (
    AreaChange,
    AreaRemoved,
    decode_area_change,
    newest_of_each,
)
from lastmetre.common.kafka.case_sequence import in_case_order
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord
from lastmetre.common.kafka.consumer import LINGER_BACKGROUND
from lastmetre.common.kafka.subscribers import Work
from lastmetre.common.postgres.area_removals import remove_areas
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.svg.geometry import rings_of
from lastmetre.intake.adapters.postgres import areas, cases
from lastmetre.intake.adapters.postgres.cases import Joining, NewCase, Told
from lastmetre.intake.application.adopt_log import adopt_reports
from lastmetre.intake.application.ingest_reports import CHANNELS_FLOW, ReportIngestor
from lastmetre.intake.domain.case_view import entry

# Not by isinstance: that runs Python code of pydantic's for each class, in the way of every event.
_OF_REPORTS: Final = frozenset({ReportMerged, ReportSplit})


def join(host: ServiceHost, reader: ReportIngestor) -> None:
    """Declare the flows."""
    topics = [channel_topic(channel) for channel in Channel]
    host.publishes(REPORTS, adopt_reports)
    host.consume(CHANNELS_FLOW, topics, reader.read)
    host.consume("cases", [CASE_EVENTS], follow_cases, LINGER_BACKGROUND)
    host.consume("network", [NETWORK_AREAS], follow_network)


async def follow_cases(work: Work, records: batches.CaseEvents) -> None:
    """Add what the ledger tells to the cases' timelines."""
    known: dict[UUID, int] = {}

    async def last_seqs(case_ids: list[UUID]) -> dict[UUID, int]:
        known.update(await cases.last_seqs(work.connection, case_ids))
        return known

    ready = await in_case_order(work, records, last_seqs)
    if not ready:
        return
    new: list[NewCase] = []
    moved: list[tuple[UUID, int]] = []
    told: list[Told] = []
    changes: list[CaseEvent] = []
    for case_id, events in ready:
        first, seq = events[0][0], events[-1][0].seq
        if case_id in known:
            moved.append((case_id, seq))
        elif isinstance(first, CaseRegistered):
            new.append(NewCase(case_id, first.report_id, first.number, seq))
        else:
            raise BadRecord("the ledger of a case begins with its registration")
        told.append(Told(case_id, seq, [entry(event) for event, _ in events]))
        changes += [event for event, _ in events if type(event) in _OF_REPORTS]
    if new:
        await cases.add(work.connection, new)
    if moved:
        await cases.move(work.connection, moved)
    await cases.append_timelines(work.connection, told)
    if changes:
        await _follow_reports(work, changes)


async def _follow_reports(work: Work, changes: Sequence[CaseEvent]) -> None:
    """Keep which reports have joined a case that was registered for another one."""
    joined: dict[tuple[UUID, UUID], datetime] = {}
    left: list[tuple[UUID, UUID]] = []
    for event in changes:
        assert isinstance(event, ReportMerged | ReportSplit)
        pair = event.report_id, event.case_id
        if isinstance(event, ReportMerged):
            joined[pair] = event.recorded_at
        else:
            joined.pop(pair, None)
            left.append(pair)
    if left:
        await cases.remove_merged(work.connection, left)
    if joined:
        new = [Joining(*pair, recorded_at) for pair, recorded_at in joined.items()]
        await cases.add_merged(work.connection, new)


async def follow_network(work: Work, records: batches.Areas) -> None:
    """Keep the areas as they are published now; the highest version of each counts."""
    changes: list[AreaChange] = []
    for record in records:
        try:
            changes.append(_area_change(record))
        except BadRecord as error:
            work.dead_letter(record, str(error))
    newest = newest_of_each(changes)
    if removed := [each for each in newest if isinstance(each, AreaRemoved)]:
        await remove_areas(work.connection, removed)
    if published := [each for each in newest if isinstance(each, AreaPublished)]:
        await areas.put(work.connection, published)


def _area_change(record: ConsumedRecord) -> AreaChange:
    change = decode_area_change(record)
    if isinstance(change, AreaRemoved):
        return change
    try:
        rings = list(rings_of(change.outline))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise BadRecord("the outline is no GeoJSON polygon") from error
    if not all(len(ring) > 2 for ring in rings) or not rings:
        raise BadRecord("the outline is no GeoJSON polygon")
    return change
