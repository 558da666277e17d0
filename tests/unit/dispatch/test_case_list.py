"""What the centre's filter finds, and what its address says (A12)."""

import pytest

from lastmetre.common.contracts.vault import ReportText
from lastmetre.dispatch.application.case_list import Searched, matches
from lastmetre.dispatch.domain.case_filter import CaseFilter
from lastmetre.dispatch.entrypoints.web.centre import ListQuery, searched_words

SAID = ReportText(
    text="The Lamp is out", address="滨江路 128 号", phone_masked="138****8000", reachable=True
)


@pytest.mark.parametrize("words", ["lamp", "滨江路", "8000", "13812348000", "138 1234-8000"])
def test_found(words: str) -> None:
    assert matches(SAID, words)


@pytest.mark.parametrize("words", ["bench", "8001", "000", "13912348000", "13812348001"])
def test_not_found(words: str) -> None:
    assert not matches(SAID, words)


def test_what_the_vault_does_not_tell_is_not_found() -> None:
    assert not matches(None, "lamp")


def test_an_address_says_what_is_chosen_and_no_more() -> None:
    asked = ListQuery(view="open", lead="L1", page=3, case="261122-0001")
    assert asked.filter == CaseFilter("open", None, "L1", None, None)
    assert asked.query() == asked.on_page(1) == "view=open&lead=L1"
    assert asked.on_page(4) == "view=open&lead=L1&page=4"
    assert asked.query(view="closed") == "view=closed&lead=L1"
    assert (asked.filtered, ListQuery(view="open").filtered) == (True, False)


def test_other_cases_are_searched_only_where_the_address_says_so() -> None:
    asked = ListQuery(words="lamp", page=2, searched=1000)
    assert asked.query(searched=2000) == "view=waiting&words=lamp&searched=2000"
    assert asked.query() == "view=waiting&words=lamp"


@pytest.mark.parametrize(
    ("searched", "first", "last", "following", "before"),
    [
        (Searched(0, 1000, True, True), 1, 1000, "searched=1000", ""),
        (Searched(1000, 400, False, True), 1001, 1400, "", "view=waiting&words=lamp"),
    ],
)
def test_how_many_were_searched_and_where_the_others_are(
    searched: Searched, first: int, last: int, following: str, before: str
) -> None:
    said = searched_words("/centre", ListQuery(words="lamp"), searched)
    assert said is not None
    assert (said["first"], said["last"]) == (first, last)
    assert said["next"].endswith(following)
    assert bool(said["next"]) is bool(following)
    assert said["previous"].partition("?")[2] == before


def test_of_a_view_that_was_searched_whole_nothing_is_said() -> None:
    asked = ListQuery(words="lamp")
    assert searched_words("/centre", asked, Searched(0, 40, False, True)) is None
    assert searched_words("/centre", asked, None) is None
    away = searched_words("/centre", asked, Searched(0, 40, False, False))
    assert away is not None
    assert not away["could_be_read"]


@pytest.mark.parametrize(
    ("number", "case", "chosen"),
    [("", "", None), (" 261122-0001 ", "x", "261122-0001"), ("", "261122-0002", "261122-0002")],
)
def test_a_typed_number_goes_before_a_chosen_case(
    number: str, case: str, chosen: str | None
) -> None:
    assert ListQuery(number=number, case=case).chosen == chosen
