"""Reports that came without a position, and what their words say of where they are."""

from datetime import UTC, datetime
from typing import Any, Final

import pytest

from lastmetre.common.categories import Categories
from lastmetre.common.contact import ContactCheck
from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.common.gazetteer.finding import LIMITS
from lastmetre.intake.domain.categories import CategoryCodes
from lastmetre.intake.domain.normalise import Normalised, Sent, normalise, with_places
from lastmetre.intake.domain.places_in_words import PlacesInWords
from tests.unit.gazetteer.drawn_map import GAZETTEER, metres_apart

NOW: Final = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
PLACES: Final = PlacesInWords(GAZETTEER, LIMITS)
SOMEWHERE: Final = {"latitude": 24.01, "longitude": 113.01, "accuracy_metres": 20}


def placed(**fields: Any) -> Normalised:
    report = ReportSubmitted.model_validate({"source_id": "1", "category": "x"} | fields)
    made = normalise([Sent("app", report, NOW)], CategoryCodes(Categories([])), ContactCheck("CN"))
    (result,) = with_places(made, PLACES)
    return result


def words_of(made: Normalised) -> list[str]:
    """What its first candidate rests on, cut out of the words as people are shown them."""
    assert made.place_in_words
    said = {"address": made.address or "", "text": made.text or ""}
    spans = made.place_in_words.candidates[0].spans
    return [said[each.said_in][each.start : each.end] for each in spans]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"address": "长安镇振安东路118号"}, ["振安东路118号"]),
        ({"text": "路灯不亮，振安东路118号门口"}, ["振安东路118号"]),
        ({"address": "长安镇", "text": "振安东路118号路灯不亮"}, ["振安东路118号"]),
        ({"address": "振安东路 118 号", "text": "路灯不亮"}, ["振安东路 118 号"]),
        ({"address": "长安镇", "text": "<p>振安东路118号</p>路灯不亮"}, ["振安东路118号"]),
    ],
)
def test_address_and_text_say_it_together(fields: dict[str, str], words: list[str]) -> None:
    made = placed(**fields)
    position, accuracy = made.place
    assert position is not None
    assert metres_apart(position, 1660, 2010) <= 1
    assert accuracy == 30
    assert words_of(made) == words
    assert (made.position, made.accuracy_metres) == (None, None), "which nobody sent"


def test_two_roads_of_one_name_are_candidates_and_no_place() -> None:
    made = placed(text="人民路有积水")
    assert made.place_in_words is not None
    assert made.place_in_words.not_known == "ambiguous"
    ids = {each.places[0].place_id for each in made.place_in_words.candidates}
    assert ids == {"renmin-w", "renmin-e"}
    assert made.place == (None, None)


@pytest.mark.parametrize(
    "fields",
    [
        {"address": "振安东路118号", "position": SOMEWHERE},
        {"text": "路灯不亮"},
        {"address": None, "text": None},
        {"address": "振安东路118号", "category": None, "text": None},
    ],
)
def test_words_are_not_asked_where_they_say_nothing_or_nobody_needs_them(
    fields: dict[str, Any],
) -> None:
    made = placed(**fields)
    assert made.place_in_words is None
    assert made.place == (made.position, made.accuracy_metres)


def test_half_a_position_is_none_and_the_words_are_asked() -> None:
    half = {"latitude": 24.0, "accuracy_metres": 5}
    assert placed(address="振安东路118号", position=half).place[1] == 30
