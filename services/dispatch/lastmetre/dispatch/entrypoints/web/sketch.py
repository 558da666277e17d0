"""Sketch maps: a lead's own areas with numbered cases, and what lies around one case."""

from collections.abc import Callable, Sequence
from functools import lru_cache

from markupsafe import Markup

from lastmetre.common.contracts.case_model import Case
from lastmetre.common.web.svg.geometry import Projection, rings_of
from lastmetre.common.web.svg.maps import PIN_RADIUS, AreaMap, Look, Pin
from lastmetre.dispatch.domain.network import Area, Network

WIDTH, HEIGHT, MARGIN = 376, 190, 12
PINS = 30
AROUND_WIDTH, AROUND_HEIGHT = 376, 220
AROUND_METRES = 4000.0
CIRCLES_ACROSS = 3.0
"""How often the radius of doubt goes into the width of the map."""
CITY_HEIGHT = 300


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
    cases: Sequence[tuple[Case, bool, float | None]],
    language: str,
    label: str,
    scale: Callable[[float], str],
) -> Markup | None:
    """The sketch, or None for a lead without an area.

    `cases` are the list's rows, each with whether it is urgent, and how far off its place may be
    where that is rough: there is a circle round its number then. A case outside the areas is on the
    map, too, and none lies on another.
    """
    if not mine:
        return None
    own = {area.area_id for area in mine}
    spots = [
        (case.position.longitude, case.position.latitude) if case.position else None
        for case, _, _ in cases[:PINS]
    ]
    held = network.locate([case.position for case, _, _ in cases[:PINS]])
    outside = {
        spot for spot, area in zip(spots, held, strict=True)
        if spot and (area is None or area.area_id not in own)
    }  # fmt: skip
    drawn = _prepared(network, tuple(sorted(own)), tuple(sorted(outside)))
    look = Look(fills=dict.fromkeys(own, "mine"), names=_names(network, language))
    pins: list[Pin] = []
    circles: list[Pin] = []
    for number, ((_, urgent, within), spot) in enumerate(zip(cases, spots, strict=False), start=1):
        if spot and within:
            circles.append(Pin(*spot, shape="drop", within_metres=within))
        if spot:
            apart = _apart(drawn.projection, spot, [(pin.lng, pin.lat) for pin in pins])
            pins.append(Pin(*apart, str(number), "over" if urgent else "act"))
    # The first of the list lies on top.
    return drawn.draw(label, look, pins=[*circles, *pins[::-1]], scale=scale)


def _apart(projection: Projection, spot: Spot, others: Sequence[Spot]) -> Spot:
    """The spot, or the closest place to its right where its number does not hide another."""
    x, y = projection.xy(*spot)
    taken = [projection.xy(*each) for each in others]
    across = 2 * PIN_RADIUS
    while any(abs(x - left) < across and abs(y - top) < across for left, top in taken):
        x += across
    return projection.lng_lat(x, y)


def case_map(
    network: Network,
    case: Case,
    within_metres: float | None,
    language: str,
    label: str,
    scale: Callable[[float], str],
    *,
    pick: bool = False,
) -> Markup | None:
    """The surroundings of a case, its area tinted; with a circle where its place is rough.

    Without a position the whole city, if somebody can point at one there (`pick`), else None.
    """
    if not network.areas or (case.position is None and not pick):
        return None
    outlines = {area.area_id: area.outline for area in network.areas.values()}
    names = _names(network, language)
    if case.position is None:
        city = AreaMap.fit(outlines, AROUND_WIDTH, CITY_HEIGHT)
        return city.draw(label, Look(names=names), scale=scale, pick=True)
    here = case.position.longitude, case.position.latitude
    across = max(AROUND_METRES, CIRCLES_ACROSS * (within_metres or 0))
    around = AreaMap.around(outlines, here, across, AROUND_WIDTH, AROUND_HEIGHT)
    held = network.locate([case.position])[0]
    look = Look(fills={held.area_id: "mine"} if held else {}, names=names)
    pins = [Pin(*here, shape="drop", within_metres=within_metres)]
    return around.draw(label, look, pins=pins, scale=scale, pick=pick)


def _names(network: Network, language: str) -> dict[str, str]:
    return {area.area_id: getattr(area.name, language) for area in network.areas.values()}
