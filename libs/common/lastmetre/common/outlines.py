"""Outlines of areas from outside: GeoJSON polygons on WGS-84 that every service can use."""

import json
from typing import Any, Final, NamedTuple

import shapely

OUTLINE_BYTES: Final = 1_000_000
"""An area is one Kafka record of at most 1 MiB, in which its names and its lead stand, too."""


class BadOutline(ValueError):
    """Says what is wrong."""


class Outline(NamedTuple):
    """An outline as shapely knows it, and as it is published."""

    shape: Any
    geometry: dict[str, Any]


def read_outline(geometry: object) -> Outline:
    """The outline in a GeoJSON geometry, without parts that are empty; raises BadOutline."""
    if not isinstance(geometry, dict):
        raise BadOutline("not GeoJSON")
    kept = _without_empty_parts(geometry)
    written = json.dumps(kept, separators=(",", ":"))
    if len(written) > OUTLINE_BYTES:
        raise BadOutline(
            f"{len(written):,} bytes of GeoJSON, more than {OUTLINE_BYTES:,}: draw it with fewer"
            " points, for example by `mapshaper -simplify 10%` or `ogr2ogr -simplify`, or with"
            " fewer decimals"
        )
    try:
        shape = shapely.from_geojson(written)
    except (shapely.errors.GEOSException, ValueError, TypeError) as error:
        raise BadOutline("not GeoJSON") from error
    if shape is None or shape.geom_type not in ("Polygon", "MultiPolygon") or shape.is_empty:
        raise BadOutline("not a polygon")
    west, south, east, north = shape.bounds
    if west < -180 or east > 180 or south < -90 or north > 90:
        raise BadOutline("not degrees of longitude and latitude")
    if not shape.is_valid:
        raise BadOutline(shapely.is_valid_reason(shape))
    return Outline(shape, kept)


def _without_empty_parts(geometry: dict[str, Any]) -> dict[str, Any]:
    """Editors leave empty rings behind; GeoJSON allows none."""
    coordinates = geometry.get("coordinates")
    if not isinstance(coordinates, list):
        return geometry
    if geometry.get("type") == "MultiPolygon":
        parts = [_rings(part) for part in coordinates]
        return {**geometry, "coordinates": [part for part in parts if part]}
    if geometry.get("type") == "Polygon":
        return {**geometry, "coordinates": _rings(coordinates)}
    return geometry


def _rings(polygon: Any) -> Any:
    """Without its outer ring, the first, a polygon is nothing."""
    if not isinstance(polygon, list) or not polygon:
        return polygon
    return [ring for ring in polygon if ring != []] if polygon[0] != [] else []
