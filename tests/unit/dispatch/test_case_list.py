"""What the centre's filter finds, and what its address says (A12)."""

import pytest

from lastmetre.common.contracts.vault import ReportText
from lastmetre.dispatch.adapters.postgres.case_list import CaseFilter
from lastmetre.dispatch.application.case_list import matches
from lastmetre.dispatch.entrypoints.web.centre import ListQuery

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
    assert asked.query() == asked.query(page=1) == "view=open&lead=L1"
    assert asked.query(page=4) == "view=open&lead=L1&page=4"
    assert asked.query(view="closed") == "view=closed&lead=L1"
    assert (asked.filtered, ListQuery(view="open").filtered) == (True, False)


@pytest.mark.parametrize(
    ("number", "case", "chosen"),
    [("", "", None), (" 261122-0001 ", "x", "261122-0001"), ("", "261122-0002", "261122-0002")],
)
def test_a_typed_number_goes_before_a_chosen_case(
    number: str, case: str, chosen: str | None
) -> None:
    assert ListQuery(number=number, case=case).chosen == chosen
