"""Which cases near a case may be of the same problem; distances from the literature."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.dispatch.staff_pages import NOW, REGISTERED_CASE

from lastmetre.common.contracts.base import Position
from lastmetre.common.contracts.case_model import Case
from lastmetre.common.contracts.cases import CaseState
from lastmetre.dispatch.domain.likeness import Nearness, alike, likeness, metres_between

HERE = Position(latitude=23.0, longitude=113.75)
NEAR = Nearness(60, timedelta(days=7))
PLACES = st.builds(
    Position,
    latitude=st.floats(min_value=-80, max_value=80),
    longitude=st.floats(min_value=-180, max_value=180),
)


def case(count: int, **facts: Any) -> Case:
    placed: dict[str, Any] = {"position": HERE, "reported_at": NOW}
    return REGISTERED_CASE._replace(case_id=UUID(int=count), **(placed | facts))


def north(metres: float) -> Position:
    """So far north: a nautical mile, 1852 m, is a minute of latitude."""
    return Position(latitude=HERE.latitude + metres / 1852 / 60, longitude=HERE.longitude)


def east(metres: float) -> Position:
    """So far east: at 23° north a degree is 102.52 km (WGS-84)."""
    return Position(latitude=HERE.latitude, longitude=HERE.longitude + metres / 102_524)


@pytest.mark.parametrize("metres", [0, 5, 60, 1000])
@pytest.mark.parametrize("moved", [north, east])
def test_how_far_apart_two_places_are(metres: float, moved: Any) -> None:
    assert metres_between(HERE, moved(metres)) == pytest.approx(metres, rel=0.005, abs=1e-6)


@given(PLACES, PLACES)
def test_it_is_the_same_both_ways(one: Position, other: Position) -> None:
    assert metres_between(one, other) == metres_between(other, one) >= 0


def test_across_the_line_of_date_is_near() -> None:
    one = Position(latitude=0, longitude=179.9999)
    other = Position(latitude=0, longitude=-179.9999)
    assert metres_between(one, other) == pytest.approx(22.264, abs=0.1)


def test_what_is_near_in_place_and_time_the_likeliest_first() -> None:
    own = case(1)
    closed = case(2, state=CaseState.CLOSED, position=north(1))
    farther, closer = case(3, position=north(50)), case(4, position=east(20))
    other_kind = case(5, category="E99")
    far, long_ago = case(6, position=north(70)), case(7, reported_at=NOW - timedelta(days=8))
    nowhere = case(8, position=None)
    every = [own, closed, farther, closer, other_kind, far, long_ago, nowhere]
    found = [each.case for each in alike(own, every, NEAR, 10)]
    assert found == [closer, farther, closed, other_kind]
    assert [each.case for each in alike(own, every, NEAR, 2)] == [closer, farther]


def test_what_speaks_for_it() -> None:
    found = likeness(case(1), case(2, position=None, reported_at=NOW - timedelta(hours=2)))
    assert (found.metres, found.apart, found.same_kind) == (None, timedelta(hours=2), True)
