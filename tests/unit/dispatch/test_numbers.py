"""Numbers for people are counted by what they print."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastmetre.dispatch.domain.numbers import case_number, counted_day, parse_number

DRAWN = st.integers(0, 999)


@given(st.dates(), st.dates(), st.integers(1, 10_000_000))
def test_days_that_print_alike_share_a_counter(one: date, other: date, count: int) -> None:
    alike = case_number(one, count, 583) == case_number(other, count, 583)
    assert alike == (counted_day(one) == counted_day(other))


@given(st.dates(), st.integers(1, 999_999_999), DRAWN)
def test_a_number_tells_its_counter(day: date, count: int, drawn: int) -> None:
    assert parse_number(case_number(day, count, drawn)) == (counted_day(day), count)


@given(DRAWN, DRAWN)
def test_no_two_counts_have_one_number(one: int, other: int) -> None:
    day = date(2026, 11, 22)
    counts = (1, 58, 9999, 10_000, 10_001, 99_999, 100_000)
    assert len({case_number(day, count, one) for count in counts}) == len(counts)
    assert case_number(day, 9999, one) != case_number(day, 99_999, other)


@pytest.mark.parametrize(
    ("number", "count"),
    [("261122-0418", 418), ("261122-12345", 12345), ("261122-999999", 999_999)],
)
def test_numbers_of_before_are_counts_alone(number: str, count: int) -> None:
    assert parse_number(number) == (date(2026, 11, 22), count)


def test_the_next_number_is_one_of_a_thousand() -> None:
    day = date(2026, 11, 22)
    assert case_number(day, 418, 7) == "261122-0418007"
    assert case_number(day, 10_000, 999) == "261122-10000999"


def test_a_century_back_counts_with_today() -> None:
    assert counted_day(date(1926, 11, 22)) == counted_day(date(2026, 11, 22))
    assert counted_day(date(1904, 2, 29)) == date(2004, 2, 29)


@pytest.mark.parametrize(
    "number", ["", "261122", "261122-1", "261322-0001", "x61122-0001", "٢61122-0001"]
)
def test_what_is_no_number_of_ours(number: str) -> None:
    assert parse_number(number) is None
