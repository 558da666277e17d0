"""What `reports` holds and the database has never heard of, taken in: receipts and ids.

The contents come again with the channel's record, while that is there (`ReportIngestor`).
"""

from collections.abc import Sequence
from typing import Final

import structlog

from lastmetre.common.contracts.base import Message
from lastmetre.common.contracts.reports import ReportAccepted, ReportRejected, ReportSource
from lastmetre.common.kafka.codec import ConsumedRecord, decode
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.intake.domain.categories import UNKNOWN
from lastmetre.intake.store import reports as store
from lastmetre.intake.store.reports import AdoptedReport

log = structlog.get_logger()

_TYPES: Final[dict[str, type[Message]]] = {
    ReportAccepted.TYPE: ReportAccepted,
    ReportRejected.TYPE: ReportRejected,
}


async def adopt_reports(work: UnitOfWork, records: Sequence[ConsumedRecord]) -> int:
    """Take in reports; returns how many were new. Raises what `decode` raises.

    Those of an older build do not say which record they came from: they are counted in the log.
    """
    found: dict[str, AdoptedReport] = {}
    nameless = 0
    for record in records:
        message = decode(record, _TYPES)
        assert isinstance(message, ReportAccepted | ReportRejected)
        if message.came_from is None:
            nameless += 1
        else:
            found.setdefault(message.came_from.identity, _row(message, message.came_from))
    if nameless:
        log.warning("reports of an older build name no record", records=nameless)
    return await store.adopt(work.connection, list(found.values())) if found else 0


def _row(message: ReportAccepted | ReportRejected, source: ReportSource) -> AdoptedReport:
    rejected = isinstance(message, ReportRejected)
    return AdoptedReport(
        message.report_id,
        bytes.fromhex(source.identity),
        message.channel.value,
        "rejected" if rejected else "accepted",
        ",".join(message.reasons) if isinstance(message, ReportRejected) else "",
        message.origin.value,
        UNKNOWN if isinstance(message, ReportRejected) else message.category,
        message.reported_at,
        source.topic,
        source.partition,
        source.offset,
        source.appended_at,
    )
