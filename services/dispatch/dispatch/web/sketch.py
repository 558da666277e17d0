"""The sketch map over a worklist: the lead's own areas, tinted, with numbered cases."""

from collections.abc import Sequence
from functools import lru_cache

from markupsafe import Markup

from common.web.svg.geometry import Projection, rings_of
from common.web.svg.maps import AreaMap, Look, Pin
from dispatch.domain.case import Case
from dispatch.domain.network import Area, Network

WIDTH, HEIGHT, MARGIN = 640, 236, 12
PINS = 30


@lru_cache(maxsize=64)
def _prepared(network: Network, mine: tuple[str, ...]) -> AreaMap:
    outlines = {area.area_id: area.outline for area in network.areas.values()}
    points = [point for area_id in mine for ring in rings_of(outlines[area_id]) for point in ring]
    return AreaMap(outlines, Projection.fit(points, WIDTH, HEIGHT, MARGIN), WIDTH, HEIGHT)


def lead_map(
    network: Network, mine: Sequence[Area], cases: Sequence[Case], language: str, label: str
) -> Markup | None:
    """The sketch, or None for a lead without an area. Pins are numbered as the list's rows."""
    if not mine:
        return None
    own = {area.area_id for area in mine}
    look = Look(
        fills=dict.fromkeys(own, "mine"),
        names={area.area_id: getattr(area.name, language) for area in network.areas.values()},
    )
    pins = [
        Pin(case.position.longitude, case.position.latitude, str(number), "act")
        for number, case in enumerate(cases[:PINS], start=1)
        if case.position
    ]
    return _prepared(network, tuple(sorted(own))).draw(label, look, pins=pins)
