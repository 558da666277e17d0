"""No number of a lead's map hides another or is off it (A9)."""

import re
from itertools import combinations
from math import dist

from tests.unit.dispatch.staff_pages import LIBRARY, REGISTERED_CASE

from lastmetre.common.contracts.base import Position
from lastmetre.dispatch.domain.network import Network
from lastmetre.dispatch.entrypoints.web.sketch import HEIGHT, WIDTH, lead_map

NETWORK = Network(1, [LIBRARY])


def drawn_map(*positions: tuple[float, float]) -> str:
    cases = [
        (REGISTERED_CASE._replace(position=Position(latitude=lat, longitude=lng)), False, None)
        for lng, lat in positions
    ]
    return str(lead_map(NETWORK, [LIBRARY], cases, "en", "map", lambda metres: f"{metres} m"))


def discs(*positions: tuple[float, float]) -> dict[str, tuple[float, float]]:
    found = re.findall(
        r'<text class="m-num"[^>]*?x="([\d.-]+)" y="([\d.-]+)"[^>]*>(\d+)<', drawn_map(*positions)
    )
    return {number: (float(x), float(y)) for x, y, number in found}


def test_cases_at_one_spot_have_discs_beside_each_other() -> None:
    spots = ((0.5, 0.5),) * 3
    radii = {float(r) for r in re.findall(r'class="m-disc[^>]*? r="([\d.]+)"', drawn_map(*spots))}
    assert len(radii) == 1
    places = list(discs(*spots).values())
    assert len(places) == 3
    for one, other in combinations(places, 2):
        assert dist(one, other) >= 2 * max(radii) - 0.2  # drawn to a tenth of a pixel


def test_a_case_outside_the_area_is_on_the_map() -> None:
    for x, y in discs((0.5, 0.5), (3.0, 0.5)).values():
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT


def test_a_rough_place_is_a_circle() -> None:
    """B6: a sharp pin alone would say more than anybody knows."""
    case = REGISTERED_CASE._replace(position=Position(latitude=0.5, longitude=0.5))
    for within, circles in ((None, 0), (1000.0, 1)):
        drawn = lead_map(NETWORK, [LIBRARY], [(case, False, within)], "en", "map", str)
        assert str(drawn).count("m-within") == circles
