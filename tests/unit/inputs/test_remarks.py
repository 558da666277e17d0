"""What a sender is told at once: findings 6, 11, 20 and 23 of the inputs that went wrong."""

from datetime import UTC, datetime

import pytest

from lastmetre.common.contact import NO_PHONE, ContactCheck
from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.common.web.problem import FieldProblem
from lastmetre.intake.domain.remarks import NO_POSITION, NOT_BELIEVED, remarks

NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)


def told(**fields: object) -> list[FieldProblem]:
    report = ReportSubmitted.model_validate({"source_id": "1", "text": "x"} | fields)
    return remarks(report, check=ContactCheck("CN"), now=NOW)


def test_nothing_is_remarked_about_a_report_that_is_taken_as_it_is() -> None:
    position = {"latitude": 24.08, "longitude": 112.92}
    assert told(position=position, contact={"phone": "13800001111"}, reported_at=NOW) == []


def test_20_0_0_and_23_a_clock_at_1970_and_6_an_unusable_phone_are_said_by_field() -> None:
    found = told(
        position={"latitude": 0, "longitude": 0},
        reported_at="1970-01-01T00:00:07Z",
        contact={"phone": "无"},
    )
    assert found == [
        {"pointer": "/position", "message": NO_POSITION},
        {"pointer": "/reported_at", "message": NOT_BELIEVED},
        {"pointer": "/contact/phone", "message": NO_PHONE},
    ]


@pytest.mark.parametrize("position", [{"latitude": 24.08}, {"longitude": 113.1, "latitude": None}])
def test_20_half_a_position_is_said(position: dict[str, float | None]) -> None:
    assert told(position=position) == [{"pointer": "/position", "message": NO_POSITION}]


def test_23_history_that_is_imported_keeps_its_time() -> None:
    assert told(reported_at="2018-01-01T00:00:00Z", origin="import") == []
