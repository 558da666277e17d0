"""Draw areas.geojson, the areas of the sample city, from places.yaml.

    .venv/bin/python deploy/sample-city/make_areas.py

The city lies between hills in the north and a river in the south; the Yun brook parts it. Towns,
communities and areas are nested Voronoi cells. Their straight borders become natural ones by
moving every point of the map a little, by an amount that depends smoothly on where it is: what
was shared between neighbours stays shared, so there are no gaps and no overlaps.
"""

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import yaml
from numpy.typing import NDArray
from shapely import LineString, MultiPoint, Point, Polygon

FOLDER = Path(__file__).parent
SEED = 41
MIDDLE = (112.95, 24.05)  # longitude, latitude
KILOMETRES_PER_DEGREE = 111.32
STEP = 0.3  # kilometres between the points of a border
SNAP = 1e-4  # kilometres: nearer than this is the same point
DECIMALS = 6  # of a degree, about 0.1 m

Properties = dict[str, str]


def brook() -> LineString:
    """The Yun brook from the hills down to the river."""
    ys = np.arange(16, -16, -STEP)
    return LineString(np.column_stack([0.3 + 0.9 * np.sin(ys * 0.42), ys]))


def outline(chance: random.Random) -> Polygon:
    """The city's border: an irregular curve through the hills, the river in the south."""
    angles = np.linspace(0, math.tau, 240, endpoint=False)
    radius = np.ones_like(angles)
    for wave in range(2, 9):
        radius += 0.09 / wave * np.sin(wave * angles + chance.uniform(0, math.tau))
    hills = Polygon(
        np.column_stack([13.2 * radius * np.cos(angles), 0.6 + 9.6 * radius * np.sin(angles)])
    )
    xs = np.arange(-20, 20, STEP)
    river = np.column_stack([xs, -6.4 + 1.0 * np.sin(xs * 0.33 + 0.8) - 0.03 * xs])
    north_of_river = Polygon([*river, (20, 30), (-20, 30)])
    return largest(shapely.intersection(hills, north_of_river))


def largest(shape: Any) -> Polygon:
    """The biggest polygon of `shape`."""
    return max(shapely.get_parts(shape), key=lambda part: float(part.area))


def cells(region: Polygon, points: list[tuple[float, float]]) -> list[Polygon]:
    """`region` divided among `points`, to each what is nearest to it, in their order."""
    voronoi = shapely.voronoi_polygons(MultiPoint(points), extend_to=region, ordered=True)
    return [largest(shapely.intersection(cell, region)) for cell in shapely.get_parts(voronoi)]


def divide(region: Polygon, count: int, chance: random.Random) -> list[Polygon]:
    """`region` in `count` cells of about the same size (Lloyd's relaxation)."""
    west, south, east, north = region.bounds
    points: list[tuple[float, float]] = []
    while len(points) < count:
        point = (chance.uniform(west, east), chance.uniform(south, north))
        if region.contains(Point(point)):
            points.append(point)
    for _ in range(10):
        points = [(cell.centroid.x, cell.centroid.y) for cell in cells(region, points)]
    return cells(region, points)


def town_regions(city: Polygon, towns: list[dict[str, Any]]) -> list[Polygon]:
    """Each town's part of its bank of the brook: what is nearest to its centre."""
    banks = shapely.get_parts(shapely.polygonize([shapely.union_all([city.exterior, brook()])]))
    west, east = sorted(banks, key=lambda bank: float(bank.centroid.x))
    regions: dict[str, Polygon] = {}
    for name, bank in (("west", west), ("east", east)):
        there = [town for town in towns if town["bank"] == name]
        shapes = cells(bank, [tuple(town["centre"]) for town in there])
        regions |= {town["town_id"]: shape for town, shape in zip(there, shapes, strict=True)}
    return [regions[town["town_id"]] for town in towns]


def plan(
    city: Polygon, towns: list[dict[str, Any]], chance: random.Random
) -> Iterator[tuple[Polygon, Properties]]:
    """Every area as a straight-edged cell with its properties."""
    for town, region in zip(towns, town_regions(city, towns), strict=True):
        quarters = divide(region, len(town["communities"]), chance)
        quarters.sort(key=lambda quarter: -float(quarter.centroid.y))
        digits, numbered = town["town_id"][-2:], 0
        for place, (community, quarter) in enumerate(
            zip(town["communities"], quarters, strict=True), start=1
        ):
            areas = divide(quarter, len(community["areas"]), chance)
            areas.sort(key=lambda area: float(area.centroid.x))
            for area, cell in zip(community["areas"], areas, strict=True):
                numbered += 1
                yield (
                    cell,
                    {
                        "area_id": f"yq-{digits}{numbered:02d}",
                        "name_zh": area["zh"],
                        "name_en": area["en"],
                        "town_id": town["town_id"],
                        "town_zh": town["name"]["zh"],
                        "town_en": town["name"]["en"],
                        "community_id": f"yq-c{digits}{place:02d}",
                        "community_zh": community["name"]["zh"],
                        "community_en": community["name"]["en"],
                    },
                )


@dataclass(frozen=True)
class Wave:
    """One ripple of the movement that makes borders crooked; lengths in kilometres."""

    length: float
    height: float
    towards: float
    phase: float
    moves: float


def waves(chance: random.Random) -> list[Wave]:
    """Long and high ripples to short and low ones, each in a direction of its own."""
    return [
        Wave(length, length * 0.022, *(chance.uniform(0, math.tau) for _ in range(3)))
        for length in (5.0, 3.4, 2.3, 1.5, 1.0, 0.7)
        for _ in range(3)
    ]


def to_degrees(points: NDArray[np.float64], ripples: list[Wave]) -> NDArray[np.float64]:
    """Kilometres around the middle of the city to moved points on WGS-84, rounded."""
    moved = points.copy()
    for wave in ripples:
        along = points[:, 0] * math.cos(wave.towards) + points[:, 1] * math.sin(wave.towards)
        height = wave.height * np.sin(along * math.tau / wave.length + wave.phase)
        moved[:, 0] += height * math.cos(wave.moves)
        moved[:, 1] += height * math.sin(wave.moves)
    east = KILOMETRES_PER_DEGREE * math.cos(math.radians(MIDDLE[1]))
    degrees = moved / (east, KILOMETRES_PER_DEGREE) + MIDDLE
    return np.round(degrees, DECIMALS)


def draw(towns: list[dict[str, Any]]) -> list[tuple[Polygon, Properties]]:
    """The areas on WGS-84. Raises ValueError if they do not tile the city exactly."""
    chance = random.Random(SEED)
    city = outline(chance)
    planned = list(plan(city, towns, chance))
    ripples = waves(chance)
    lines = shapely.union_all([cell.exterior for cell, _ in planned], grid_size=SNAP)
    lines = shapely.transform(
        shapely.segmentize(lines, STEP), lambda points: to_degrees(points, ripples)
    )
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(lines)))
    tree = shapely.STRtree(faces)
    drawn = []
    for cell, properties in planned:
        inside = shapely.transform(
            cell.representative_point(), lambda points: to_degrees(points, ripples)
        )
        (index,) = tree.query(inside, predicate="intersects")
        drawn.append((shapely.normalize(faces[index]), properties))
    whole = shapely.union_all([area for area, _ in drawn])
    if not (
        len(faces) == len(planned) == len({id(area) for area, _ in drawn})
        and shapely.coverage_is_valid([area for area, _ in drawn])
        and whole.geom_type == "Polygon"
        and not whole.interiors
    ):
        raise ValueError(f"{len(planned)} areas, {len(faces)} faces: not a tiling")
    return drawn


def main() -> None:
    """Write areas.geojson, one area a line so that a change can be read."""
    towns = yaml.safe_load((FOLDER / "places.yaml").read_text("utf-8"))["towns"]
    features = [
        json.dumps(
            {
                "type": "Feature",
                "properties": properties,
                "geometry": json.loads(shapely.to_geojson(area)),
            },
            ensure_ascii=False,
            separators=(",", ":"),
        )
        for area, properties in draw(towns)
    ]
    text = '{"type":"FeatureCollection","features":[\n' + ",\n".join(features) + "\n]}\n"
    (FOLDER / "areas.geojson").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
