"""Sketch maps: a lead's own areas with numbered cases, and what lies around one case."""

from collections.abc import Callable, Sequence
from functools import lru_cache

from markupsafe import Markup

from lastmetre.common.contracts.case_model import Case
from lastmetre.common.web.svg.geometry import Projection, rings_of
from lastmetre.common.web.svg.maps import AreaMap, Look, Pin
from lastmetre.dispatch.domain.network import Area, Network

WIDTH, HEIGHT, MARGIN = 376, 190, 12
PINS = 30
AROUND_WIDTH, AROUND_HEIGHT = 376, 220
AROUND_METRES = 4000.0


@lru_cache(maxsize=64)
def _prepared(network: Network, mine: tuple[str, ...]) -> AreaMap:
    outlines = {area.area_id: area.outline for area in network.areas.values()}
    points = [point for area_id in mine for ring in rings_of(outlines[area_id]) for point in ring]
    return AreaMap(outlines, Projection.fit(points, WIDTH, HEIGHT, MARGIN), WIDTH, HEIGHT)


def lead_map(
    network: Network,
    mine: Sequence[Area],
    cases: Sequence[Case],
    language: str,
    label: str,
    scale: Callable[[float], str],
) -> Markup | None:
    """The sketch, or None for a lead without an area. Pins are numbered as the list's rows."""
    if not mine:
        return None
    own = {area.area_id for area in mine}
    look = Look(fills=dict.fromkeys(own, "mine"), names=_names(network, language))
    pins = [
        Pin(case.position.longitude, case.position.latitude, str(number), "act")
        for number, case in enumerate(cases[:PINS], start=1)
        if case.position
    ]
    # The first of the list lies on top.
    return _prepared(network, tuple(sorted(own))).draw(label, look, pins=pins[::-1], scale=scale)


def case_map(
    network: Network, case: Case, language: str, label: str, scale: Callable[[float], str]
) -> Markup | None:
    """The surroundings of a case, its area tinted; None without a position or a network."""
    if case.position is None or not network.areas:
        return None
    outlines = {area.area_id: area.outline for area in network.areas.values()}
    here = case.position.longitude, case.position.latitude
    around = AreaMap.around(outlines, here, AROUND_METRES, AROUND_WIDTH, AROUND_HEIGHT)
    held = network.locate([case.position])[0]
    look = Look(fills={held.area_id: "mine"} if held else {}, names=_names(network, language))
    return around.draw(label, look, pins=[Pin(*here, shape="drop")], scale=scale)


def _names(network: Network, language: str) -> dict[str, str]:
    return {area.area_id: getattr(area.name, language) for area in network.areas.values()}
