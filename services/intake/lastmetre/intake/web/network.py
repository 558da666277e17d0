"""The published network of areas, kept drawn: for the form's map and the progress page's."""

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from lastmetre.common.contracts.network import AreaPublished
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.svg.geometry import Point, label_place, rings_of
from lastmetre.common.web.svg.maps import AreaMap
from lastmetre.intake.store import areas as store
from lastmetre.intake.store.pool import connected

LOOK_EVERY_SECONDS: Final = 3.0
_AROUND_KEPT: Final = 256
_AROUND_METRES: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Drawn:
    """The areas at one version, and the map of all of them (none without areas)."""

    areas: dict[str, AreaPublished]
    city: AreaMap | None
    around: "OrderedDict[Point, AreaMap]"

    def near(self, centre: Point) -> AreaMap:
        """What lies around `centre` (longitude, latitude); the last few are kept."""
        found = self.around.get(centre)
        if found is None:
            outlines = {area_id: area.outline for area_id, area in self.areas.items()}
            found = self.around[centre] = AreaMap.around(outlines, centre, _AROUND_METRES, 358, 180)
            if len(self.around) > _AROUND_KEPT:
                self.around.popitem(last=False)
        return found


NOTHING_DRAWN: Final = Drawn({}, None, OrderedDict())


class Network:
    """Draws the areas anew only when they have changed."""

    def __init__(self, host: ServiceHost) -> None:
        self._host = host
        self._stamp: tuple[int, int] | None = None
        self._looked_at = 0.0
        self._drawn = NOTHING_DRAWN

    async def drawn(self) -> Drawn:
        """The network as it stood a few seconds ago at most."""
        if time.monotonic() - self._looked_at < LOOK_EVERY_SECONDS:
            return self._drawn
        async with connected(self._host.pool) as connection:
            stamp = await store.stamp(connection)
            if stamp != self._stamp:
                areas = {area.area_id: area for area in await store.everything(connection)}
                outlines = {area_id: area.outline for area_id, area in areas.items()}
                city = AreaMap.fit(outlines, 400, 330) if areas else None
                self._drawn = Drawn(areas, city, OrderedDict())
                self._stamp = stamp
        self._looked_at = time.monotonic()
        return self._drawn


def point_inside(area: AreaPublished) -> Point:
    """A position (longitude, latitude) in the area: for reports that name no closer one."""
    place = label_place(list(rings_of(area.outline)), 1e-6)
    return place.x, place.y
