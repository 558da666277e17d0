"""What a sender is told about a report that is taken, but not as it was sent."""

from datetime import datetime
from typing import Final

from lastmetre.common.contact import ContactCheck
from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.common.web.problem import FieldProblem
from lastmetre.intake.domain.normalise import Sent, not_believed, point_of

NO_POSITION: Final = (
    "0,0 or half of a point is taken as no position: the command centre looks for the place"
)
NOT_BELIEVED: Final = (
    "More than a year ago: the time when the report was received counts. History is sent with"
    ' "origin": "import"'
)


def remarks(report: ReportSubmitted, *, check: ContactCheck, now: datetime) -> list[FieldProblem]:
    """Each as `pointer` and `message`, as errors are told; nothing of the report is repeated."""
    found: list[FieldProblem] = []
    if report.position and point_of(report.position) is None:
        found.append({"pointer": "/position", "message": NO_POSITION})
    if not_believed(Sent("", report, now)):
        found.append({"pointer": "/reported_at", "message": NOT_BELIEVED})
    if report.contact:
        found += [
            {"pointer": f"/contact/{each.field}", "message": each.message}
            for each in check.remarks(report.contact.phone, report.contact.email)
        ]
    return found
