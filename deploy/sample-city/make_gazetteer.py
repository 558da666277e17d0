"""Draw gazetteer.geojson, the streets, landmarks and water of the sample city.

    .venv/bin/python deploy/sample-city/make_gazetteer.py

Towns, communities and quarters are the areas of areas.geojson, put together. The streets of a town
in places.yaml run through it, each through the area that it shares a name with if there is one;
houses stand along them, odd numbers on the left. Landmarks stand beside a street.
"""

import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import yaml
from make_areas import (
    DECIMALS,
    KILOMETRES_PER_DEGREE,
    MIDDLE,
    SEED,
)
from numpy.typing import NDArray
from shapely import LineString, Point

FOLDER = Path(__file__).parent
EAST = KILOMETRES_PER_DEGREE * math.cos(math.radians(MIDDLE[1]))
STEP = 0.05  # kilometres between the points of a street
BEND = 0.06  # radians that a street turns at most on such a step
HOUSE_EVERY = 0.2  # kilometres between the houses whose numbers are known
PLOT = 0.012  # kilometres of street to a number, of its side
FROM_THE_MIDDLE = 0.012  # kilometres: half a street
BORDER = 0.12  # kilometres that streets keep from the border of what they lie in

Feature = dict[str, Any]


def kilometres(degrees: Any) -> Any:
    """A shape in kilometres around the middle of the city."""
    return shapely.transform(degrees, lambda at: (at - MIDDLE) * (EAST, KILOMETRES_PER_DEGREE))


def degrees(shape: Any) -> Any:
    """And back, rounded."""

    def back(at: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.round(at / (EAST, KILOMETRES_PER_DEGREE) + MIDDLE, DECIMALS)

    return shapely.transform(shape, back)


def feature(shape: Any, **properties: Any) -> Feature:
    """A feature of the file."""
    return {
        "type": "Feature",
        "properties": {name: value for name, value in properties.items() if value},
        "geometry": json.loads(shapely.to_geojson(shape)),
    }


def shared(one: str, other: str) -> int:
    """How many letters the longest part has that stands in both names."""
    return max(
        (end - start for start in range(len(one)) for end in range(start + 2, len(one) + 1)
         if one[start:end] in other),
        default=0,
    )  # fmt: skip


def street(region: Any, chance: random.Random) -> LineString:
    """A gently bent line through `region`, as long as one of thirty finds room for."""
    inside = region.buffer(-BORDER)
    best: list[tuple[float, float]] = []
    for _ in range(30):
        west, south, east, north = inside.bounds
        at = (chance.uniform(west, east), chance.uniform(south, north))
        if not inside.contains(Point(at)):
            continue
        heading, line = chance.uniform(0, math.tau), [at]
        while len(line) < 2.2 / STEP:
            heading += chance.uniform(-BEND, BEND)
            at = (at[0] + STEP * math.cos(heading), at[1] + STEP * math.sin(heading))
            if not inside.contains(Point(at)):
                break
            line.append(at)
        best = max(best, line, key=len)
    return LineString(best)


def beside(line: LineString, along: float, aside: float) -> Point:
    """A point so far along a line, and so far to its left."""
    at, further = line.interpolate(along), line.interpolate(min(along + 0.01, line.length))
    before = line.interpolate(max(along - 0.01, 0))
    east, north = further.x - before.x, further.y - before.y
    long = math.hypot(east, north)
    return Point(at.x - aside * north / long, at.y + aside * east / long)


def houses(road: str, line: LineString) -> Iterator[Feature]:
    """The houses of a road whose numbers are known."""
    for along in np.arange(0.01, line.length, HOUSE_EVERY):
        place = round(float(along) / PLOT)
        for number, side in ((2 * place + 1, 1), (2 * place + 2, -1)):
            at = beside(line, float(along), side * FROM_THE_MIDDLE)
            yield feature(degrees(at), kind="house_number", road=road, number=number)


def named_region(name: str, areas: list[Feature], town: Any) -> Any:
    """The area of a town that shares a name, in kilometres; else all of it."""
    best = max(areas, key=lambda area: shared(name, area["properties"]["name_zh"]))
    if not shared(name, best["properties"]["name_zh"]):
        return town
    return kilometres(shapely.from_geojson(json.dumps(best["geometry"])))


def of_town(town: Feature, areas: list[Feature]) -> Iterator[Feature]:
    """The streets and landmarks of a town."""
    chance = random.Random(f"{SEED} {town['town_id']}")
    shapes = [shapely.from_geojson(json.dumps(area["geometry"])) for area in areas]
    whole = kilometres(shapely.union_all(shapes))
    lines: list[LineString] = []
    for number, name in enumerate(town["streets"], start=1):
        road = f"{town['town_id']}-r{number:02d}"
        lines.append(street(named_region(name["zh"], areas, whole), chance))
        yield feature(
            degrees(lines[-1]), place_id=road, kind="road", name_zh=name["zh"], name_en=name["en"]
        )
        yield from houses(road, lines[-1])
    for number, name in enumerate(town["landmarks"], start=1):
        region = named_region(name["zh"], areas, whole)
        near = min(lines, key=lambda line: float(line.distance(region.centroid)))
        along = chance.uniform(0.1, 0.9) * near.length
        yield feature(
            degrees(beside(near, along, chance.choice((-1, 1)) * chance.uniform(0.02, 0.05))),
            place_id=f"{town['town_id']}-m{number:02d}",
            kind="landmark",
            name_zh=name["zh"],
            name_en=name["en"],
        )


def enclosing(
    areas: list[Feature], level: str, kind: str, taken: frozenset[str]
) -> Iterator[Feature]:
    """Towns, communities or quarters: what the areas of the same id are together. Short for a name
    is what no street or landmark is called."""
    ids = sorted({area["properties"][f"{level}_id"] for area in areas})
    for each in ids:
        there = [area for area in areas if area["properties"][f"{level}_id"] == each]
        held = there[0]["properties"]
        zh = held["name_zh" if level == "area" else f"{level}_zh"]
        en = held["name_en" if level == "area" else f"{level}_en"]
        whole = shapely.union_all([shapely.from_geojson(json.dumps(a["geometry"])) for a in there])
        short = zh.removesuffix("社区") if kind == "community" else zh.removesuffix("片区")
        yield feature(
            shapely.normalize(whole), place_id=each, kind=kind, name_zh=zh,
            name_en=f"{en} {kind}" if kind != "town" else en,
            aliases=[short] if short != zh and len(short) > 2 and short not in taken else [],
        )  # fmt: skip


def water(towns: list[Feature], areas: list[Feature]) -> Iterator[Feature]:
    """The brook: the border between the towns of its two banks."""
    bank = {town["town_id"]: town["bank"] for town in towns}
    west, east = (
        shapely.union_all(
            [
                shapely.from_geojson(json.dumps(area["geometry"]))
                for area in areas
                if bank[area["properties"]["town_id"]] == side
            ]
        )
        for side in ("west", "east")
    )
    line = shapely.line_merge(shapely.intersection(west, east))
    yield feature(
        line, place_id="yq-w01", kind="water", name_zh="云溪", name_en="Yun Brook",
        aliases=["云溪河"],
    )  # fmt: skip


def main() -> None:
    """Write gazetteer.geojson, one feature a line so that a change can be read."""
    towns = yaml.safe_load((FOLDER / "places.yaml").read_text("utf-8"))["towns"]
    areas = json.loads((FOLDER / "areas.geojson").read_text("utf-8"))["features"]
    whole = shapely.union_all([shapely.from_geojson(json.dumps(a["geometry"])) for a in areas])
    taken = frozenset(
        each["zh"] for town in towns for each in (*town["streets"], *town["landmarks"])
    )
    drawn = [
        feature(
            whole, place_id="yq", kind="city", name_zh="云桥市", name_en="Yunqiao", aliases=["云桥"]
        ),
        *enclosing(areas, "town", "town", taken),
        *enclosing(areas, "community", "community", taken),
        *enclosing(areas, "area", "quarter", taken),
        *water(towns, areas),
    ]
    for town in towns:
        there = [a for a in areas if a["properties"]["town_id"] == town["town_id"]]
        drawn += of_town(town, there)
    lines = [json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in drawn]
    text = '{"type":"FeatureCollection","features":[\n' + ",\n".join(lines) + "\n]}\n"
    (FOLDER / "gazetteer.geojson").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
