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
DISC = 16
"""Pixels across."""
AROUND_WIDTH, AROUND_HEIGHT = 376, 220
AROUND_METRES = 4000.0


Spot = tuple[float, float]
"""Longitude and latitude."""


@lru_cache(maxsize=64)
def _prepared(network: Network, mine: tuple[str, ...], further: tuple[Spot, ...]) -> AreaMap:
    outlines = {area.area_id: area.outline for area in network.areas.values()}
    points = [point for area_id in mine for ring in rings_of(outlines[area_id]) for point in ring]
    projection = Projection.fit([*points, *further], WIDTH, HEIGHT, MARGIN)
    return AreaMap(outlines, projection, WIDTH, HEIGHT)


def lead_map(
    network: Network,
    mine: Sequence[Area],
    cases: Sequence[tuple[Case, bool]],
    language: str,
    label: str,
    scale: Callable[[float], str],
) -> Markup | None:
    """The sketch, or None for a lead without an area.

    `cases` are the list's rows, each with whether it is urgent; pins have their numbers. A case
    outside the areas is on the map, too, and none lies on another.
    """
    if not mine:
        return None
    own = {area.area_id for area in mine}
    spots = [
        (case.position.longitude, case.position.latitude) if case.position else None
        for case, _ in cases[:PINS]
    ]
    held = network.locate([case.position for case, _ in cases[:PINS]])
    outside = {
        spot for spot, area in zip(spots, held, strict=True)
        if spot and (area is None or area.area_id not in own)
    }  # fmt: skip
    drawn = _prepared(network, tuple(sorted(own)), tuple(sorted(outside)))
    look = Look(fills=dict.fromkeys(own, "mine"), names=_names(network, language))
    pins: list[Pin] = []
    for number, ((_, urgent), spot) in enumerate(zip(cases, spots, strict=False), start=1):
        if spot:
            apart = _apart(drawn.projection, spot, [(pin.lng, pin.lat) for pin in pins])
            pins.append(Pin(*apart, str(number), "over" if urgent else "act"))
    # The first of the list lies on top.
    return drawn.draw(label, look, pins=pins[::-1], scale=scale)


def _apart(projection: Projection, spot: Spot, others: Sequence[Spot]) -> Spot:
    """The spot, or the closest place to its right where its number does not hide another."""
    x, y = projection.xy(*spot)
    taken = [projection.xy(*each) for each in others]
    while any(abs(x - left) < DISC and abs(y - top) < DISC for left, top in taken):
        x += DISC
    return projection.lng_lat(x, y)


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
