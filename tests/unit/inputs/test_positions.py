"""Positions as senders write them: spellings of datums, texts that are blank or are numbers."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from lastmetre.common.contracts.reports import Datum, SubmittedPosition


@pytest.mark.parametrize(
    ("sent", "datum"),
    [
        ("gcj02", Datum.GCJ02), ("GCJ-02", Datum.GCJ02), ("GCJ_02", Datum.GCJ02),
        ("gcj 02", Datum.GCJ02), ("BD09", Datum.BD09), ("BD-09", Datum.BD09),
        ("bd09ll", Datum.BD09), ("WGS84", Datum.WGS84), ("WGS-84", Datum.WGS84),
        ("EPSG:4326", Datum.WGS84), ("CGCS2000", Datum.WGS84), ("EPSG:4490", Datum.WGS84),
    ],
)  # fmt: skip
def test_a_datum_in_its_usual_spellings(sent: str, datum: Datum) -> None:
    assert SubmittedPosition.model_validate({"datum": sent}).datum is datum
    assert SubmittedPosition.model_validate_json(json.dumps({"datum": sent})).datum is datum


@pytest.mark.parametrize("sent", ["", "mars", "gcj03", "bd", 7, None])
def test_another_word_is_no_datum(sent: Any) -> None:
    with pytest.raises(ValidationError):
        SubmittedPosition.model_validate({"datum": sent})


def test_what_is_blank_is_not_there() -> None:
    sent = {"latitude": "", "longitude": " ", "accuracy_metres": ""}
    assert SubmittedPosition.model_validate_json(json.dumps(sent)) == SubmittedPosition()
    half = SubmittedPosition.model_validate({"latitude": "23.1", "longitude": ""})
    assert (half.latitude, half.longitude) == (23.1, None)
    with pytest.raises(ValidationError):
        SubmittedPosition.model_validate({"latitude": "north"})
