"""Who answers for a spot: areas, their leads, and the lookup of many points at once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, pi, radians, tau
from typing import Any, Final, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from lastmetre.common.contracts.base import Code, Position
from lastmetre.common.contracts.cases import LocalName, PublishedLead

METRES_A_DEGREE: Final = 111_320.0
CORNERS: Final = 32
"""Of the polygon that stands for a circle; it lies around it."""
SLIVER: Final = 1 / METRES_A_DEGREE**2
"""A square metre at the equator: less of a circle in an area is what rounding leaves of borders."""
MOST_NAMED: Final = 5


@dataclass(frozen=True)
class Area:
    """A polygon that somebody answers for; `outline` is GeoJSON on WGS-84."""

    area_id: Code
    name: LocalName
    town: LocalName | None
    outline: Mapping[str, Any]
    lead: PublishedLead | None


class Answering(NamedTuple):
    """The area that a point lies in. `several`: areas that may have it, the one that it lies in
    first, where these have not all the same lead."""

    area: Area | None
    several: tuple[Area, ...] = ()


class Network:
    """The areas of one version, ready for lookups.

    Where areas overlap the smallest one counts, as the most specific; then the lower id.
    """

    def __init__(self, version: int, areas: Sequence[Area]) -> None:
        self.version = version
        self.areas = {area.area_id: area for area in areas}
        outlines = [shapely.from_geojson(json.dumps(area.outline)) for area in areas]
        by_size = sorted(range(len(areas)), key=lambda i: (outlines[i].area, areas[i].area_id))
        self._areas = [areas[i] for i in by_size]
        self._outlines = [outlines[i] for i in by_size]
        shapely.prepare(self._outlines)
        self._tree = shapely.STRtree(self._outlines)

    def locate(self, positions: Sequence[Position | None]) -> list[Area | None]:
        """The area of each position; a point on a border lies in both sides' areas.

        Boxes first, then exact: ten times as fast as a predicate in the tree's own query.
        """
        found: list[Area | None] = [None] * len(positions)
        known = [i for i, position in enumerate(positions) if position is not None]
        if not known or not self._areas:
            return found
        points = [positions[i] for i in known]
        x = np.array([p.longitude for p in points if p])
        y = np.array([p.latitude for p in points if p])
        pairs: NDArray[np.intp] = self._tree.query(shapely.points(x, y))
        order = np.lexsort((pairs[0], pairs[1]))
        for point, area in zip(pairs[0][order], pairs[1][order], strict=True):
            index = known[point]
            if found[index] is None and shapely.intersects_xy(
                self._outlines[area], x[point], y[point]
            ):
                found[index] = self._areas[area]
        return found

    def answering(
        self, places: Sequence[tuple[Position | None, float | None, Code | None]]
    ) -> list[Answering]:
        """Who answers for each position, of which nobody knows it more exactly than by a circle
        of so many metres; None, and 0, is a point. If it lies in the area that its sender named
        (the third), it is that one."""
        found = []
        for (position, metres, named), area in zip(
            places, self.locate([position for position, *_ in places]), strict=True
        ):
            led = area is not None and area.lead is not None and area.area_id != named
            several = self._within(position, metres) if led and position and metres else []
            leads = {each.lead.lead_id for each in several if each.lead}
            if area is None or len(leads) < 2:
                found.append(Answering(area))
                continue
            others = [each for each in several if each is not area and each.lead]
            found.append(Answering(area, (area, *others[: MOST_NAMED - 1])))
        return found

    def _within(self, position: Position, metres: float) -> list[Area]:
        """The areas that count somewhere in a circle, until there are two leads and enough."""
        circle = _circle(position, metres)
        areas: list[Area] = []
        for index in sorted(self._tree.query(circle).tolist()):
            part = shapely.intersection(self._outlines[index], circle)
            if part.area <= SLIVER:
                continue
            areas.append(self._areas[index])
            circle = shapely.difference(circle, part)
            leads = {each.lead.lead_id for each in areas if each.lead}
            if circle.area <= SLIVER or (len(areas) > MOST_NAMED and len(leads) > 1):
                break
        return areas

    def nearest(self, position: Position, most: int) -> list[tuple[Area, float]]:
        """The closest areas that somebody answers for, with the metres to them (0: inside)."""
        metres = np.array([cos(radians(position.latitude)), 1.0]) * METRES_A_DEGREE
        led = [i for i, area in enumerate(self._areas) if area.lead is not None]
        outlines = np.array([self._outlines[i] for i in led], dtype=object)
        point = shapely.Point(position.longitude * metres[0], position.latitude * metres[1])
        away = shapely.distance(shapely.transform(outlines, lambda xy: xy * metres), point)
        closest = np.argsort(away, kind="stable")[:most]
        return [(self._areas[led[i]], float(away[i])) for i in closest]


def _circle(position: Position, metres: float) -> Any:
    """Around a position, in degrees. Near the poles, where no city is, it is too narrow."""
    turn = np.linspace(0, tau, CORNERS, endpoint=False)
    north = metres / METRES_A_DEGREE / cos(pi / CORNERS)
    east = north / max(cos(radians(position.latitude)), 0.01)
    x = position.longitude + np.cos(turn) * east
    y = position.latitude + np.sin(turn) * north
    return shapely.Polygon(np.column_stack([x, y]))
