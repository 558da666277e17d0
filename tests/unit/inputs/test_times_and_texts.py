"""Times and texts from outside: findings 8, 9, 30 and 32 of the inputs that went wrong."""

from datetime import UTC, date, datetime

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from lastmetre.common.contracts.base import BYTE_ORDER_MARK, Day
from lastmetre.common.contracts.cases import LocalName
from lastmetre.common.contracts.reports import ReportSubmitted, SubmittedContact
from lastmetre.common.contracts.requests import ActionRequested, FeedbackGiven
from lastmetre.common.text import cleaned, one_line
from lastmetre.common.web.forms import Typed

NO_TIMES = ["20261130", "0", 0, 20261130, 1793318400.5, True, "2026-11-30", "2026-11-30T08:00:00"]


@pytest.mark.parametrize("sent", NO_TIMES)
def test_8_only_rfc_3339_with_a_zone_is_an_instant(sent: object) -> None:
    with pytest.raises(ValidationError) as raised:
        ReportSubmitted.model_validate({"source_id": "8", "text": "x", "reported_at": sent})
    (error,) = raised.value.errors()
    assert error["loc"] == ("reported_at",)
    assert "RFC 3339" in error["msg"]


@pytest.mark.parametrize("model", [ActionRequested, FeedbackGiven])
def test_8_partners_records_hold_no_numbers_as_instants(
    model: type[ActionRequested | FeedbackGiven],
) -> None:
    with pytest.raises(ValidationError) as raised:
        model.from_json(b'{"occurred_at":"20261130"}')
    assert "rfc_3339" in {each["type"] for each in raised.value.errors()}


@pytest.mark.parametrize(
    "sent",
    [
        "2026-11-30T08:00:00Z",
        "2026-11-30T16:00:00+08:00",
        "2026-11-30 16:00:00.000+08:00",
        "2026-11-30t08:00:00z",
        datetime(2026, 11, 30, 8, tzinfo=UTC),
    ],
)
def test_8_every_spelling_of_rfc_3339_is_one(sent: object) -> None:
    report = ReportSubmitted.model_validate({"source_id": "8", "text": "x", "reported_at": sent})
    assert report.reported_at == datetime(2026, 11, 30, 8, tzinfo=UTC)


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\u2028", "\x85", "\v", "\n\n", " \t "])
def test_9_names_are_one_line(line_break: str) -> None:
    typed = f" Bai{line_break}Yun"
    assert LocalName(zh="白云", en=typed).en == "Bai Yun"
    assert SubmittedContact(name=typed).name == "Bai Yun"
    assert one_line(typed) == "Bai Yun"


def test_30_a_byte_order_mark_before_a_record_is_passed_over() -> None:
    body = BYTE_ORDER_MARK + '{"source_id":"30","text":"灯"}'.encode()
    assert ReportSubmitted.from_json(body).text == "灯"


def test_32_a_vertical_tab_is_a_line_break_and_other_control_characters_are_nothing() -> None:
    report = ReportSubmitted.model_validate(
        from_json(rb'{"source_id":"32","text":"lamp\u000bbroken\u0000\u0007","address":"1\u000c2"}')
    )
    assert report.text == "lamp\nbroken"
    assert report.address == "1\n2"
    assert TypeAdapter(Typed).validate_python(" lamp\x0bbroken\0") == "lamp\nbroken"
    assert cleaned("a\r\nb\rc\td") == "a\nb\nc\td"


def test_32_a_control_character_in_a_code_is_refused() -> None:
    with pytest.raises(ValidationError):
        ReportSubmitted(source_id="a\vb", text="x")


@pytest.mark.parametrize("sent", ["1793318400", 1793318400, "20261130", "2026-11-30T08:00:00"])
def test_8_a_day_is_no_number_either(sent: object) -> None:
    with pytest.raises(ValidationError, match="2026-11-30"):
        TypeAdapter(Day).validate_python(sent)
    assert TypeAdapter(Day).validate_python("2026-11-30") == date(2026, 11, 30)
