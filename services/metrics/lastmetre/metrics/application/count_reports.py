"""Reports are counted by what intake made of them, a batch at a time."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from lastmetre.common.contracts.reports import ReportAccepted, ReportRejected
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.metrics.adapters.postgres.report_and_message_counts import Report, add_reports


class CountReports:
    """In the batch's transaction; each report counts once. `zone` is the city's."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone

    async def __call__(
        self, work: UnitOfWork, reports: Sequence[ReportAccepted | ReportRejected]
    ) -> None:
        """A report counts on the local day on which it was reported."""
        counted = [
            Report(
                each.report_id,
                each.channel,
                each.origin,
                each.reported_at.astimezone(self._zone).date(),
                isinstance(each, ReportAccepted),
                each.reasons if isinstance(each, ReportRejected) else (),
            )
            for each in reports
        ]
        if counted:
            await add_reports(work.connection, counted)
