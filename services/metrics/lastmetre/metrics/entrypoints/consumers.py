"""Kafka in: the ledger, reports, messages and areas."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar, cast

from lastmetre.common.contracts.base import Message
from lastmetre.common.contracts.deliveries import MessageAttempted, MessageDelivered
from lastmetre.common.contracts.reports import ReportAccepted, ReportRejected
from lastmetre.common.contracts.topics import CASE_EVENTS, NETWORK_AREAS, NOTIFY_DELIVERIES, REPORTS
from lastmetre.common.kafka import batches
from lastmetre.common.kafka.area_changes import decode_area_change
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord, decode
from lastmetre.common.kafka.consumer import LINGER_BACKGROUND
from lastmetre.common.kafka.subscribers import Work
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.common.service.host import ServiceHost
from lastmetre.metrics.application.count_messages import CountMessages
from lastmetre.metrics.application.count_reports import CountReports
from lastmetre.metrics.application.fold_case_events import CONSUMER, FoldCaseEvents
from lastmetre.metrics.application.keep_areas import KeepAreas

REPORT_TYPES: Final[dict[str, type[Message]]] = {
    kind.TYPE: kind for kind in (ReportAccepted, ReportRejected)
}
DELIVERY_TYPES: Final[dict[str, type[Message]]] = {
    kind.TYPE: kind for kind in (MessageAttempted, MessageDelivered)
}

Read = TypeVar("Read")


class Consumers:
    """What metrics subscribes to, and which use case each batch is for."""

    def __init__(
        self,
        fold_case_events: FoldCaseEvents,
        count_reports: CountReports,
        count_messages: CountMessages,
        keep_areas: KeepAreas,
    ) -> None:
        self._fold_case_events = fold_case_events
        self._count_reports = count_reports
        self._count_messages = count_messages
        self._keep_areas = keep_areas

    def join(self, host: ServiceHost) -> None:
        """Declare the consumers."""
        host.consume(CONSUMER, [CASE_EVENTS], self.cases, LINGER_BACKGROUND)
        host.consume("reports", [REPORTS], self.reports, LINGER_BACKGROUND)
        host.consume("deliveries", [NOTIFY_DELIVERIES], self.deliveries, LINGER_BACKGROUND)
        host.consume("network", [NETWORK_AREAS], self.network)

    async def cases(self, work: Work, records: batches.CaseEvents) -> None:
        """The ledger: read where its order is known, for a record's turn may not have come."""
        await self._fold_case_events(work, records)

    async def reports(self, work: Work, records: batches.Reports) -> None:
        """Accepted and rejected reports."""
        found = _readable(work, records, lambda record: decode(record, REPORT_TYPES))
        await self._count_reports(work, cast("list[ReportAccepted | ReportRejected]", found))

    async def deliveries(self, work: Work, records: batches.Deliveries) -> None:
        """Results of messages; that one is about to be sent is none."""
        found = _readable(work, records, lambda record: decode(record, DELIVERY_TYPES))
        await self._count_messages(work, [each for each in found if type(each) is MessageDelivered])

    async def network(self, work: Work, records: batches.Areas) -> None:
        """Areas that were published or removed."""
        await self._keep_areas(work, _readable(work, records, decode_area_change))


def _readable(
    work: UnitOfWork, records: Sequence[ConsumedRecord], read: Callable[[ConsumedRecord], Read]
) -> list[Read]:
    """What the records say; those that cannot be read become dead letters."""
    found: list[Read] = []
    for record in records:
        try:
            found.append(read(record))
        except BadRecord as error:
            work.dead_letter(record, str(error))
    return found
