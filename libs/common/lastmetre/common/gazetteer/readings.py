"""What each name in a text may mean on the map: shapes on a plane in metres."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import cos, radians
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from lastmetre.common.contracts.base import Position
from lastmetre.common.contracts.place_in_words import MatchedBy
from lastmetre.common.gazetteer.model import ENCLOSING, Place, PlaceKind
from lastmetre.common.gazetteer.names import Mention
from lastmetre.common.gazetteer.numbers import Along, Written, along

METRES_A_DEGREE: Final = 111_320.0
POINT_METRES: Final = 60.0
"""Who names a landmark stands near it."""
CROSSING_METRES: Final = 40.0
MEETING_METRES: Final = 60.0
"""Roads whose lines come as near as this meet there."""
BORDER_METRES: Final = 150.0
"""Names of towns and communities are used a little beyond their borders."""
SMALLEST_METRES: Final = 30.0


class Plane:
    """Degrees on WGS-84 as metres around the middle of a city."""

    def __init__(self, latitude: float) -> None:
        self._metres = np.array([cos(radians(latitude)), 1.0]) * METRES_A_DEGREE

    def of(self, shape: Any) -> Any:
        """A shape, or an array of shapes, in metres."""
        return shapely.transform(shape, self._to_metres)

    def position(self, point: Any) -> Position:
        """Where a point is."""
        longitude, latitude = np.array([point.x, point.y]) / self._metres
        return Position(latitude=round(float(latitude), 7), longitude=round(float(longitude), 7))

    def _to_metres(self, degrees: NDArray[np.float64]) -> NDArray[np.float64]:
        return degrees * self._metres


class Drawn:
    """A place on the plane, with its house numbers in ascending order."""

    def __init__(self, place: Place, plane: Plane) -> None:
        self.place = place
        self.shape = plane.of(place.shape)
        self.numbers = [
            (each.number, plane.of(shapely.Point(each.longitude, each.latitude)))
            for each in sorted(place.numbers)
        ]
        self.middle = middle(self.shape)
        self.reach = reach(self.middle, self.shape)
        enclosing = place.kind in ENCLOSING
        self.around = self.shape.buffer(BORDER_METRES) if enclosing else self.shape
        shapely.prepare(self.around)


@dataclass(frozen=True)
class Reading:
    """One meaning of one or two mentions: `point` within `metres` of all of `shape`."""

    mentions: tuple[int, ...]
    place_ids: tuple[str, ...]
    matched_by: MatchedBy
    shape: Any
    point: Any
    metres: float
    number_missing: bool = False


def reading_of(
    mention: int, drawn: Drawn, written: Written | None, within: Sequence[Any]
) -> Reading:
    """What a mention means if it means this place: of a road its house, or what of it lies in
    those places that the text names around it."""
    place_id, kind = drawn.place.place_id, drawn.place.kind
    if kind is PlaceKind.ROAD and written is not None:
        house = along(written.number, drawn.numbers, drawn.shape)
        if house is not None:
            return _house(mention, place_id, house)
    shape, point, metres = drawn.shape, drawn.middle, drawn.reach
    if kind in (PlaceKind.ROAD, PlaceKind.WATER):
        for around in within:
            if around.covers(shape):
                continue
            part = shapely.intersection(shape, around)
            if not part.is_empty:
                shape, point = part, middle(part)
                metres = reach(point, part)
    least = POINT_METRES if kind is PlaceKind.LANDMARK else SMALLEST_METRES
    return Reading(
        (mention,), (place_id,), kind.value, shape, point, max(metres, least),
        number_missing=kind is PlaceKind.ROAD and written is not None,
    )  # fmt: skip


def _house(mention: int, place_id: str, house: Along) -> Reading:
    by: MatchedBy = "house_number" if house.exact else "between_house_numbers"
    return Reading((mention,), (place_id,), by, house.point, house.point, house.accuracy_metres)


def crossings(mentions: Sequence[Mention], drawn: dict[str, Drawn]) -> Iterator[Reading]:
    """Where two roads that a text names meet."""
    for (i, first), (j, second) in combinations(enumerate(mentions), 2):
        for one in first.places:
            for other in second.places:
                if one.kind is not PlaceKind.ROAD or other.kind is not PlaceKind.ROAD:
                    continue
                if one.place_id == other.place_id:
                    continue
                a, b = drawn[one.place_id].shape, drawn[other.place_id].shape
                if shapely.distance(a, b) > MEETING_METRES:
                    continue
                yield _crossing((i, j), (one.place_id, other.place_id), a, b)


def _crossing(mentions: tuple[int, int], place_ids: tuple[str, str], a: Any, b: Any) -> Reading:
    met = shapely.intersection(a, b)
    if met.is_empty:
        met = shapely.shortest_line(a, b)
    point = middle(met)
    metres = max(reach(point, met), CROSSING_METRES)
    return Reading(mentions, place_ids, "crossing", met, point, metres)


def middle(shape: Any) -> Any:
    """The point of a shape that is nearest to its middle."""
    centre = shapely.minimum_bounding_circle(shape).centroid
    return shapely.shortest_line(shape, centre).interpolate(0.0)


def reach(point: Any, shape: Any) -> float:
    """How far the farthest point of a shape is, metres."""
    return float(np.hypot(*(shapely.get_coordinates(shape) - (point.x, point.y)).T).max())


def farther(reading: Reading, metres: float) -> Reading:
    """The same with more doubt."""
    return replace(reading, metres=reading.metres + metres) if metres else reading
