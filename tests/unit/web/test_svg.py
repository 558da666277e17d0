"""Geometry worked out by hand, and drawings that are well-formed whatever goes in."""

import re
from math import cos, radians
from xml.etree import ElementTree

import pytest
from markupsafe import Markup

from lastmetre.common.web.svg.charts import (
    Column,
    Curve,
    Target,
    TimeAxis,
    flow_columns,
    response_curve,
    share_line,
    whisker,
)
from lastmetre.common.web.svg.geometry import (
    Projection,
    centroid,
    clip,
    crossings,
    label_place,
    rings_of,
    signed_area,
    simplify,
)
from lastmetre.common.web.svg.maps import AreaMap, Look, Pin, round_length

SQUARE = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)]
HOSTILE = '"><script>alert(1)</script>&路'


def polygon(west: float, south: float, east: float, north: float) -> dict[str, object]:
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def parse(drawing: Markup) -> ElementTree.Element:
    return ElementTree.fromstring(drawing)


def test_projection_is_true_at_the_middle_latitude() -> None:
    # One degree each way at 60° north: twice as high as wide, so the height fills the box.
    projection = Projection.fit([(10, 59.5), (11, 60.5)], 400, 300, 0)
    assert projection.xy(10.5, 60) == pytest.approx((200, 150))
    assert projection.xy(10.5, 60.5) == pytest.approx((200, 0))
    assert projection.xy(11, 60) == pytest.approx((200 + 300 * cos(radians(60)) / 2, 150))
    assert projection.lng_lat(*projection.xy(10.2, 59.7)) == pytest.approx((10.2, 59.7))
    assert projection.metres_per_pixel == pytest.approx(111_195.08 / 300)


def test_projection_around_a_place() -> None:
    projection = Projection.around((120.1, 30.2), 1000, 200, 100)
    assert projection.xy(120.1, 30.2) == pytest.approx((100, 50))
    assert projection.metres_per_pixel == pytest.approx(5)


def test_a_single_point_can_still_be_shown() -> None:
    assert Projection.fit([(1, 1)], 100, 100, 4).xy(1, 1) == pytest.approx((50, 50))


def test_clipping_cuts_at_the_box() -> None:
    assert sorted(clip(SQUARE, 5, -1, 20, 5)) == [(5, 0), (5, 5), (10, 0), (10, 5)]
    assert clip(SQUARE, 20, 20, 30, 30) == []
    assert clip(SQUARE, -1, -1, 11, 11) == SQUARE
    assert clip([], 0, 0, 1, 1) == []


def test_simplifying_keeps_corners_and_drops_what_lies_on_a_line() -> None:
    detailed = [(0.0, 0.0), (5.0, 0.2), (10.0, 0.0), (10.0, 5.0), (10.0, 10.0), (0.0, 10.0)]
    assert simplify(detailed, 0.4) == [(0, 0), (10, 0), (10, 10), (0, 10)]
    assert (5.0, 0.2) in simplify(detailed, 0.1)
    assert simplify([(0, 0), (1, 1)], 1) == [(0, 0), (1, 1)]


def test_area_centroid_and_crossings() -> None:
    assert signed_area(SQUARE) == 100
    assert signed_area(SQUARE[::-1]) == -100
    assert centroid(SQUARE) == pytest.approx((5, 5))
    assert centroid([(0, 0), (6, 0), (0, 6)]) == pytest.approx((2, 2))
    assert centroid([(3, 3), (3, 3)]) == (3, 3)
    hole = [(4.0, 4.0), (6.0, 4.0), (6.0, 6.0), (4.0, 6.0)]
    assert crossings([SQUARE, hole], 0, 1, 5) == [0, 4, 6, 10]
    assert crossings([SQUARE], 1, 1, 5) == [0, 5]
    assert crossings([SQUARE], 1, 0, 5) == [0, 10]


def test_a_name_is_written_inside_where_the_shape_is_widest() -> None:
    # A U: the centroid lies in the gap, the name goes into an arm or the bottom.
    shape = [(0, 0), (4, 0), (4, 20), (26, 20), (26, 0), (40, 0), (40, 30), (0, 30)]
    place = label_place([[(float(x), float(y)) for x, y in shape]], 4)
    assert (place.x, place.room) == (33, 14)
    assert label_place([SQUARE], 4).room == 10
    assert label_place([SQUARE], 30).room == 0, "too high for it"


def test_rings_of_all_parts_and_holes() -> None:
    ring = [[0, 0], [1, 0], [1, 1], [0, 0]]
    many = {"type": "MultiPolygon", "coordinates": [[ring, ring], [ring]]}
    assert [len(points) for points in rings_of(many)] == [3, 3, 3]


@pytest.mark.parametrize(
    ("metres", "rounded"),
    [(999, 500), (1000, 1000), (1999, 1000), (2000, 2000), (7, 5), (0.5, 0.5)],
)
def test_scale_bars_have_round_lengths(metres: float, rounded: float) -> None:
    assert round_length(metres) == rounded


TWO = {"A1": polygon(120.0, 30.0, 120.1, 30.1), "A2": polygon(120.1, 30.0, 120.2, 30.1)}


def test_a_map_has_its_areas_where_they_are() -> None:
    # 0.2° by 0.1° at 30.05°: cos = 0.86559, so 392 px wide make 226.4 px of height.
    areas = AreaMap.fit(TWO, 400, 300)
    drawing = parse(
        areas.draw("Two areas", Look(fills={"A1": "q5"}, names={"A1": "西", "A2": "东"}))
    )
    assert drawing.attrib["viewBox"] == "0 0 400 300"
    assert drawing.attrib["role"] == "img"
    assert drawing.attrib["aria-label"] == "Two areas"
    shapes = {path.attrib["data-area"]: path.attrib for path in drawing.iter("path")}
    assert shapes["A1"]["class"] == "m-area m-q5"
    assert shapes["A2"]["class"] == "m-area m-plain"
    assert shapes["A1"]["d"] == "M4 263.2L200 263.2L200 36.8L4 36.8Z"
    names = {text.text: text.attrib for text in drawing.iter("text")}
    assert names["西"]["x"] == "102"
    assert names["西"]["class"] == "m-name m-on-q5"
    assert names["东"]["x"] == "298"


def test_pins_scale_bar_hatch_and_names_that_make_room() -> None:
    areas = AreaMap.fit(TWO, 400, 300)
    pins = [Pin(120.05, 30.05, "1", "over"), Pin(120.15, 30.02, shape="drop")]
    look = Look(fills={"A2": "few"}, names={"A1": "西片", "A2": "一个长得放不下的名字" * 4})
    drawing = parse(areas.draw("x", look, pins=pins, scale=lambda metres: f"{metres:.0f} m"))
    texts = [text.text for text in drawing.iter("text")]
    assert texts == ["1", "2000 m"], "no name under a pin, none wider than its area"
    disc = next(drawing.iter("circle")).attrib
    assert (disc["cx"], disc["cy"], disc["class"]) == ("102", "150", "m-disc m-n-over")
    hatch = [p for p in drawing.iter("path") if p.attrib["class"] == "m-hatch"]
    coordinates = [float(x) for x in re.findall(r"-?[\d.]+", hatch[0].attrib["d"])]
    assert all(199.9 <= x <= 396.1 for x in coordinates[::2]), "inside its area"


def test_areas_with_links_are_no_image() -> None:
    drawing = parse(
        AreaMap.fit(TWO).draw("x", Look(links={"A1": "/board/areas/A1"}, tips={"A1": "西: 3"}))
    )
    assert drawing.attrib["role"] == "group"
    link = next(drawing.iter("a"))
    assert (link.attrib["href"], link.attrib["aria-label"]) == ("/board/areas/A1", "西: 3")


def test_a_map_around_a_place_leaves_out_what_is_far() -> None:
    far = TWO | {"A3": polygon(121, 31, 122, 32)}
    areas = AreaMap.around(far, (120.1, 30.05), 500, 200, 100)
    drawing = parse(areas.draw("x", Look(fills={"A1": "mine"})))
    paths = list(drawing.iter("path"))
    assert [path.attrib["data-area"] for path in paths] == ["A2", "A1"], "mine on top, A3 nowhere"
    assert paths[1].attrib["d"].count("L") == 3, "cut at the edge"


def test_a_map_to_point_at_says_how_pixels_become_degrees() -> None:
    areas = AreaMap.fit(TWO, 400, 300)
    svg = parse(areas.draw("x", Look(), pick=True)).attrib
    lng = float(svg["data-west"]) + 200 / float(svg["data-x-per-degree"])
    lat = float(svg["data-north"]) - 150 / float(svg["data-y-per-degree"])
    assert (lng, lat) == pytest.approx((120.1, 30.05), abs=1e-6)


def test_a_map_needs_an_area() -> None:
    with pytest.raises(ValueError, match="at least one"):
        AreaMap.fit({})


@pytest.mark.parametrize(
    ("seconds", "maximum", "unit", "labels"),
    [
        (0, 1, "s", ["0", "1"]),
        (100, 100, "s", ["0", "20", "40", "60", "80", "100"]),
        (40 * 60, 40 * 60, "min", ["0", "10", "20", "30", "40"]),
        (41 * 60, 50 * 60, "min", ["0", "10", "20", "30", "40", "50"]),
        (5 * 3600, 5 * 3600, "h", ["0", "1", "2", "3", "4", "5"]),
        (30 * 86400, 30 * 86400, "days", ["0", "5", "10", "15", "20", "25", "30"]),
    ],
)
def test_time_axes_have_round_ticks(
    seconds: float, maximum: float, unit: str, labels: list[str]
) -> None:
    axis = TimeAxis.up_to(seconds)
    assert (axis.maximum, axis.unit) == (maximum, unit)
    assert [label for _, label in axis.ticks()] == labels


def test_an_axis_holds_even_the_longest_wait() -> None:
    assert TimeAxis.up_to(30 * 365 * 86400).maximum >= 30 * 365 * 86400


def test_a_response_curve_steps_where_the_answers_came() -> None:
    # Plot: x 46..348 for 0..60 s, y 12..220 for 1..0.
    axis = TimeAxis.up_to(60)
    curve = Curve([(30, 0.5), (60, 1.0), (61, 1.0)], band=[(30, 0.4, 0.6)])
    target = Target(15, 0, "15 s")
    drawing = parse(response_curve([curve], axis, label="x", title="seconds", target=target))
    paths = {path.attrib["class"]: path.attrib["d"] for path in drawing.iter("path")}
    assert paths["c-now"] == "M46 220H197V116H348V12H348"
    assert paths["c-band"] == "M197 136.8L197 95.2Z"
    assert paths["c-tg"] == "M121.5 12L121.5 220"
    assert "seconds" in [text.text for text in drawing.iter("text")]


def test_a_curve_of_many_points_has_one_step_a_pixel() -> None:
    points = [(second / 10, second / 36000) for second in range(36000)]
    data = response_curve([Curve(points)], TimeAxis.up_to(3600), label="x", title="y")
    assert data.count("H") < 320


def test_columns_are_stacked() -> None:
    # Plot: x 34..356 for two columns, y 10..138, top of the axis 30 in steps of 10.
    columns = [Column("8", (10, 20)), Column("9", (0, 0))]
    drawing = parse(flow_columns(columns, label="x", every=1))
    boxes = [rect.attrib for rect in drawing.iter("rect")]
    assert [box["class"] for box in boxes] == ["s1", "s2"]
    assert (boxes[0]["y"], boxes[0]["height"]) == ("95.3", "42.7")
    assert (boxes[1]["y"], boxes[1]["height"]) == ("10", "85.3")
    assert [text.text for text in drawing.iter("text")] == ["0", "10", "20", "30", "8", "9"]
    assert parse(flow_columns([], label="nothing yet")).attrib["aria-label"] == "nothing yet"


def test_a_whisker_marks_value_range_and_target() -> None:
    drawing = parse(whisker(0.5, 0.25, 0.75, scale=(0, 1), target=1, label="x"))
    paths = {path.attrib["class"]: path.attrib["d"] for path in drawing.iter("path")}
    assert paths == {"w-axis": "M4 7H296", "w-ci": "M77 7H223", "w-tg": "M296 -1V15"}
    assert next(drawing.iter("circle")).attrib["cx"] == "150"
    outside = parse(whisker(9, -9, 99, scale=(1, 1), label="x"))
    assert next(outside.iter("circle")).attrib["cx"] == "296", "kept on the line"


def test_shares_of_a_line() -> None:
    drawing = parse(share_line([("open", 3), ("soon", 0), ("over", 1)], label="x"))
    paths = {path.attrib["class"]: path.attrib["d"] for path in drawing.iter("path")}
    assert paths["c-open"] == "M4 7H223"
    assert paths["c-over"] == "M223 7H296"
    assert "c-soon" not in paths


def test_no_text_gets_out_of_its_place() -> None:
    areas = AreaMap.fit(TWO | {HOSTILE: polygon(120, 30, 120.2, 30.1)})
    look = Look(
        names={"A1": HOSTILE[:3], HOSTILE: "x"},
        tips={HOSTILE: HOSTILE},
        links={HOSTILE: HOSTILE},
    )
    drawings = [
        areas.draw(HOSTILE, look, pins=[Pin(120.2, 30.1, HOSTILE)], scale=lambda _: HOSTILE),
        response_curve([], TimeAxis.up_to(9), label=HOSTILE, title=HOSTILE),
        flow_columns([Column(HOSTILE, (1,))], label=HOSTILE),
        whisker(1, 1, 1, scale=(0, 1), label=HOSTILE),
        share_line([], label=HOSTILE),
    ]
    for drawing in drawings:
        assert "<script" not in drawing
        assert parse(drawing).attrib["aria-label"] == HOSTILE
        assert " style=" not in drawing
