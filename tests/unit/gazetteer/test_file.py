"""Gazetteers that people hand in."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from lastmetre.common.gazetteer.file import GazetteerError, read_gazetteer
from lastmetre.common.gazetteer.model import PlaceKind
from lastmetre.devstack.home import SAMPLE_CITY

LINE: Final = {"type": "LineString", "coordinates": [[113.0, 24.0], [113.01, 24.0]]}
POINT: Final = {"type": "Point", "coordinates": [113.005, 24.0001]}
BOW: Final = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}
ROAD: Final = {"place_id": "r1", "kind": "road", "name_zh": "振安东路"}
HOUSE: Final = {"kind": "house_number", "road": "r1", "number": 118}


def feature(geometry: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def written(folder: Path, *features: Any, **members: Any) -> Path:
    path = folder / "gazetteer.geojson"
    document = {"type": "FeatureCollection", "features": list(features), **members}
    path.write_text(json.dumps(document, ensure_ascii=False), "utf-8")
    return path


def test_a_road_with_its_houses(tmp_path: Path) -> None:
    path = written(
        tmp_path, feature(POINT, **HOUSE),
        feature(LINE, **ROAD, name_en="Zhen'an East Road", aliases=["振安路"]),
    )  # fmt: skip
    held = read_gazetteer(path)
    (road,) = held.places
    assert (road.kind, road.names) == (PlaceKind.ROAD, ("振安东路", "Zhen'an East Road", "振安路"))
    assert [tuple(each) for each in road.numbers] == [(118, 113.005, 24.0001)]
    other = read_gazetteer(written(tmp_path, feature(LINE, **ROAD)))
    assert (len(held.version), held.version == other.version) == (16, False)


def test_what_is_drawn_on_gcj02_is_brought_to_wgs84(tmp_path: Path) -> None:
    """By DOMAIN.md's check vector."""
    at = {"type": "Point", "coordinates": [113.756993, 23.017977]}
    held = {"place_id": "m", "kind": "landmark", "name_zh": "市政府"}
    (place,) = read_gazetteer(written(tmp_path, feature(at, **held), datum="gcj02")).places
    assert (place.shape.y, place.shape.x) == pytest.approx((23.0207, 113.7518), abs=2e-6)


@pytest.mark.parametrize(
    ("features", "members", "says"),
    [
        ([], {}, "not a GeoJSON FeatureCollection"),
        ([feature(LINE, **ROAD)], {"datum": "mars"}, "'mars' is not a valid Datum"),
        ([feature(LINE, **ROAD)], {"crs": {"name": "EPSG:3857"}}, "ogr2ogr"),
        (["road"], {}, "feature 1: not a feature"),
        ([feature(LINE, **ROAD | {"kind": "street"})], {}, "kind is one of city, town"),
        ([feature(POINT, **ROAD)], {}, "feature 1: its geometry is no LineString or Multi"),
        ([feature(None, **ROAD)], {}, "its geometry is no LineString"),
        ([feature(BOW, **ROAD | {"kind": "town"})], {}, "Self-intersection"),
        ([feature({"type": "LineString", "coordinates": [[500, 1], [2, 1]]}, **ROAD)], {},
         "not in degrees"),
        ([feature(LINE, **ROAD | {"name_zh": " "})], {}, "name_zh is one line of 1 to 100"),
        ([feature(LINE, **ROAD | {"name_zh": "a\nb"})], {}, "name_zh is one line"),
        ([feature(LINE, **ROAD | {"place_id": "a b"})], {}, "place_id is 1 to 100 letters"),
        ([feature(LINE, **ROAD | {"aliases": "振安路"})], {}, "aliases is a list"),
        ([feature(LINE, **ROAD | {"alias": "振安路"})], {}, "nobody knows 'alias'"),
        ([feature(LINE, **ROAD)] * 2, {}, "feature 2: the id 'r1' is there twice"),
        ([feature(LINE, **ROAD), feature(POINT, **HOUSE | {"number": "118"})], {},
         "feature 2: number is a whole one"),
        ([feature(LINE, **ROAD), *[feature(POINT, **HOUSE)] * 2], {},
         "feature 3: number 118 of 'r1' is there twice"),
        ([feature(LINE, **ROAD), feature(POINT, **HOUSE | {"road": "r2"})], {},
         "houses of 'r2', and no road has that id"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_feature(
    tmp_path: Path, features: list[Any], members: dict[str, Any], says: str
) -> None:
    with pytest.raises(GazetteerError) as told:
        read_gazetteer(written(tmp_path, *features, **members))
    assert says in str(told.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    wrong = [feature(POINT, **ROAD | {"place_id": f"r{number}"}) for number in range(30)]
    with pytest.raises(GazetteerError) as told:
        read_gazetteer(written(tmp_path, *wrong))
    assert len(told.value.problems) == 31
    assert "and 11 more" in str(told.value)


def test_a_file_that_is_no_json(tmp_path: Path) -> None:
    path = tmp_path / "gazetteer.geojson"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(GazetteerError, match="not JSON in UTF-8"):
        read_gazetteer(path)


def test_the_sample_citys_can_be_used() -> None:
    places = read_gazetteer(SAMPLE_CITY / "gazetteer.geojson").places
    assert {each.kind for each in places} == set(PlaceKind)
