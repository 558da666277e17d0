"""What the board says of few cases, and of what is open now (B13, A6)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lastmetre.common.web.languages import load_translations
from lastmetre.common.web.wording import Wording
from lastmetre.metrics.application.board import Figures, Network
from lastmetre.metrics.domain import statistics
from lastmetre.metrics.domain.curves import CURVE_STEPS, Curve, Median
from lastmetre.metrics.domain.indicators import WHOLE
from lastmetre.metrics.domain.periods import Period, PeriodName
from lastmetre.metrics.entrypoints.web.areas import Areas
from lastmetre.metrics.entrypoints.web.tiles import Tile, Tiles
from lastmetre.metrics.entrypoints.web.view import BoardView

NOW = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)
TODAY = Period(PeriodName.TODAY, date(2026, 11, 30), date(2026, 11, 30))
NOBODY = dict.fromkeys(
    ("cases", "open", "unplaced", "with_lead", "closed", "cancelled", "resolved",
     "returned",
     "reopened", "closed_before_reported", "fixed_on_spot", "patrol", "answers", "solved", "total",
     "squares"), 0,
)  # fmt: skip
AREA: Any = {"name_zh": "图书馆片区", "name_en": "Library"}
TRANSLATIONS = load_translations("lastmetre.metrics")["en"]
WORDING = Wording("en", ZoneInfo("Asia/Shanghai"), TRANSLATIONS)


def curve(n: int, seconds: float = 60.0) -> Curve:
    return Curve(n, [seconds] * (CURVE_STEPS + 1))


def figures(summary: Mapping[str, int] = NOBODY, **more: Any) -> Figures:
    """A morning on which nothing was reported yet."""
    counts: Any = dict(NOBODY, **summary)
    empty: dict[str, Any] = {
        "curve": None, "curve_before": None, "first_response": None, "first_response_before": None,
        "resolution_median": None, "resolved": None, "score": None, "solved": None,
        "fixed_on_spot": None, "hourly": [], "by_area": {}, "open_now": [], "reports": [],
        "valid": None,
        "recent_activity": [], "network": Network("1", {"A1": AREA, "A2": AREA}, None),
    }  # fmt: skip
    return Figures(now=NOW, period=TODAY, stage=WHOLE, summary=counts, **(empty | more))


def tile(name: str, shown: Figures) -> Tile:
    found = {each.name: each for each in Tiles(shown, WORDING, TRANSLATIONS).tiles()}
    return found[name]


def test_what_is_open_is_counted_as_of_now_whenever_it_was_reported() -> None:
    shown = figures(
        open_now=[{"state": "accepted", "cases": 300}, {"state": "unplaced", "cases": 45}],
        by_area={"A1": {"open": 3, "cases": 0}},
    )
    opened = tile("Open now", shown)
    assert (opened.value, opened.note) == ("345", "300 with a lead · 45 in the queue")
    assert opened.change == "0 of them reported in this period"
    rows = Areas(shown, WORDING, TRANSLATIONS).context()["area_rows"]
    assert [(row.open, row.fill) for row in rows] == [(3, "q4"), (0, "q1")]


@pytest.mark.parametrize(
    ("name", "few"),
    [
        ("First response (median)", {"first_response": curve(1)}),
        ("Resolved so far", {"resolved": statistics.rate(1, 2)}),
        ("Satisfaction", {"score": statistics.mean(2, 3, 5, (1, 5))}),
    ],
)
def test_few_cases_say_that_they_are_too_few(name: str, few: dict[str, Any]) -> None:
    shown = tile(name, figures(**few))
    assert shown.value == "–"
    assert "too few to tell" in shown.note
    assert (shown.drawing, shown.change) == ("", "")


@pytest.mark.parametrize(
    ("before", "change"), [(4, ""), (5, "1.0\N{NO-BREAK SPACE}min faster than before")]
)
def test_a_comparison_needs_enough_cases_on_both_sides(before: int, change: str) -> None:
    shown = figures(first_response=curve(20), first_response_before=Median(before, 120.0))
    assert tile("First response (median)", shown).change == change


def test_a_curve_of_few_cases_is_not_drawn() -> None:
    drawn = BoardView(figures(curve=curve(5)), WORDING, TRANSLATIONS).curve()
    assert drawn is not None
    assert BoardView(figures(curve=curve(4)), WORDING, TRANSLATIONS).curve() is None


def test_a_look_that_differs_in_its_time_alone_is_the_same_version() -> None:
    """A28: then only the time is sent again."""
    one = figures()
    assert replace(one, now=NOW + timedelta(minutes=14)).version == one.version
    assert replace(one, now=NOW + timedelta(minutes=15)).version != one.version
    assert figures({"cases": 1}).version != one.version


def test_rows_in_another_order_are_the_same_version() -> None:
    """PostgreSQL gives them in any, and processes compare what they have worked out."""
    rows = [{"channel": "app", "cases": 1, "hour": 2}, {"channel": "patrol", "cases": 4, "hour": 3}]
    areas = {"A1": {"open": 3, "cases": 0}, "A2": {"open": 1, "cases": 5}}
    one = figures(hourly=rows, by_area=areas)
    other = figures(hourly=rows[::-1], by_area=dict(reversed(areas.items())))
    assert one.version == other.version
    assert figures(hourly=rows[:1], by_area=areas).version != one.version
