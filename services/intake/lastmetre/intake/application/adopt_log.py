"""What `reports` holds and the database has never heard of, taken in: receipts and ids.

The contents come again with the channel's record, while that is there (`ReportIngestor`).
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import structlog

from lastmetre.common.categories import UNKNOWN
from lastmetre.common.contracts.base import Message
from lastmetre.common.contracts.reports import ReportAccepted, ReportRejected, ReportSource
from lastmetre.common.kafka.codec import ConsumedRecord, decode
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.intake.adapters.postgres import reports as store
from lastmetre.intake.adapters.postgres.reports import AdoptedReport

log = structlog.get_logger()

_TYPES: Final[dict[str, type[Message]]] = {
    ReportAccepted.TYPE: ReportAccepted,
    ReportRejected.TYPE: ReportRejected,
}


async def adopt_reports(work: UnitOfWork, records: Sequence[ConsumedRecord]) -> int:
    """Take in reports; returns how many were new. Raises what `decode` raises.

    What an older build told does not say which record it came from, so it cannot be taken in.
    """
    told: dict[UUID, ReportAccepted | ReportRejected] = {}
    for record in records:
        message = decode(record, _TYPES)
        assert isinstance(message, ReportAccepted | ReportRejected)
        told[message.report_id] = message
    for report_id in await store.known_ids(work.connection, list(told)):
        del told[report_id]
    rows = [_row(each, each.came_from) for each in told.values() if each.came_from]
    if len(rows) < len(told):
        log.error("reports of an older build are not known", reports=len(told) - len(rows))
    new = await store.adopt(work.connection, rows) if rows else set()
    if len(new) < len(rows):
        log.error("reports are known under other ids", reports=len(rows) - len(new))
    return len(new)


def _row(message: ReportAccepted | ReportRejected, source: ReportSource) -> AdoptedReport:
    rejected = isinstance(message, ReportRejected)
    position = None if isinstance(message, ReportRejected) else message.sent_position
    return AdoptedReport(
        message.report_id,
        bytes.fromhex(source.identity),
        message.channel.value,
        "rejected" if rejected else "accepted",
        ",".join(message.reasons) if isinstance(message, ReportRejected) else "",
        message.origin.value,
        UNKNOWN if isinstance(message, ReportRejected) else message.category,
        message.reported_at,
        position.latitude if position else None,
        position.longitude if position else None,
        source.topic,
        source.partition,
        source.offset,
        source.appended_at,
        message.read_by,
    )
