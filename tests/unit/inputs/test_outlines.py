"""Outlines of areas: findings 12 and 17 of the inputs that went wrong."""

import json
import math
from typing import Any

import pytest

from lastmetre.cli.network.areas import Properties, read_areas
from lastmetre.cli.network.findings import Findings
from lastmetre.common.contracts.network import AreaPublished
from lastmetre.common.contracts.reports import Datum
from lastmetre.common.contracts.topics import MESSAGE_BYTES
from lastmetre.common.outlines import OUTLINE_BYTES, BadOutline, read_outline
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.svg.geometry import rings_of
from lastmetre.dispatch.entrypoints.api import AreaBody, checked_area

SQUARE = [[112.9, 24.0], [113.0, 24.0], [113.0, 24.1], [112.9, 24.1], [112.9, 24.0]]


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def parts(*polygons: Any) -> dict[str, Any]:
    return {"type": "MultiPolygon", "coordinates": list(polygons)}


def circle(points: int) -> dict[str, Any]:
    angles = [2 * math.pi * at / points for at in (*range(points), 0)]
    return polygon([[113 + math.cos(a) / 9, 24 + math.sin(a) / 9] for a in angles])


@pytest.mark.parametrize(
    ("sent", "published"),
    [
        (parts([SQUARE], [[]]), parts([SQUARE])),
        (parts([SQUARE], []), parts([SQUARE])),
        (parts([[]], [SQUARE, []]), parts([SQUARE])),
        (polygon(SQUARE, []), polygon(SQUARE)),
        (polygon(SQUARE), polygon(SQUARE)),
    ],
)
def test_12_an_empty_part_is_dropped_before_an_outline_is_published(
    sent: dict[str, Any], published: dict[str, Any]
) -> None:
    assert read_outline(sent).geometry == published
    assert checked_area(area(sent)).outline == published
    assert list(rings_of(sent)) == list(rings_of(published))


@pytest.mark.parametrize(
    ("geometry", "reason"),
    [
        (None, "not GeoJSON"),
        ([], "not GeoJSON"),
        ({"type": "Polygon"}, "not GeoJSON"),
        (polygon([]), "not a polygon"),
        (polygon([], SQUARE), "not a polygon"),
        (parts([[]], []), "not a polygon"),
        (parts(1, [SQUARE]), "not GeoJSON"),
        ({"type": "Point", "coordinates": [113, 24]}, "not a polygon"),
        (polygon([[y, x] for x, y in SQUARE]), "not degrees"),
        (polygon([SQUARE[0], SQUARE[2], SQUARE[1], SQUARE[3], SQUARE[0]]), "Self-intersection"),
    ],
)
def test_12_what_is_no_outline_is_refused_with_its_reason(geometry: Any, reason: str) -> None:
    with pytest.raises(BadOutline, match=reason):
        read_outline(geometry)


def test_17_an_outline_above_the_limit_names_its_area_and_the_way_out() -> None:
    large = circle(30_000)
    with pytest.raises(Problem) as raised:
        checked_area(area(large))
    assert raised.value.status == 422
    assert raised.value.extra["area_id"] == "yq-0101"
    assert "simplify" in raised.value.extra["reason"]

    findings = Findings()
    features = [
        {"type": "Feature", "properties": {"id": area_id}, "geometry": geometry}
        for area_id, geometry in (("yq-0101", large), ("yq-0102", polygon(SQUARE)))
    ]
    read = read_areas({"features": features}, Properties("id"), findings)
    assert [each.area_id for each in read] == ["yq-0102"]
    (error,) = findings.errors
    assert "yq-0101" in error
    assert "simplify" in error


def test_17_the_largest_outline_that_is_taken_fits_into_a_record() -> None:
    geometry = circle(24_000)
    assert 0.9 * OUTLINE_BYTES < len(json.dumps(geometry, separators=(",", ":"))) <= OUTLINE_BYTES
    message = AreaPublished.model_validate(
        {
            "area_id": "x" * 120,
            "name": {"zh": "灯" * 500, "en": "灯" * 500},
            "town": {"zh": "灯" * 500, "en": "灯" * 500},
            "outline": read_outline(geometry).geometry,
            "network_version": 1,
        }
    )
    assert len(message.to_json()) < MESSAGE_BYTES - 32 * 1024


@pytest.mark.parametrize("datum", ["gcj02", "bd09"])
def test_29_areas_drawn_on_another_datum_are_brought_to_wgs84(datum: str) -> None:
    """Against a check vector of GCJ-02 and BD-09 from elsewhere."""
    drawn = {"gcj02": (113.756993, 23.017977), "bd09": (113.763407, 23.024311)}[datum]
    corner = [[*drawn], [drawn[0] + 0.01, drawn[1]], [drawn[0], drawn[1] + 0.01], [*drawn]]
    findings = Findings()
    (area,) = read_areas(collection(polygon(corner)), Properties("id"), findings, Datum(datum))
    assert not findings.errors
    assert area.outline["coordinates"][0][0] == pytest.approx([113.7518, 23.0207], abs=2e-6)


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("urn:ogc:def:crs:OGC:1.3:CRS84", True),
        ("urn:ogc:def:crs:EPSG::4490", True),
        ("EPSG:4326", True),
        ("urn:ogc:def:crs:EPSG::3857", False),
        ("EPSG:2326", False),
    ],
)
def test_29_a_file_that_says_that_it_is_on_something_else_is_refused(
    name: str, taken: bool
) -> None:
    findings = Findings()
    crs = {"crs": {"type": "name", "properties": {"name": name}}}
    read = read_areas(collection(polygon(SQUARE)) | crs, Properties("id"), findings)
    assert (len(read), len(findings.errors)) == ((1, 0) if taken else (0, 1))
    assert taken or "EPSG:4326" in findings.errors[0]


def collection(geometry: dict[str, Any]) -> dict[str, Any]:
    feature = {"type": "Feature", "properties": {"id": "yq-0101"}, "geometry": geometry}
    return {"type": "FeatureCollection", "features": [feature]}


def area(outline: dict[str, Any]) -> AreaBody:
    return AreaBody.model_validate(
        {"area_id": "yq-0101", "name": {"zh": "一", "en": "One"}, "outline": outline}
    )
