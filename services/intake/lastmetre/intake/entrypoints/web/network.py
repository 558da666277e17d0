"""The published network of areas, kept drawn: for the form's map and the progress page's."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot
from typing import Final

from lastmetre.common.contracts.network import AreaPublished
from lastmetre.common.web.svg.geometry import Point, Projection, label_place, rings_of
from lastmetre.common.web.svg.maps import AreaMap
from lastmetre.intake.application.keep_network import PublishedNetwork

_AROUND_KEPT: Final = 256
_AROUND_METRES: Final = 1000.0
_AROUND_CIRCLE: Final = 4.5
"""How wide a map is that shows a circle of doubt, in its radii."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The areas at one version, and the map of all of them (none without areas)."""

    areas: Mapping[str, AreaPublished]
    city: AreaMap | None
    around: "OrderedDict[tuple[Point, float], AreaMap]"

    def near(self, centre: Point, within_metres: float) -> AreaMap:
        """What lies around `centre` (longitude, latitude) and a circle there; the last few are
        kept."""
        metres = max(_AROUND_METRES, _AROUND_CIRCLE * within_metres)
        found = self.around.get((centre, metres))
        if found is None:
            outlines = {area_id: area.outline for area_id, area in self.areas.items()}
            found = AreaMap.around(outlines, centre, metres, 358, 180)
            self.around[centre, metres] = found
            if len(self.around) > _AROUND_KEPT:
                self.around.popitem(last=False)
        return found


NOTHING_DRAWN: Final = Drawn({}, None, OrderedDict())


class Network:
    """Draws the areas anew only when they have changed."""

    def __init__(self, published: PublishedNetwork) -> None:
        self._published = published
        self._drawn = NOTHING_DRAWN

    async def drawn(self) -> Drawn:
        """The network as it stood a few seconds ago at most."""
        areas = await self._published()
        if areas is not self._drawn.areas:
            outlines = {area_id: area.outline for area_id, area in areas.items()}
            city = AreaMap.fit(outlines, 400, 330) if areas else None
            self._drawn = Drawn(areas, city, OrderedDict())
        return self._drawn


@dataclass(frozen=True, slots=True)
class Middle:
    """A position in an area, and how far from it the area reaches."""

    longitude: float
    latitude: float
    reach_metres: float


def middle_of(area: AreaPublished) -> Middle:
    """What is known of the place of a report that names its area alone."""
    rings = list(rings_of(area.outline))
    place = label_place(rings, 1e-6)
    centre = (place.x, place.y)
    # One metre a pixel, the position at (0, 0).
    metres = Projection.around(centre, 1.0, 1.0, 1.0)
    x, y = metres.xy(*centre)
    corners = (metres.xy(*point) for ring in rings for point in ring)
    return Middle(*centre, max(hypot(a - x, b - y) for a, b in corners))
