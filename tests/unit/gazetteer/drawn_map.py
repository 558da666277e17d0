"""A small city, drawn by hand on a grid of metres: two towns side by side, ten kilometres wide."""

from typing import Any, Final

import shapely

from lastmetre.common.contracts.base import Position
from lastmetre.common.contracts.cases import LocalName
from lastmetre.common.gazetteer.model import Gazetteer, HouseNumber, Place, PlaceKind

# At 24° north a degree of longitude has 111,320 × cos 24° metres.
EAST: Final = 101_696.0
NORTH: Final = 111_320.0
WEST_EDGE, SOUTH_EDGE = 113.0, 23.955
"""So that the middle of the map lies at 24° north."""


def degrees(east: float, north: float) -> tuple[float, float]:
    return WEST_EDGE + east / EAST, SOUTH_EDGE + north / NORTH


def metres_apart(position: Position, east: float, north: float) -> float:
    longitude, latitude = degrees(east, north)
    x = (position.longitude - longitude) * EAST
    return float((x**2 + ((position.latitude - latitude) * NORTH) ** 2) ** 0.5)


def box(west: float, south: float, east: float, north: float) -> Any:
    return shapely.box(*degrees(west, south), *degrees(east, north))


def line(*points: tuple[float, float]) -> Any:
    return shapely.LineString([degrees(*point) for point in points])


def point(east: float, north: float) -> Any:
    return shapely.Point(degrees(east, north))


def place(
    place_id: str, kind: PlaceKind, shape: Any, zh: str, en: str = "", *aliases: str,
    numbers: dict[int, tuple[float, float]] | None = None,
) -> Place:  # fmt: skip
    houses = (HouseNumber(number, *degrees(*at)) for number, at in (numbers or {}).items())
    return Place(place_id, kind, LocalName(zh=zh, en=en or zh), shape, aliases, tuple(houses))


PLACES: Final = [
    place("city", PlaceKind.CITY, box(0, 0, 10_000, 10_000), "莞城市", "Guancheng"),
    place("changan", PlaceKind.TOWN, box(0, 0, 5000, 10_000), "长安镇", "Chang'an Town"),
    place("humen", PlaceKind.TOWN, box(5000, 0, 10_000, 10_000), "虎门镇", "Humen Town"),
    place("xiagang", PlaceKind.COMMUNITY, box(0, 0, 2500, 5000), "厦岗社区", "Xiagang", "厦岗"),
    place("garden", PlaceKind.QUARTER, box(3000, 6000, 3400, 6300), "金桂花园", "Jingui Garden"),
    place(
        "zhenan", PlaceKind.ROAD, line((500, 2000), (3500, 2000)), "振安东路", "Zhen'an East Road",
        "Zhenan East Road",
        numbers={
            2: (500, 2010), 118: (1660, 2010), 300: (3480, 2010),
            1: (500, 1990), 299: (3480, 1990),
        },
    ),
    place("renmin-w", PlaceKind.ROAD, line((1000, 4000), (2000, 4000)), "人民路", "People's Road"),
    place("renmin-e", PlaceKind.ROAD, line((7000, 4000), (8000, 4000)), "人民路", "People's Road"),
    place("west-1", PlaceKind.ROAD, line((6000, 8000), (6800, 8000)), "西一路", "West First Road"),
    place("bridge-1", PlaceKind.ROAD, line((1000, 8000), (1600, 8000)), "桥西一路"),
    place("main", PlaceKind.ROAD, line((1000, 1500), (1000, 3000)), "主街", "Main Street",
          numbers={12: (1010, 1700), 40: (1010, 2900)}),
    place("haupt", PlaceKind.ROAD, line((8000, 1000), (8600, 1000)), "Hauptstraße",
          numbers={7: (8100, 1000), 11: (8300, 1000)}),
    place("temple", PlaceKind.LANDMARK, point(1600, 2100), "文庙牌坊", "the Wenmiao archway"),
    place("station", PlaceKind.LANDMARK, point(9000, 9000), "东站", "East Station"),
    place("brook", PlaceKind.WATER, line((4000, 0), (4000, 900)), "云溪", "Yun Brook"),
]  # fmt: skip

GAZETTEER: Final = Gazetteer(PLACES, "drawn")
