"""Reads a gazetteer from GeoJSON, and tells its mistakes with the features where they stand."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import shapely

from lastmetre.common.contracts.cases import LocalName
from lastmetre.common.contracts.reports import Datum
from lastmetre.common.gazetteer.model import Gazetteer, HouseNumber, Place, PlaceKind
from lastmetre.common.geojson import BadGeoJson, features_of, on_wgs84

HOUSE: Final = "house_number"
"""The kind of a feature that is no place of its own: a house of a road."""
_OUTLINE: Final = frozenset({"Polygon", "MultiPolygon"})
_LINE: Final = frozenset({"LineString", "MultiLineString"})
GEOMETRIES: Final[Mapping[str, frozenset[str]]] = {
    **{kind.value: _OUTLINE for kind in PlaceKind},
    PlaceKind.ROAD.value: _LINE,
    PlaceKind.LANDMARK.value: _OUTLINE | {"Point"},
    PlaceKind.WATER.value: _OUTLINE | _LINE,
    HOUSE: frozenset({"Point"}),
}
"""What the features of each kind may be."""
KNOWN: Final = frozenset({"place_id", "kind", "name_zh", "name_en", "aliases", "road", "number"})
_ID: Final = re.compile(r"[^\s]{1,100}")
_DIGEST_LETTERS: Final = 16
_SHOWN: Final = 20
_LONGEST_NAME: Final = 100
_HIGHEST_NUMBER: Final = 99_999


class GazetteerError(ValueError):
    """A gazetteer that cannot be used, with everything that is wrong."""

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        more = len(self.problems) - _SHOWN
        told = "".join(f"\n  {each}" for each in self.problems[:_SHOWN])
        super().__init__(
            f"the gazetteer {path}:{told}" + (f"\n  and {more:,} more" if more > 0 else "")
        )


def read_gazetteer(path: Path) -> Gazetteer:
    """The gazetteer in a GeoJSON file. Raises OSError, or GazetteerError with all mistakes.

    A FeatureCollection, in degrees on WGS-84 unless its member `datum` says another. Properties of
    a place: `place_id`, `kind`, `name_zh`, and if there are any `name_en` and a list of `aliases`;
    of a house: `kind` house_number, the `road`'s id, and its `number`.
    """
    content = path.read_bytes()
    try:
        document = json.loads(content.decode("utf-8-sig"))
        features = features_of(document)
        datum = Datum(document.get("datum", Datum.WGS84))
    except BadGeoJson as error:
        raise GazetteerError(path, [str(error)]) from error
    except ValueError as error:
        raise GazetteerError(path, [f"is not JSON in UTF-8, or of no datum: {error}"]) from error
    reading = _Reading(datum)
    for number, feature in enumerate(features, start=1):
        try:
            reading.add(feature)
        except ValueError as error:
            reading.problems.append(f"feature {number}: {error}")
    places = reading.places()
    if reading.problems:
        raise GazetteerError(path, reading.problems)
    return Gazetteer(places, hashlib.sha256(content).hexdigest()[:_DIGEST_LETTERS])


class _Reading:
    """Places as they come, and the houses of roads."""

    def __init__(self, datum: Datum) -> None:
        self._datum = datum
        self._places: dict[str, Place] = {}
        self._houses: dict[str, dict[int, HouseNumber]] = {}
        self.problems: list[str] = []

    def add(self, feature: Any) -> None:
        """Raises ValueError with what is wrong."""
        held = feature.get("properties") if isinstance(feature, dict) else None
        if not isinstance(held, dict):
            raise ValueError("not a feature with properties")
        kind = held.get("kind")
        if not isinstance(kind, str) or kind not in GEOMETRIES:
            raise ValueError(f"kind is one of {', '.join(GEOMETRIES)}, not {kind!r}")
        if unknown := sorted(set(held) - KNOWN):
            raise ValueError(f"nobody knows {', '.join(map(repr, unknown))}")
        shape = self._shape(feature.get("geometry"), kind)
        if kind == HOUSE:
            self._add_house(held, shape)
        else:
            self._add_place(held, PlaceKind(kind), shape)

    def places(self) -> list[Place]:
        """All, roads with their houses; houses of roads that are not there are problems."""
        for road_id in self._houses:
            road = self._places.get(road_id)
            if road is None or road.kind is not PlaceKind.ROAD:
                self.problems.append(f"houses of {road_id!r}, and no road has that id")
        if not self._places:
            self.problems.append("no feature is a place")
        return [self._with_houses(each) for each in self._places.values()]

    def _with_houses(self, place: Place) -> Place:
        houses = tuple(self._houses.get(place.place_id, {}).values())
        return Place(place.place_id, place.kind, place.name, place.shape, place.aliases, houses)

    def _shape(self, geometry: Any, kind: str) -> Any:
        try:
            shape = shapely.from_geojson(json.dumps(geometry)) if geometry else None
        except (shapely.errors.GEOSException, ValueError, TypeError) as error:
            raise ValueError("its geometry is not GeoJSON") from error
        allowed = GEOMETRIES[kind]
        if shape is None or shape.is_empty or shape.geom_type not in allowed:
            raise ValueError(f"its geometry is no {' or '.join(sorted(allowed))}")
        if not shape.is_valid:
            raise ValueError(f"its geometry: {shapely.is_valid_reason(shape)}")
        west, south, east, north = shape.bounds
        if west < -180 or east > 180 or south < -90 or north > 90:
            raise ValueError("its geometry is not in degrees of longitude and latitude")
        return on_wgs84(shape, self._datum)

    def _add_place(self, held: dict[str, Any], kind: PlaceKind, shape: Any) -> None:
        place_id, zh = _text(held, "place_id"), _text(held, "name_zh")
        if not _ID.fullmatch(place_id):
            raise ValueError(f"place_id is 1 to 100 letters without spaces, not {place_id!r}")
        if place_id in self._places:
            raise ValueError(f"the id {place_id!r} is there twice")
        en = _text(held, "name_en") if held.get("name_en") is not None else zh
        aliases = held.get("aliases", [])
        if not isinstance(aliases, list) or not all(isinstance(each, str) for each in aliases):
            raise ValueError("aliases is a list of names")
        self._places[place_id] = Place(
            place_id, kind, LocalName(zh=zh, en=en), shape, tuple(aliases)
        )

    def _add_house(self, held: dict[str, Any], shape: Any) -> None:
        number, road = held.get("number"), _text(held, "road")
        if type(number) is not int or not 1 <= number <= _HIGHEST_NUMBER:
            raise ValueError(f"number is a whole one from 1 to {_HIGHEST_NUMBER:,}, not {number!r}")
        if number in self._houses.setdefault(road, {}):
            raise ValueError(f"number {number} of {road!r} is there twice")
        self._houses[road][number] = HouseNumber(number, shape.x, shape.y)


def _text(held: Mapping[str, Any], name: str) -> str:
    value = held.get(name)
    text = value.strip() if isinstance(value, str) else ""
    if not 1 <= len(text) <= _LONGEST_NAME or not text.isprintable():
        raise ValueError(f"{name} is one line of 1 to {_LONGEST_NAME} letters, not {value!r}")
    return text
