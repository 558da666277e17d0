"""What staff are told of a place found in a report's words, and of one that is too rough."""

from typing import Final

from tests.unit.dispatch.staff_pages import person, shown, steps

from lastmetre.common.contracts.base import SYSTEM, Position
from lastmetre.common.contracts.cases import CaseUnplaced
from lastmetre.common.contracts.place_in_words import (
    NamedPlace,
    NotKnown,
    PlaceCandidate,
    PlaceInWords,
    WordsSpan,
)
from lastmetre.common.security.callers import Role

IN_LIBRARY: Final = Position(latitude=0.5, longitude=0.5)


def candidate(zh: str, en: str, confidence: float) -> PlaceCandidate:
    return PlaceCandidate(
        places=(NamedPlace(place_id=en, zh=zh, en=en),), matched_by="road", position=IN_LIBRARY,
        accuracy_metres=120, confidence=confidence,
        spans=(WordsSpan(said_in="address", start=0, end=3),),
    )  # fmt: skip


def found(not_known: NotKnown | None, *candidates: PlaceCandidate) -> PlaceInWords:
    return PlaceInWords(gazetteer="abc", not_known=not_known, candidates=candidates)


FIRST, SECOND = (
    candidate("人民路", "People's Road", 0.45),
    candidate("人民街", "People's Street", 0.4),
)


async def test_places_that_the_words_may_mean_are_candidates_and_no_fact() -> None:
    case = steps(
        (CaseUnplaced, SYSTEM, {"reason": "no_position"}), words=found("ambiguous", FIRST, SECOND)
    )
    page = await shown("case.html", case, person(Role.OPERATOR))
    for words in (
        "Its words may mean several places.", "People&#39;s Road", "People&#39;s Street",
        "45% sure", "within 120\N{NO-BREAK SPACE}m",
    ):  # fmt: skip
        assert words in page
    assert "Marked on the map" not in page


async def test_a_place_from_words_is_not_said_to_have_been_marked() -> None:
    sure = candidate("人民路", "People's Road", 0.95)
    unplaced = (CaseUnplaced, SYSTEM, {"reason": "several_leads", "area_ids": ["A1", "A9"]})
    case = steps(unplaced, position=IN_LIBRARY, words=found(None, sure))
    page = await shown("case.html", case, person(Role.OPERATOR))
    assert "Found in its words: People&#39;s Road" in page
    assert "found in its words" in page
    assert "Marked on the map" not in page
    assert "Library area · A9" in page
    assert "not known exactly enough" in page
    assert "checked" not in page, "nobody is chosen beforehand"


async def test_a_place_that_was_marked_is_said_to_be() -> None:
    case = steps((CaseUnplaced, SYSTEM, {"reason": "area_without_lead"}), position=IN_LIBRARY)
    page = await shown("case.html", case, person(Role.OPERATOR))
    assert "Marked on the map" in page
    assert "in its words" not in page
