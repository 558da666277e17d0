"""Numbers of cases as people type them: finding 22 of the inputs that went wrong."""

import pytest

from lastmetre.common.case_numbers import read_case_number


@pytest.mark.parametrize(
    "typed",
    [
        "261201-0001",
        "2612010001",
        "261201 0001",
        "２６１２０１－０００１",
        "261201—0001",
        "261201_0001",
        " #261201-0001 ",
        "No. 261201 - 0001",
        "编号：261201-0001",
        "26 12 01 00 01",
    ],
)
def test_22_every_spelling_of_a_number_is_known(typed: str) -> None:
    assert read_case_number(typed) == "261201-0001"


def test_22_a_long_count_is_kept() -> None:
    assert read_case_number("261201123456") == "261201-123456"


@pytest.mark.parametrize("typed", ["", "lamp", "261201", "1" * 19, "\0", "²⁶¹²⁰¹⁰⁰⁰¹"])
def test_22_what_has_not_the_digits_is_no_number(typed: str) -> None:
    assert read_case_number(typed) is None
