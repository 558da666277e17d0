"""Numbers for people are counted by what they print."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastmetre.dispatch.domain.numbers import case_number, counted_day, parse_number


@given(st.dates(), st.dates(), st.integers(1, 10_000_000))
def test_days_that_print_alike_share_a_counter(one: date, other: date, count: int) -> None:
    alike = case_number(one, count) == case_number(other, count)
    assert alike == (counted_day(one) == counted_day(other))


@given(st.dates(), st.integers(1, 999_999_999))
def test_a_number_tells_its_counter(day: date, count: int) -> None:
    assert parse_number(case_number(day, count)) == (counted_day(day), count)


def test_a_century_back_counts_with_today() -> None:
    assert counted_day(date(1926, 11, 22)) == counted_day(date(2026, 11, 22))
    assert counted_day(date(1904, 2, 29)) == date(2004, 2, 29)


@pytest.mark.parametrize(
    "number", ["", "261122", "261122-1", "261322-0001", "x61122-0001", "٢61122-0001"]
)
def test_what_is_no_number_of_ours(number: str) -> None:
    assert parse_number(number) is None
