"""Outlines on a small map: projection, clipping, thinning out, where to write a name."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import cos, hypot, radians
from typing import Any

Point = tuple[float, float]
Ring = list[Point]

METRES_PER_DEGREE = 111_195.08  # of latitude, on a sphere of the earth's mean radius


@dataclass(frozen=True, slots=True)
class Projection:
    """Degrees (WGS-84) to pixels: equirectangular, true at the map's middle latitude.

    Pixel (0, 0) is at `west`, `north`; x grows to the east, y to the south.
    """

    west: float
    north: float
    x_per_degree: float
    y_per_degree: float

    @classmethod
    def fit(
        cls, points: Iterable[Point], width: float, height: float, padding: float
    ) -> "Projection":
        """Shows all of `points` (lng, lat), centred, `padding` pixels free at each side."""
        longitudes, latitudes = zip(*points, strict=True)
        west, east = min(longitudes), max(longitudes)
        south, north = min(latitudes), max(latitudes)
        narrowing = cos(radians((south + north) / 2))
        across = max((east - west) * narrowing, 1e-9)
        scale = min(
            (width - 2 * padding) / across, (height - 2 * padding) / max(north - south, 1e-9)
        )
        return cls._centred((west + east) / 2, (south + north) / 2, scale, narrowing, width, height)

    @classmethod
    def around(cls, centre: Point, metres: float, width: float, height: float) -> "Projection":
        """Shows `metres` from the left to the right edge, `centre` (lng, lat) in the middle."""
        scale = width / (metres / METRES_PER_DEGREE)
        return cls._centred(*centre, scale, cos(radians(centre[1])), width, height)

    @classmethod
    def _centred(
        cls, lng: float, lat: float, scale: float, narrowing: float, width: float, height: float
    ) -> "Projection":
        x_scale = scale * narrowing
        return cls(lng - width / 2 / x_scale, lat + height / 2 / scale, x_scale, scale)

    def xy(self, lng: float, lat: float) -> Point:
        """The pixel of a position."""
        return (lng - self.west) * self.x_per_degree, (self.north - lat) * self.y_per_degree

    def lng_lat(self, x: float, y: float) -> Point:
        """The position of a pixel."""
        return self.west + x / self.x_per_degree, self.north - y / self.y_per_degree

    @property
    def metres_per_pixel(self) -> float:
        """The scale."""
        return METRES_PER_DEGREE / self.y_per_degree


def rings_of(geometry: Mapping[str, Any]) -> Iterator[Ring]:
    """All rings of a GeoJSON Polygon or MultiPolygon, outer ones and holes, without the repeat.

    Empty ones are none.
    """
    coordinates = geometry["coordinates"]
    polygons = coordinates if geometry["type"] == "MultiPolygon" else [coordinates]
    for polygon in polygons:
        for ring in filter(None, polygon):
            yield [(float(position[0]), float(position[1])) for position in ring[:-1]]


def clip(ring: Sequence[Point], left: float, top: float, right: float, bottom: float) -> Ring:
    """The part of a ring inside a box (Sutherland-Hodgman)."""
    points = list(ring)
    for axis, limit, sign in ((0, left, 1), (0, right, -1), (1, top, 1), (1, bottom, -1)):
        points = _clip_half(points, axis, limit, sign)
    return points


def _clip_half(points: Ring, axis: int, limit: float, sign: int) -> Ring:
    kept: Ring = []
    for start, end in zip(points[-1:] + points[:-1], points, strict=True):
        start_in = (start[axis] - limit) * sign >= 0
        end_in = (end[axis] - limit) * sign >= 0
        if start_in != end_in:
            share = (limit - start[axis]) / (end[axis] - start[axis])
            kept.append(
                (start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1]))
            )
        if end_in:
            kept.append(end)
    return kept


def simplify(ring: Sequence[Point], tolerance: float) -> Ring:
    """The ring with fewer points, nowhere further than `tolerance` off (Douglas-Peucker)."""
    if len(ring) < 4:
        return list(ring)
    # Cut at the point furthest from the first, so that both halves have a base line.
    first = ring[0]
    far = max(range(len(ring)), key=lambda i: hypot(ring[i][0] - first[0], ring[i][1] - first[1]))
    closed = [*ring, first]
    return _thin(closed[: far + 1], tolerance)[:-1] + _thin(closed[far:], tolerance)[:-1]


def _thin(line: Sequence[Point], tolerance: float) -> Ring:
    keep = {0, len(line) - 1}
    pending = [(0, len(line) - 1)]
    while pending:
        start, end = pending.pop()
        distance, index = max(
            ((_off_line(line[i], line[start], line[end]), i) for i in range(start + 1, end)),
            default=(0.0, start),
        )
        if distance > tolerance:
            keep.add(index)
            pending += [(start, index), (index, end)]
    return [line[i] for i in sorted(keep)]


def _off_line(point: Point, start: Point, end: Point) -> float:
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = hypot(dx, dy)
    if length == 0:
        return hypot(point[0] - start[0], point[1] - start[1])
    return abs(dx * (point[1] - start[1]) - dy * (point[0] - start[0])) / length


def signed_area(ring: Sequence[Point]) -> float:
    """The area a ring encloses, negative if it runs the other way round."""
    following = [*ring[1:], ring[0]]
    pairs = zip(ring, following, strict=True)
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs) / 2


def centroid(ring: Sequence[Point]) -> Point:
    """The centre of gravity of what a ring encloses."""
    area = signed_area(ring)
    if abs(area) < 1e-9:
        return ring[0]
    x = y = 0.0
    for (x1, y1), (x2, y2) in zip(ring, [*ring[1:], ring[0]], strict=True):
        cross = x1 * y2 - x2 * y1
        x += (x1 + x2) * cross
        y += (y1 + y2) * cross
    return x / (6 * area), y / (6 * area)


def crossings(rings: Iterable[Sequence[Point]], a: float, b: float, c: float) -> list[float]:
    """Where the line a·x + b·y = c crosses the rings: ascending x (ascending y if b is 0).

    Between the 1st and 2nd, 3rd and 4th … the line is inside (even-odd rule).
    """
    along = 1 if b == 0 else 0
    found = []
    for ring in rings:
        for start, end in zip(ring, [*ring[1:], *ring[:1]], strict=True):
            before = a * start[0] + b * start[1] - c
            after = a * end[0] + b * end[1] - c
            if (before < 0) != (after < 0):
                share = before / (before - after)
                found.append(start[along] + share * (end[along] - start[along]))
    return sorted(found)


def contains(rings: Iterable[Sequence[Point]], point: Point) -> bool:
    """Whether `point` lies inside the rings (even-odd rule)."""
    x, y = point
    return sum(crossing <= x for crossing in crossings(rings, 0, 1, y)) % 2 == 1


@dataclass(frozen=True, slots=True)
class LabelPlace:
    """The middle of a name, and how wide it may be there."""

    x: float
    y: float
    room: float


def label_place(rings: Sequence[Sequence[Point]], height: float) -> LabelPlace:
    """In the middle of the widest stretch inside, at the height of the largest ring's centroid.

    The room is what a line of text `height` high has to both sides without touching a border.
    """
    _, y = centroid(max(rings, key=lambda ring: abs(signed_area(ring))))
    middle = max(_stretches(rings, y), key=lambda stretch: stretch[1] - stretch[0], default=(0, 0))
    x = (middle[0] + middle[1]) / 2
    lines = (y - height / 2, y, y + height / 2)
    return LabelPlace(x, y, 2 * min(_free_beside(rings, x, line) for line in lines))


def _stretches(rings: Sequence[Sequence[Point]], y: float) -> list[Point]:
    x = crossings(rings, 0, 1, y)
    return list(zip(x[::2], x[1::2], strict=True))


def _free_beside(rings: Sequence[Sequence[Point]], x: float, y: float) -> float:
    inside = (stretch for stretch in _stretches(rings, y) if stretch[0] <= x <= stretch[1])
    return next((min(x - left, right - x) for left, right in inside), 0.0)
