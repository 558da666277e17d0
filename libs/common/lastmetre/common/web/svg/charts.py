"""Charts of response times, shares and flow."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

from markupsafe import Markup

from lastmetre.common.web.svg.marks import element, figure, path

Point = tuple[float, float]

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_STEPS: tuple[tuple[int, int, Literal["s", "min", "h", "days"]], ...] = (
    *((step, 1, "s") for step in (1, 2, 5, 10, 20)),
    *((step * _MINUTE, _MINUTE, "min") for step in (1, 2, 5, 10, 20, 30)),
    *((step * _HOUR, _HOUR, "h") for step in (1, 2, 4, 8, 12)),
    *((step * _DAY, _DAY, "days") for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)),
)
_MOST_TICKS = 6


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """An axis of durations from 0 to `maximum` seconds, a tick each `step` seconds.

    `unit` is what the ticks count: a message of the kit's catalogue, for the axis title.
    """

    maximum: float
    step: int
    unit_seconds: int
    unit: Literal["s", "min", "h", "days"]

    @classmethod
    def up_to(cls, seconds: float) -> "TimeAxis":
        """The axis with round ticks that just holds `seconds`."""
        step, unit_seconds, unit = next(
            (step for step in _STEPS if seconds <= step[0] * _MOST_TICKS), _STEPS[-1]
        )
        return cls(float(step * max(ceil(seconds / step), 1)), step, unit_seconds, unit)

    def ticks(self) -> list[tuple[int, str]]:
        """Seconds and label of each tick."""
        return [
            (at, str(at // self.unit_seconds)) for at in range(0, int(self.maximum) + 1, self.step)
        ]


@dataclass(frozen=True, slots=True)
class Curve:
    """Shares answered (0 to 1) by duration (seconds), ascending; a step function between points.

    `band`: (seconds, lowest, highest share) of a confidence band.
    """

    points: Sequence[Point]
    kind: Literal["now", "prev"] = "now"
    band: Sequence[tuple[float, float, float]] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """A promised duration in seconds, and what the chart says about it there."""

    seconds: float
    share: float
    text: str


@dataclass(frozen=True, slots=True)
class _Frame:
    """The plot inside the chart: pixel edges, and the value at the right edge and at the top."""

    left: float
    top: float
    right: float
    bottom: float
    x_maximum: float
    y_maximum: float

    def x(self, value: float) -> float:
        return self.left + value / self.x_maximum * (self.right - self.left)

    def y(self, value: float) -> float:
        return self.bottom - value / self.y_maximum * (self.bottom - self.top)


def response_curve(
    curves: Sequence[Curve],
    axis: TimeAxis,
    *,
    label: str,
    title: str,
    target: Target | None = None,
    width: int = 360,
    height: int = 270,
) -> Markup:
    """The empirical curve of how many were answered within which time.

    `label` is the chart in a sentence, `title` stands under the axis.
    """
    frame = _Frame(46, 12, width - 12, height - 50, axis.maximum, 1)
    layers = [*_share_grid(frame), *_time_ticks(frame, axis)]
    layers.append(_text(title, frame.right, height - 10, "c-txt", "end"))
    for curve in sorted(curves, key=lambda curve: curve.kind == "now"):
        layers += _curve(frame, curve)
    if target is not None and target.seconds <= axis.maximum:
        layers += _target(frame, target)
    return _chart(layers, width, height, label)


def _share_grid(frame: _Frame) -> Iterable[Markup]:
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = frame.y(share)
        yield element("path", class_="c-grid", d=path([(frame.left, y), (frame.right, y)]))
        yield _text(f"{share:.0%}", frame.left - 6, y + 4, "c-txt", "end")


def _time_ticks(frame: _Frame, axis: TimeAxis) -> Iterable[Markup]:
    for at, words in axis.ticks():
        yield _text(words, frame.x(at), frame.bottom + 17, "c-txt", "middle")


def _curve(frame: _Frame, curve: Curve) -> Iterable[Markup]:
    if curve.band:
        lower = [(frame.x(x), frame.y(low)) for x, low, _ in curve.band if x <= frame.x_maximum]
        upper = [(frame.x(x), frame.y(high)) for x, _, high in curve.band if x <= frame.x_maximum]
        yield element("path", class_="c-band", d=path(lower + upper[::-1], closed=True))
    yield element("path", class_=f"c-{curve.kind}", d=_steps(frame, curve.points))


def _steps(frame: _Frame, points: Sequence[Point]) -> str:
    """A step function as path data, at most one step a pixel, up to the right edge."""
    columns: dict[int, Point] = {}
    for seconds, share in points:
        if seconds <= frame.x_maximum:
            columns[round(frame.x(seconds))] = (frame.x(seconds), frame.y(share))
    data = f"M{figure(frame.left)} {figure(frame.bottom)}"
    data += "".join(f"H{figure(x)}V{figure(y)}" for x, y in columns.values())
    return data + f"H{figure(frame.right)}"


def _target(frame: _Frame, target: Target) -> Iterable[Markup]:
    x, y = frame.x(target.seconds), frame.y(target.share)
    yield element("path", class_="c-tg", d=path([(x, frame.top), (x, frame.bottom)]))
    yield element("circle", class_="c-pt", cx=x, cy=y, r=6)
    # Beside the line where there is room: below the curve on the right, above it on the left.
    on_right = x < (frame.left + frame.right) / 2
    yield _text(
        target.text,
        x + (12 if on_right else -12),
        min(y + 24, frame.bottom - 8) if on_right else max(y - 12, frame.top + 12),
        "c-txt b",
        "start" if on_right else "end",
    )


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a flow chart: its label and a count for each series."""

    label: str
    counts: Sequence[int]


def flow_columns(
    columns: Sequence[Column],
    *,
    label: str,
    every: int = 3,
    width: int = 360,
    height: int = 160,
) -> Markup:
    """Counts as columns, the series (classes s1, s2 …) stacked, every n-th column labelled."""
    highest = max((sum(column.counts) for column in columns), default=0)
    step = _round_step(highest)
    top = step * max(ceil(highest / step), 1)
    frame = _Frame(34, 10, width - 4, height - 22, max(len(columns), 1), top)
    layers: list[Markup] = []
    for count in range(0, int(frame.y_maximum) + 1, step):
        y = frame.y(count)
        layers.append(element("path", class_="c-grid", d=path([(frame.left, y), (frame.right, y)])))
        layers.append(_text(str(count), frame.left - 6, y + 4, "c-txt", "end"))
    for index, column in enumerate(columns):
        layers += _column(frame, index, column)
        if index % every == 0:
            x = (frame.x(index) + frame.x(index + 1)) / 2
            layers.append(_text(column.label, x, height - 6, "c-txt", "middle"))
    return _chart(layers, width, height, label)


def _column(frame: _Frame, index: int, column: Column) -> Iterable[Markup]:
    left, right = frame.x(index), frame.x(index + 1)
    gap = (right - left) * 0.12
    below = 0
    for series, count in enumerate(column.counts, start=1):
        if count:
            top, bottom = frame.y(below + count), frame.y(below)
            yield element(
                "rect",
                class_=f"s{series}",
                x=left + gap,
                y=top,
                width=right - left - 2 * gap,
                height=bottom - top,
            )
        below += count


def _round_step(highest: float) -> int:
    """A step of 1, 2, 5 … that needs at most four grid lines up to `highest`."""
    power = 1
    while True:
        for step in (power, 2 * power, 5 * power):
            if highest <= 4 * step:
                return step
        power *= 10


def whisker(
    value: float,
    low: float,
    high: float,
    *,
    scale: tuple[float, float],
    label: str,
    target: float | None = None,
    kind: Literal["whisk", "bar"] = "whisk",
) -> Markup:
    """A value with its range on a line from `scale[0]` to `scale[1]`; a tick marks the target.

    `kind`: "whisk" fills a tile's width, "bar" a table cell.
    """
    width, middle = (300, 7) if kind == "whisk" else (120, 10)
    edge = 4

    def x(number: float) -> float:
        share = (number - scale[0]) / ((scale[1] - scale[0]) or 1)
        return edge + min(max(share, 0), 1) * (width - 2 * edge)

    layers = [
        element("path", class_="w-axis", d=f"M{edge} {middle}H{width - edge}"),
        element("path", class_="w-ci", d=f"M{figure(x(low))} {middle}H{figure(x(high))}"),
    ]
    if target is not None:
        at = figure(x(target))
        layers.append(element("path", class_="w-tg", d=f"M{at} {middle - 8}V{middle + 8}"))
    layers.append(element("circle", class_="w-pt", cx=x(value), cy=middle, r=5))
    return element(
        "svg",
        *layers,
        class_=kind,
        viewBox=f"0 0 {width} {middle * 2 + 2}",
        role="img",
        aria_label=label,
    )


def share_line(parts: Sequence[tuple[str, float]], *, label: str) -> Markup:
    """Parts of a whole as one line, for a tile: `[("open", 174), ("soon", 29), ("over", 9)]`.

    The kinds there are: open, soon, over, done.
    """
    width, edge = 300, 4
    whole = sum(size for _, size in parts) or 1
    layers = [element("path", class_="w-axis", d=f"M{edge} 7H{width - edge}")]
    start = float(edge)
    for kind, size in parts:
        end = start + size / whole * (width - 2 * edge)
        if size:
            layers.append(
                element("path", class_=f"c-{kind}", d=f"M{figure(start)} 7H{figure(end)}")
            )
        start = end
    return element(
        "svg", *layers, class_="whisk", viewBox=f"0 0 {width} 16", role="img", aria_label=label
    )


def _text(words: str, x: float, y: float, css: str, anchor: str) -> Markup:
    return element("text", words, class_=css, x=float(x), y=float(y), text_anchor=anchor)


def _chart(layers: Iterable[Markup], width: int, height: int, label: str) -> Markup:
    return element(
        "svg",
        *layers,
        class_="chart",
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=label,
    )
