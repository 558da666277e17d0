"""Maps of areas without tiles: coloured by a figure, with numbered pins, names and a scale bar."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from markupsafe import Markup

from lastmetre.common.web.svg.geometry import (
    LabelPlace,
    Point,
    Projection,
    Ring,
    clip,
    crossings,
    label_place,
    rings_of,
    signed_area,
    simplify,
)
from lastmetre.common.web.svg.marks import element, figure, path

Fill = Literal["plain", "mine", "other", "q1", "q2", "q3", "q4", "q5", "few"]
PinTone = Literal["over", "soon", "ok", "act", "fall"]

_TOLERANCE = 0.4  # pixels an outline may be off
_MARGIN = 8  # pixels beyond the edge, so that cut borders do not show
_SMALLEST = 1.0  # square pixels below which a ring is left out
_HATCH_STEP = 7.5
_NAME_SIZE = 12
_GROUP_SIZE = 14
PIN_RADIUS = 11
_DROP = "M0 0C-2.4 -4 -7.2 -7.9 -7.2 -13.2A7.2 7.2 0 0 1 7.2 -13.2C7.2 -7.9 2.4 -4 0 0Z"


@dataclass(frozen=True, slots=True)
class Pin:
    """A place on the map. `text` is the number it shares with the list beside the map.

    `shape`: a numbered disc, a drop for the one place meant, or a dot for the reader's own place.
    With `within_metres` a drop is a circle of that radius: the place is somewhere in it.
    """

    lng: float
    lat: float
    text: str = ""
    tone: PinTone = "ok"
    shape: Literal["disc", "drop", "me"] = "disc"
    within_metres: float | None = None


@dataclass(frozen=True, slots=True)
class _Outline:
    rings: tuple[Ring, ...]
    data: str
    label: LabelPlace


@dataclass(frozen=True, slots=True)
class Look:
    """What a drawing of an `AreaMap` shows on its areas, each by area id.

    `fills`: "few" is hatched, for too few cases to tell. `names` are written where they fit, but
    not where `numbers` put a disc that the list beside the map has too; `tips` show when pointing.
    With `links` the areas are links, and the map is no image any more. `groups`: the town that an
    area belongs to, written once across its areas.
    """

    fills: Mapping[str, Fill] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, str] = field(default_factory=dict)
    tips: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)


class AreaMap:
    """Areas prepared for drawing on `width` × `height` pixels. Make it once, draw it often."""

    def __init__(
        self,
        geometries: Mapping[str, Mapping[str, Any]],
        projection: Projection,
        width: int,
        height: int,
    ) -> None:
        self.projection = projection
        self.width = width
        self.height = height
        outlines = {key: self._outline(geometry) for key, geometry in geometries.items()}
        self._outlines = {key: outline for key, outline in outlines.items() if outline is not None}

    @classmethod
    def fit(
        cls, geometries: Mapping[str, Mapping[str, Any]], width: int = 420, height: int = 330
    ) -> "AreaMap":
        """All areas, filling the box. `geometries`: GeoJSON (Multi)Polygons, WGS-84, by area id.

        Raises ValueError if there is none.
        """
        points = [
            point
            for geometry in geometries.values()
            for ring in rings_of(geometry)
            for point in ring
        ]
        if not points:
            raise ValueError("a map needs at least one area")
        return cls(geometries, Projection.fit(points, width, height, 4), width, height)

    @classmethod
    def around(
        cls,
        geometries: Mapping[str, Mapping[str, Any]],
        centre: Point,
        metres: float,
        width: int = 358,
        height: int = 132,
    ) -> "AreaMap":
        """What lies around `centre` (lng, lat), `metres` across."""
        return cls(geometries, Projection.around(centre, metres, width, height), width, height)

    def _outline(self, geometry: Mapping[str, Any]) -> _Outline | None:
        rings = []
        for ring in rings_of(geometry):
            projected = [self.projection.xy(lng, lat) for lng, lat in ring]
            inside = clip(
                projected, -_MARGIN, -_MARGIN, self.width + _MARGIN, self.height + _MARGIN
            )
            thin = simplify(inside, _TOLERANCE)
            if len(thin) > 2 and abs(signed_area(thin)) >= _SMALLEST:
                rings.append(thin)
        if not rings:
            return None
        visible = [clip(ring, 0, 0, self.width, self.height) for ring in rings]
        seen = [ring for ring in visible if len(ring) > 2]
        data = "".join(path(ring, closed=True) for ring in rings)
        return _Outline(tuple(rings), data, label_place(seen or rings, _NAME_SIZE))

    @property
    def is_empty(self) -> bool:
        """Whether no area reaches into it."""
        return not self._outlines

    def draw(
        self,
        label: str,
        look: Look,
        *,
        pins: Sequence[Pin] = (),
        scale: Callable[[float], str] | None = None,
        pick: bool = False,
    ) -> Markup:
        """The map as `<svg>`. `label` says in a sentence what it shows.

        `scale` words a distance in metres (`Wording.distance`) and adds a scale bar. With `pick`
        the script pick.js lets the reader point at a place.
        """
        # What stands out comes last, so that no neighbour covers its border.
        keys = sorted(self._outlines, key=lambda key: look.fills.get(key) in ("mine", "other"))
        layers = [self._area(key, self._outlines[key], look) for key in keys]
        taken = [self.projection.xy(pin.lng, pin.lat) for pin in pins]
        layers += [
            self._name(key, look, taken, pick) for key in look.names if key not in look.numbers
        ]
        layers += self._groups(look.groups)
        layers += [self._number(key, text) for key, text in look.numbers.items()]
        layers += [self._pin(pin) for pin in pins]
        if scale is not None:
            layers.append(self._scale_bar(scale))
        if pick:
            layers.append(element("g", _drop(0, 0), class_="m-picked", hidden="hidden"))
        return element(
            "svg",
            *layers,
            viewBox=f"0 0 {self.width} {self.height}",
            role="group" if look.links else "img",
            aria_label=label,
            **(self._pick_attributes() if pick else {}),
        )

    def _pick_attributes(self) -> dict[str, str]:
        return {
            "data_pick": "",
            "data_west": f"{self.projection.west:.7f}",
            "data_north": f"{self.projection.north:.7f}",
            "data_x_per_degree": f"{self.projection.x_per_degree:.4f}",
            "data_y_per_degree": f"{self.projection.y_per_degree:.4f}",
        }

    def _area(self, key: str, outline: _Outline, look: Look) -> Markup:
        fill = look.fills.get(key, "plain")
        tip = look.tips.get(key)
        children = [element("title", tip)] if tip else []
        shape = element(
            "path",
            *children,
            class_=f"m-area m-{fill}",
            d=outline.data,
            fill_rule="evenodd",
            data_area=key,
        )
        if fill == "few":
            shape += element("path", class_="m-hatch", d=_hatch(outline.rings))
        if key in look.links:
            name = tip or look.names.get(key, key)
            return element("a", shape, href=look.links[key], aria_label=name)
        return shape

    def _name(self, key: str, look: Look, taken: Sequence[Point], pick: bool) -> Markup:
        """The area's name, where there is room for it between its borders and the pins.

        On a map that is zoomed the others are there as well, for pick.js to show in their time.
        """
        outline = self._outlines.get(key)
        if outline is None:
            return Markup("")
        place = outline.label
        width = text_width(look.names[key], _NAME_SIZE)
        covered = any(
            abs(x - place.x) < width / 2 + PIN_RADIUS and abs(y - place.y) < 2 * PIN_RADIUS
            for x, y in taken
        )
        hidden = covered or width > place.room
        if hidden and not pick:
            return Markup("")
        return element(
            "text",
            look.names[key],
            class_=f"m-name m-on-{look.fills.get(key, 'plain')}",
            x=place.x,
            y=place.y,
            dy=".35em",
            font_size=_NAME_SIZE,
            hidden="hidden" if hidden else None,
            data_fits=figure(width / max(place.room, 1)) if pick else None,
        )

    def _groups(self, groups: Mapping[str, str]) -> list[Markup]:
        """The name of each town, in the middle of its areas' own middles."""
        places: dict[str, list[LabelPlace]] = {}
        for key, name in groups.items():
            if key in self._outlines:
                places.setdefault(name, []).append(self._outlines[key].label)
        return [
            element(
                "text",
                name,
                class_="m-group",
                x=sum(place.x for place in found) / len(found),
                y=sum(place.y for place in found) / len(found),
                dy=".35em",
                font_size=_GROUP_SIZE,
            )
            for name, found in places.items()
        ]

    def _number(self, key: str, text: str) -> Markup:
        """A disc in the middle of an area."""
        outline = self._outlines.get(key)
        return _disc(outline.label.x, outline.label.y, text, "ok") if outline else Markup("")

    def _pin(self, pin: Pin) -> Markup:
        x, y = self.projection.xy(pin.lng, pin.lat)
        if pin.shape == "drop" and pin.within_metres is not None:
            radius = pin.within_metres / self.projection.metres_per_pixel
            return element("circle", class_="m-within", cx=x, cy=y, r=radius)
        if pin.shape == "drop":
            return _drop(x, y)
        if pin.shape == "me":
            return element("circle", class_="m-me", cx=x, cy=y, r=7)
        return _disc(x, y, pin.text, pin.tone)

    def _scale_bar(self, words: Callable[[float], str]) -> Markup:
        metres = round_length(self.projection.metres_per_pixel * self.width / 4)
        length = metres / self.projection.metres_per_pixel
        y = self.height - 16
        bar = element("path", class_="m-scale", d=f"M12 {y}v5h{figure(length)}v-5")
        text = element(
            "text", words(metres), class_="m-scale-t", x=18 + length, y=y + 6, font_size=11
        )
        return element("g", bar, text, class_="m-scale-g")


def _disc(x: float, y: float, text: str, tone: PinTone) -> Markup:
    disc = element("circle", class_=f"m-disc m-n-{tone}", cx=x, cy=y, r=PIN_RADIUS)
    if not text:
        return disc
    return disc + element("text", text, class_="m-num", x=x, y=y + 4.2, font_size=12)


def _drop(x: float, y: float) -> Markup:
    move = f"translate({figure(x)} {figure(y)})"
    eye = element("circle", class_="m-eye", cx=0, cy=-13.2, r=2.6)
    return element("g", element("path", class_="m-pin", d=_DROP), eye, transform=move)


def _hatch(rings: Sequence[Ring]) -> str:
    """Diagonal strokes inside the rings, so that the pattern needs no id."""
    sums = [x + y for ring in rings for x, y in ring]
    strokes = []
    line = min(sums) + _HATCH_STEP / 2
    while line < max(sums):
        x = crossings(rings, 1, 1, line)
        for start, end in zip(x[::2], x[1::2], strict=True):
            strokes.append(path([(start, line - start), (end, line - end)]))
        line += _HATCH_STEP
    return "".join(strokes)


def round_length(metres: float) -> float:
    """The largest of 1, 2, 5, 10, 20, 50 … metres that is not above `metres`."""
    power = 1.0
    while power * 10 <= metres:
        power *= 10
    return max((power * step for step in (1, 2, 5) if power * step <= metres), default=metres)


def text_width(text: str, size: float) -> float:
    """About how wide a text is: a Chinese character is as wide as high, a letter half of that."""
    return sum(size if ord(character) > 0x2E80 else size * 0.56 for character in text)
