"""A case without a place suggests the areas that its words name (A13)."""

import pytest
from tests.unit.dispatch.staff_pages import LI, RING

from lastmetre.common.contracts.cases import LocalName
from lastmetre.dispatch.domain.network import Area
from lastmetre.dispatch.domain.suggestions import named_in

OUTLINE = {"type": "Polygon", "coordinates": [RING]}
WU = LocalName(zh="青坞镇", en="Qingwu")
MARKET = Area("market", LocalName(zh="墟集社区", en="Market"), WU, OUTLINE, LI)
OLD_MARKET = Area("old", LocalName(zh="老墟集片区", en="Old Market area"), None, OUTLINE, LI)
NOBODY = Area("nobody", LocalName(zh="墟集北村", en="North"), WU, OUTLINE, None)
AREAS = [OLD_MARKET, NOBODY, MARKET]


@pytest.mark.parametrize(
    ("words", "areas"),
    [
        (["青坞镇墟集社区门口"], ["market"]),
        (["老墟集路口"], ["old", "market"]),
        (["青塢鎮墟集社區"], ["market"]),
        (["ＯＬＤ  market"], ["old", "market"]),
        ([None, "near the OLD MARKET"], ["old", "market"]),
        (["青坞镇"], []),
        (["滨江路", None], []),
        ([], []),
    ],
)
def test_named(words: list[str | None], areas: list[str]) -> None:
    assert [area.area_id for area in named_in(words, AREAS, 3)] == areas


def test_no_more_than_asked_for() -> None:
    assert [area.area_id for area in named_in(["老墟集"], AREAS, 1)] == ["old"]
