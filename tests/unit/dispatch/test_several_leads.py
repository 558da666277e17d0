"""A place that is known only roughly, and areas of several leads around it."""

from math import cos, radians
from typing import Any, Final

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from lastmetre.common.contracts.base import Position
from lastmetre.common.contracts.cases import LocalName, PublishedLead
from lastmetre.dispatch.domain.network import Area, Network

NORTH: Final = 111_320.0
EAST: Final = NORTH * cos(radians(24))


def at(east: float, north: float) -> Position:
    return Position(latitude=24 + north / NORTH, longitude=113 + east / EAST)


def box(
    area_id: str, west: float, south: float, east: float, north: float, lead: str | None
) -> Area:
    corners = ((west, south), (east, south), (east, north), (west, north), (west, south))
    ring = [(at(*corner).longitude, at(*corner).latitude) for corner in corners]
    name = LocalName(zh=area_id, en=area_id)
    outline: dict[str, Any] = {"type": "Polygon", "coordinates": [ring]}
    who = PublishedLead(lead_id=lead, name=name, post=name) if lead else None
    return Area(area_id, name, None, outline, who)


CITY: Final = Network(
    1,
    [
        box("west", 0, 0, 1000, 1000, "wang"),
        box("middle", 1000, 0, 2000, 1000, "li"),
        box("east", 2000, 0, 3000, 1000, "li"),
        box("empty", 0, 1000, 3000, 2000, None),
        # The whole of the market lies in the west; what is smaller counts.
        box("market", 200, 200, 400, 400, "zhao"),
    ],
)


@pytest.mark.parametrize(
    ("east", "north", "metres", "area", "several"),
    [
        (900, 500, None, "west", ()),
        (900, 500, 0, "west", ()),
        (900, 500, 99, "west", ()),
        (900, 500, 110, "west", ("west", "middle")),
        (1100, 500, 110, "middle", ("middle", "west")),
        # One lead answers for both.
        (1990, 500, 300, "middle", ()),
        # Nobody else answers for what lies beyond the border in the north, nor outside of the city.
        (1500, 950, 100, "middle", ()),
        (1500, 10, 100, "middle", ()),
        (1500, 1500, 700, "empty", ()),
        (5000, 500, 9000, None, ()),
        # The market counts where it lies, and the west around it, not beneath it.
        (300, 300, 90, "market", ()),
        (300, 300, 110, "market", ("market", "west")),
        (500, 300, 90, "west", ()),
        (500, 300, 110, "west", ("west", "market")),
        (500, 300, 1_000_000, "west", ("west", "market", "middle", "east")),
    ],
)
def test_who_may_answer_within_a_circle(
    east: float, north: float, metres: float | None, area: str | None, several: tuple[str, ...]
) -> None:
    (found,) = CITY.answering([(at(east, north), metres, None)])
    assert (found.area and found.area.area_id) == area
    named = [each.area_id for each in found.several]
    assert (named[:1], set(named)) == ([*several[:1]], set(several))


def test_no_position_is_nobodys() -> None:
    assert [each.area for each in CITY.answering([(None, 50.0, None), (None, None, "west")])] == [
        None,
        None,
    ]


def test_the_area_that_was_named_is_the_one_if_the_position_lies_in_it() -> None:
    """Whoever chose an area said so, however far it reaches."""
    rough = [(at(500, 500), 700.0, "west"), (at(500, 500), 700.0, "middle")]
    named, other = CITY.answering(rough)
    assert (named.area and named.area.area_id, named.several) == ("west", ())
    assert len(other.several) > 1


@given(
    east=st.floats(0, 3000), north=st.floats(0, 1000), metres=st.floats(1, 1500),
    turn=st.floats(0, 6.28), share=st.floats(0, 0.99),
)  # fmt: skip
def test_a_lead_who_is_not_named_answers_for_no_point_of_the_circle(
    east: float, north: float, metres: float, turn: float, share: float
) -> None:
    """Wherever in the circle it is in truth."""
    (found,) = CITY.answering([(at(east, north), metres, None)])
    offset = shapely.Point(share * metres, 0)
    true = shapely.affinity.rotate(offset, turn, origin=(0, 0), use_radians=True)
    (here,) = CITY.locate([at(east + true.x, north + true.y)])
    if here is None or here.lead is None or found.area is None or found.area.lead is None:
        return
    named = {each.lead.lead_id for each in (found.area, *found.several) if each.lead}
    assert here.lead.lead_id in named
