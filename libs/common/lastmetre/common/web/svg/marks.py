"""The small change of drawing: escaped elements and short figures."""

from collections.abc import Iterable
from typing import Any

from markupsafe import Markup, escape


def figure(value: float) -> str:
    """A coordinate with one decimal at most."""
    short = f"{value:.1f}".removesuffix(".0")
    return "0" if short == "-0" else short


def element(name: str, *children: str | Markup, **attributes: Any) -> Markup:
    """An SVG element. Trailing and inner underscores of names become hyphens; None is left out."""
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _text(value))
        for key, value in attributes.items()
        if value is not None
    )
    start = Markup("<") + Markup(name) + written  # noqa: S704 - names are ours
    if not children:
        return start + Markup("/>")
    body = Markup("").join(escape(child) for child in children)
    return start + Markup(">") + body + Markup("</") + Markup(name) + Markup(">")  # noqa: S704


def _text(value: Any) -> str:
    return figure(value) if isinstance(value, float) else str(value)


def path(points: Iterable[tuple[float, float]], *, closed: bool = False) -> str:
    """Path data of straight lines through `points`."""
    steps = [f"{figure(x)} {figure(y)}" for x, y in points]
    return "M" + "L".join(steps) + ("Z" if closed else "") if steps else ""
