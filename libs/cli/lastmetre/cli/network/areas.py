"""Areas from GeoJSON: checked one by one, and against each other."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from lastmetre.cli.network.findings import Findings
from lastmetre.common.contracts.reports import Datum
from lastmetre.common.geojson import BadGeoJson, features_of, on_wgs84
from lastmetre.common.outlines import BadOutline, read_outline

EARTH_RADIUS_METRES: Final = 6_371_008.8
SMALLEST_OVERLAP_SQUARE_METRES: Final = 1.0
"""Borders drawn twice overlap in slivers that mean nothing."""
SHOWN_OVERLAPS: Final = 10


@dataclass(frozen=True)
class Properties:
    """Which properties of a feature hold what. Names that are not there fall back: on the other
    language, then on the id."""

    area_id: str
    name_zh: str = "name_zh"
    name_en: str = "name_en"
    town_zh: str = "town_zh"
    town_en: str = "town_en"


@dataclass(frozen=True)
class Area:
    """An area as it stands in the file; names are {zh, en}."""

    area_id: str
    name: dict[str, str]
    town: dict[str, str] | None
    outline: dict[str, Any]


def read_areas(
    document: Any, properties: Properties, findings: Findings, datum: Datum = Datum.WGS84
) -> list[Area]:
    """The areas of a FeatureCollection drawn on `datum`, brought to WGS-84.

    Those that cannot be used are among the errors.
    """
    try:
        features = features_of(document)
    except BadGeoJson as error:
        findings.errors.append(str(error))
        return []
    areas: dict[str, Area] = {}
    shapes: list[Any] = []
    for number, feature in enumerate(features, start=1):
        try:
            area, shape = _read(feature, properties, datum)
        except ValueError as error:
            findings.errors.append(f"feature {number}: {error}")
            continue
        if area.area_id in areas:
            findings.errors.append(f"feature {number}: the id {area.area_id!r} is there twice")
            continue
        areas[area.area_id] = area
        shapes.append(shape)
    findings.warnings.extend(_overlaps(list(areas), shapes))
    return list(areas.values())


def _read(feature: Any, properties: Properties, datum: Datum) -> tuple[Area, Any]:
    """Raises ValueError with what is wrong."""
    if not isinstance(feature, dict) or not isinstance(feature.get("properties"), dict):
        raise ValueError("not a feature with properties")
    held = feature["properties"]
    area_id = _text(held, properties.area_id)
    if area_id is None:
        raise ValueError(
            f"no property {properties.area_id!r}; it has {', '.join(sorted(map(str, held)))}"
        )
    try:
        outline = read_outline(feature.get("geometry"))
        if datum is not Datum.WGS84:
            shifted = on_wgs84(outline.shape, datum)
            outline = read_outline(json.loads(shapely.to_geojson(shifted)))
    except BadOutline as error:
        raise ValueError(f"{area_id}: the geometry is not usable: {error}") from error
    name = _local(held, properties.name_zh, properties.name_en)
    town = _local(held, properties.town_zh, properties.town_en)
    return (
        Area(area_id, name or {"zh": area_id, "en": area_id}, town, outline.geometry),
        outline.shape,
    )


def _text(held: Mapping[str, Any], name: str) -> str | None:
    value = held.get(name)
    return str(value).strip() or None if isinstance(value, str | int | float) else None


def _local(held: Mapping[str, Any], name_zh: str, name_en: str) -> dict[str, str] | None:
    zh, en = _text(held, name_zh), _text(held, name_en)
    if zh is None and en is None:
        return None
    return {"zh": zh or en or "", "en": en or zh or ""}


def square_metres(shapes: Sequence[Any]) -> NDArray[np.object_]:
    """WGS-84 shapes on a plane in metres that keeps areas (Lambert's cylindrical projection)."""

    def project(points: NDArray[np.float64]) -> NDArray[np.float64]:
        radians = np.radians(points)
        return EARTH_RADIUS_METRES * np.column_stack((radians[:, 0], np.sin(radians[:, 1])))

    projected: NDArray[np.object_] = shapely.transform(np.array(shapes, dtype=object), project)
    return projected


def _overlaps(area_ids: Sequence[str], shapes: Sequence[Any]) -> list[str]:
    if not shapes:
        return []
    plane = square_metres(shapes)
    first, second = shapely.STRtree(plane).query(plane, predicate="intersects")
    pairs = first < second
    left, right = first[pairs], second[pairs]
    common = shapely.area(shapely.intersection(plane[left], plane[right]))
    found = sorted(
        (
            (float(size), area_ids[i], area_ids[j])
            for size, i, j in zip(common, left, right, strict=True)
            if size >= SMALLEST_OVERLAP_SQUARE_METRES
        ),
        reverse=True,
    )
    told = [f"areas {i} and {j} overlap by {size:,.0f} m²" for size, i, j in found[:SHOWN_OVERLAPS]]
    if len(found) > SHOWN_OVERLAPS:
        told.append(f"{len(found) - SHOWN_OVERLAPS} more pairs of areas overlap by less")
    return told
