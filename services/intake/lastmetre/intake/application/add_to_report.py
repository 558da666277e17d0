"""Something more about a report, from its reporter."""

from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.common.service.host import ServiceHost
from lastmetre.intake.adapters.postgres import cases, reports
from lastmetre.intake.adapters.postgres.pool import connected
from lastmetre.intake.application.submit_reports import SubmitReports
from lastmetre.intake.domain.additions import AT_MOST, NOTES, CannotAdd
from lastmetre.intake.domain.case_view import state_of
from lastmetre.intake.domain.progress import ENDED


class AddToReport:
    """Sends a note as its channel sends a report: it has the report's own identity."""

    def __init__(self, host: ServiceHost, submit: SubmitReports) -> None:
        self._host = host
        self._submit = submit

    async def __call__(self, identity: bytes, note: str) -> None:
        """Once Kafka has it. Raises CannotAdd and NotAcknowledged."""
        async with connected(self._host.pool) as connection:
            followed = await cases.followed(connection, identity)
            origin = await reports.origin_of(connection, followed.report_id) if followed else None
            later = await reports.conflicts(connection, [followed.report_id]) if followed else []
        if len(later) >= AT_MOST:
            raise CannotAdd("much_already")
        if origin is None or state_of(followed) in ENDED:
            raise CannotAdd("not_now")
        report = ReportSubmitted(source_id=origin.source_id, sub_channel=NOTES, text=note)
        await self._submit(Channel(origin.channel), origin.sender, [report], None)
